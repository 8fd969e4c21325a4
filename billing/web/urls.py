"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

from billing.web import (
    carriers,
    customers,
    dealers,
    features,
    imports,
    numbers,
    search,
    tariffs,
)

urlpatterns: list[URLPattern] = [
    *carriers.urls,
    *customers.urls,
    *dealers.urls,
    *features.urls,
    *imports.urls,
    *numbers.urls,
    *search.urls,
    *tariffs.urls,
]
