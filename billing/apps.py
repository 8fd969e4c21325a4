"""The billing application."""

from importlib import import_module

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """The book, usage, prices, bills and money."""

    name = "billing"

    def ready(self) -> None:
        """Load every check, and the job handlers that stand outside billing.jobs."""
        import_module("billing.checks.registry").load()
        for name in ("jobs_checks", "jobs_match", "jobs_prices", "jobs_rates", "jobs_watch"):
            import_module(f"billing.{name}")
