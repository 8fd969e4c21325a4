"""Takes away what an interrupted build of the demo left behind, so that it can be built again."""

from django.apps import apps
from django.db import connection, models

from resellerkpi.core.models import AuditEvent, Reseller, TenantModel
from resellerkpi.core.scope import Scope, enter


def empty(reseller: Reseller) -> None:
    """Delete every row of a demo reseller but the reseller itself and its audit events, which nobody can delete."""
    with enter(Scope.of(reseller.pk, why="command demo")), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('rk.purge', 'on', true)")
        for table in _tables():
            cursor.execute(f'DELETE FROM "{table}" WHERE reseller_id = %s', [reseller.pk])  # noqa: S608  our own names
        cursor.execute("SELECT set_config('rk.purge', '', true)")


def _tables() -> list[str]:
    """Return the tenant tables, each before those that it refers to."""
    tenants: list[type[models.Model]] = [
        m for m in apps.get_models() if issubclass(m, TenantModel) and m is not AuditEvent
    ]
    placed: list[type[models.Model]] = []
    while tenants:
        free = [m for m in tenants if not any(m in _refers_to(other) for other in tenants if other is not m)]
        if not free:
            raise RuntimeError("The tenant tables refer to each other in a circle.")
        placed += free
        tenants = [m for m in tenants if m not in free]
    return [m._meta.db_table for m in placed]


def _refers_to(model: type[models.Model]) -> set[type[models.Model]]:
    return {
        field.related_model
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and isinstance(field.related_model, type)
    }
