"""The three-way match finds each mismatch planted in the demo with its state and money, and invents none."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from billing.models import CarrierCharge, ServiceMatch
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

pytestmark = pytest.mark.slow
OCTOBER = date(2026, 10, 1)
#: Lines of carriers' bills that name nothing in the book, in both houses.
LOOSE = {
    ("open", "open", "NGW-ORD-55121"): (Decimal("6.40"), OCTOBER, Decimal("6.40")),
    ("open", "open", "07700900999"): (Decimal("5.40"), OCTOBER, Decimal("5.40")),
}
Told = dict[tuple[str, str, str], tuple[Decimal, date, Decimal]]


def subject(row: ServiceMatch) -> str:
    """Name a service as the list of planted leaks does: the line's reference, the number, or customer and feature."""
    if row.line is not None:
        return str(row.line.reference)
    if row.number is not None:
        return str(row.number.number)
    return f"{row.customer and row.customer.code} {row.feature_type and row.feature_type.code}"


def told(code: str) -> Told:
    """Return what the match of October says is wrong: at risk a month, since when, and to date, by what it is."""
    with enter(Scope.of(Reseller.objects.get(code=code).pk, why="test")):
        rows = ServiceMatch.objects.filter(month=OCTOBER, attention__in=["loss", "check"])
        rows = rows.select_related("line", "number", "customer", "feature_type")
        return {(r.state, r.finding, subject(r)): (r.at_risk, r.since, r.to_date) for r in rows}


def planted(folder: Any) -> Told:
    """Work out from the planted leaks and the carriers' lines what the match must say."""
    expected: Told = dict(LOOSE)
    findings = json.loads((folder / "planted.json").read_text())["findings"]
    for leak in findings:
        month, name = date.fromisoformat(f"{leak['period']}-01"), leak["subject"]
        money = Decimal(leak["money_per_month"]), month, Decimal(leak["money_to_date"])
        if leak["check"] == "free_by_mistake":
            expected["p", "price_zero", name] = money
        elif leak["check"] == "missing_recurring" and not name.startswith("+"):
            expected["p", "marked_free", name] = money
        elif leak["check"] == "ceased_still_supplied":
            # Carriers' bills begin in September: what they charge before that nobody knows.
            expected["s", "still_charged", name] = (money[0], date(2026, 9, 1), 2 * money[0])
        elif leak["check"] == "missing_recurring":
            lines = CarrierCharge.objects.filter(
                number__number=name, kind="rental", service_start__lt="2026-11-01"
            )
            months = dict(lines.values_list("service_start").annotate(paid=Sum("amount")))
            # Without a bill it counts at what the book says a line costs: ten months of it before September.
            to_date = sum(months.values(), 10 * Decimal("10.20"))
            expected["ps", "no_rental", name] = (months[OCTOBER], date(2025, 11, 1), to_date)
    return expected


def test_every_planted_mismatch_is_found_with_its_state_and_money_and_no_other(built: dict[str, Any]) -> None:
    with enter(Scope.of(Reseller.objects.get(code="harbour").pk, why="test")):
        expected = planted(built["folder"])
        losing = ServiceMatch.objects.filter(attention="loss").select_related(
            "number", "customer", "feature_type"
        )
        ever = {(row.finding, subject(row)) for row in losing}
    assert len(expected) == 2 + 9
    assert told("harbour") == expected
    assert ever == {(finding, name) for _, finding, name in expected if finding != "open"}
    assert told("moorland") == LOOSE
