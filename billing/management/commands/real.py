"""Take real data sets through the product's own commands and print their control totals."""

import json
import tempfile
import time
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.real.sets import SETS
from billing.real.workbench import RealDataProblem, Workbench


class Command(BaseCommand):
    """Run one or all sets, each in resellers of its own, and print one JSON object."""

    help = "Takes real data sets through a scratch database and prints one JSON object of control totals."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the data folder, the set and the day of ledger figures."""
        parser.add_argument("--data", type=Path, required=True, metavar="DIR")
        parser.add_argument("--set", choices=sorted(SETS), action="append", dest="sets", metavar="NAME")
        parser.add_argument("--as-of", type=date.fromisoformat, default=date(2013, 6, 30), metavar="DATE")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the sets: progress on stderr, the totals on stdout."""
        totals: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(prefix="resellerkpi-real-") as folder:
            bench = Workbench(options["data"], Path(folder), options["as_of"], self.stderr.write)
            for name in options["sets"] or SETS:
                self.stderr.write(f"Taking {name} through")
                begun = time.monotonic()
                try:
                    totals[name] = SETS[name](bench)
                except RealDataProblem as problem:
                    raise CommandError(f"{name}: {problem}") from problem
                totals[name]["took_seconds"] = round(time.monotonic() - begun, 1)
        self.stdout.write(json.dumps(totals))
