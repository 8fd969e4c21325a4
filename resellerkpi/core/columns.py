"""Columns, declared once: label, unit, total, who may see them, and how each output shows them.

A column reads `name` from a row (any mapping). Money columns name the row's currency field. A figure with `parts` is
a ratio: it carries the names of its numerator and denominator so that totals divide sums, never average ratios. A
`level` is how things stand at the end of a row (a balance, a number of customers): it means something of a group and
can be compared, but rows of it are never summed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal as D
from typing import Any, ClassVar

from babel.numbers import format_decimal

from resellerkpi.core.access import Capability
from resellerkpi.core.money import places

LOCALE = "en_GB"
SUM = "sum"
MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
#: A column's `url` when each row says itself where it leads: `<name>_url` names the page, `<name>_id` its row.
BY_ROW = "*"
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table, report or export."""

    name: str
    label: str = ""
    help: str = ""
    source: str = ""
    total: str | None = None
    level: bool = False
    needs: Capability | None = None
    group: str = ""
    url: str = ""
    sortable: bool = True
    hidden: bool = False
    parts: tuple[str, ...] | None = None

    kind: ClassVar[str] = "text"
    align: ClassVar[str] = "left"
    excel_format: ClassVar[str] = "@"

    @property
    def title(self) -> str:
        """The heading people read."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def has_total(self) -> bool:
        """Whether a total row says something: a sum, or a ratio of sums; of levels and their changes it is silent."""
        return bool(self.total or self.parts) and not self.level

    @property
    def path(self) -> str:
        """The queryset lookup the value comes from."""
        return self.source or self.name

    @property
    def cell_format(self) -> str:
        """The number format of a spreadsheet cell."""
        return self.excel_format

    def value(self, row: Row) -> Any:
        """Return the raw typed value of a row; of a ratio, None when its denominator is zero or missing."""
        return row.get(self.name) if self.parts is None else ratio(row, *self.parts)

    def display(self, row: Row) -> str:
        """Return the value as people read it on a page or in a mail."""
        value = self.value(row)
        return DASH if value is None or value == "" else str(value)

    def cell(self, row: Row) -> Any:
        """Return the value for a spreadsheet cell (typed)."""
        value = self.value(row)
        return None if value is None else str(value)

    def json(self, row: Row) -> Any:
        """Return the value for JSON (money and decimals as strings, dates ISO)."""
        value = self.value(row)
        return value if value is None or isinstance(value, bool | int | str) else str(value)


class Text(Column):
    """Words."""


class Words(Text):
    """A sentence: a table gives it the room to be read."""

    kind: ClassVar[str] = "words"


class Code(Column):
    """Phone numbers, account codes, references: always text, leading zeros and + kept."""

    kind: ClassVar[str] = "code"


@dataclass(frozen=True, kw_only=True)
class Choice(Column):
    """A stored code shown by its label; `choices` are (value, label) pairs."""

    choices: Sequence[tuple[Any, str]] = ()
    kind: ClassVar[str] = "choice"

    def display(self, row: Row) -> str:
        """Return the label of the stored value."""
        value = self.value(row)
        return dict(self.choices).get(value, DASH if value in (None, "") else str(value))

    def cell(self, row: Row) -> Any:
        """Return the label for a cell."""
        return self.display(row) if self.value(row) not in (None, "") else None


class Flag(Column):
    """Yes or no."""

    kind: ClassVar[str] = "flag"

    def display(self, row: Row) -> str:
        """Return Yes or No."""
        return {True: "Yes", False: "No"}.get(self.value(row), DASH)

    def cell(self, row: Row) -> Any:
        """Return Yes or No."""
        return {True: "Yes", False: "No"}.get(self.value(row))


class Number(Column):
    """Base of right-aligned figures."""

    kind: ClassVar[str] = "number"
    align: ClassVar[str] = "right"
    excel_format: ClassVar[str] = "#,##0"

    def cell(self, row: Row) -> Any:
        """Return the number itself."""
        return self.value(row)


class Int(Number):
    """A whole number."""

    kind: ClassVar[str] = "int"

    def display(self, row: Row) -> str:
        """Return the number with thousands separators."""
        value = self.value(row)
        return DASH if value is None else figure(value, 0)


@dataclass(frozen=True, kw_only=True)
class Decimal(Number):
    """A number with fixed decimals and an optional unit in the head."""

    decimals: int = 2
    unit: str = ""
    kind: ClassVar[str] = "decimal"
    excel_format: ClassVar[str] = "#,##0.00"

    def display(self, row: Row) -> str:
        """Return the number with its fixed decimals."""
        value = self.value(row)
        return DASH if value is None else figure(value, self.decimals)


@dataclass(frozen=True, kw_only=True)
class Money(Number):
    """An amount; `currency` names the row's currency field or is a fixed code such as "=GBP".

    `decimals` None means the currency's own places; call prices use more.
    """

    currency: str = "currency"
    decimals: int | None = None
    kind: ClassVar[str] = "money"
    excel_format: ClassVar[str] = "#,##0.00"

    def currency_of(self, row: Row) -> str:
        """Return the row's currency code."""
        return self.currency[1:] if self.currency.startswith("=") else str(row.get(self.currency) or "")

    def display(self, row: Row) -> str:
        """Return the amount with separators; the currency stands in its own column or the head."""
        value, currency = self.value(row), self.currency_of(row)
        if value is None:
            return DASH
        decimals = self.decimals if self.decimals is not None else places(currency or "GBP")
        return figure(value, decimals)


@dataclass(frozen=True, kw_only=True)
class Percent(Number):
    """A ratio in per cent; without `parts` the value is the ratio itself (0.05 is 5 %); `absent` stands for none."""

    decimals: int = 1
    absent: str = "n/a"
    kind: ClassVar[str] = "percent"
    excel_format: ClassVar[str] = "0.0%"

    def display(self, row: Row) -> str:
        """Return the ratio in per cent."""
        value = self.value(row)
        return self.absent if value is None else f"{figure(D(value) * 100, self.decimals)}\N{NO-BREAK SPACE}%"


class Growth(Percent):
    """A change by the size of what was before: `parts` are the change and the figure before."""

    def value(self, row: Row) -> Any:
        """Return the change divided by the figure before without its sign, so that up is never negative."""
        change, before = (row.get(part) for part in self.parts or ())
        return None if change is None or not before else D(change) / abs(D(before))


@dataclass(frozen=True, kw_only=True)
class Points(Number):
    """A change between two ratios; `parts` are those of the later and the earlier one, `scale` 100 is in points."""

    decimals: int = 1
    scale: int = 100
    kind: ClassVar[str] = "decimal"
    excel_format: ClassVar[str] = "#,##0.00"

    def value(self, row: Row) -> Any:
        """Return the later ratio less the earlier one, scaled; None when either is missing."""
        parts = self.parts or ()
        now, before = ratio(row, *parts[:2]), ratio(row, *parts[2:])
        return None if now is None or before is None else (now - before) * self.scale

    def display(self, row: Row) -> str:
        """Return the points with their fixed decimals."""
        value = self.value(row)
        return "n/a" if value is None else figure(value, self.decimals)


class Minutes(Number):
    """Seconds, shown as hours, minutes and seconds; exported as minutes."""

    kind: ClassVar[str] = "minutes"
    excel_format: ClassVar[str] = "#,##0.00"

    def display(self, row: Row) -> str:
        """Return seconds as h:mm:ss."""
        value = self.value(row)
        if value is None:
            return DASH
        minutes, seconds = divmod(abs(int(value)), 60)
        hours, minutes = divmod(minutes, 60)
        sign = MINUS if int(value) < 0 else ""
        return f"{sign}{figure(hours, 0)}:{minutes:02d}:{seconds:02d}"

    def cell(self, row: Row) -> Any:
        """Return minutes as a decimal number."""
        value = self.value(row)
        return None if value is None else (D(int(value)) / 60).quantize(D("0.01"))


class Date(Column):
    """A day."""

    kind: ClassVar[str] = "date"
    excel_format: ClassVar[str] = "dd mmm yyyy"

    def display(self, row: Row) -> str:
        """Return "22 Nov 2026"."""
        return day(self.value(row))

    def cell(self, row: Row) -> Any:
        """Return the date itself."""
        return self.value(row)


BUCKET_FORMATS = {"year": "yyyy", "month": "mmm yyyy"}


@dataclass(frozen=True, kw_only=True)
class Bucket(Date):
    """A year, quarter, month, ISO week or day, held as its first day."""

    grain: str = "month"

    @property
    def cell_format(self) -> str:
        """The format of a cell: the year or month alone where a spreadsheet can say it."""
        return BUCKET_FORMATS.get(self.grain, self.excel_format)

    def display(self, row: Row) -> str:
        """Return "2026", "Q4 2026", "Nov 2026", "Week of 23 Nov 2026" or "22 Nov 2026"."""
        return bucket(self.value(row), self.grain)


@dataclass(frozen=True, kw_only=True)
class DateTime(Column):
    """An instant, shown in the zone the row's values were converted to; to the minute where seconds say nothing."""

    seconds: bool = True

    kind: ClassVar[str] = "datetime"
    excel_format: ClassVar[str] = "dd mmm yyyy hh:mm:ss"

    def display(self, row: Row) -> str:
        """Return "22 Nov 2026 14:03:09", or "22 Nov 2026 14:03"."""
        value = self.value(row)
        return (
            DASH
            if value is None
            else f"{day(value.date())} {value:{'%H:%M:%S' if self.seconds else '%H:%M'}}"
        )

    def cell(self, row: Row) -> Any:
        """Return the naive local date-time: spreadsheets have no zones."""
        value: datetime | None = self.value(row)
        return None if value is None else value.replace(tzinfo=None)


def figure(value: Any, decimals: int) -> str:
    """Return a number with thousands separators, fixed decimals and a true minus, rounded half-up."""
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    rounded = round_for_display(D(str(value)) if isinstance(value, float) else D(value), decimals)
    return format_decimal(rounded, format=pattern, locale=LOCALE).replace("-", MINUS)


def round_for_display(value: D, decimals: int) -> D:
    """Round half-up for the eye only; a rounded zero loses its sign."""
    rounded = value.quantize(D(1).scaleb(-decimals), rounding="ROUND_HALF_UP")
    return abs(rounded) if rounded == 0 else rounded


def day(value: date | None) -> str:
    """Return a day as "22 Nov 2026" or a dash."""
    return DASH if value is None else f"{value.day} {value:%b} {value.year}"


def bucket(first: date | None, grain: str) -> str:
    """Return the name of the year, quarter, month, week or day that begins on a day."""
    if first is None or grain not in ("year", "quarter", "month", "week"):
        return day(first)
    return {
        "year": f"{first.year}",
        "quarter": f"Q{(first.month + 2) // 3} {first.year}",
        "month": f"{first:%b} {first.year}",
        "week": f"Week of {day(first)}",
    }[grain]


def ratio(row: Row, top: str, bottom: str) -> D | None:
    """Return one field of a row divided by another, None when the divisor is zero or either is missing."""
    above, below = row.get(top), row.get(bottom)
    return None if above is None or not below else D(above) / D(below)


def visible(columns: Iterable[Column], capabilities: frozenset[Capability]) -> list[Column]:
    """Return the columns a holder of these capabilities may see: the only place where redaction happens."""
    return [c for c in columns if c.needs is None or c.needs in capabilities]


def totals(columns: Sequence[Column], rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return total rows, one per currency where money is summed: sums of `total=SUM` columns, ratios from parts."""
    summed = [c for c in columns if c.total == SUM]
    parts = [p for c in columns if c.has_total for p in c.parts or ()]
    keys = {c.name for c in summed} | set(parts)
    money = next((c for c in summed if isinstance(c, Money)), None)
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        currency = money.currency_of(row) if money else ""
        total = found.setdefault(currency, dict.fromkeys(keys, 0) | {"rows": 0})
        total["rows"] += 1
        for key in keys:
            total[key] += 0 if row.get(key) is None else row[key]
        if money and not money.currency.startswith("="):
            total[money.currency] = currency
    return [found[c] for c in sorted(found)]
