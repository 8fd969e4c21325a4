"""Addresses of billing's pages: one list per subject module, in alphabetical order."""

from django.urls import URLPattern

from billing.web import (
    calls,
    carrier_bills,
    carrier_charges,
    carrier_passing,
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
    *carrier_bills.urls,
    *carrier_charges.urls,
    *carrier_passing.urls,
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
