"""A run and its pre-billing report: stopped, accepted with a reason, produced; what an acceptance is good for."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.billrun.gates import check
from billing.billrun.prebilling import (
    AcceptRefused,
    accept,
    findings,
    look,
    look_if_changed,
    stopping,
    take_back,
)
from billing.billrun.runs import RunRefused, check_run, prepare_run
from billing.bills import produce
from billing.charging.adjust import add_charge
from billing.checks.completeness import missing_days
from billing.models import (
    BillingRun,
    Carrier,
    CdrFile,
    Customer,
    Feature,
    FeatureType,
    Finding,
    FindingEvent,
)
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, day, make_customer, make_house, rate_batch

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 2, 9, tzinfo=UTC)
LOST = {"state": "error", "reason": "no_tariff", "cost_currency": "GBP"}


@pytest.fixture
def house() -> Iterator[Reseller]:
    made = make_house()
    with enter(Scope.of(made.pk)):
        yield made


@pytest.fixture
def ann(house: Reseller) -> Customer:
    return make_customer(house, "ANN")


def run_of(house: Reseller, month: str) -> BillingRun:
    return prepare_run(house, parse_month(month, house.zone))


def free_line(customer: Customer, code: str) -> Feature:
    """Give a customer a feature that is charged at 0 though it costs something."""
    kind = FeatureType.objects.create(reseller=customer.reseller, code=code, name=code)
    return Feature.objects.create(
        reseller=customer.reseller, customer=customer, feature_type=kind, start_date=day("2025-12-01"), price=0,
        cost=D("1.50"),
    )  # fmt: skip


def gate(run: BillingRun, now: datetime = NOW) -> tuple[str, str]:
    return next((g.state.value, g.words) for g in check(run, now=now) if g.name == "Pre-billing report")


def test_a_quiet_book_is_clean(house: Reseller, ann: Customer) -> None:
    add_charge(ann, description="Visit", amount=D(9), on=day("2026-01-20"))
    run = run_of(house, "2026-01")
    look(run, now=NOW)
    assert not Finding.objects.exists()
    assert gate(run) == ("ok", "All clean.")


def test_an_error_stops_the_bills_until_it_is_accepted_with_a_reason(house: Reseller, ann: Customer) -> None:
    rate_batch(house, *[a_call(ann, "2026-01-05 10:00", "0", cost=D("1.005"), **LOST) for _ in range(2)])
    free_line(ann, "REC")
    run = run_of(house, "2026-01")
    assert gate(run) == ("error", "1 error, 1 warning: mend or accept the errors.")
    lost, free = findings(run).order_by("check_slug")
    assert (lost.check_slug, lost.subject, lost.why) == (
        "customers_without_tariff",
        "ANN",
        "2 calls could not be priced for want of a tariff and cost 2.01 GBP at least.",
    )
    assert (lost.count, lost.money_per_month, lost.money_to_date) == (2, None, D("2.01"))
    assert (free.money_per_month, free.count, free.page_args) == (D("1.50"), 1, [Feature.objects.get().pk])
    check_run(run.pk, accept="Priced later", now=NOW)
    take_back(run, findings(run), now=NOW)
    with pytest.raises(RunRefused, match="Customer ANN: 2 calls could not be priced"):
        produce(run.pk, now=NOW)
    with pytest.raises(AcceptRefused, match="Say why"):
        accept(run, stopping(run), reason=" ", now=NOW)
    with pytest.raises(AcceptRefused, match="after today"):
        accept(run, stopping(run), reason="x", until=NOW.date(), now=NOW)
    assert accept(run, findings(run), reason=" Agreed ", now=NOW) == 2
    assert gate(run) == ("ok", "Nothing is open: 2 accepted.")
    produce(run.pk, now=NOW)
    kept = {(row.state, row.accepted_reason) for row in findings(run)}
    assert kept == {("accepted", "Agreed")}
    told = FindingEvent.objects.filter(finding=lost).order_by("pk").values_list("kind", "text")
    assert list(told) == [
        ("opened", ""), ("accepted", "Priced later"), ("lapsed", "Taken back"), ("accepted", "Agreed"),
    ]  # fmt: skip


def test_an_acceptance_holds_in_later_runs_up_to_its_day_only(house: Reseller, ann: Customer) -> None:
    for code in ("LONG", "ONCE"):
        free_line(ann, code)
    january, february, march = (run_of(house, month) for month in ("2026-01", "2026-02", "2026-03"))
    look(january, now=NOW)
    long, once = (findings(january).filter(subject__contains=code) for code in ("LONG", "ONCE"))
    accept(january, long, reason="Goodwill", until=date(2026, 4, 1), now=NOW)
    accept(january, once, reason="This time", now=NOW)
    look(february, now=NOW + timedelta(days=28))
    stands = {row.subject.split()[1]: (row.state, row.accepted_reason) for row in findings(february)}
    assert stands == {"LONG": ("accepted", "Goodwill"), "ONCE": ("open", "")}
    look(march, now=NOW + timedelta(days=59))
    assert {row.state for row in findings(march)} == {"open"}
    assert {row.state for row in findings(january)} == {"accepted"}


def test_it_looks_again_when_something_changed_and_never_for_who_sees_a_part(
    house: Reseller, ann: Customer
) -> None:
    run = run_of(house, "2026-01")
    look_if_changed(run, now=NOW)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        look_if_changed(run, now=NOW + timedelta(hours=1))
    assert (len(asked), run.looked_at) == (1, NOW)
    free_line(ann, "REC")
    with enter(Scope.of(house.pk, dealer_id=1)):
        look_if_changed(run, now=NOW)
    assert findings(run).count() == 0
    look_if_changed(run, now=NOW + timedelta(hours=2))
    assert (findings(run).count(), run.looked_at) == (1, NOW + timedelta(hours=2))
    Feature.objects.all().delete()
    look_if_changed(run, now=NOW + timedelta(hours=3))
    assert (findings(run).count(), Finding.objects.get().state) == (0, "fixed")


def test_a_look_asks_as_often_for_many_rows_as_for_one(house: Reseller, ann: Customer) -> None:
    run = run_of(house, "2026-01")
    asked = []
    for turn, extra in enumerate((1, 1, 12)):
        for n in range(extra):
            free_line(ann, f"T{turn}-{n}")
            name = f"L{turn}-{n}"
            Carrier.objects.create(reseller=house, code=name, name=name, required_for_run=True)
            rate_batch(house, a_call(make_customer(house, name), "2026-01-05 10:00", "0", **LOST))
        with CaptureQueriesContext(connection) as queries:
            look(run, now=NOW)
            gate(run)
        asked.append(len(queries))
    assert findings(run).count() == 3 * 14
    assert asked[1] == asked[2]


def test_days_are_missed_where_their_weekday_usually_has_calls(house: Reseller) -> None:
    gamma = Carrier.objects.create(reseller=house, code="GAM", name="Gamma")
    small = Carrier.objects.create(reseller=house, code="SMALL", name="Small")
    gone = {day("2026-01-01"), day("2026-01-14"), day("2026-01-30"), day("2026-01-31")}
    for carrier, records in ((gamma, 12), (small, 3)):
        days = [day("2026-01-01") + timedelta(days=n) for n in range(-14, 31)]
        CdrFile.objects.create(
            reseller=house, carrier=carrier, format="x", name="x", size=1, sha256=carrier.code, state="loaded",
            first_call_at=datetime(2025, 12, 18, tzinfo=UTC), last_call_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
            days={str(on): [records, 60, 0] for on in days if on not in gone},
        )  # fmt: skip
    january = parse_month("2026-01", house.zone)
    #: New Year's Day is a bank holiday, and on 31 January the file of the 30th is still to come.
    assert missed(january, "2026-02-03") == {"GAM": [day("2026-01-14"), day("2026-01-30"), day("2026-01-31")]}
    assert missed(january, "2026-01-31") == {"GAM": [day("2026-01-14")]}


def missed(period: Period, today: str) -> dict[str, list[date]]:
    return {carrier.code: days for carrier, days in missing_days(period, day(today), usual=D(10))}
