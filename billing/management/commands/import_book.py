"""Load a list of the book: customers, numbers, features, payments and the rest, all or nothing."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from billing.importing.book import BOOK_KINDS
from billing.importing.refused import FileRefused
from billing.importing.tables.mapping import Mapping
from billing.pipeline_book import import_book
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import Scope, enter


class Command(JsonCommand):
    """Take one file through the import of its kind and print what came of it as JSON."""

    help = "Loads a CSV or XLSX list; of a refused file nothing is loaded. Kinds: " + ", ".join(
        BOOK_KINDS.slugs()
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("kind", choices=BOOK_KINDS.slugs())
        parser.add_argument("file", type=Path)
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument(
            "--mapping", type=Path, metavar="FILE", help="JSON that says which column is which field"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the file; exits with 1 when it is refused."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        try:
            mapping = Mapping.from_file(options["mapping"])
        except FileRefused as refused:
            raise CommandError(str(refused)) from None
        self.stderr.write(f"Checking {options['file'].name} …")
        today = local_day(timezone.now(), reseller.zone)
        with enter(Scope.of(reseller.pk, why="command import_book")):
            outcome = import_book(
                options["kind"], options["file"], reseller=reseller, mapping=mapping, today=today
            )
        for problem in outcome.problems[:20]:
            self.stderr.write(f"Line {problem.line}: {problem.error}" if problem.line else problem.error)
        self.stderr.write(f"Loaded {outcome.loaded} of {outcome.rows} rows.")
        self.stdout.write(json.dumps(outcome.as_dict(), ensure_ascii=False))
        if outcome.problems:
            raise SystemExit(1)
