"""Amounts in one currency: converted in SQL at the rate of each row's own day, never added unconverted.

A row in the currency asked for needs no rate. A row without a rate up to its day has no amount, never the amount at
1.0; a rate older than OLD is used and told.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DateField,
    DecimalField,
    F,
    Func,
    JSONField,
    Max,
    Min,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat, TruncDate

from billing.models import ExchangeRate
from billing.models.exchange import OLD, Quote, dated_quotes
from resellerkpi.core.columns import Code, Column, Date, Decimal, Row, Text, day

RATE = DecimalField(max_digits=38, decimal_places=12)
PLACES = D("0.000000000001")
RATES = "Exchange rates"
OF_ROWS = (
    Code(name="fx_from", label="Billed in", group=RATES, help="The currency the amounts were in."),
    Decimal(
        name="fx_rate", label="Rate", decimals=6, group=RATES, help="Amounts were multiplied by this rate."
    ),
    Date(name="fx_date", label="Rate of", group=RATES, help="The day of the rate: the last one published."),
)
OF_GROUPS = (
    Date(name="fx_first", label="Rates from", group=RATES, help="The day of the earliest rate used."),
    Date(name="fx_last", label="Rates to", group=RATES, help="The day of the latest rate used."),
)
MARK = Text(
    name="fx_mark",
    label="Rates missing or old",
    group=RATES,
    help="Amounts without a rate are left out of the row; a rate more than 7 days old is used and told here.",
)


@dataclass(frozen=True, kw_only=True)
class Billed:
    """Where a query has an amount's currency and day; `instant` says the day is that of an instant."""

    currency: str = "currency"
    date: str
    instant: bool = False


@dataclass
class Rates:
    """What the rows of a run say about their rates."""

    first: date | None = None
    last: date | None = None
    missing: int = 0
    old: int = 0

    def add(self, row: Row) -> None:
        """Take a row into account."""
        if "fx_missing" in row:
            self.missing += row["fx_missing"] or 0
            self.old += row["fx_old"] or 0
        else:
            self.missing += row.get("fx_rate") is None
            self.old += bool(row.get("fx_is_old"))
        for day_ in (row.get("fx_first", row.get("fx_date")), row.get("fx_last", row.get("fx_date"))):
            if day_ is not None:
                self.first = min(self.first or day_, day_)
                self.last = max(self.last or day_, day_)

    def words(self, target: str) -> str:
        """Return the range of days of the rates used."""
        if self.first is None or self.last is None:
            return f"Everything was billed in {target}; no rate was needed"
        if self.first == self.last:
            return f"European Central Bank, {day(self.first)}"
        return f"European Central Bank, {day(self.first)} to {day(self.last)}"

    @property
    def warning(self) -> str:
        """Return what is wrong with the rates, "" for nothing."""
        return mark(self.missing, self.old)


def mark(missing: int, old: int) -> str:
    """Say how many amounts have no rate or an old one, "" for none."""
    found = []
    if missing:
        found.append(f"{missing:,} without a rate, left out")
    if old:
        found.append(f"{old:,} at a rate more than 7 days old")
    return "; ".join(found)


def marked(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows with the mark of what their rates lack."""
    for row in rows:
        if "fx_missing" in row:
            words = mark(row["fx_missing"] or 0, row["fx_old"] or 0)
        else:
            words = "No rate" if row.get("fx_rate") is None else "Old rate" if row.get("fx_is_old") else ""
        yield {**row, "fx_mark": words}


def columns(*, grouped: bool) -> tuple[Column, ...]:
    """Return the columns that tell the rates of rows or of groups."""
    return (*(OF_GROUPS if grouped else OF_ROWS), MARK)


def choices() -> list[tuple[str, str]]:
    """Return the currencies that amounts can be converted to."""
    pairs = ExchangeRate.objects.order_by().values_list("base", "currency").distinct()
    return [("", "As billed"), *((code, code) for code in sorted({code for pair in pairs for code in pair}))]


def with_rates(rows: QuerySet[Any], billed: Billed, target: str, zone: ZoneInfo) -> QuerySet[Any]:
    """Annotate rows with fx_from, fx_rate (to `target`), fx_date (of the older rate used) and fx_is_old.

    One more query asks which currencies and days there are; their rates go along as a constant that each row looks
    itself up in, so that the rate of a row is one look-up, however often its amounts are used.
    """
    on: Any = TruncDate(billed.date, tzinfo=zone) if billed.instant else F(billed.date)
    rows = rows.annotate(fx_from=F(billed.currency), fx_on=on)
    pairs = {pair for pair in rows.order_by().values_list("fx_from", "fx_on").distinct() if all(pair)}
    known = json.dumps(
        {f"{code}{day_}": _told(q, day_) for (code, day_), q in dated_quotes(pairs, target).items()}
    )
    own = Q(fx_from=target)
    return rows.annotate(
        fx_rate=Cast(_Looked(known, place=0), RATE),
        fx_date=Case(When(own, then=None), default=Cast(_Looked(known, place=1), DateField())),
        fx_is_old=Cast(_Looked(known, place=2), BooleanField()),
    )


def _told(quote: Quote | None, on: date) -> list[str | None]:
    if quote is None:
        return [None, None, None]
    return [format(quote.factor.quantize(PLACES), "f"), str(quote.day), str(quote.day < on - OLD)]


class _Looked(Func):
    """One entry of what is known about a row's currency and day, as text."""

    template = "((%(expressions)s) ->> %(place)s)"
    arg_joiner = " -> "
    output_field = CharField()

    def __init__(self, known: str, *, place: int) -> None:
        key = Concat("fx_from", Cast("fx_on", CharField()), output_field=CharField())
        super().__init__(Cast(Value(known), JSONField()), key, place=place)


def told() -> dict[str, Any]:
    """Return the aggregates that tell the rates of a group."""
    return {
        "fx_first": Min("fx_date"),
        "fx_last": Max("fx_date"),
        "fx_missing": Count(Value(1), filter=Q(fx_rate__isnull=True)),
        "fx_old": Count(Value(1), filter=Q(fx_is_old=True)),
    }
