"""Fresh statistics for the database's planner after loads that outrun its own housekeeping."""

from django.db import connection, connections


def refresh_statistics() -> bool:
    """Analyse the whole database as the owner role; inside a transaction, whose rows it could not see, do nothing."""
    if connection.in_atomic_block:
        return False
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return True
