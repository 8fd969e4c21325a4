"""The bill run against a naive biller in plain Python, over random months with late calls, holds and minimums."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.bills import bill
from billing.charging.adjust import add_charge
from billing.models import ChargeKind, Customer, Invoice, InvoiceLine, NotProduced
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight, parse_month
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, make_customer, make_house, rate_batch

pytestmark = pytest.mark.django_db
MONTHS = ("2026-02", "2026-03", "2026-04")
FIRST = datetime(2026, 1, 20, tzinfo=UTC)
PEOPLE = 4
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_houses = count(1)

prices = st.integers(0, 30_000).map(lambda n: D(n) / 10_000)
calls = st.tuples(
    st.integers(0, PEOPLE - 1), st.integers(0, 100 * 24), prices, st.sampled_from(["GBP", "GBP", "EUR"]),
    st.sampled_from(["voice", "voice", "sms"]), st.sampled_from(["", "Mobile"]),
)  # fmt: skip
charges = st.tuples(st.integers(0, PEOPLE - 1), st.integers(0, 100), st.integers(1, 500), st.booleans())
worlds = st.tuples(
    st.lists(st.lists(calls, max_size=12), min_size=3, max_size=3),
    st.lists(charges, max_size=6),
    st.lists(
        st.tuples(st.sampled_from([0, 20]), st.sampled_from([0, 2]), st.integers(0, 3)),
        min_size=4,
        max_size=4,
    ),
)
Bill = tuple[str, str, int, Decimal, Decimal]


def penny(exact: Fraction) -> Decimal:
    """Round half-up, away from zero, to the penny."""
    cents = (abs(exact) * 100 + Fraction(1, 2)).__floor__()
    return D(cents if exact >= 0 else -cents) / 100


class NaiveBiller:
    """Keeps what waits for each customer and bills it month by month, one thing at a time."""

    def __init__(self, terms: list[tuple[int, int, int]]) -> None:
        self.terms = terms
        self.calls: list[dict[str, Any]] = []
        self.charges: list[dict[str, Any]] = []

    def run(self, month: int, before: datetime, bill_before: date) -> tuple[list[Bill], dict[str, str]]:
        """Return the bills (customer, currency, calls, net, gross) and the reasons of those not made."""
        bills: list[Bill] = []
        reasons: dict[str, str] = {}
        for who, (rate, minimum, held_in) in enumerate(self.terms):
            mine = [c for c in self.calls if c["who"] == who and c["at"] < before]
            extra = [c for c in self.charges if c["who"] == who and c["on"] <= bill_before]
            if not mine and not extra:
                reasons[f"C{who}"] = "empty"
            for currency in sorted({c["currency"] for c in mine} | ({"GBP"} if extra else set())):
                used = [c for c in mine if c["currency"] == currency]
                added = extra if currency == "GBP" else []
                reason, net, gross = self.weigh(
                    used, added, rate, minimum if currency == "GBP" else 0, held_in == month
                )
                if reason:
                    reasons[f"C{who}{'' if currency == 'GBP' else currency}"] = reason
                    continue
                bills.append((f"C{who}", currency, len(used), net, gross))
                self.calls = [c for c in self.calls if c not in used]
                self.charges = [c for c in self.charges if c not in added]
        return sorted(bills), reasons

    def weigh(
        self, used: list[dict[str, Any]], added: list[dict[str, Any]], rate: int, minimum: int, held: bool
    ) -> tuple[str, Decimal, Decimal]:
        """Return why there is no bill (or ""), net and gross."""
        groups: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for call in used:
            groups[call["service"], call["class"]] += Fraction(call["retail"])
        lines = [penny(total) for total in groups.values()] + [c["amount"] for c in added]
        net = sum(lines, D(0))
        gross = net + penny(Fraction(net) * rate / 100)
        if not added and not any(lines):
            return "empty", net, gross
        if held:
            return "hold", net, gross
        if gross < 0:
            return "credit", net, gross
        return ("minimum" if net < minimum else ""), net, gross


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds)
def test_the_run_bills_what_the_naive_biller_bills(db: None, world: Any) -> None:
    batches, extra, terms = world
    house = make_house(f"h{next(_houses)}")
    with enter(Scope.of(house.pk)):
        people = [
            make_customer(house, f"C{n}", vat_rate=D(rate), minimum_invoice=D(minimum))
            for n, (rate, minimum, _) in enumerate(terms)
        ]
        naive = NaiveBiller(terms)
        enter_charges(people, extra, naive)
        for month, (name, batch) in enumerate(zip(MONTHS, batches, strict=True), 1):
            enter_calls(house, people, batch, naive)
            for customer, (_, _, held_in) in zip(people, terms, strict=True):
                Customer.objects.filter(pk=customer.pk).update(on_hold=held_in == month)
            period = parse_month(name, house.zone)
            run = bill(house, period, until="confirmed", now=NOW, scope=Scope.of(house.pk))
            expected = naive.run(month, midnight(period.end, house.zone), period.end)
            assert (list(bills_of(run.pk)), reasons_of(run.pk)) == expected
        each_call_once(sum(len(batch) for batch in batches) - len(naive.calls))


def enter_charges(people: list[Customer], extra: list[Any], naive: NaiveBiller) -> None:
    for who, at, pence, is_credit in extra:
        on, kind = FIRST.date() + timedelta(at), ChargeKind.CREDIT if is_credit else ChargeKind.ONE_OFF
        charge = add_charge(people[who], description="Work", amount=D(pence) / 100, on=on, kind=kind)
        naive.charges.append({"who": who, "on": on, "amount": charge.amount, "key": charge.pk})


def enter_calls(house: Reseller, people: list[Customer], batch: list[Any], naive: NaiveBiller) -> None:
    made = []
    for who, hours, retail, currency, service, call_class in batch:
        at = FIRST + timedelta(hours=hours)
        about = {"service": service, "call_class": call_class, "currency": currency}
        made.append(a_call(people[who], f"{at:%Y-%m-%d %H:%M}", str(retail), **about))
        naive.calls.append(
            {"who": who, "at": at, "retail": retail, "currency": currency, "service": service, "class": call_class,
             "key": made[-1].dedupe_key}
        )  # fmt: skip
    if made:
        rate_batch(house, *made)


def bills_of(run_id: int) -> Iterator[Bill]:
    for invoice in Invoice.objects.filter(run=run_id).order_by("customer__code", "currency"):
        assert invoice.net == sum(line.net for line in invoice.lines.all())
        assert invoice.vat == sum(vat.vat for vat in invoice.vat_lines.all())
        used = sum(line.calls for line in invoice.lines.all())
        yield (invoice.customer.code, invoice.currency, used, invoice.net, invoice.gross)


def reasons_of(run_id: int) -> dict[str, str]:
    return {
        f"{row.customer.code}{row.currency if row.currency not in ('', 'GBP') else ''}": row.reason
        for row in NotProduced.objects.filter(run=run_id)
    }


def each_call_once(billed: int) -> None:
    """As many calls stand on invoice lines as were taken off the naive biller's heap."""
    assert sum(InvoiceLine.objects.values_list("calls", flat=True)) == billed
