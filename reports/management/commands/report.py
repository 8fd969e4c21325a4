"""Runs a report from the command line and writes it to a file."""

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from reports.registry import REPORTS
from reports.render import FORMATS, Showing, export, filename, total_as_json
from reports.report import Report
from reports.run import BadQuery, NotAllowed, run
from resellerkpi.core.artifacts import path_of, sha256
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter


class Command(JsonCommand):
    """`report SLUG --reseller CODE [name=value...] --as csv|xlsx|json [-o FILE]`, or `report --list`."""

    help = "Run a report and write it as CSV, XLSX or JSON; the last line on stdout is one JSON object."

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Let filters stand before and after the options."""
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("slug", nargs="?", help="which report; --list names them")
        parser.add_argument(
            "filters", nargs="*", metavar="name=value", help="filters, as in the page's address"
        )
        parser.add_argument("--reseller", metavar="CODE", help="whose data")
        parser.add_argument("--as", dest="format", choices=FORMATS, default="csv")
        parser.add_argument(
            "-o", "--output", metavar="FILE", type=Path, help="default: a file under exports/"
        )
        parser.add_argument(
            "--sort", default="", metavar="COLUMN", help="a column's name, -name for descending"
        )
        parser.add_argument("--list", action="store_true", help="name the reports, their filters and columns")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the report or list what there is."""
        if options["list"]:
            self.stdout.write(json.dumps({"reports": [described(report) for report in REPORTS]}))
            return
        if not options["slug"] or not options["reseller"]:
            raise CommandError("Say which report and whose: report invoices --reseller CODE.")
        self.stderr.write(f"Running the report {options['slug']}…")
        told = self.answer(options)
        self.stderr.write(f"{told['rows']:,} rows in {told['file']}")
        self.stdout.write(json.dumps(told))

    def answer(self, options: dict[str, Any]) -> dict[str, Any]:
        """Run, write the file and return what is told about it."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller with the code “{options['reseller']}”.")
        try:
            report, params = REPORTS.get(options["slug"]), given(options["filters"])
            with enter(Scope.of(reseller.pk, why="command report")):
                known = report.Filters({}, reseller=reseller, now=timezone.now()).fields
                unknown = sorted(set(params) - set(known))
                if unknown:
                    raise BadQuery(
                        f"“{report.name}” has no filter “{unknown[0]}”. It has {', '.join(known)}."
                    )
                return write(report, params, options)
        except (LookupError, BadQuery, NotAllowed) as refused:
            raise CommandError(str(refused)) from None


def given(pairs: Sequence[str]) -> dict[str, list[str]]:
    """Read name=value arguments; a name may come several times."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadQuery(f"“{pair}” is not a filter; write it as name=value.")
        found.setdefault(name, []).append(value)
    return found


def write(report: Report, params: dict[str, list[str]], options: dict[str, Any]) -> dict[str, Any]:
    """Run a report in the scope in force and write its file; return rows, totals, tie-outs and hashes."""
    made = run(report, params, now=timezone.now())
    showing = Showing(made, sort=options["sort"])
    if options["sort"] and showing.sorted_by is None:
        raise BadQuery(f"There is no column “{options['sort'].lstrip('-')}” to sort by.")
    target: Path = options["output"] or settings.VAR_DIR / "exports" / filename(made, options["format"])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path_of(export(showing, options["format"])), target)
    return {
        "report": made.report,
        "run": str(made.pk),
        "period": {"start": str(made.period_start), "end": str(made.period_end)},
        "rows": made.row_count,
        "file": str(target),
        "sha256": sha256(target),
        "frozen_sha256": made.sha256,
        "totals": [total_as_json(showing.columns, total) for total in showing.totals],
        "tie_outs": made.tie_outs,
    }


def described(report: Report) -> dict[str, Any]:
    """Return a report's declaration as data."""
    return {
        "slug": report.slug,
        "name": report.name,
        "purpose": report.purpose,
        "version": report.version,
        "filters": [name for name in report.Filters.base_fields if name not in report.Filters.without],
        "groups": [dimension.slug for dimension in report.dimensions],
        "compares": report.Filters.asks.compares,
        "converts": report.billed is not None,
        "columns": [{"name": c.name, "title": c.title, "help": c.help} for c in report.columns],
        "charts": [preset.slug for preset in report.charts],
    }
