"""Snapshots: kept up in steps they are those made from nothing; closed months keep what was, and say so."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.models import Allocation, BillingRun, ChangedDay, Invoice, Observation, Payment
from kpis import closing
from kpis.asked import Asked
from kpis.compute import compute
from kpis.kpi import KPIS
from kpis.models import Change, Close, Fill, Frozen, KpiSettings, Snapshot
from kpis.options import Options
from kpis.plan import eat_changes, make_plan
from kpis.reading import Reader
from kpis.snapshots import refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_every_kpi import with_world

pytestmark = pytest.mark.django_db
COLUMNS = ("kpi", "version", "dimension", "key", "month", "currency", "numerator", "denominator", "base")


def rows() -> list[tuple[Any, ...]]:
    """Return every snapshot, in order."""
    return list(Snapshot.objects.order_by(*COLUMNS[:6]).values_list(*COLUMNS))


def parts(kept: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return snapshots without their versions and bases."""
    return [(kpi, *key, top, bottom) for kpi, _, *key, top, bottom, _ in kept]


def computed(house: Reseller) -> dict[tuple[Any, ...], tuple[Decimal, Decimal | None]]:
    """Return the same figures out of billing's tables alone, by KPI, dimension, key, month and currency."""
    kpis = [k for k in KPIS if not k.shape.needs]
    asked = Asked.months(
        house.pk, list(Snapshot.objects.dates("month", "month")), worlds.NOW.date(), options=Options.of(house)
    )
    figures = compute(kpis, asked, {d for k in kpis for d in k.by})
    return {
        (slug, *cell[:3], cell.currency): (_kept(figure.top), figure.bottom and _kept(figure.bottom))
        for slug, cells in figures.items()
        for cell, figure in cells.items()
    }


def _kept(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001"), ROUND_HALF_UP)


#: What a clerk may do to a customer afterwards: SQL over the customer's id and a day.
CHANGES = [
    "UPDATE billing_numberassignment SET end_date = greatest(start_date + 1, %(day)s) WHERE customer_id = %(id)s",
    "DELETE FROM billing_feature WHERE customer_id = %(id)s",
    "UPDATE billing_feature SET quantity = quantity + 1 WHERE customer_id = %(id)s",
    "UPDATE billing_customer SET dealer_id = NULL, segment = 'new' WHERE id = %(id)s",
    "UPDATE billing_customer SET tags = ARRAY['new', 'gold'], payment_method = 'card' WHERE id = %(id)s",
    "UPDATE billing_customer SET is_test = NOT is_test WHERE id = %(id)s",
    "UPDATE billing_payment SET reversed_date = received_date + 9 WHERE customer_id = %(id)s",
    "DELETE FROM billing_paymentattempt WHERE customer_id = %(id)s",
    "DELETE FROM billing_charge WHERE customer_id = %(id)s",
    "UPDATE billing_ledgerentry SET amount = amount * 2 WHERE customer_id = %(id)s",
    "DELETE FROM billing_customerevent WHERE customer_id = %(id)s",
    "DELETE FROM billing_allocation WHERE invoice_id IN (SELECT id FROM billing_invoice WHERE customer_id = %(id)s)",
    "UPDATE billing_dealer SET code = code || 'x'",
    "UPDATE billing_number SET type = 'mobile'",
    "UPDATE billing_featureprice SET price = price + 1 WHERE valid_from = '2026-03-01'",
    "UPDATE billing_featuretype SET interval = 'year' WHERE code = 'rec'",
    "UPDATE billing_customer SET parent_id = (SELECT min(id) FROM billing_customer WHERE id <> %(id)s)"
    " WHERE id = %(id)s",
]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    worlds.world(),
    st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 5), worlds.any_day), min_size=1, max_size=3),
    st.booleans(),
)
def test_in_steps_is_as_from_nothing(
    book: dict[str, Any], changes: list[tuple[str, int, date]], by_group: bool
) -> None:
    def check(house: Reseller) -> None:
        if by_group:
            KpiSettings.objects.update_or_create(reseller=house, defaults={"count_by": "group"})
        refresh(house, now=worlds.NOW)
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM billing_customer WHERE reseller_id = %s ORDER BY id", [house.pk])
            people = [row[0] for row in cursor.fetchall()]
            for text, who, day in changes:
                cursor.execute(text, {"id": people[who % len(people)], "day": day})
        refresh(house, now=worlds.NOW)
        kept = rows()
        refresh(house, now=worlds.NOW, full=True)
        again = rows()
        assert [r for r in kept if r not in again] == [r for r in again if r not in kept]
        live = computed(house)
        assert [r for r in parts(again) if live.get(r[:5]) != r[5:]] == []
        assert len(live) == len(again)

    with_world(book, check)


def account(code: str, **more: Any) -> dict[str, Any]:
    """Return a customer of a world with one number since January."""
    return {
        "code": code, "dealer": "", "client_type": "client", "segment": "", "campaign": "", "currency": "GBP",
        "status": "active", "imported": False, "is_test": False, "events": {}, "features": [], "invoices": [],
        "attempts": [], "postcode": "", "loose": [], "ledger": [], "charges": [], "calls": [],
        "numbers": [(f"N{code[1:]}-0", "mobile", (date(2026, 1, 10), None))], **more,
    }  # fmt: skip


@pytest.fixture
def house() -> Any:
    """Three customers, inside the scope of their reseller."""
    made = Reseller.objects.create(code="w", name="World")
    with enter(Scope.of(made.pk)):
        bill = {
            "date": date(2026, 3, 5), "terms": 14, "currency": "GBP", "lines": [("recurring", "", Decimal(90))],
            "net": Decimal(90), "draft": False, "credit": None, "paid": [],
        }  # fmt: skip
        people = [account("C0", invoices=[bill]), account("C1"), account("C2")]
        worlds.load({"customers": people, "spend": {}}, made)
        yield made


def point(house: Reseller, slug: str, month: date) -> Any:
    """Return one KPI's point as the reader sees it."""
    reader = Reader(house, Scope.of(house.pk), worlds.NOW)
    return reader.points([KPIS.get(slug)], [month])[slug][""][0]


def test_a_change_names_its_customer_unless_there_are_many(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    ids = list(Invoice.objects.values_list("customer_id", flat=True))
    Payment.objects.create(
        reseller=house,
        customer_id=ids[0],
        method="card",
        received_date=date(2026, 2, 3),
        amount=5,
        currency="GBP",
    )
    assert list(Change.objects.values_list("customer_id", "day")) == [(ids[0], date(2026, 2, 3))]


def test_days_of_calls_marked_before_a_refresh_and_committed_after_it_are_not_missed(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    for day in (date(2026, 3, 9), date(2026, 3, 10), date(2026, 5, 2), date(2026, 7, 1)):
        ChangedDay.objects.create(reseller=house, day=day)
    ChangedDay.objects.update(changed_at=worlds.NOW - timedelta(hours=1))
    plan = make_plan(house, Fill.objects.get(), date(2026, 1, 1), eat_changes(house.pk), worlds.NOW.date())
    assert plan.called == (date(2026, 3, 1), date(2026, 5, 1))
    assert (plan.wide, plan.swept, plan.customers) == (None, frozenset(), ())
    ChangedDay.objects.filter(day=date(2026, 3, 9)).update(changed_at=worlds.NOW)
    assert eat_changes(house.pk) == [(None, date(2026, 3, 1), "billing_changedday")]


def test_only_the_months_from_the_change_on_are_mended(house: Reseller) -> None:
    assert refresh(house, now=worlds.NOW).months == 5
    (customer,) = Invoice.objects.values_list("customer_id", flat=True)
    Payment.objects.create(
        reseller=house,
        customer_id=customer,
        method="card",
        received_date=date(2026, 4, 3),
        amount=5,
        currency="GBP",
    )
    done = refresh(house, now=worlds.NOW)
    assert done.months == 2
    assert point(house, "cash_collected", date(2026, 4, 1)).value == 5
    assert refresh(house, now=worlds.NOW).months == 0


def test_what_reads_the_month_before_is_mended_by_what_moved_alone(house: Reseller) -> None:
    """Given 90 owed at the end of March, when 30 of it are paid in April, then April's mean debt is (90 + 60) / 2."""
    refresh(house, now=worlds.NOW)
    (invoice,) = Invoice.objects.all()
    own = {"reseller": house, "amount": 30}
    paid = Payment.objects.create(
        **own, customer_id=invoice.customer_id, method="card", received_date=date(2026, 4, 3), currency="GBP"
    )
    Allocation.objects.create(**own, invoice=invoice, payment=paid, date=date(2026, 4, 3))
    refresh(house, now=worlds.NOW)
    april = Snapshot.objects.get(kpi="dso_average", dimension="", month=date(2026, 4, 1))
    assert april.numerator == Decimal(75) * 30
    kept = rows()
    refresh(house, now=worlds.NOW, full=True)
    assert rows() == kept


def kept_ids() -> dict[str, set[int]]:
    """Return the rows of snapshots per KPI: a row made anew is another one."""
    ids: dict[str, set[int]] = {}
    for slug, pk in Snapshot.objects.values_list("kpi", "pk"):
        ids.setdefault(slug, set()).add(pk)
    return ids


def written(house: Reseller) -> tuple[set[str], set[str]]:
    """Refresh; return the facts that were made anew, and the KPIs of which rows were."""
    before = kept_ids()
    with CaptureQueriesContext(connection) as queries:
        refresh(house, now=worlds.NOW)
    facts = {q["sql"].split()[2] for q in queries if q["sql"].startswith("INSERT INTO kpis_")}
    after = kept_ids()
    moved = {slug for slug in {*before, *after} if before.get(slug) != after.get(slug)}
    return facts - {"kpis_snapshot", "kpis_fill"}, moved


def test_a_payment_moves_what_follows_from_payments_only(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    (customer,) = Invoice.objects.values_list("customer_id", flat=True)
    Payment.objects.create(
        reseller=house,
        customer_id=customer,
        method="card",
        received_date=date(2026, 4, 3),
        amount=5,
        currency="GBP",
    )
    facts, kpis = written(house)
    assert facts == {"kpis_moneyfact", "kpis_dynamicsfact"}
    assert {"cash_collected", "on_account"} <= kpis
    assert not kpis & {
        "total_invoiced",
        "customers_active",
        "concentration_top1",
        "aiv_median",
        "numbers_total",
    }
    assert point(house, "cash_collected", date(2026, 4, 1)).value == 5


def test_an_observation_moves_what_reads_observations_only(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    Observation.objects.create(reseller=house, metric="visits", date=date(2026, 4, 3), value=70)
    facts, kpis = written(house)
    assert facts == set()
    assert "web_traffic" in kpis
    assert all(KPIS.get(slug).shape.observed for slug in kpis)
    assert point(house, "web_traffic", date(2026, 4, 1)).value == 70


def test_a_closed_month_keeps_its_figure_and_the_live_one_says_restated(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    options, march = Options.of(house), date(2026, 3, 1)
    closing.close(house, march, options, now=worlds.NOW, by_hand=True)
    assert "restated" not in point(house, "total_invoiced", march).marks
    Invoice.objects.create(
        reseller=house, customer=Invoice.objects.get().customer, number="late", state="issued",
        invoice_date=date(2026, 3, 9), due_date=date(2026, 3, 9), currency="GBP", net=10, gross=10,
    )  # fmt: skip
    refresh(house, now=worlds.NOW)
    found = point(house, "total_invoiced", march)
    assert (found.value, "restated" in found.marks) == (100, True)
    assert "restated" not in point(house, "customers_active", march).marks
    assert "restated" not in point(house, "total_invoiced", date(2026, 2, 1)).marks
    assert Frozen.objects.get(kpi="total_invoiced", dimension="", month=march).numerator == 90


def test_a_month_closes_once_and_only_when_over(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    options = Options.of(house)
    with pytest.raises(closing.CannotClose, match="not over"):
        closing.close(house, date(2026, 5, 1), options, now=worlds.NOW)
    with pytest.raises(closing.CannotClose, match="no figures"):
        closing.close(house, date(2025, 5, 1), options, now=worlds.NOW)
    closing.close(house, date(2026, 4, 1), options, now=worlds.NOW)
    with pytest.raises(closing.CannotClose, match="already closed"):
        closing.close(house, date(2026, 4, 1), options, now=worlds.NOW)


def test_a_month_closes_by_itself_when_over_and_its_runs_are_confirmed(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    run = BillingRun.objects.create(
        reseller=house, name="May", period_start=date(2026, 4, 1), period_end=date(2026, 5, 1),
        invoice_date=date(2026, 5, 2), state="billed",
    )  # fmt: skip
    fifth, sixth = (datetime(2026, 6, d, 12, tzinfo=UTC) for d in (5, 6))
    assert refresh(house, now=fifth).closed == 0
    assert refresh(house, now=sixth).closed == 0
    run.state = "confirmed"
    run.save()
    assert refresh(house, now=sixth + timedelta(minutes=1)).closed == 1
    assert list(Close.objects.values_list("month", "by_hand")) == [(date(2026, 5, 1), False)]


def test_a_setting_makes_everything_anew_and_counts_as_it_says(house: Reseller) -> None:
    refresh(house, now=worlds.NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_numberassignment SET end_date = '2026-04-10' WHERE id = (SELECT min(id)"
            " FROM billing_numberassignment)"
        )
    refresh(house, now=worlds.NOW)
    april = date(2026, 4, 1)
    assert point(house, "churn_customer", april).value == Decimal(1) / Decimal(3)
    chosen = KpiSettings.objects.create(reseller=house, churn_base="average", small_base=2)
    assert refresh(house, now=worlds.NOW).months == 5
    found = point(house, "churn_customer", april)
    assert (found.denominator, found.marks) == (Decimal("2.5"), ())
    chosen.count_by = "group"
    chosen.save()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_customer SET parent_id = (SELECT min(id) FROM billing_customer)"
            " WHERE id = (SELECT max(id) FROM billing_customer)"
        )
    refresh(house, now=worlds.NOW)
    assert point(house, "customers_active", date(2026, 5, 1)).value == 2
    assert point(house, "customers_lost", april).value == 0


def test_a_long_gap_is_new_again_when_a_window_is_set(house: Reseller) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_numberassignment SET end_date = '2026-02-10' WHERE id = (SELECT min(id)"
            " FROM billing_numberassignment)"
        )
        cursor.execute(
            "INSERT INTO billing_numberassignment (reseller_id, customer_id, number_id, site, start_date)"
            " SELECT reseller_id, customer_id, number_id, '', '2026-04-20' FROM billing_numberassignment"
            " WHERE end_date IS NOT NULL"
        )
    refresh(house, now=worlds.NOW)
    april = date(2026, 4, 1)
    assert point(house, "customers_reactivated", april).value == 1
    KpiSettings.objects.create(reseller=house, reactivation_window_days=30)
    refresh(house, now=worlds.NOW)
    assert point(house, "customers_reactivated", april).value == 0
    assert point(house, "customers_new", april).value == 1


def test_joined_and_left_within_a_month_counts_on_both_sides_when_so_set(house: Reseller) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE billing_numberassignment SET start_date = '2026-04-02', end_date = '2026-04-09'"
        )
    KpiSettings.objects.create(reseller=house, count_in_period=True)
    refresh(house, now=worlds.NOW)
    april = date(2026, 4, 1)
    figures = [point(house, f"customers_{what}", april).value for what in ("new", "lost", "net")]
    assert figures == [3, 3, 0]
    assert point(house, "in_period_churn", april).value == 3
