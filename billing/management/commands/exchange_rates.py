"""Load the European Central Bank's exchange rates: its file, the installed package's, or fetched from the bank."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from billing.ecb import RatesUnavailable, fetch, load, packaged, wanted_from
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import Scope, enter


class Command(JsonCommand):
    """Load rates into one reseller's book and print what came of it as JSON."""

    help = (
        "Loads the European Central Bank's reference rates: its wide CSV file or the ZIP it comes in; without a file "
        "those that came with the product, which end on the day their package was made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument("--fetch", action="store_true", help="fetch the file from the bank")
        parser.add_argument(
            "--since",
            type=date.fromisoformat,
            metavar="YYYY-MM-DD",
            help="the first day; without it 10 days before the first invoice, or a week before the latest rate",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the rates; a CommandError says in one sentence why not."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        today = local_day(timezone.now(), reseller.zone)
        try:
            content = _content(options["file"], from_bank=options["fetch"])
            with enter(Scope.of(reseller.pk, why="command exchange_rates")):
                since = options["since"] or wanted_from(reseller, today)
                outcome = load(content, reseller=reseller, since=since, today=today)
        except RatesUnavailable as failed:
            raise CommandError(str(failed)) from None
        if outcome.problems:
            raise CommandError(f"No exchange rate was loaded: {outcome.problems[0].error}")
        self.stderr.write(f"{outcome.counts.new} rates are new, {outcome.counts.changed} changed.")
        self.stdout.write(json.dumps({"since": str(since), **outcome.as_dict()}, ensure_ascii=False))


def _content(file: Path | None, *, from_bank: bool) -> bytes:
    if from_bank:
        return fetch(settings.ECB_RATES_URL, timeout=settings.ECB_RATES_TIMEOUT)
    if file is None:
        return packaged()
    try:
        return file.read_bytes()
    except OSError as failed:
        raise RatesUnavailable(f"{file} cannot be read: {failed.strerror}.") from None
