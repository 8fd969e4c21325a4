"""Charges features day by day and bills month by month with fractions: the naive oracle of bills (docs/money.md)."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.billing.naive_book import NaiveBook, Row, holds
from tests.billing.naive_calls import Priced
from tests.oracles import naive_round

MONTHS = {"month": 1, "quarter": 3, "year": 12}
ONE_DAY = timedelta(days=1)
WORDS = {"voice": "Calls", "sms": "Messages", "data": "Data"}


@dataclass
class Line:
    """A line of a bill, or a charge that waits for one."""

    kind: str
    description: str
    number: int | None
    start: date
    end: date
    quantity: Fraction
    net: Decimal
    vat_rate: Decimal
    cost: Fraction
    calls: int = 0
    seconds: int = 0
    currency: str = ""
    due: date = date.min
    unit: Fraction = Fraction(0)
    period: tuple[date, date] = (date.min, date.max)

    def shown(self) -> tuple[Any, ...]:
        """Return what a bill's line says."""
        return (
            self.kind, self.description, self.number or 0, self.start, self.end, self.quantity, self.net,
            self.vat_rate, self.cost, self.calls, self.seconds,
        )  # fmt: skip


def money(exact: Fraction, places: int = 2) -> Decimal:
    """Round half-up, away from zero."""
    rounded = naive_round(exact, places, 0)
    return Decimal(rounded.numerator) / Decimal(rounded.denominator)


def minor(currency: str) -> int:
    """Return the places of a currency."""
    return 0 if currency == "JPY" else 2


def next_month(day: date) -> date:
    """Return the first day of the next month."""
    return day.replace(day=1) + timedelta(days=monthrange(day.year, day.month)[1])


@dataclass
class NaiveFeature:
    """A feature, the charge that each charged day belongs to, and whether its one-off charge was made."""

    row: Row
    days: dict[date, Line] = field(default_factory=dict)
    begun: bool = False
    left: bool = False

    def charges(self, until: date, book: NaiveBook) -> Iterator[Line]:
        """Yield what is to be charged or credited by a day and is not yet."""
        kind = book.featuretypes[self.row["feature_type_id"]]
        if self.row["not_charged"] or self.row["start_date"] > until:
            return
        if not self.begun:
            self.begun = True
            yield from self.beginning(kind, book)
        if kind["interval"] == "once":
            return
        assert kind["prorate"] == "actual"
        yield from self.credits(kind, book)
        yield from self.leaving_early(until, book)
        for period, served in self.periods(kind, until, book):
            yield from self.part(kind, period, served, book)

    def beginning(self, kind: Row, book: NaiveBook) -> Iterator[Line]:
        """Yield the activation of what has a fee, and the price of what is charged once."""
        start = self.row["start_date"]
        span = (start, start + ONE_DAY)
        follows = self.row["continues_id"] is not None
        if kind["activation_fee"] and not follows:
            fee = (Fraction(kind["activation_fee"]), Fraction(0))
            line = self.line("one_off", f"Activation of {kind['name']}", span, fee, Fraction(1), start, book)
            if line.net:
                yield line
        if kind["interval"] == "once" and not follows:
            unit = self.price(start, book)
            if unit is not None:
                yield self.line("one_off", kind["name"], span, unit, Fraction(1), start, book)

    def credits(self, kind: Row, book: NaiveBook) -> Iterator[Line]:
        """Yield the credit of each run of charged days that are no longer served, at the price they were charged at."""
        end = self.row["end_date"] or date.max
        surplus = sorted(day for day in self.days if not self.row["start_date"] <= day < end)
        for run in runs(surplus, lambda day: id(self.days[day])):
            old = self.days[run[0]]
            share = Fraction(len(run), (old.period[1] - old.period[0]).days)
            cost = (self.price(run[0], book) or (Fraction(0), Fraction(0)))[1]
            span = (run[0], run[-1] + ONE_DAY)
            credit = self.line(
                "credit", f"Credit: {kind['name']}", span, (old.unit, cost), share, run[0], book
            )
            credit.net, credit.cost, credit.quantity = -credit.net, -credit.cost, old.quantity
            for day in run:
                del self.days[day]
            yield credit

    def leaving_early(self, until: date, book: NaiveBook) -> Iterator[Line]:
        """Yield, once, the share of the rest of the minimum term that ending inside it costs."""
        row, end, term = self.row, self.row["end_date"], self.row["minimum_term_end"]
        kind = book.featuretypes[row["feature_type_id"]]
        percent = Fraction(row["termination_percent"])
        continued = any(other["continues_id"] == row["id"] for other in book.features.values())
        if end is None or end > until or self.left or not percent or continued or not term or end >= term:
            return
        self.left = True
        shares = sum(
            (
                Fraction(len([day for day in every_day(*served) if day >= end]), (period[1] - period[0]).days)
                for period, served in self.periods(kind, date.max, book, stop=term)
            ),
            Fraction(0),
        )
        price = self.price(end - ONE_DAY, book)
        assert price is not None
        line = self.line(
            "one_off", f"Early-termination charge: {kind['name']}", (end, end + ONE_DAY),
            (price[0] * percent / 100, Fraction(0)), shares, end, book,
        )  # fmt: skip
        line.quantity = Fraction(1)
        yield line

    def periods(
        self, kind: Row, until: date, book: NaiveBook, stop: date | None = None
    ) -> Iterator[tuple[tuple[date, date], tuple[date, date]]]:
        """Yield each period due by a day with the days of it that are served."""
        anchor = book.customers[self.row["customer_id"]]["billing_day"]
        months, start = MONTHS[kind["interval"]], self.row["start_date"]
        origin, stop = self.origin(book), stop or self.row["end_date"] or date.max
        first = clamped(origin, anchor)
        first = first if first >= origin else clamped(add_months(first, months), anchor)
        begin, number = first, 0
        if first > origin:
            begin, number = clamped(add_months(first, -months), first.day), -1
        while True:
            end = clamped(add_months(first, months * (number + 1)), anchor)
            served = (max(begin, start), min(end, stop))
            due = served[0] if kind["timing"] == "advance" else served[1]
            if begin > until or begin >= stop:
                return
            if due <= until and served[0] < served[1]:
                yield (begin, end), served
            begin, number = end, number + 1

    def origin(self, book: NaiveBook) -> date:
        """Return the day the periods are counted from: that of the feature it continues, if of the same rhythm."""
        row = self.row
        while row["continues_id"]:
            before = book.features[row["continues_id"]]
            kinds = [book.featuretypes[each["feature_type_id"]] for each in (before, row)]
            rhythms = {(kind["interval"], kind["timing"], kind["prorate"]) for kind in kinds}
            if len(rhythms) > 1 or before["not_charged"]:
                break
            row = before
        return row["start_date"]

    def part(
        self, kind: Row, period: tuple[date, date], served: tuple[date, date], book: NaiveBook
    ) -> Iterator[Line]:
        """Yield a charge for each run of days of one price that are not charged yet."""
        missing = [day for day in every_day(*served) if day not in self.days]
        for run in runs(missing, lambda day: self.price_row(day, book)):
            unit = self.price(run[0], book)
            if unit is None:
                continue
            share = Fraction(len(run), (period[1] - period[0]).days)
            due = served[0] if kind["timing"] == "advance" else served[1]
            line = self.line("recurring", kind["name"], (run[0], run[-1] + ONE_DAY), unit, share, due, book)
            line.period = period
            self.days |= dict.fromkeys(run, line)
            yield line

    def price_row(self, day: date, book: NaiveBook) -> int:
        """Return the id of the list price in force on a day, 0 for none."""
        listed = book.prices_of[self.row["feature_type_id"]]
        return next((row["id"] for row in listed if holds(row, day, "valid_from", "valid_to")), 0)

    def price(self, day: date, book: NaiveBook) -> tuple[Fraction, Fraction] | None:
        """Return price, less the discount, and cost of one on a day; None when there is no price."""
        listed = book.featureprices.get(self.price_row(day, book))
        own, own_cost = self.row["price"], self.row["cost"]
        if own is None and listed is None:
            return None
        price = Fraction(own if own is not None else listed["price"])
        cost = Fraction(own_cost if own_cost is not None else listed["cost"] if listed else 0)
        return price * (1 - Fraction(self.row["discount_percent"]) / 100), cost

    def line(
        self, what: str, text: str, span: tuple[date, date], unit: tuple[Fraction, Fraction], share: Fraction,
        due: date, book: NaiveBook,
    ) -> Line:  # fmt: skip
        """Make a charge of a share of price and cost; the amount is rounded here and only here."""
        kind, customer = (
            book.featuretypes[self.row["feature_type_id"]],
            book.customers[self.row["customer_id"]],
        )
        count = Fraction(self.row["quantity"])
        return Line(
            kind=what, description=text, number=self.row["number_id"], start=span[0], end=span[1], quantity=count,
            net=money(unit[0] * count * share, minor(kind["currency"])), vat_rate=customer["vat_rate"],
            cost=Fraction(money(unit[1] * count * share, 6)), currency=kind["currency"], due=due, unit=unit[0],
        )  # fmt: skip


class NaiveBiller:
    """Bills everything unbilled of each customer at the end of each month."""

    def __init__(self, book: NaiveBook, calls: list[Priced]) -> None:
        """Wait with all calls and features."""
        self.book, self.billed, self.taken = book, set[int](), set[int]()
        self.calls: dict[int, list[Priced]] = defaultdict(list)
        self.await_calls(calls)
        self.features = {id_: [NaiveFeature(row) for row in book.features_of[id_]] for id_ in book.customers}
        self.waiting: dict[int, list[Line]] = defaultdict(list)

    def await_calls(self, calls: list[Priced]) -> None:
        """Wait with the priced calls that are on no bill."""
        for out in calls:
            if out.state in ("rated", "zero") and out.customer and out.call["id"] not in self.billed:
                self.calls[out.customer].append(out)

    def follow(self, book: NaiveBook, calls: list[Priced]) -> None:
        """Go on with a book that has changed; calls billed already stay billed."""
        known = {feature.row["id"]: feature for mine in self.features.values() for feature in mine}
        self.book, self.calls = book, defaultdict(list)
        self.await_calls(calls)
        for customer in book.customers:
            mine = [known.get(row["id"], NaiveFeature(row)) for row in book.features_of[customer]]
            self.features[customer] = mine
            for feature in mine:
                feature.row = book.features[feature.row["id"]]

    def run(self, month: date) -> dict[tuple[int, str], list[Line]]:
        """Return the lines of each bill of a month by customer and currency; what is not billed waits."""
        end, bills = next_month(month), {}
        for customer in self.book.customers.values():
            mine = self.waiting[customer["id"]]
            for feature in self.features[customer["id"]]:
                mine += feature.charges(end, self.book)
            mine += self.entered(customer, end)
            if customer["is_test"]:
                continue
            calls = [out for out in self.calls[customer["id"]] if out.day < end]
            due = [line for line in mine if line.due <= end]
            for currency in {*(money_of(out, customer) for out in calls), *(line.currency for line in due)}:
                used = [out for out in calls if money_of(out, customer) == currency]
                charged = [line for line in due if line.currency == currency]
                lines = [*usage_lines(used, customer, currency), *charged]
                if (not charged and not any(line.net for line in lines)) or customer["on_hold"]:
                    continue
                net, vat, gross = totals(lines, currency)
                if gross < 0 or net < customer["minimum_invoice"]:
                    continue
                bills[customer["id"], currency] = lines
                self.billed |= {out.call["id"] for out in used}
                gone = {id(item) for item in (*used, *charged)}
                self.calls[customer["id"]] = [
                    out for out in self.calls[customer["id"]] if id(out) not in gone
                ]
                self.waiting[customer["id"]] = mine = [line for line in mine if id(line) not in gone]
        return bills

    def entered(self, customer: Row, end: date) -> Iterator[Line]:
        """Yield, once, the charges that somebody entered or passed on: their amounts are facts, not worked out."""
        for row in self.book.given[customer["id"]]:
            if row["bill_date"] <= end and row["id"] not in self.taken:
                self.taken.add(row["id"])
                rate = customer["vat_rate"] if row["vat_rate"] is None else row["vat_rate"]
                yield Line(
                    row["kind"], row["description"], row["number_id"], row["service_start"], row["service_end"],
                    Fraction(row["quantity"]), row["amount"], rate, Fraction(row["cost"]),
                    currency=row["currency"], due=row["bill_date"],
                )  # fmt: skip


def usage_lines(calls: list[Priced], customer: Row, currency: str) -> list[Line]:
    """Return a line for each number, service and class; its calls are added up exactly and rounded once."""
    groups: dict[tuple[int, str, str], list[Priced]] = defaultdict(list)
    for out in calls:
        groups[out.number, out.call["service"], out.call_class].append(out)
    lines = []
    for (number, service, call_class), mine in groups.items():
        costs = [out.call["cost"] if out.call["cost"] is not None else out.expected for out in mine]
        volume = sum((Fraction(out.call["volume"]) for out in mine), Fraction(0))
        lines.append(
            Line(
                kind="usage",
                description=WORDS[service] + (f": {call_class}" if call_class else ""),
                number=number,
                start=min(out.day for out in mine),
                end=max(out.day for out in mine) + ONE_DAY,
                quantity=volume if service == "data" else Fraction(len(mine)),
                net=money(sum((out.retail for out in mine), Fraction(0)), minor(currency)),
                vat_rate=customer["vat_rate"],
                cost=sum((Fraction(cost or 0) for cost in costs), Fraction(0)),
                calls=len(mine),
                seconds=sum(out.billed for out in mine),
            )
        )
    return lines


def vat_of(lines: list[Line], currency: str) -> dict[Decimal, tuple[Decimal, Decimal]]:
    """Return net and VAT for each rate: the rate of the rate's net, rounded half-up once."""
    nets: dict[Decimal, Decimal] = defaultdict(Decimal)
    for line in lines:
        nets[line.vat_rate] += line.net
    return {
        rate: (net, money(Fraction(net) * Fraction(rate) / 100, minor(currency)))
        for rate, net in nets.items()
    }


def totals(lines: list[Line], currency: str) -> tuple[Decimal, Decimal, Decimal]:
    """Return net, VAT and gross of a bill."""
    rates = vat_of(lines, currency).values()
    net, vat = sum((net for net, _ in rates), Decimal(0)), sum((vat for _, vat in rates), Decimal(0))
    return net, vat, net + vat


def money_of(out: Priced, customer: Row) -> str:
    """Return the currency a call is billed in; a call priced by no tariff goes with the customer's own."""
    return str(out.tariff["currency"]) if out.tariff else str(customer["currency"])


def runs(days: list[date], same: Any) -> Iterator[list[date]]:
    """Yield the runs of days that follow each other and are the same."""
    run: list[date] = []
    for day in days:
        if run and (day - run[-1] != ONE_DAY or same(day) != same(run[-1])):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def every_day(start: date, end: date) -> Iterator[date]:
    """Yield each day of a half-open range."""
    while start < end:
        yield start
        start += ONE_DAY


def add_months(day: date, months: int) -> date:
    """Return the first of the month so many months on."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def clamped(day: date, anchor: int) -> date:
    """Return the anchor day of the month of a day, or the month's last."""
    return day.replace(day=min(anchor, monthrange(day.year, day.month)[1]))
