"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

from billing.web import imports

urlpatterns: list[URLPattern] = [
    *imports.urls,
]
