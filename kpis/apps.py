"""The kpis application."""

from django.apps import AppConfig


class KpisConfig(AppConfig):
    """Facts, KPIs, snapshots, dashboard."""

    name = "kpis"
