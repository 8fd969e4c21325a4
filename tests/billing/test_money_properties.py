"""What must hold of any charge and any credit: days are charged once, parts add up, credits take back exactly all."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.bills import bill
from billing.charging.adjust import add_charge
from billing.charging.book import Charged, FeatureRow, Price, Terms
from billing.charging.prorate import Interval, Method, Part, Service, fraction, part_amount, periods
from billing.charging.recurring import charges_of
from billing.invoicing.credit import credit_invoice
from billing.invoicing.tax import vat_per_rate
from billing.models import ChargeKind, CreditNote, Invoice, InvoiceLine
from resellerkpi.core.periods import add_months, parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import make_customer, make_house
from tests.billing.test_biller import NOW

START = date(2026, 1, 1)
PENNY = Decimal("0.01")
_houses = count(1)
offsets = st.integers(0, 800)
prices = st.integers(0, 100_000).map(lambda n: Decimal(n) / 1000)


def terms(start, end, *, timing, interval, anchor, price, later=None):
    """Return a feature's terms with a list price, and another from a day on."""
    row = FeatureRow(
        id=1, customer_id=1, number_id=None, type_id=1, quantity=1, start=start, end=end, price=None, cost=None,
        discount=Decimal(0), name="Line", kind="feature", interval=interval, timing=timing, prorate="actual",
        currency="GBP", activation_fee=Decimal(0), anchor_day=anchor, continues=None,
    )  # fmt: skip
    listed = [Price(date.min, later[0] if later else None, price, Decimal(0))]
    if later:
        listed.append(Price(later[0], None, later[1], Decimal(0)))
    return Terms(row, listed, start)


def charged(drafts):
    """Return drafts as the charges they become."""
    return [
        Charged(
            d.service_start, d.service_end, -1 if d.kind == ChargeKind.CREDIT else 1, d.unit_price, d.quantity
        )
        for d in drafts
    ]


@settings(max_examples=120, deadline=None)
@given(
    offsets, st.integers(1, 500), st.lists(offsets, min_size=1, max_size=5), st.sampled_from(["advance", "arrears"]),
    st.sampled_from(["month", "quarter", "year"]), st.integers(1, 31), prices.filter(bool),
    st.one_of(st.none(), st.tuples(offsets.map(lambda n: START + timedelta(n)), prices.filter(bool))),
)  # fmt: skip
def test_however_often_and_late_an_end_is_known_each_day_served_is_charged_once(
    start, length, runs, timing, interval, anchor, price, later
):
    first = START + timedelta(start)
    last = first + timedelta(length)
    like = {"timing": timing, "interval": interval, "anchor": anchor, "price": price, "later": later}
    kept: list[Charged] = []
    for at in sorted(runs):
        open_ended = terms(first, None, **like)
        open_ended.charged = list(kept)
        kept += charged(charges_of(open_ended, first + timedelta(at)))
    ceased = terms(first, last, **like)
    ceased.charged = list(kept)
    until = last + timedelta(400)
    kept += charged(charges_of(ceased, until))
    days: dict[date, int] = {}
    for each in kept:
        for n in range((each.end - each.start).days):
            day = each.start + timedelta(n)
            days[day] = days.get(day, 0) + each.sign
    served = {first + timedelta(n) for n in range(length)}
    assert {day for day, times in days.items() if times} == served
    assert set(days.values()) <= {0, 1}
    again = terms(first, last, **like)
    again.charged = kept
    assert list(charges_of(again, until)) == []


@settings(deadline=None)
@given(
    st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.integers(1, 28), st.data(),
    st.decimals(min_value=-10_000, max_value=10_000, places=4), st.sampled_from([Method.ACTUAL, Method.THIRTY]),
)  # fmt: skip
def test_two_parts_of_a_month_come_within_a_penny_of_both_at_once(month, anchor, data, price, method):
    begin = month.replace(day=anchor)
    end = add_months(begin, 1)
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(0, (end - begin).days)] * 3)))

    def cost(low, high):
        part = Part(begin + timedelta(low), begin + timedelta(high), begin, end)
        share = fraction(part, Interval.MONTH, method) if low < high else Fraction(0)
        return part_amount(price, share)

    assert abs(cost(a, b) + cost(b, c) - cost(a, c)) <= PENNY
    assert cost(0, (end - begin).days) == part_amount(price, Fraction(1))


credits = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 100)), max_size=6)
lines = st.lists(
    st.tuples(st.integers(1, 100_000), st.sampled_from(["0", "5", "17.5", "20"])), min_size=1, max_size=4
)


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines, credits)
def test_credits_of_any_parts_and_then_the_rest_take_back_exactly_the_invoice(db, amounts, parts):
    house = make_house(f"m{next(_houses)}")
    with enter(Scope.of(house.pk)):
        ann = make_customer(house, "ANN")
        for pence, rate in amounts:
            add_charge(
                ann,
                description="Work",
                amount=Decimal(pence) / 100,
                on=date(2026, 1, 5),
                vat_rate=Decimal(rate),
            )
        run = bill(
            house, parse_month("2026-01", house.zone), until="confirmed", now=NOW, scope=Scope.of(house.pk)
        )
        invoice = Invoice.objects.get(run=run)
        left = {line.pk: line.net for line in InvoiceLine.objects.filter(invoice=invoice)}
        order = sorted(left)
        for place, percent in parts:
            line = order[place % len(order)]
            part = min((left[line] * percent / 100).quantize(PENNY), left[line])
            if part > 0 and sum(left.values()) > part:
                credit_invoice(invoice.pk, reason="Part", on=NOW.date(), now=NOW, lines={line: part})
                left[line] -= part
        credit_invoice(invoice.pk, reason="Rest", on=NOW.date(), now=NOW)
        notes = CreditNote.objects.filter(invoice=invoice)
        for name in ("net", "vat", "gross"):
            assert sum(getattr(note, name) for note in notes) == getattr(invoice, name)
        assert all(note.net + note.vat == note.gross > 0 for note in notes)


@pytest.mark.parametrize("anchor", [1, 28, 30, 31])
def test_a_whole_month_of_thirty_days_is_one_however_short_the_month(anchor):
    service = Service(date(2027, 1, anchor), None, Interval.MONTH, anchor)
    shares = [
        fraction(part, Interval.MONTH, Method.THIRTY) for part in periods(service, until=date(2027, 6, 30))
    ]
    assert set(shares) == {Fraction(1)}
    assert len(shares) == 6


def test_a_part_of_a_long_month_of_thirty_days_is_never_more_than_the_month():
    service = Service(date(2027, 2, 28), date(2027, 3, 30), Interval.MONTH, 31)
    (part,) = periods(service, until=date(2027, 6, 30))
    assert (part.period_start, part.period_end) == (date(2027, 2, 28), date(2027, 3, 31))
    assert fraction(part, Interval.MONTH, Method.THIRTY) == 1


def test_rates_of_vat_are_told_in_their_order_whatever_the_lines():
    pairs = [(Decimal("1.10"), Decimal(20)), (Decimal("2.20"), Decimal(5)), (Decimal("3.30"), Decimal(20))]
    found = [(Decimal(5), Decimal("2.20"), Decimal("0.11")), (Decimal(20), Decimal("4.40"), Decimal("0.88"))]
    assert vat_per_rate(pairs, "GBP") == vat_per_rate(pairs[::-1], "GBP") == found
