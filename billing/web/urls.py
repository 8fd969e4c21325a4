"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

from billing.web import (
    calls,
    carriers,
    credits,
    customers,
    dealers,
    debt,
    errors,
    features,
    files,
    imports,
    invoices,
    numbers,
    payments,
    runs,
    search,
    tariffs,
    upload,
)

urlpatterns: list[URLPattern] = [
    *calls.urls,
    *carriers.urls,
    *credits.urls,
    *customers.urls,
    *dealers.urls,
    *debt.urls,
    *errors.urls,
    *features.urls,
    *files.urls,
    *imports.urls,
    *invoices.urls,
    *numbers.urls,
    *payments.urls,
    *runs.urls,
    *search.urls,
    *tariffs.urls,
    *upload.urls,
]
