"""Every call and every bill of the demo against the naive oracle: priced and billed one by one in plain Python."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import transaction

from billing.bills import bill
from billing.models import (
    Call,
    Customer,
    Feature,
    FeaturePrice,
    FeatureType,
    Number,
    NumberAssignment,
    Tariff,
    TariffRate,
)
from billing.pipeline import rerate_after_repair
from billing.rating.redraw import redraw_allowances
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import month_of
from resellerkpi.core.scope import Scope, enter
from tests.billing.naive_allowances import draw_months
from tests.billing.naive_bills import NaiveBiller, totals, vat_of
from tests.billing.naive_book import NaiveBook, rows_of
from tests.billing.naive_calls import Priced, rate_call

pytestmark = pytest.mark.slow
HOUSES = ("harbour", "moorland")
LAST_BILLED, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
CALLS = "SELECT * FROM billing_call WHERE reseller_id = %s ORDER BY started_at, dedupe_key"
LINES = """
SELECT line.*, invoice.run_id, invoice.customer_id, invoice.currency
FROM billing_invoiceline line JOIN billing_invoice invoice ON invoice.id = line.invoice_id
WHERE line.reseller_id = %s AND invoice.run_id IS NOT NULL
"""


class House:
    """One reseller of the demo: what the product says, and what the oracle says of the same facts."""

    def __init__(self, code: str) -> None:
        """Price every call anew, then draw the allowances of each customer and month."""
        self.reseller = Reseller.objects.get(code=code)
        with self.scope():
            self.book = NaiveBook(self.reseller.pk)
            self.calls = [rate_call(call, self.book) for call in rows_of(CALLS, self.reseller.pk)]
        months: dict[int, dict[date, list[Priced]]] = defaultdict(lambda: defaultdict(list))
        for out in self.calls:
            if out.customer:
                months[out.customer][out.day.replace(day=1)].append(out)
        first, last = (turn(out.day for out in self.calls).replace(day=1) for turn in (min, max))
        for customer, mine in months.items():
            draw_months(mine, customer, first, last, self.book)

    def scope(self) -> Any:
        """Enter the reseller."""
        return enter(Scope.of(self.reseller.pk, why="test"))

    def runs(self) -> list[dict[str, Any]]:
        """Return the billed runs in order."""
        sql = "SELECT * FROM billing_billingrun WHERE reseller_id = %s ORDER BY period_start"
        return rows_of(sql, self.reseller.pk)

    def bills(self, run: dict[str, Any]) -> dict[tuple[int, str], Any]:
        """Return what the product billed in a run: lines, VAT by rate, totals by customer and currency."""
        found: dict[tuple[int, str], Any] = defaultdict(lambda: {"lines": Counter()})
        for row in rows_of(f"{LINES} AND invoice.run_id = %s", self.reseller.pk, run["id"]):
            found[row["customer_id"], row["currency"]]["lines"][shown(row)] += 1
        sql = "SELECT * FROM billing_invoice WHERE reseller_id = %s AND run_id = %s"
        for row in rows_of(sql, self.reseller.pk, run["id"]):
            mine = found[row["customer_id"], row["currency"]]
            mine["totals"] = (row["net"], row["vat"], row["gross"])
            rates = rows_of(
                "SELECT rate, net, vat FROM billing_invoicevat WHERE reseller_id = %s AND invoice_id = %s",
                self.reseller.pk, row["id"],
            )  # fmt: skip
            mine["vat"] = {each["rate"]: (each["net"], each["vat"]) for each in rates}
        return dict(found)


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a line of a bill says."""
    return (
        row["kind"], row["description"], row["number_id"] or 0, row["service_start"], row["service_end"],
        Fraction(row["quantity"]), row["net"], row["vat_rate"], Fraction(row["cost"]), row["calls"], row["seconds"],
    )  # fmt: skip


def expected(lines: list[Any], currency: str) -> dict[str, Any]:
    """Return the oracle's bill in the form of the product's."""
    return {
        "lines": Counter(line.shown() for line in lines),
        "totals": totals(lines, currency),
        "vat": vat_of(lines, currency),
    }


@pytest.fixture(scope="session")
def naive_houses(demo_database: dict[str, Any]) -> dict[str, House]:
    """The oracle's houses, worked out once; filled by the first test that looks at each."""
    return {}


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest, built: dict[str, Any], naive_houses: dict[str, House]) -> House:
    """A reseller of the demo with the oracle's prices."""
    if request.param not in naive_houses:
        naive_houses[request.param] = House(request.param)
    return naive_houses[request.param]


def told(out: Priced) -> dict[str, Any]:
    """Return what the oracle says of a call, by the product's names."""
    return {
        "state": out.state,
        "reason": out.reason,
        "customer_id": out.customer,
        "number_id": out.number,
        "rate_id": out.rate and out.rate["id"],
        "cost_rate_id": out.cost_rate and out.cost_rate["id"],
        "call_class": out.call_class,
        "billed_seconds": out.billed,
        "bundle_id": out.bundle,
        "drawn": out.drawn,
        "retail": out.retail,
        "expected_cost": out.expected,
    }


def differing(calls: list[Priced]) -> list[Any]:
    """Return the first calls of which product and oracle say something else."""
    said = ((out.call["id"], {name: out.call[name] for name in told(out)}, told(out)) for out in calls)
    return [each for each in said if each[1] != each[2]][:3]


def test_every_call_is_matched_priced_and_covered_as_the_oracle_does_it(house: House) -> None:
    assert differing(house.calls) == []
    kinds = Counter((out.state, out.reason, out.call["service"]) for out in house.calls)
    assert {state for state, _, _ in kinds} >= {"rated", "zero", "excluded"}
    assert {service for _, _, service in kinds} >= {"voice", "sms", "data"}
    assert sum(out.drawn > 0 for out in house.calls) > 400


def test_every_bill_says_to_the_penny_what_the_oracle_says(house: House) -> None:
    with house.scope():
        biller = NaiveBiller(house.book, house.calls)
        lines = 0
        for run in house.runs():
            bills = {key: expected(mine, key[1]) for key, mine in biller.run(run["period_start"]).items()}
            assert house.bills(run) == bills, run["name"]
            lines += sum(sum(each["lines"].values()) for each in bills.values())
        assert house.runs()[-1]["period_start"] == LAST_BILLED
        assert lines > 700


@contextmanager
def undone(house: House) -> Iterator[None]:
    """Let a test change the demo, and take all of it back."""
    with house.scope(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_ceases_changes_and_repairs_of_a_month_are_billed_as_the_oracle_does_it(
    built: dict[str, Any],
) -> None:
    house = House("harbour")
    biller = NaiveBiller(house.book, house.calls)
    with undone(house):
        for run in house.runs():
            biller.run(run["period_start"])
        errors = {out.call["id"] for out in house.calls if out.state == "error"}
        move_things(house.reseller)
        mend_calls(house.reseller)
        redraw_allowances(house.reseller, None, NOVEMBER, date(2026, 11, 30))
        changed = House("harbour")
        biller.follow(changed.book, changed.calls)
        period = month_of(NOVEMBER, house.reseller.zone)
        now = datetime(2026, 12, 1, 12, tzinfo=UTC)
        scope = Scope.of(house.reseller.pk, why="test")
        made = bill(house.reseller, period, until="confirmed", now=now, scope=scope, accept="Planted.")
        mine = {key: expected(lines, key[1]) for key, lines in biller.run(NOVEMBER).items()}
        product = changed.bills({"id": made.pk})
        assert sorted(product) == sorted(mine)
        for key, each in mine.items():
            assert product[key] == each
        kinds = Counter(line[0] for each in product.values() for line in each["lines"].elements())
        assert (kinds["credit"], kinds["one_off"]) == (6, 4)
        assert differing(changed.calls) == []
        late = [out for out in changed.calls if out.state == "rated" and out.call["id"] in errors]
        assert len(late) == len(errors) > 80
        kinds_of_late = {(out.rate["is_service_charge"], out.retail > 2) for out in late}
        assert kinds_of_late >= {(False, False), (True, False), (True, True)}


def move_things(reseller: Reseller) -> None:
    """Cease, add, change and reprice features in the month that is not billed yet."""

    def running(code: str, place: int = 0) -> Feature:
        found = Feature.objects.filter(
            feature_type__code=code, start_date__lt="2026-10-01", end_date=None, not_charged=False
        )
        return found.order_by("pk")[place]

    for code, end in (("DDI", 11), ("VM", 30), ("REC", 20), ("PLAN2", 10)):
        Feature.objects.filter(pk=running(code).pk).update(end_date=date(2026, 11, end))
    for code, percent, left in (("SIM", 60, date(2027, 5, 20)), ("CARE", 50, date(2027, 2, 11))):
        leaving = Feature.objects.filter(pk=running(code).pk)
        leaving.update(end_date=date(2026, 11, 15), minimum_term_end=left, termination_percent=percent)
    for code in ("LINE", "REC"):
        old = running(code)
        Feature.objects.filter(pk=old.pk).update(end_date=date(2026, 11, 16))
        old.pk, old.continues_id = None, old.pk
        old.start_date, old.quantity = date(2026, 11, 16), old.quantity + 2
        old.save()
    for code, quantity, discount in (("SIM", 3, 15), ("PLAN3", 1, 0), ("VISIT", 2, 0)):
        like = FeatureType.objects.get(code=code)
        Feature.objects.create(
            reseller=reseller, customer=running("LINE", 1).customer, feature_type=like, quantity=quantity,
            start_date=date(2026, 11, 5), discount_percent=discount,
        )  # fmt: skip
    for code in ("VM", "REC", "CARE"):
        price = FeaturePrice.objects.get(feature_type__code=code, valid_to=None)
        FeaturePrice.objects.filter(pk=price.pk).update(valid_to=date(2026, 11, 18))
        FeaturePrice.objects.create(
            reseller=reseller, feature_type=price.feature_type, price=price.price * 2 + Decimal("0.005"),
            cost=price.cost, valid_from=date(2026, 11, 18),
        )  # fmt: skip


def mend_calls(reseller: Reseller) -> None:
    """Give the lines nobody had to a customer, price what had no rate, and rate again what was in error."""
    plain = Customer.objects.filter(status="active").exclude(features__feature_type__bundles__isnull=False)
    customer = plain.order_by("pk")[0]
    lost = Call.objects.filter(state="error").exclude(reason="no_rate").values_list("billed_party", flat=True)
    for text in sorted(set(lost)):
        number, _ = Number.objects.get_or_create(reseller=reseller, number=text)
        held = NumberAssignment.objects.filter(number=number).order_by("start_date").last()
        start = held.end_date if held and held.end_date else date(2024, 1, 1)
        NumberAssignment.objects.create(reseller=reseller, number=number, customer=customer, start_date=start)
    tariff = Tariff.objects.get(name="Standard UK")
    TariffRate.objects.create(
        reseller=reseller, tariff=tariff, key="678", destination="Vanuatu", call_class="International",
        price=Decimal("0.9123"), connection_fee=Decimal("0.055"), minimum_charge=2, maximum_charge=5,
        initial_increment=30, next_increment=6, free_seconds=10, is_service_charge=True, valid_from=date(2020, 1, 1),
    )  # fmt: skip
    rerate_after_repair(reseller=reseller, now=datetime(2026, 11, 30, tzinfo=UTC))
