"""The benches' database: emptied before each bench, so that no bench pays for what another left behind."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connections

from resellerkpi.core.models import Reseller

MINE = "bench-"


def fresh() -> None:
    """Migrate the database and empty it; refuses one that holds more than what benches made."""
    call_command("setup_database", verbosity=0)
    others = Reseller.objects.exclude(code__startswith=MINE).count()
    if others:
        raise SystemExit("The benches empty the database they use, and this one holds a reseller of yours.")
    with connections["owner"].cursor() as cursor:
        cursor.execute("TRUNCATE core_reseller CASCADE")
        cursor.execute(
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'billing_call'::regclass"
        )
        for (partition,) in cursor.fetchall():
            cursor.execute(f"DROP TABLE {partition}")
        cursor.execute("VACUUM")


def settle() -> None:
    """Let the database know the sizes of its tables, and write out what waits, so that no measured work does."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def owner_sees(reseller: Reseller) -> Iterator[None]:
    """Let the owner's connection see a reseller's rows."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('rk.resellers', %s, false)", [f"{{{reseller.pk}}}"])
        yield
        cursor.execute("SELECT set_config('rk.resellers', '', false)")
