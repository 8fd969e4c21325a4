"""The core application."""

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    """Tenancy, jobs, files, money, periods, columns."""

    name = "resellerkpi.core"
    label = "core"
    verbose_name = "House"

    def ready(self) -> None:
        """Load the Celery application, the task and every app's job handlers, and the system checks."""
        import_module("resellerkpi.celery")
        autodiscover_modules("tasks", "checks", "sweep", "jobs")
