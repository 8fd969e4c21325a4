"""Every reference case of proration whose semantics the product has; the rest is listed in
oracle_exemptions.
"""

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from billing.charging.prorate import Interval, Method, Mode, PartCharge, Service, part_amount, prorate
from tests.billing.oracle_exemptions import PRORATION
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

CASES = {case["id"]: case for case in load_cases("proration_cases.json") if case["verified"]}
TESTED = [case for case in CASES if case not in exempt_ids(PRORATION)]
INTERVALS = {"MONTHLY": Interval.MONTH, "QUARTERLY": Interval.QUARTER, "ANNUAL": Interval.YEAR}
MODES = {"in_advance": Mode.ADVANCE, "in_arrears": Mode.ARREARS}
LATER = date(2100, 1, 1)

# Price changes inside a period: old and new price per period (the source gives them in words).
PRICE_CHANGES = {"P230": (100, 30), "P231": (50, 100), "P232": (0, 25), "P233": (40, 0)}


def day(text) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def run(
    amount, service: Service, *, mode=Mode.ADVANCE, method=Method.ACTUAL, target=LATER
) -> list[PartCharge]:
    return prorate(amount=Decimal(amount), service=service, mode=mode, method=method, target=target)


def interval_of(case) -> Interval:
    return INTERVALS[(case.get("period") or "MONTHLY").split(" ")[0]]


def check_items(case):
    """Periods due by a target date, with their fractions where the source gives them."""
    service = Service(
        day(case["service_start"]), day(case.get("service_end")), interval_of(case), case["bill_cycle_day"]
    )
    charges = run(100, service, mode=MODES[case["billing_mode"]], target=day(case["invoice_target_date"]))
    spans = [[c.start.isoformat(), c.end.isoformat()] for c in charges]
    if case.get("expected_items") is not None:
        assert spans == case["expected_items"]
        return
    assert [[*span, c.fraction] for span, c in zip(spans, charges, strict=True)] == [
        [start, end, Fraction(share)] for start, end, share in case["items"]
    ]
    total = sum(c.fraction for c in charges)
    assert total == Fraction(case["expected_fraction"])
    assert part_amount(Decimal(100), total) == Decimal(case["expected_amount_for_100"])


def check_cycles(case):
    """One stub, or whole periods and a stub, from the service's start; `inclusive` ends are a day later
    here.
    """
    inclusive = "(inclusive)" in case["service_end"]
    start, end = day(case["service_start"]), day(case["service_end"]) + timedelta(days=inclusive)
    anchor = 1 if "calendar" in case.get("period", "") else start.day
    method = Method.THIRTY if "30" in str(case.get("day_count", "")) else Method.ACTUAL
    total = sum(c.fraction for c in run(1, Service(start, end, interval_of(case), anchor), method=method))
    published = Fraction(case["expected_cycles"])
    places = len(case["expected_cycles"].partition(".")[2])
    assert abs(total - published) <= Fraction(1, 10**places)


def check_whole_periods(case):
    start = day(case["service_start"])
    charges = run(1, Service(start, day(case["service_end"]), interval_of(case), start.day))
    assert sum(c.fraction == 1 for c in charges) == case["expected_whole_periods"]


def check_days(case):
    """A part period of so many days at a price; a negative figure is the credit of it."""
    start, days = day(case["service_start"]), case["days"]
    end = start + timedelta(days=days)
    amount, published = published_money(case)
    thirty = "fixed 30" in case.get("day_count", "")
    weekly = case["period_days"] == 7
    whole_month = case.get("period_end") and start.day == 1
    if thirty:
        end = day(case["service_end"])
    service = Service(
        start,
        end,
        Interval.WEEK if weekly else interval_of(case),
        start.day if thirty or whole_month else 1 if case.get("period_end") else end.day,
    )
    sign = -1 if published < 0 else 1
    charges = run(sign * amount, service, method=Method.THIRTY if thirty else Method.ACTUAL)
    assert [c.fraction for c in charges] == [Fraction(days, case["period_days"])]
    assert [c.amount for c in charges] == [published]


def published_money(case) -> tuple[Decimal, ...]:
    """Return price and published amount in units of currency; some sources count cents."""
    if "cents" in case["amount"]:
        return tuple(Decimal(case[name].split(" ")[0]) / 100 for name in ("amount", "expected"))
    return Decimal(case["amount"]), Decimal(case["expected"])


def check_change(case):
    """The change day belongs to the new price; credit and charge are rounded each, then netted."""
    old, new = PRICE_CHANGES[case["id"]]
    rest = Service(
        day(case["service_change"]), day(case["period_end"]) + timedelta(days=1), Interval.MONTH, 1
    )
    credit = sum(c.amount for c in run(-old, rest))
    charge = sum(c.amount for c in run(new, rest))
    assert credit == Decimal(case.get("expected_credit") or 0)
    assert charge == Decimal(case.get("expected_charge") or 0)
    assert credit + charge == Decimal(case["expected"])


def check_anchor_change(case):
    """A new price and a new anchor day in the middle of a month."""
    before = run(5, Service(date(2011, 9, 1), date(2011, 10, 15), Interval.MONTH, 1))
    after = run(10, Service(date(2011, 10, 15), None, Interval.MONTH, 15), target=date(2011, 12, 3))
    assert sum(c.amount for c in [*before, *after]) == Decimal(case["expected"])


def check_yearly_less_credit(case):
    credit = run(-10, Service(date(2012, 7, 31), date(2012, 8, 20), Interval.MONTH, 20))
    assert 100 + credit[0].amount == Decimal(case["expected"])


def check_charge_less_credit(case):
    credit = run(-20, Service(date(2012, 10, 7), date(2012, 10, 10), Interval.MONTH, 10))
    assert 24 + credit[0].amount == Decimal(case["expected"])


def check_first_bill(case):
    """A stub and the next full month in advance; the set-up fee is never pro-rated."""
    service = Service(day(case["service_start"]), None, Interval.MONTH, 1)
    charges = run(30, service, target=day(case["period_end"]))
    assert sum(c.amount for c in charges) == Decimal(re.findall(r"[\d.]+", case["expected"])[0])


SPECIAL = {
    "P196": check_anchor_change,
    "P199": check_yearly_less_credit,
    "P200": check_charge_less_credit,
    "P239": check_first_bill,
}


def check_of(case):
    """Choose the check by the shape of the case."""
    shapes = [
        (case["id"] in SPECIAL, SPECIAL.get(case["id"])),
        (case.get("service_change"), check_change),
        (case.get("expected_whole_periods"), check_whole_periods),
        (case.get("bill_cycle_day") and case.get("invoice_target_date"), check_items),
        (case.get("days"), check_days),
        (case.get("expected_cycles"), check_cycles),
    ]
    return next(check for fits, check in shapes if fits)


if REFERENCE:

    @pytest.mark.parametrize("case", TESTED)
    def test_the_reference_case_is_pro_rated_as_published(case):
        check_of(CASES[case])(CASES[case])

else:

    def test_the_reference_cases_are_pro_rated_as_published():
        pytest.skip(MISSING)


def test_every_proration_case_is_tested_or_listed_with_its_reason():
    documented = (Path(__file__).parents[2] / "docs" / "oracle-cases.md").read_text(encoding="utf-8")
    for reason, cases in PRORATION.items():
        assert reason in documented
        assert all(case in documented for case in cases)
    listed = exempt_ids(PRORATION)
    if REFERENCE:
        assert listed <= set(CASES)
        assert set(CASES) == listed | set(TESTED)
