"""Raise prices by an index or a fixed per cent: shows what it would do, and with --apply does it."""

import json
from argparse import ArgumentTypeError
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from billing.charging.uplift import INDICES, UpliftRefused, apply_uplift, index_figure
from billing.charging.uplift_plan import notice_by, plan_uplift
from billing.models import PriceUplift
from resellerkpi.core.access import Role
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import round_half_up
from resellerkpi.core.scope import Scope, enter


def per_cent(text: str) -> Decimal:
    """Read a per cent such as 3.5."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{text} is not a per cent.") from None
    if not value.is_finite() or not -50 <= value <= 100:
        raise ArgumentTypeError("The per cent must lie between -50 and 100.")
    return value


class Command(JsonCommand):
    """Plan a price rise of every recurring feature type and, when asked, put it in force; twice does it once."""

    help = "Raise prices by CPI or RPI plus a per cent, or by a fixed one; prints what it comes to as one line of JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the reseller, the rise and its day."""
        parser.add_argument("name", help="how the price rise is called, such as “April 2027”")
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument("--on", required=True, type=date.fromisoformat, metavar="YYYY-MM-DD")
        parser.add_argument("--index", choices=sorted(INDICES), default="")
        parser.add_argument(
            "--percent", type=per_cent, default=Decimal(0), help="fixed, or on top of the index"
        )
        parser.add_argument(
            "--spare-terms", action="store_true", help="leave features in their minimum term out"
        )
        parser.add_argument("--apply", action="store_true", help="put it in force")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan, apply if asked, and report."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        with enter(Scope.of(reseller.pk, role=Role.OWNER, why="command uplift")), transaction.atomic():
            try:
                found = self.raise_prices(reseller, options)
            except UpliftRefused as refused:
                raise CommandError(str(refused)) from refused
            transaction.set_rollback(not options["apply"])
        self.stdout.write(json.dumps(found))

    def raise_prices(self, reseller: Reseller, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the rise comes to."""
        uplift = PriceUplift.objects.filter(name=options["name"]).first() or self.draft(reseller, options)
        plan = plan_uplift(uplift) if uplift.applied_at is None else None
        if options["apply"]:
            uplift = apply_uplift(uplift.pk, now=timezone.now())
        sums = plan.sums("type") if plan else uplift.summary["types"]
        more: dict[str, Decimal] = {}
        for row in sums:
            more[row["currency"]] = more.get(row["currency"], Decimal(0)) + Decimal(row["difference"])
        return {
            "name": uplift.name,
            "percent": f"{uplift.percent.normalize():f}",
            "notice_by": notice_by(uplift).isoformat(),
            "applied": uplift.applied_at is not None,
            "features": sum(row["features"] for row in sums),
            "more_a_month": {
                currency: str(round_half_up(amount, 2)) for currency, amount in sorted(more.items())
            },
        }

    def draft(self, reseller: Reseller, options: dict[str, Any]) -> PriceUplift:
        """Keep the rise as a draft."""
        index, on, value = options["index"], options["on"], Decimal(0)
        if index:
            figure = index_figure(index, on)
            if figure is None:
                raise CommandError(f"There is no figure of {INDICES[index]} yet; enter one first.")
            value = figure.value
        if not value + options["percent"]:
            raise CommandError("Give an index, a per cent, or both.")
        return PriceUplift.objects.create(
            reseller=reseller, name=options["name"], index=index, index_percent=value,
            plus_percent=options["percent"], percent=value + options["percent"], effective_date=on,
            scope={"in_term": not options["spare_terms"]},
        )  # fmt: skip
