"""Migrate as the owner role and give the application's role its rights."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from resellerkpi.core.rls import grant_application_role


class Command(BaseCommand):
    """Bring the database to the current schema."""

    help = "Migrates as the owner role and grants the application's role its rights."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run migrations, then grants."""
        call_command("migrate", database="owner", verbosity=options["verbosity"], interactive=False)
        grant_application_role()
