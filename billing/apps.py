"""The billing application."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """The book, usage, prices, bills and money."""

    name = "billing"
