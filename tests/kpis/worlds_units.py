"""Random suppliers, usage files, calls nobody can price, tariffs and bill runs for the small books."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from hypothesis import strategies as st

from billing.checks.acts import accept, recover
from billing.checks.declare import Ask, Check, Found
from billing.checks.register import run
from billing.models import (
    BillingRun,
    Carrier,
    CarrierCharge,
    CarrierInvoice,
    CdrFile,
    Customer,
    Finding,
    NotProduced,
    Number,
    Supply,
    Tariff,
    TariffAssignment,
    TariffRate,
)
from resellerkpi.core.models import Reseller

#: Carriers of a customer's first number, from days on.
SUPPLIES = [("K0", date(2026, 1, 15), date(2026, 4, 10)), ("K1", date(2026, 4, 10), None)]
SHORT = st.dates(date(2026, 1, 1), date(2026, 5, 20))
WHO = st.integers(0, 1)
AMOUNTS = st.integers(-500, 9000).map(lambda c: Decimal(c) / 100)
#: (carrier, day, destination, seconds)
unrated = st.tuples(WHO, SHORT, st.sampled_from(["", "Paris"]), st.integers(0, 900))
#: (carrier, day loaded, rows, duplicates, rejects, days from the last call or None, days with calls)
files = st.tuples(
    WHO, SHORT, st.integers(10, 30), st.integers(0, 5), st.integers(0, 5),
    st.one_of(st.none(), st.integers(0, 9)), st.lists(SHORT, max_size=4, unique=True),
)  # fmt: skip
#: (carrier, day of the bill, kind, state, amount, customer, first day, days)
supply = st.tuples(
    WHO, SHORT, st.sampled_from(["rental", "one_off", "usage", "credit"]),
    st.sampled_from(["open", "allocated", "ignored"]), AMOUNTS, st.integers(0, 5), SHORT, st.integers(1, 90),
)  # fmt: skip
#: (customer, first day, days or None, days until superseded or None)
tariffs = st.tuples(
    st.integers(0, 5),
    SHORT,
    st.one_of(st.none(), st.integers(1, 60)),
    st.one_of(st.none(), st.integers(0, 60)),
)
#: (day of the invoices, days from the period's end, days until sent or None, {customer: reason})
runs = st.tuples(
    SHORT, st.integers(0, 9), st.one_of(st.none(), st.integers(0, 9)),
    st.dictionaries(st.integers(0, 5), st.sampled_from(["empty", "minimum", "hold", "credit"]), max_size=2),
)  # fmt: skip
#: (check before billing, level, state, first day of the run's period, money a month, money to date, currency)
found = st.tuples(
    st.sampled_from(["customers_without_tariff", "numbers_without_customer", "tariff_gaps", "tariff_overlaps",
                     "mandates_missing", "zero_rates", "past_contract_end", "negative_margins", "contracts_ending"]),
    st.sampled_from(["error", "warning", "information"]), st.sampled_from(["open", "accepted", "fixed"]),
    SHORT, st.sampled_from([None, "1.25", "0"]), st.sampled_from([None, "4.50"]), st.sampled_from(["", "GBP", "EUR"]),
)  # fmt: skip
#: What may happen to a leak on a day: it is found with so much money to date, or gone; got back; accepted for so long.
step = st.tuples(SHORT, st.sampled_from(["found", "found", "gone", "recover", "accept"]), st.integers(1, 60))
#: (customer or nobody's, currency, steps in order of time)
leaks = st.tuples(
    st.integers(0, 6),
    st.sampled_from(["GBP", "EUR"]),
    st.lists(step, max_size=6, unique_by=lambda s: s[0]).map(sorted),
)
#: (day a rate begins, price of a minute), of one destination
rates = st.lists(
    st.tuples(st.dates(date(2025, 12, 1), date(2026, 5, 25)), st.sampled_from(["0.01", "0.02", "0.035"])),
    max_size=3,
    unique_by=lambda r: r[0],
)
units = st.fixed_dictionaries(
    {
        "unrated": st.lists(unrated, max_size=3),
        "files": st.lists(files, max_size=3),
        "supply": st.lists(supply, max_size=4),
        "tariffs": st.lists(tariffs, max_size=2),
        "bought": rates,
        "sold": rates,
        "runs": st.lists(runs, max_size=2, unique_by=lambda r: r[0]),
        "found": st.lists(found, max_size=4),
        "leaks": st.lists(leaks, max_size=3),
    }
)


def carrier(reseller: Reseller, place: int) -> Carrier:
    """Return one of the two carriers; the second is one that bills have to wait for, with files two days late."""
    made, _ = Carrier.objects.get_or_create(
        reseller=reseller,
        code=f"K{place}",
        defaults={"name": f"K{place}", "required_for_run": place == 1, "cdr_delay_days": 2},
    )
    return made


def supplier(number: str, day: date) -> str:
    """Return the carrier of a number on a day: a customer's first number moves from one to another."""
    at = [code for code, start, end in SUPPLIES if start <= day and (end is None or day < end)]
    return at[0] if at and number.endswith("-0") else ""


def noon(day: date) -> datetime:
    """Return noon of a day."""
    return datetime.combine(day, time(12), UTC)


def load(book: dict[str, Any], reseller: Reseller, customers: list[Customer]) -> None:
    """Write what a world has of suppliers, usage files, tariffs and runs."""
    both = [carrier(reseller, 0), carrier(reseller, 1)]
    for index, (who, day, destination, seconds) in enumerate(book.get("unrated", [])):
        with connection.cursor() as cursor:
            cursor.execute("SELECT make_call_partition(%s)", [day])
            cursor.execute(
                "INSERT INTO billing_call (reseller_id, started_at, carrier_id, file_id, batch_id, dedupe_key, line,"
                " duration, billed_seconds, service, state, reason, billed_party, destination) VALUES"
                " (%s, %s, %s, 1, 1, %s, 1, %s, 0, 'voice', 'error', 'no_rate', 'x', %s)",
                [reseller.pk, noon(day), both[who].pk, -index - 1, seconds, destination],
            )
    for index, (who, day, rows, again, bad, wait, heard) in enumerate(book.get("files", [])):
        CdrFile.objects.create(
            reseller=reseller, carrier=both[who], format="x", name=str(index), size=1, sha256=str(index),
            state="loaded", rows=rows, duplicates=again, rejects=bad, rated=rows - again - bad,
            days={str(d): 1 for d in heard}, loaded_at=noon(day),
            last_call_at=None if wait is None else noon(day - timedelta(days=wait)),
        )  # fmt: skip
    for index, (place, currency, steps) in enumerate(book.get("leaks", [])):
        leak(reseller, slug_of(index), customers[place] if place < len(customers) else None, currency, steps)
    Supply.objects.bulk_create(
        Supply(reseller=reseller, number=number, carrier=who, start_date=start, end_date=end)
        for number in Number.objects.filter(reseller=reseller, number__endswith="-0")
        for who, (_, start, end) in zip(both, SUPPLIES, strict=True)
    )
    _bills(book, reseller, customers, both)
    _rates(
        book.get("bought", []),
        Tariff.objects.create(reseller=reseller, name="b", kind="wholesale", carrier=both[0]),
    )
    _rates(book.get("sold", []), Tariff.objects.create(reseller=reseller, name="s"))
    for index, (place, day, length, until) in enumerate(book.get("tariffs", [])):
        if place < len(customers):
            old = None if until is None else day + timedelta(days=until)
            tariff = Tariff.objects.create(reseller=reseller, name=str(index), superseded_on=old)
            TariffAssignment.objects.create(
                reseller=reseller, customer=customers[place], tariff=tariff, call_class=str(index),
                start_date=day, end_date=length and day + timedelta(days=length),
            )  # fmt: skip


def slug_of(index: int) -> str:
    """Return the check of a leak: the first is of charges that are missing."""
    return "missing_recurring" if index == 0 else f"leak_{index}"


def leak(reseller: Reseller, slug: str, customer: Customer | None, currency: str, steps: list[Any]) -> None:
    """Let a leak of a check of its own live through its steps in the register, as the checks and people would."""
    for day, what, money in steps:
        here = Found("x", "x", day.replace(day=1), "x", Decimal(money) / 4, Decimal(money), currency)
        here = replace(here, customer_id=customer and customer.pk)
        row = Finding.objects.filter(reseller=reseller, check_slug=slug).first()
        if what in ("found", "gone"):
            run(reseller, [a_check(slug, here if what == "found" else None)], now=noon(day))
        elif row and what == "recover":
            recover(row.pk, amount=Decimal(money), words="x", now=noon(day))
        elif row and row.state in Finding.STANDING:
            accept(row.pk, until=day + timedelta(days=money), reason="x", now=noon(day), today=day)


def a_check(slug: str, found: Found | None) -> Check:
    """Return a check of leakage that finds one thing or nothing."""

    def find(ask: Ask) -> list[Found]:
        return [found] if found else []

    return Check(slug=slug, name=slug, family="leakage", level="error", page="", find=find, about=slug)


def _rates(found: list[Any], tariff: Tariff) -> None:
    """Write the prices of a tariff for Spain, each up to the next."""
    rows = sorted(found)
    for index, (day, price) in enumerate(rows):
        TariffRate.objects.create(
            reseller_id=tariff.reseller_id, tariff=tariff, key="34", destination="Spain", price=Decimal(price),
            valid_from=day, valid_to=rows[index + 1][0] if index + 1 < len(rows) else None,
        )  # fmt: skip


def _bills(book: dict[str, Any], reseller: Reseller, customers: list[Customer], both: list[Carrier]) -> None:
    for index, (who, day, kind, state, amount, place, first, length) in enumerate(book.get("supply", [])):
        bill = CarrierInvoice.objects.create(
            reseller=reseller, carrier=both[who], number=str(index), invoice_date=day, currency="GBP"
        )
        named = customers[place] if place < len(customers) and state == "allocated" else None
        CarrierCharge.objects.create(
            reseller=reseller, invoice=bill, line=1, kind=kind, description=kind, amount=amount, customer=named,
            state=state if named or state != "allocated" else "open", service_start=first,
            service_end=first + timedelta(days=length),
        )  # fmt: skip
    for index, (slug, level, state, day, monthly, to_date, currency) in enumerate(book.get("found", [])):
        Finding.objects.create(
            reseller=reseller, check_slug=slug, family="pre-billing", level=level, state=state, subject=str(index),
            label="x", why="x", period=day, money_per_month=monthly, money_to_date=to_date, currency=currency,
            first_seen=noon(day), last_seen=noon(day), closed_at=noon(day) if state == "fixed" else None,
            accepted_until=day if state == "accepted" else None,
        )  # fmt: skip
    for index, (day, wait, until, left_out) in enumerate(book.get("runs", [])):
        end = day - timedelta(days=wait)
        run = BillingRun.objects.create(
            reseller=reseller, name=str(index), cycle=str(index), period_start=end - timedelta(days=30),
            period_end=end, invoice_date=day, sent_at=None if until is None else noon(day + timedelta(days=until)),
        )  # fmt: skip
        for place, reason in left_out.items():
            if place < len(customers):
                NotProduced.objects.create(
                    reseller=reseller, run=run, customer=customers[place], reason=reason, currency="GBP"
                )
