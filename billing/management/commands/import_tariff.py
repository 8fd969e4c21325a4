"""Load a rate deck or price list into a tariff; past rates are never rewritten."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from billing.importing.decks.deck import DeckOptions, import_deck
from billing.importing.decks.options import REPEATS
from billing.importing.refused import FileRefused
from billing.importing.tables.mapping import Mapping
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import Scope, enter

NAMES = ("tariff", "wholesale", "effective", "currency", "carrier", "accept_outliers", "complete", "divide",
         "divide_outliers", "repeats", "names_like")  # fmt: skip


class Command(JsonCommand):
    """Take one deck into its tariff and print what came of it as JSON."""

    help = "Loads a CSV or XLSX rate deck into a tariff, which is made when there is none of the name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument("--tariff", required=True, metavar="NAME")
        parser.add_argument("--wholesale", action="store_true", help="what we pay, not what customers pay")
        parser.add_argument(
            "--mapping", type=Path, metavar="FILE", help="JSON that says which column is which field"
        )
        parser.add_argument(
            "--effective", type=date.fromisoformat, metavar="DATE", help="day the rates hold from"
        )
        parser.add_argument("--currency", default="", help="of a new tariff; else the reseller's")
        parser.add_argument("--carrier", default="", metavar="CODE", help="of a new wholesale tariff")
        parser.add_argument("--accept-outliers", action="store_true", help="rates out of range are right")
        parser.add_argument("--divide", type=int, default=1, help="every amount is so many times too large")
        parser.add_argument("--divide-outliers", type=int, default=1, help="those out of range are")
        parser.add_argument("--repeats", choices=REPEATS, default="ask", help="which of unequal lines counts")
        parser.add_argument(
            "--names-like", default="", metavar="TARIFF", help="whose destinations its names are"
        )
        parser.add_argument("--complete", action="store_true", help="rates that the deck lacks end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the deck; exits with 1 when it is refused."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        try:
            mapping = Mapping.from_file(options["mapping"])
        except FileRefused as refused:
            raise CommandError(str(refused)) from None
        deck = DeckOptions(**{name: options[name] for name in NAMES})
        self.stderr.write(f"Checking {options['file'].name} …")
        today = local_day(timezone.now(), reseller.zone)
        with enter(Scope.of(reseller.pk, why="command import_tariff")):
            outcome = import_deck(
                options["file"], reseller=reseller, mapping=mapping, options=deck, today=today
            )
        for problem in outcome.problems[:20]:
            self.stderr.write(f"Line {problem.line}: {problem.error}" if problem.line else problem.error)
        self.stderr.write(f"Loaded {outcome.loaded} rates of {outcome.rows}.")
        self.stdout.write(json.dumps(outcome.as_dict(), ensure_ascii=False))
        if outcome.problems:
            raise SystemExit(1)
