"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
