"""The reports application."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Reports, runs, exports, share links."""

    name = "reports"
