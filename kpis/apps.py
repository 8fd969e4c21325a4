"""The kpis application."""

from importlib import import_module

from django.apps import AppConfig


class KpisConfig(AppConfig):
    """Facts, KPIs, snapshots, dashboard."""

    name = "kpis"

    def ready(self) -> None:
        """Load every KPI's declaration."""
        import_module("kpis.registry").load()
