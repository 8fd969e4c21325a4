"""Help for the database's planner where loads outrun its own housekeeping: fresh statistics, joins of whole sets."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections
from django.db.backends.utils import CursorWrapper


def refresh_statistics() -> bool:
    """Analyse the whole database as the owner role; inside a transaction, whose rows it could not see, do nothing."""
    if connection.in_atomic_block:
        return False
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return True


@contextmanager
def joined_by_hash() -> Iterator[CursorWrapper]:
    """Give a cursor whose statements join whole sets; for rows just loaded, which no statistics know of.

    Without it the database takes a fresh table for empty and looks at every pair of rows. Inside a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop = on")
