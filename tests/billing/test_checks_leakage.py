"""Each check of leakage agrees with the same question asked of every row, day by day, in plain Python."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from random import Random
from typing import Any

import pytest

from billing.checks.declare import CHECKS
from billing.checks.register import ask_of
from billing.models import (
    Allocation,
    BillingRun,
    Call,
    Carrier,
    CdrFile,
    Feature,
    FeaturePrice,
    FeatureType,
    Invoice,
    Number,
    NumberAssignment,
    Payment,
    PaymentAttempt,
    Supply,
    Tariff,
    TariffRate,
)
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, make_customer, make_house, rate_batch

TODAY, BILLED, LAST = date(2026, 1, 20), date(2025, 9, 1), date(2025, 12, 1)
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
MONTHS = {"month": 1, "quarter": 3, "year": 12}
PENNY = D("0.01")
Found = dict[tuple[str, str], tuple[date, D, D]]


def days(first: date, end: date) -> Iterator[date]:
    """Yield the days of a half-open range."""
    for n in range((end - first).days):
        yield first + timedelta(days=n)


def length(day: date) -> int:
    """Return how many days a day's month has."""
    return ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day.replace(day=1)).days


def held(row: Any, day: date) -> bool:
    return bool(row.start_date <= day and (row.end_date is None or row.end_date > day))


class World:
    """A small random book: features, numbers, bills and calls, right and wrong ones among them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.house: Reseller = make_house()
        self.own: dict[str, Any] = {"reseller": self.house}
        with enter(Scope.of(self.house.pk)):
            self.carrier = Carrier.objects.create(**self.own, code="V", name="Vale Carrier")
            methods = ["direct_debit", "card", "transfer", "cheque"]
            self.customers = [
                make_customer(self.house, f"C{n}", payment_method=methods[n % 4], is_test=n == 7)
                for n in range(8)
            ]
            self.run = BillingRun.objects.create(
                **self.own,
                name="September",
                period_start=BILLED,
                period_end=date(2025, 10, 1),
                invoice_date=date(2025, 10, 1),
                state=BillingRun.State.SENT,
            )
            self.catalogue()
            self.services()
            self.bills()
            self.calls()

    def day(self, first: date = date(2025, 7, 1), last: date = date(2026, 2, 10)) -> date:
        return first + timedelta(days=self.random.randrange((last - first).days))

    def catalogue(self) -> None:
        """Make types of every interval; some costs rise alone, some with the price."""
        for n, interval in enumerate(["month", "month", "month", "quarter", "year", "once"]):
            kind = FeatureType.objects.create(
                **self.own,
                code=f"T{n}",
                name=f"Type {n}",
                interval=interval,
                kind="line" if n == 0 else "feature",
            )
            price, cost, first = D(self.random.randint(3, 9)), D(self.random.randint(0, 2)), date(2020, 1, 1)
            for step in [date(2025, 8, 1), self.day(date(2025, 9, 1), date(2025, 12, 30)), None]:
                FeaturePrice.objects.create(
                    **self.own, feature_type=kind, price=price, cost=cost, valid_from=first, valid_to=step
                )
                first = step or first
                price += D(self.random.choice([0, 0, 1]))
                cost += self.random.choice([D(0), D("0.5")])

    def services(self) -> None:
        """Give customers features and numbers, with rentals or without, supplied for longer than they had them."""
        types = list(FeatureType.objects.order_by("code"))
        for _ in range(40):
            start = self.day()
            Feature.objects.create(
                **self.own,
                customer=self.random.choice(self.customers),
                feature_type=self.random.choice(types),
                quantity=self.random.randint(1, 3),
                start_date=start,
                end_date=start + timedelta(days=self.random.randint(1, 150))
                if self.random.random() < 0.3
                else None,
                price=self.random.choice([None, None, D(0), D(4)]),
                discount_percent=self.random.choice([0, 0, 100]),
                not_charged=self.random.random() < 0.3,
            )
        for n in range(24):
            number = Number.objects.create(**self.own, number=f"+44{n:04}", monthly_cost=D(n % 3))
            start, customer = self.day(last=date(2025, 12, 20)), self.random.choice(self.customers)
            end = start + timedelta(days=self.random.randint(1, 200)) if self.random.random() < 0.5 else None
            NumberAssignment.objects.create(
                **self.own, number=number, customer=customer, start_date=start, end_date=end
            )
            Supply.objects.create(
                **self.own,
                number=number,
                carrier=self.carrier,
                start_date=start,
                end_date=self.random.choice([None, None, end]),
            )
            if self.random.random() < 0.7:
                Feature.objects.create(
                    **self.own,
                    customer=customer,
                    number=number,
                    feature_type=types[0],
                    start_date=start,
                    end_date=end,
                )

    def bills(self) -> None:
        """Bill customers; some bills are paid, presented, disputed, not due yet."""
        for n in range(40):
            customer, dated = self.random.choice(self.customers), self.day(last=date(2026, 1, 19))
            invoice = Invoice.objects.create(
                **self.own,
                customer=customer,
                number=f"I{n}",
                state="issued",
                invoice_date=dated,
                due_date=dated + timedelta(days=14),
                currency="GBP",
                net=D(100 + n),
                gross=D(100 + n),
                is_disputed=self.random.random() < 0.1,
            )
            if self.random.random() < 0.4:
                amount = self.random.choice([D(30), invoice.gross])
                paid = Payment.objects.create(
                    **self.own,
                    customer=customer,
                    method="transfer",
                    received_date=dated,
                    amount=amount,
                    currency="GBP",
                )
                Allocation.objects.create(
                    **self.own, invoice=invoice, payment=paid, date=dated, amount=amount
                )
            for time in range(self.random.choice([0, 0, 0, 1, 1, 2])):
                outcome = self.random.choice(["failed", "failed", "failed", "cancelled", "pending"])
                at = dated + timedelta(days=10 * time)
                PaymentAttempt.objects.create(
                    **self.own,
                    customer=customer,
                    invoice=invoice,
                    method="direct_debit",
                    presentation=time + 1,
                    submitted_date=at,
                    outcome=outcome,
                    outcome_date=None if outcome == "pending" else at,
                    amount=invoice.gross,
                    currency="GBP",
                )

    def rate(
        self, tariff: Tariff, place: str, price: str, first: date, until: date | None = None
    ) -> TariffRate:
        return TariffRate.objects.create(
            **self.own,
            tariff=tariff,
            key=place,
            destination=place,
            price=D(price),
            valid_from=first,
            valid_to=until,
        )

    def calls(self) -> None:
        """Make calls: without a price, under cost, with a wholesale price that rose while ours stayed or followed."""
        old, rise = date(2020, 1, 1), date(2025, 11, 1)
        retail = Tariff.objects.create(**self.own, name="Retail")
        wholesale = Tariff.objects.create(
            **self.own, name="Wholesale", kind="wholesale", carrier=self.carrier
        )
        self.rates: dict[str, list[tuple[date, TariffRate, TariffRate]]] = {}
        for place, sold, bought, later_sold, later_bought in (
            ("Fair", "0.10", "0.05", "", ""),
            ("Stale", "0.20", "0.05", "", "0.08"),
            ("Followed", "0.20", "0.05", "0.23", "0.08"),
            ("Loss", "0.10", "0.12", "", ""),
            ("Mended", "0.10", "0.12", "0.20", ""),
            ("Sunk", "0.10", "0.08", "", "0.15"),
        ):
            sells = [self.rate(retail, place, sold, old, rise if later_sold else None)]
            buys = [self.rate(wholesale, place, bought, old, rise if later_bought else None)]
            sells += [self.rate(retail, place, later_sold, rise)] if later_sold else []
            buys += [self.rate(wholesale, place, later_bought, rise)] if later_bought else []
            self.rates[place] = [(old, sells[0], buys[0]), (rise, sells[-1], buys[-1])]
        CdrFile.objects.create(
            **self.own, carrier=self.carrier, format="x", name="x", size=1, sha256="x", state="loaded", rows=1,
            unpriced=1, first_call_at=datetime(2025, 8, 1, tzinfo=UTC), last_call_at=NOW,
        )  # fmt: skip
        rate_batch(self.house, *[self.a_call() for _ in range(150)])

    def a_call(self) -> Call:
        day, customer = self.day(date(2025, 8, 2), date(2026, 1, 19)), self.random.choice(self.customers)
        place, seconds = self.random.choice(sorted(self.rates)), self.random.randint(1, 900)
        at = f"{day} {self.random.randint(0, 23):02}:30"
        if self.random.random() < 0.2:
            reason = self.random.choice(["unknown_cli", "no_rate"])
            line = f"0{self.random.randint(1, 3)}"
            about = {
                "cost": D(seconds) / 1000,
                "cost_currency": "GBP",
                "destination": place,
                "billed_party": line,
            }
            return a_call(customer, at, "0", state="error", reason=reason, customer_id=None, **about)
        _, sold, bought = [r for r in self.rates[place] if r[0] <= day][-1]
        price, cost = (rate.price * seconds / 60 for rate in (sold, bought))
        drawn = {"bundle_id": 1} if self.random.random() < 0.1 else {}
        return a_call(
            customer, at, str(price.quantize(D("0.000001"))), rate=sold, cost_rate=bought, duration=seconds,
            cost=cost.quantize(D("0.000001")), cost_currency="GBP", destination=place, **drawn,
        )  # fmt: skip


def price_on(kind: FeatureType, day: date, name: str = "price") -> D:
    for row in FeaturePrice.objects.filter(feature_type=kind):
        if row.valid_from <= day and (row.valid_to is None or row.valid_to > day):
            return D(getattr(row, name))
    return D(0)


def day_by_day(since: date, until: date | None, amount: Any) -> D:
    """Sum what each day from a day on lost, up to the end of the last closed month."""
    end = min(until or date(2026, 1, 1), date(2026, 1, 1))
    return sum((D(amount(day)) / length(day) for day in days(max(since, BILLED), end)), D(0))


def naive_features(wanted: Any, own: Any) -> Found:
    """Price features that are wanted at their own price or the list price of the first of each month."""
    found: dict[str, list[Any]] = defaultdict(lambda: [date.max, D(0), D(0)])
    for f in Feature.objects.select_related("customer", "feature_type").filter(customer__is_test=False):
        every = MONTHS.get(f.feature_type.interval)
        if not every or not wanted(f):
            continue

        def worth(day: date, f: Feature = f, every: int = every) -> D:
            return f.quantity * (own(f) or price_on(f.feature_type, day.replace(day=1))) / every

        row = found[f"{f.customer.code} {f.feature_type.code}"]
        lost_from = max(f.start_date, BILLED)
        ended_unseen = f.end_date is not None and f.end_date <= BILLED
        row[0] = min(row[0], f.start_date if ended_unseen or f.start_date >= date(2026, 1, 1) else lost_from)
        row[1] += worth(LAST) if held(f, TODAY) else 0
        row[2] += day_by_day(f.start_date, f.end_date, worth)
    return {("", subject): (a.replace(day=1), m, t) for subject, (a, m, t) in found.items() if m}


def naive_not_rented() -> Found:
    """Look for numbers in service without a line, where at least half of those alike have one."""
    lines = list(Feature.objects.filter(feature_type__kind="line", number__isnull=False))
    rows = [
        a for a in NumberAssignment.objects.select_related("number", "customer").filter(customer__is_test=False)
        if held(a, TODAY)
    ]  # fmt: skip
    found: Found = {}

    def rented(a: Any) -> bool:
        return any(
            f.number_id == a.number_id and f.customer_id == a.customer_id and held(f, TODAY) for f in lines
        )

    for a in rows:
        alike = [b for b in rows if b.number.monthly_cost == a.number.monthly_cost]
        have = sum(rented(b) for b in alike)
        if rented(a) or not have or have * 2 < len(alike):
            continue
        kind = FeatureType.objects.get(code="T0")

        def worth(day: date, kind: FeatureType = kind) -> D:
            return price_on(kind, day.replace(day=1))

        began = max(a.start_date, BILLED).replace(day=1)
        found["", a.number.number] = (began, worth(LAST), day_by_day(a.start_date, None, worth))
    return found


def naive_missing() -> Found:
    return naive_features(lambda f: f.not_charged, lambda f: f.price) | naive_not_rented()


def naive_free() -> Found:
    def free(f: Any) -> bool:
        gives = f.price == 0 or f.discount_percent == 100
        return bool(not f.not_charged and gives and price_on(f.feature_type, TODAY, "cost") > 0)

    return naive_features(free, lambda f: f.price)


def naive_ceased() -> Found:
    found: Found = {}
    for s in Supply.objects.select_related("number"):
        a = NumberAssignment.objects.get(number=s.number)
        if held(s, TODAY) and a.end_date and a.end_date <= TODAY and s.number.monthly_cost:
            cost = s.number.monthly_cost
            lost = sum((cost / length(day) for day in days(a.end_date, date(2026, 1, 1))), D(0))
            found["", s.number.number] = (a.end_date.replace(day=1), cost, lost)
    return found


def naive_uncollected() -> Found:
    owed: dict[str, list[tuple[Any, D]]] = defaultdict(list)
    for i in Invoice.objects.select_related("customer").filter(is_disputed=False, due_date__lt=TODAY):
        balance = i.gross - sum(a.amount for a in i.allocations.all())
        ours = i.customer.payment_method in ("direct_debit", "card") and not i.customer.is_test
        tries = [a for a in i.attempts.all() if a.outcome != "cancelled"]
        old = [a for a in tries if a.outcome == "failed" and a.outcome_date <= TODAY - timedelta(days=14)]
        if ours and balance > 0 and len(old) == len(tries):
            owed[i.customer.code].append((i, balance))
    found: Found = {}
    for code, bills in owed.items():
        never = [(i, b) for i, b in bills if not i.attempts.exclude(outcome="cancelled").exists()]
        if never and min(i.due_date for i, _ in never) > TODAY - timedelta(days=14):
            bills, never = [pair for pair in bills if pair not in never], []
        if bills:
            latest = max(Invoice.objects.filter(customer__code=code), key=lambda i: (i.invoice_date, i.pk))
            began = min(i.invoice_date for i, _ in bills).replace(day=1)
            found["", code] = (began, latest.gross if never else D(0), sum((b for _, b in bills), D(0)))
    return found


def naive_unrated() -> Found:
    found: dict[str, list[Any]] = {}
    for call in Call.objects.filter(state="error"):
        subject = call.destination if call.reason == "no_rate" else call.billed_party
        row = found.setdefault(subject, [date.max, D(0), D(0)])
        month = call.started_at.date().replace(day=1)
        row[0], row[2] = min(row[0], month), row[2] + call.cost
        row[1] += call.cost if month == LAST else 0
    return {("", subject): (a, m, t) for subject, (a, m, t) in found.items()}


def naive_destinations(wanted: dict[str, date], lost: Any) -> Found:
    """Sum what the priced calls outside allowances to some places lost from a day on."""
    found: Found = {}
    for place, since in wanted.items():
        calls = [
            c for c in Call.objects.filter(state="rated", bundle=None, destination=place)
            if c.started_at.date() >= since
        ]  # fmt: skip
        last = [c for c in calls if c.started_at.date().replace(day=1) == LAST]
        began = min(c.started_at.date().replace(day=1) for c in calls)
        found["", place] = (began, sum(map(lost, last), D(0)), sum(map(lost, calls), D(0)))
    return found


def naive_below() -> Found:
    always, rise = date(2020, 1, 1), date(2025, 11, 1)
    return naive_destinations({"Loss": always, "Sunk": rise}, lambda c: c.cost - c.retail)


def naive_stale() -> Found:
    found = naive_destinations({"Stale": date(2025, 11, 1)}, lambda c: c.cost * 3 / 8)
    for kind in FeatureType.objects.exclude(interval="once"):
        rows = list(
            FeaturePrice.objects.filter(feature_type=kind, valid_from__lte=TODAY).order_by("valid_from")
        )
        begins = max(n for n, row in enumerate(rows) if n == 0 or row.price > rows[n - 1].price)
        base, cur = rows[begins].cost, rows[-1].cost
        rises = [row for row in rows[begins:] if base and row.cost > base]
        every = MONTHS[kind.interval]
        using = list(kind.features.filter(customer__is_test=False))
        if not rises or cur <= base or not any(held(f, TODAY) for f in using):
            continue

        def lost(first: date, kind: FeatureType = kind, using: Any = using, base: D = base, every: int = every,
                 rises: Any = rises) -> D:  # fmt: skip
            total = D(0)
            for day in days(first, date(2026, 1, 1)):
                quantity = sum(f.quantity for f in using if held(f, day))
                total += quantity * (price_on(kind, day, "cost") - base) / length(day) / every
            return total

        first = rises[0].valid_from
        found["", kind.code] = (first.replace(day=1), lost(max(first, LAST)), lost(max(first, BILLED)))
    return found


NAIVE = {
    "missing_recurring": naive_missing,
    "free_by_mistake": naive_free,
    "ceased_still_supplied": naive_ceased,
    "uncollected": naive_uncollected,
    "unrated_calls": naive_unrated,
    "below_cost": naive_below,
    "stale_pricing": naive_stale,
}


def rounded(found: Found) -> dict[str, tuple[date, D, D]]:
    return {
        subject: (since, monthly.quantize(PENNY, ROUND_HALF_UP), to_date.quantize(PENNY, ROUND_HALF_UP))
        for (_, subject), (since, monthly, to_date) in found.items()
    }


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_every_check_of_leakage_agrees_with_asking_every_row(seed: int) -> None:
    world = World(seed)
    with enter(Scope.of(world.house.pk)):
        for slug, naive in NAIVE.items():
            check = CHECKS.get(slug)
            found = list(check.find(ask_of(world.house, check, now=NOW)))
            got: Found = {
                ("", f.subject): (f.period, f.money_per_month or D(0), f.money_to_date or D(0)) for f in found
            }
            assert (slug, rounded(got)) == (slug, rounded(naive()))
            assert len(found) == len(got) > 0


def test_every_check_of_leakage_has_its_naive_twin() -> None:
    assert {c.slug for c in CHECKS if c.family == "leakage"} == set(NAIVE)
