"""Run the checks of leakage and print what stands open, with its money."""

import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from billing.checks.register import run
from billing.checks.registry import of_family
from billing.models import Finding
from resellerkpi.core.access import Role
from resellerkpi.core.command import JsonCommand
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight
from resellerkpi.core.scope import Scope, enter


class Command(JsonCommand):
    """Bring a reseller's leakage register up to now; run again it prints the same."""

    help = (
        "Look for leaks of a reseller and print the findings that stand and their total as one line of JSON."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the reseller and the day to look as of."""
        parser.add_argument("--reseller", required=True, metavar="CODE")
        parser.add_argument(
            "--today", type=date.fromisoformat, metavar="DATE", help="look as if it were this day"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the checks and report; `total` is in the reseller's currency, `other_currencies` has the rest."""
        reseller = Reseller.objects.filter(code=options["reseller"]).first()
        if reseller is None:
            raise CommandError(f"There is no reseller “{options['reseller']}”.")
        now = timezone.now()
        if options["today"]:
            now = midnight(options["today"], reseller.zone)
        with enter(Scope.of(reseller.pk, role=Role.OWNER, why="command leakage")):
            self.stderr.write(f"Looking for leaks of {reseller.name}")
            run(reseller, of_family(Finding.Family.LEAKAGE), now=now)
            standing = Finding.objects.filter(family=Finding.Family.LEAKAGE, state__in=Finding.STANDING)
            found = list(standing.order_by("check_slug", "subject"))
        self.stdout.write(json.dumps(summary(reseller, found), ensure_ascii=False))


def summary(reseller: Reseller, findings: list[Finding]) -> dict[str, Any]:
    """Return findings with their totals, money as strings; what is in another currency is summed apart."""
    totals: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for f in findings:
        for at, amount in enumerate((f.money_per_month, f.money_to_date)):
            totals[f.currency or reseller.currency][at] += amount or 0
    home = totals.pop(reseller.currency, [Decimal(0), Decimal(0)])
    total = {"findings": len(findings), **_money(home), "currency": reseller.currency}
    if totals:
        total["other_currencies"] = [
            {**_money(sums), "currency": code} for code, sums in sorted(totals.items())
        ]
    return {"reseller": reseller.code, "findings": [_finding(f) for f in findings], "total": total}


def _money(sums: list[Decimal]) -> dict[str, str]:
    return {"money_per_month": f"{sums[0]:.2f}", "money_to_date": f"{sums[1]:.2f}"}


def _finding(f: Finding) -> dict[str, Any]:
    return {
        "check": f.check_slug,
        "subject": f.subject,
        "period": f"{f.period:%Y-%m}",
        "money_per_month": str(f.money_per_month or Decimal("0.00")),
        "money_to_date": str(f.money_to_date or Decimal("0.00")),
        "currency": f.currency,
        "why": f.why,
        "label": f.label,
        "state": f.state,
        "count": f.count,
        "first_seen": f.first_seen.isoformat(),
    }
