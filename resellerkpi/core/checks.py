"""System checks of the house."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db.backends.postgresql.psycopg_any import is_psycopg3


@register()
def driver_is_psycopg2(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Bulk loading relies on psycopg2's copy_expert; Django silently prefers psycopg 3 when it is importable."""
    if is_psycopg3:
        return [Error("psycopg 3 is installed and Django uses it; uninstall it.", id="resellerkpi.E001")]
    return []


@register(deploy=True)
def two_roles(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The application must not connect as the role that owns the tables."""
    if settings.DATABASES["default"]["USER"] == settings.DATABASES["owner"]["USER"]:
        return [Warning("DATABASE_URL and DATABASE_OWNER_URL name the same role.", id="resellerkpi.W001")]
    return []
