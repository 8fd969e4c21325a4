"""The toolkit's application."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """Template tags, static assets of installed packages, the house's own pages."""

    name = "resellerkpi.ui"
    label = "ui"
