"""Command kpi: figures by month, or the list of what there is; the last line on stdout is one JSON object."""

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from kpis import longer
from kpis.closing import CannotClose, close
from kpis.dictionary import described
from kpis.facts import months_between
from kpis.kpi import KPIS, Kpi
from kpis.longer import LENGTHS
from kpis.options import Options
from kpis.reading import Reader, live, read_day
from kpis.words import plain
from resellerkpi.core.access import Role
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import BadPeriod, local_day, parse_month
from resellerkpi.core.scope import Scope, current, enter


class Command(JsonCommand):
    """Print KPIs computed from billing's tables, month by month; months are given by name and both are included."""

    help = "Print KPIs by month. A percentage is given as a ratio: 0.05 is 5 %."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("slugs", nargs="*", metavar="SLUG")
        parser.add_argument("--list", action="store_true", help="say what KPIs there are")
        parser.add_argument("--reseller", metavar="CODE")
        parser.add_argument("--from", dest="first", metavar="YYYY-MM", help="first month")
        parser.add_argument("--to", dest="last", metavar="YYYY-MM", help="last month (included)")
        parser.add_argument("--close", metavar="YYYY-MM", help="keep a month's figures as they are now")
        parser.add_argument("--by", default="", metavar="DIM", help="break down by a dimension")
        parser.add_argument(
            "--per", default="month", choices=list(LENGTHS), help="longer periods than months"
        )
        parser.add_argument("--on", default="", metavar="YYYY-MM-DD", help="as of the end of a day gone by")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the list or the figures; raise CommandError with a sentence."""
        if options["list"]:
            answer: dict[str, Any] = {"kpis": [described(k) for k in KPIS]}
        elif options["close"]:
            try:
                answer = _close(options["reseller"] or "", options["close"])
            except (CannotClose, BadPeriod) as refused:
                raise CommandError(str(refused)) from None
        else:
            try:
                answer = self._figures(options)
            except (LookupError, BadPeriod) as refused:
                raise CommandError(str(refused.args[0])) from None
        self.stdout.write(json.dumps(answer, ensure_ascii=False))

    def _figures(self, options: dict[str, Any]) -> dict[str, Any]:
        if not (options["slugs"] and options["reseller"] and options["first"] and options["last"]):
            raise CommandError("Say which KPIs, --reseller CODE, --from YYYY-MM and --to YYYY-MM; or --list.")
        kpis = [KPIS.get(slug) for slug in dict.fromkeys(options["slugs"])]
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        first, last = (parse_month(options[name], reseller.zone) for name in ("first", "last"))
        if last.start < first.start:
            raise CommandError("--to must not be before --from.")
        self.stderr.write(f"Computing {len(kpis)} KPIs of {reseller.name}, {first} to {last}.")
        now = timezone.now()
        day = read_day(options["on"], local_day(now, reseller.zone))
        months = months_between(first.start, last.start)
        with enter(Scope.of(reseller.pk, role=Role.OWNER, why="command kpi")):
            reader = Reader(reseller, current(), now, always_live=True, day=day)
            found = _grouped(kpis, reader, months, options["by"], options["per"])
        return {
            "reseller": reseller.code,
            "from": first.start.isoformat(),
            "until": last.end.isoformat(),
            "by": options["by"],
            "kpis": found,
        }


def _close(code: str, text: str) -> dict[str, Any]:
    """Close a month of a reseller by hand."""
    reseller = Reseller.objects.filter(code=code).first()
    if reseller is None:
        raise CommandError(f"There is no reseller “{code}”.")
    with enter(Scope.of(reseller.pk, role=Role.OWNER, why="command kpi")):
        month = parse_month(text, reseller.zone).start
        made = close(reseller, month, Options.of(reseller), now=timezone.now(), by_hand=True)
        return {"reseller": code, "closed": f"{made.month:%Y-%m}", "completeness": made.completeness}


def _grouped(kpis: list[Kpi], reader: Reader, months: list[date], by: str, per: str) -> list[dict[str, Any]]:
    """Compute KPIs together where they share the dimension; each keeps its place."""
    named = {k.slug: k.dimension(by) if by else "" for k in kpis}
    points: dict[str, Any] = {}
    for dimension in dict.fromkeys(named.values()):
        alike = [k for k in kpis if named[k.slug] == dimension]
        if per == "month":
            points |= live(
                alike, reader.reseller, reader.scope, months, reader.now, dimension, day=reader.day
            )
        else:
            points |= {k.slug: longer.points(k, reader, months, [dimension], per)[dimension] for k in alike}
    return [
        {"slug": k.slug, "name": k.name, "unit": k.unit.value, "rows": [plain(k, p) for p in points[k.slug]]}
        for k in kpis
    ]
