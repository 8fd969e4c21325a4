"""Small random books: plain data for the naive oracle, and the same rows in the database."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from hypothesis import strategies as st

from billing.models import (
    Allocation,
    Charge,
    CreditNote,
    Customer,
    CustomerEvent,
    Dealer,
    ExchangeRate,
    Feature,
    FeaturePrice,
    FeatureType,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Number,
    NumberAssignment,
    Observation,
    Payment,
    PaymentAttempt,
)
from resellerkpi.core.models import Reseller, User
from tests.kpis import worlds_observed, worlds_units

FIRST, LAST = date(2026, 1, 1), date(2026, 5, 20)
NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
#: How long before it leaves a customer says so.
NOTICE = timedelta(days=40)
MONTHS = [date(2026, m, 1) for m in range(1, 6)]
TYPES = ["geographic", "mobile"]
#: code: (interval, kind, currency, list price until 1 March, list price from then)
CATALOGUE = {
    "line": ("month", "line", "GBP", Decimal("12.50"), Decimal("13.00")),
    "rec": ("quarter", "feature", "GBP", Decimal("10.00"), Decimal("10.00")),
    "plan": ("year", "package", "EUR", Decimal("100.00"), Decimal("120.01")),
    "phone": ("once", "hardware", "GBP", Decimal("80.00"), Decimal("80.00")),
}
#: code: (cost per interval, ladder, level)
MORE = {
    "line": (Decimal("4.00"), "", None),
    "rec": (Decimal("1.00"), "talk", 1),
    "plan": (Decimal("150.00"), "talk", 2),
    "phone": (Decimal("50.00"), "", None),
}
#: Whether the product's relationship is the house's: its name, its bill, its support.
OWNED = {"line": True, "rec": False, "plan": True, "phone": True}
#: What a euro is worth in pounds, from days on.
RATES = [(date(2025, 6, 1), "0.85"), (date(2026, 2, 10), "0.8765"), (date(2026, 4, 30), "0.84")]
#: What a customer of a hand-written book may leave out.
UNSAID: dict[str, Any] = {
    "postcode": "",
    "tags": [],
    "payment_method": "transfer",
    "loose": [],
    "ledger": [],
    "charges": [],
    "calls": [],
}
PRICE_CHANGE = date(2026, 3, 1)
#: From this day on call recording costs more, at the same price.
COST_RISE = date(2026, 4, 10)
KINDS = ["recurring", "usage", "one_off", "credit"]

days = st.dates(FIRST - timedelta(days=40), date(2026, 6, 10))
edges = st.sampled_from(
    [date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1), date(2026, 5, 20)]
)
any_day = st.one_of(days, edges)
cents = st.integers(1, 20000).map(lambda c: Decimal(c) / 100)


@st.composite
def span(draw: Any) -> tuple[date, date | None]:
    """A half-open range of days, perhaps without an end."""
    start = draw(any_day)
    length = draw(st.one_of(st.none(), st.integers(1, 120)))
    return start, None if length is None else start + timedelta(days=length)


@st.composite
def account(draw: Any, index: int) -> dict[str, Any]:
    """A customer with its services, invoices, money and status history."""
    return {
        "code": f"C{index}",
        "dealer": draw(st.sampled_from(["", "D1", "D2"])),
        "client_type": draw(st.sampled_from(["client", "reseller"])),
        "segment": draw(st.sampled_from(["", "smb"])),
        "postcode": draw(st.sampled_from(["", "LS1 4AB", "sw1a 2aa"])),
        "payment_method": draw(st.sampled_from(["direct_debit", "transfer", "cheque"])),
        "tags": draw(st.lists(st.sampled_from(["gold", "old"]), max_size=2, unique=True)),
        "campaign": draw(st.sampled_from(["", "radio"])),
        "currency": draw(st.sampled_from(["GBP", "EUR"])),
        "status": draw(st.sampled_from(["active", "suspended", "prospect"])),
        "imported": draw(st.booleans()),
        "is_test": draw(st.sampled_from([False, False, False, True])),
        "events": draw(
            st.dictionaries(any_day, st.sampled_from(["active", "suspended", "ceased"]), max_size=2)
        ),
        "numbers": [
            (f"N{index}-{i}", *n)
            for i, n in enumerate(draw(st.lists(st.tuples(st.sampled_from(TYPES), span()), max_size=3)))
        ],
        "features": draw(
            st.lists(
                st.tuples(
                    st.sampled_from(sorted(CATALOGUE)),
                    span(),
                    st.integers(1, 3),
                    st.one_of(st.none(), cents),
                    st.sampled_from([0, 10]),
                    st.booleans(),
                ),
                max_size=3,
            )
        ),
        "invoices": draw(st.lists(invoice(), max_size=3)),
        "loose": draw(
            st.lists(st.tuples(any_day, cents, st.one_of(st.none(), st.integers(0, 40))), max_size=2)
        ),
        "ledger": draw(
            st.lists(
                st.tuples(any_day, st.sampled_from(["invoice", "payment", "refund", "write_off"]), cents),
                max_size=3,
            )
        ),
        "charges": draw(
            st.lists(
                st.tuples(
                    any_day,
                    st.sampled_from(["recurring", "one_off", "carrier", "credit"]),
                    st.one_of(cents, st.just(Decimal(0))),
                    st.sampled_from(["", "activation", "renewal"]),
                ),
                max_size=2,
            )
        ),
        "calls": draw(
            st.lists(
                st.tuples(
                    st.integers(0, 2),
                    st.dates(FIRST, LAST),
                    st.sampled_from(["0", "0.10", "2.50"]),
                    st.sampled_from(["0.05", "3.00"]),
                ),
                max_size=3,
            )
        ),
        "attempts": draw(
            st.lists(
                st.tuples(
                    any_day,
                    st.sampled_from(["paid", "failed", "cancelled", "pending"]),
                    st.sampled_from(["direct_debit", "card"]),
                    cents,
                    st.integers(1, 2),
                ),
                max_size=3,
            )
        ),
    }


@st.composite
def invoice(draw: Any) -> dict[str, Any]:
    """An invoice with lines, perhaps a credit note, and payments that settle it, one of them perhaps reversed."""
    lines = draw(
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["", "line", "rec"]), cents), max_size=3)
    )
    net = sum((-a if k == "credit" else a for k, _, a in lines), Decimal(0))
    return {
        "date": draw(any_day),
        "terms": draw(st.integers(0, 70)),
        "currency": draw(st.sampled_from(["GBP", "EUR"])),
        "lines": lines,
        "net": net,
        "draft": draw(st.sampled_from([False, False, False, True])),
        "credit": draw(st.one_of(st.none(), st.tuples(st.integers(0, 40), st.booleans()))),
        "paid": draw(
            st.lists(
                st.tuples(
                    st.integers(0, 60),
                    st.sampled_from(["0.30", "0.50"]),
                    st.one_of(st.none(), st.integers(0, 30)),
                ),
                max_size=2,
            )
        ),
    }


@st.composite
def world(draw: Any) -> dict[str, Any]:
    """A book of up to six customers, with marketing cost."""
    count = draw(st.integers(1, 6))
    return {
        "customers": [draw(account(i)) for i in range(count)],
        "spend": draw(
            st.dictionaries(
                st.tuples(st.sampled_from(MONTHS), st.sampled_from(["", "radio"])), cents, max_size=4
            )
        ),
        "observed": draw(worlds_observed.lines),
        "settings": draw(worlds_observed.chosen),
        "units": draw(worlds_units.units),
    }


@dataclass
class Loaded:
    """The rows of a world in the database."""

    reseller: Reseller
    customers: dict[str, Customer] = field(default_factory=dict)


def load(book: dict[str, Any], reseller: Reseller) -> Loaded:
    """Write a world's rows; call inside the reseller's scope."""
    done = Loaded(reseller)
    dealers = {c: Dealer.objects.create(reseller=reseller, code=c, name=c) for c in ("D1", "D2")}
    types = {code: _type(reseller, code) for code in CATALOGUE}
    for day, rate in RATES:
        ExchangeRate.objects.create(
            reseller=reseller, date=day, base="EUR", currency="GBP", rate=Decimal(rate)
        )
    boss, _ = User.objects.get_or_create(email="boss@example.com", defaults={"name": "Bea Boss"})
    for place, told in enumerate(book["customers"]):
        told["manager"] = "" if place % 2 else str(boss.pk)
        c = UNSAID | told
        plain = {
            k: c[k]
            for k in (
                "code",
                "client_type",
                "segment",
                "postcode",
                "tags",
                "payment_method",
                "campaign",
                "currency",
                "status",
                "imported",
                "is_test",
            )
        }
        row = Customer.objects.create(
            reseller=reseller,
            name=c["code"],
            dealer=dealers.get(c["dealer"]),
            account_manager=boss if c["manager"] else None,
            **plain,
        )
        done.customers[c["code"]] = row
        for day, status in c["events"].items():
            CustomerEvent.objects.create(
                reseller=reseller,
                customer=row,
                date=day,
                status=status,
                reason=reason_of(day, status),
                notice_date=day - NOTICE if status == "ceased" else None,
            )
        for name, kind, (start, end) in c["numbers"]:
            number = Number.objects.create(reseller=reseller, number=name, type=kind)
            NumberAssignment.objects.create(
                reseller=reseller, number=number, customer=row, start_date=start, end_date=end
            )
        for feature in c["features"]:
            code, (start, end), quantity, price, discount, free = feature
            Feature.objects.create(
                reseller=reseller,
                customer=row,
                feature_type=types[code],
                quantity=quantity,
                price=price,
                discount_percent=discount,
                not_charged=free,
                minimum_term_end=term_of(feature),
                start_date=start,
                end_date=end,
            )
        for index, bill in enumerate(c["invoices"]):
            _bill(reseller, row, f"{c['code']}-{index}", bill, types)
        _money(reseller, row, c)
        _calls(reseller, row, c)
        for day, outcome, method, amount, presentation in c["attempts"]:
            PaymentAttempt.objects.create(
                reseller=reseller,
                customer=row,
                method=method,
                presentation=presentation,
                submitted_date=day,
                outcome=outcome,
                reason_code=str(presentation) if outcome == "failed" else "",
                outcome_date=None if outcome == "pending" else day,
                amount=amount,
                currency=c["currency"],
            )
    for (month, campaign), value in book["spend"].items():
        Observation.objects.create(
            reseller=reseller,
            metric="marketing_spend",
            date=month + timedelta(days=3),
            dimension="campaign" if campaign else "",
            key=campaign,
            value=value,
        )
    worlds_observed.load(book.get("observed", []), reseller, book.get("settings", {}))
    worlds_units.load(book.get("units", {}), reseller, list(done.customers.values()))
    return done


def _type(reseller: Reseller, code: str) -> FeatureType:
    interval, kind, currency, before, after = CATALOGUE[code]
    made = FeatureType.objects.create(
        reseller=reseller, code=code, name=code, interval=interval, kind=kind, currency=currency,
        ladder=MORE[code][1], level=MORE[code][2], own_bill=OWNED[code],
    )  # fmt: skip
    prices = (
        (before, date(2020, 1, 1), PRICE_CHANGE),
        (after, PRICE_CHANGE, COST_RISE),
        (after, COST_RISE, None),
    )
    for price, start, end in prices:
        FeaturePrice.objects.create(
            reseller=reseller,
            feature_type=made,
            price=price,
            cost=cost_at(code, start),
            valid_from=start,
            valid_to=end,
        )
    return made


def cost_at(code: str, day: date) -> Decimal:
    """Return what a catalogue entry costs on a day."""
    return MORE[code][0] + (Decimal("0.75") if code == "rec" and day >= COST_RISE else 0)


def line_cost(feature: str) -> Decimal:
    """Return what a line of an invoice cost: something where it is of a feature."""
    return Decimal("1.50") if feature else Decimal(0)


def term_of(feature: tuple[Any, ...]) -> date | None:
    """Return when a feature's minimum term ends: two of a kind are bound for 70 days, three for 150."""
    return {2: feature[1][0] + timedelta(days=70), 3: feature[1][0] + timedelta(days=150)}.get(feature[2])


def reason_of(day: date, status: str) -> str:
    """Return why a customer left: the price on even days, non-payment on every third of the others, else unsaid."""
    if status != "ceased":
        return ""
    return "price" if day.day % 2 == 0 else "non_payment" if day.day % 3 == 0 else ""


def reversed_on(day: date, wait: int | None) -> date | None:
    """Return the day a loose payment was taken back."""
    return None if wait is None else day + timedelta(days=wait)


def _money(reseller: Reseller, customer: Customer, c: dict[str, Any]) -> None:
    """Write payments on account, ledger entries and charges."""
    for day, amount, wait in c["loose"]:
        Payment.objects.create(
            reseller=reseller, customer=customer, method="card", received_date=day, amount=amount,
            currency=c["currency"], reversed_date=reversed_on(day, wait),
        )  # fmt: skip
    for index, (day, kind, amount) in enumerate(c["ledger"]):
        LedgerEntry.objects.create(
            reseller=reseller, customer=customer, date=day, kind=kind, currency=c["currency"],
            amount=amount if kind in ("invoice", "refund") else -amount, source_key=f"{c['code']}-{index}",
        )  # fmt: skip
    for index, (day, kind, amount, what) in enumerate(c["charges"]):
        Charge.objects.create(
            reseller=reseller, customer=customer, kind=kind, description=kind, amount=amount,
            service_start=day, service_end=day, bill_date=day, currency=c["currency"],
            source_key=f"{c['code']}-{index}", is_activation=what == "activation",
            is_renewal=what == "renewal",
        )  # fmt: skip


def _calls(reseller: Reseller, customer: Customer, c: dict[str, Any]) -> None:
    """Write calls at noon: of a number of the customer when it has that many, else of no number."""
    numbers = list(
        Number.objects.filter(reseller=reseller, number__startswith=f"N{c['code'][1:]}-").order_by("pk")
    )
    carrier = worlds_units.carrier(reseller, 0)
    with connection.cursor() as cursor:
        for index, (place, day, retail, cost) in enumerate(c["calls"]):
            cursor.execute("SELECT make_call_partition(%s)", [day])
            cursor.execute(
                "INSERT INTO billing_call (reseller_id, started_at, carrier_id, file_id, batch_id, dedupe_key,"
                " customer_id, number_id, line, duration, billed_seconds, service, state, billed_party, call_class,"
                " destination, currency, cost_currency, retail, cost) VALUES (%s, %s, %s, 1, 1, %s, %s, %s, 1, 60, 60,"
                " 'voice', %s, 'x', 'Mobile', 'Spain', %s, %s, %s, %s)",
                [
                    reseller.pk,
                    datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
                    carrier.pk,
                    customer.pk * 10 + index,
                    customer.pk,
                    numbers[place].pk if place < len(numbers) else None,
                    "zero" if retail == "0" else "rated",
                    "" if retail == "0" else c["currency"],
                    c["currency"],
                    Decimal(retail),
                    Decimal(cost),
                ],
            )


def shares(bill: dict[str, Any]) -> list[tuple[date, date | None, Decimal]]:
    """Return what settles an invoice: (from, until or None, amount), payments first, then the credit note's rest."""
    gross = bill["net"]
    found = []
    for wait, part, reversed_after in bill["paid"]:
        at = bill["date"] + timedelta(days=wait)
        amount = (gross * Decimal(part)).quantize(Decimal("0.01")) if gross > 0 else Decimal(0)
        if amount > 0:
            found.append(
                (at, None if reversed_after is None else at + timedelta(days=reversed_after + 1), amount)
            )
    return found


def credit_of(bill: dict[str, Any]) -> tuple[date, Decimal] | None:
    """Return date and net of an invoice's credit note: all of it or half."""
    if bill["credit"] is None or bill["net"] <= 0 or bill["draft"]:
        return None
    wait, whole = bill["credit"]
    net = bill["net"] if whole else (bill["net"] / 2).quantize(Decimal("0.01"))
    return (bill["date"] + timedelta(days=wait), net) if net > 0 else None


def _bill(
    reseller: Reseller, customer: Customer, number: str, bill: dict[str, Any], types: dict[str, FeatureType]
) -> None:
    net = bill["net"]
    made = Invoice.objects.create(
        reseller=reseller,
        customer=customer,
        number=None if bill["draft"] else number,
        state="draft" if bill["draft"] else "issued",
        invoice_date=bill["date"],
        due_date=bill["date"] + timedelta(days=bill["terms"]),
        currency=bill["currency"],
        net=net,
        gross=net,
    )
    for position, (kind, feature, amount) in enumerate(bill["lines"]):
        InvoiceLine.objects.create(
            reseller=reseller,
            invoice=made,
            position=position,
            kind=kind,
            description=kind,
            feature_type=types.get(feature),
            net=-amount if kind == "credit" else amount,
            cost=line_cost(feature),
        )
    if bill["draft"]:
        return
    for start, end, amount in shares(bill):
        payment = Payment.objects.create(
            reseller=reseller,
            customer=customer,
            method="transfer",
            received_date=start,
            reversed_date=end,
            amount=amount,
            currency=bill["currency"],
        )
        Allocation.objects.create(
            reseller=reseller, invoice=made, payment=payment, date=start, ended_date=end, amount=amount
        )
    note = credit_of(bill)
    if note:
        CreditNote.objects.create(
            reseller=reseller,
            customer=customer,
            invoice=made,
            number=f"CN{number}",
            date=note[0],
            reason="test",
            currency=bill["currency"],
            net=note[1],
            gross=note[1],
            issued_at=NOW,
        )
