"""The reports application."""

from importlib import import_module

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Reports, runs, exports, share links."""

    name = "reports"

    def ready(self) -> None:
        """Load the job handlers that stand outside reports.jobs."""
        import_module("reports.jobs_watch")
