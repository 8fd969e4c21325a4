"""Ask what months would have cost with other prices; nothing is written."""

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from billing.models import Carrier, Customer, Tariff
from billing.pipeline_prices import QuestionRefused, what_if
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import BadPeriod, local_day, parse_period
from resellerkpi.core.scope import Scope, enter


class Command(JsonCommand):
    """Price past calls another way and print the tables by customer and destination as JSON."""

    help = (
        "Prices past calls as they would have been: customers moved to a tariff (--move-to with --customers or "
        "--instead-of), a tariff with other prices (--change with --by), or a carrier's calls bought by another "
        "wholesale tariff (--buy-by with --carrier)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument(
            "--months", default="last_month", help="2026-10, last_3_months, or 2026-08-01..2026-11-01"
        )
        kind = parser.add_mutually_exclusive_group(required=True)
        kind.add_argument("--move-to", metavar="TARIFF", help="the proposed tariff")
        kind.add_argument("--change", metavar="TARIFF", help="the tariff whose prices change")
        kind.add_argument("--buy-by", metavar="TARIFF", help="the proposed wholesale tariff")
        parser.add_argument("--instead-of", metavar="TARIFF", help="move all customers on this tariff")
        parser.add_argument("--customers", nargs="+", default=[], metavar="ACCOUNT")
        parser.add_argument("--carrier", metavar="CODE", help="whose calls are bought")
        parser.add_argument(
            "--by", action="append", default=[], metavar="[MATCH=]VALUE",
            help="5%% for all prices; 4477=5%% or mobile=0.12 for a prefix, class or destination",
        )  # fmt: skip
        parser.add_argument(
            "--as-of", type=date.fromisoformat, metavar="DATE", help="whose prices count; else today"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask; exits with an error when the question cannot be answered."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        today = local_day(timezone.now(), reseller.zone)
        try:
            months = parse_period(options["months"], today=today, zone=reseller.zone)
            with enter(Scope.of(reseller.pk, why="command what_if")):
                asked = _asked(options) | {"first": months.start.isoformat(), "end": months.end.isoformat()}
                asked["as_of"] = (options["as_of"] or today).isoformat()
                found = what_if(reseller, asked, progress=self._say)
        except (QuestionRefused, BadPeriod) as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(json.dumps(found, ensure_ascii=False))

    def _say(self, done: int, total: int, message: str) -> None:
        self.stderr.write(message)


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """Return the question as plain values; raises QuestionRefused for names that are not in the book."""
    kinds = {"move_to": "move", "change": "change", "buy_by": "wholesale"}
    given = next(name for name in kinds if options[name])
    asked: dict[str, Any] = {"kind": kinds[given], "tariff_id": _pk(Tariff, "name", options[given], "tariff")}
    asked["customer_ids"] = [_pk(Customer, "code", code, "customer") for code in options["customers"]]
    if options["instead_of"]:
        asked["instead_of"] = _pk(Tariff, "name", options["instead_of"], "tariff")
    if options["carrier"]:
        asked["carrier_id"] = _pk(Carrier, "code", options["carrier"], "carrier")
    asked["changes"] = [_change(text) for text in options["by"]]
    return asked


def _change(text: str) -> dict[str, str]:
    match, _, value = text.rpartition("=")
    name = "percent" if value.endswith("%") else "price"
    return {"match": match, name: value.rstrip("%").strip()}


def _pk(model: Any, field: str, value: str, what: str) -> int:
    row = model.objects.filter(**{field: value}).first()
    if row is None:
        raise QuestionRefused(f"There is no {what} “{value}”.")
    return int(row.pk)
