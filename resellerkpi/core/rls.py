"""Row-level security: the one policy text, as migration operations, and the grants of the two roles."""

from typing import Any

from django.conf import settings
from django.db import connections
from django.db.migrations.operations.base import Operation

POLICY = "reseller_id = ANY (NULLIF(current_setting('rk.resellers', true), '')::bigint[])"


def protect_sql(table: str) -> str:
    """Return the SQL that enables and forces the tenant policy on a table."""
    return (
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY; ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY; '
        f'DROP POLICY IF EXISTS tenant ON "{table}"; '
        f'CREATE POLICY tenant ON "{table}" USING ({POLICY}) WITH CHECK ({POLICY});'
    )


def unprotect_sql(table: str) -> str:
    """Return the SQL that takes the tenant policy off a table."""
    return (
        f'DROP POLICY IF EXISTS tenant ON "{table}"; ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY; '
        f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY;'
    )


class ProtectTenantTable(Operation):
    """Migration operation: put tables under the tenant policy."""

    reversible = True

    def __init__(self, *tables: str) -> None:
        self.tables = tables

    def deconstruct(self) -> tuple[str, list[str], dict[str, Any]]:
        """Describe the operation for Django."""
        return ("ProtectTenantTable", list(self.tables), {})

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the model state alone: only the database changes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Enable the policy."""
        for table in self.tables:
            schema_editor.execute(protect_sql(table))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Take the policy off."""
        for table in self.tables:
            schema_editor.execute(unprotect_sql(table))

    def describe(self) -> str:
        """Say what the operation does."""
        return f"Protect {', '.join(self.tables)} by row-level security"


def grant_application_role() -> None:
    """Give the application's role its rights on the owner's tables: all rows under policy, none on partitions.

    Audit events can be added and read only. Runs as owner after migrations and is idempotent.
    """
    app = settings.DATABASES["default"]["USER"]
    owner = connections["owner"]
    if app == settings.DATABASES["owner"]["USER"]:
        return
    with owner.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        tables = [row[0] for row in cursor.fetchall()]
        quoted = ", ".join(f'"{t}"' for t in tables)
        cursor.execute(f'GRANT USAGE ON SCHEMA public TO "{app}"')
        cursor.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON {quoted} TO "{app}"')
        cursor.execute(f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{app}"')
        cursor.execute(f'REVOKE UPDATE, DELETE ON "core_auditevent" FROM "{app}"')
