"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

from billing.web import (
    calls,
    carriers,
    customers,
    dealers,
    errors,
    features,
    files,
    imports,
    numbers,
    search,
    tariffs,
    upload,
)

urlpatterns: list[URLPattern] = [
    *calls.urls,
    *carriers.urls,
    *customers.urls,
    *dealers.urls,
    *errors.urls,
    *features.urls,
    *files.urls,
    *imports.urls,
    *numbers.urls,
    *search.urls,
    *tariffs.urls,
    *upload.urls,
]
