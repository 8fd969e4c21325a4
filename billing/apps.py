"""The billing application."""

from importlib import import_module

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """The book, usage, prices, bills and money."""

    name = "billing"

    def ready(self) -> None:
        """Load every check, and the job handlers that stand outside billing.jobs."""
        import_module("billing.checks.registry").load()
        import_module("billing.jobs_checks")
        import_module("billing.jobs_match")
        import_module("billing.jobs_prices")
        import_module("billing.jobs_rates")
