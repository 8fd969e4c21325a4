"""How the database joins large sets whose sizes it cannot know yet."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.utils import CursorWrapper


@contextmanager
def joined_by_hash() -> Iterator[CursorWrapper]:
    """Give a cursor whose statements join whole sets; for rows just loaded, which no statistics know of.

    Without it the database takes a fresh table for empty and looks at every pair of rows.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        yield cursor
        cursor.execute("SET LOCAL enable_nestloop = on")
