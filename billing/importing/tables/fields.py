"""Fields of an import and how their cells are read: text, choices, dates, exact numbers, references."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self, TypeAlias

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import TextChoices

from billing.importing.refused import FileRefused
from billing.importing.tables.problems import BadMapping
from billing.importing.tables.reading import Cell

YEARS = range(1950, 2200)
YES = {"yes", "y", "true", "t", "1", "on", "x"}
NO = {"no", "n", "false", "f", "0", "off"}
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:[T ].*)?")
_WORDED = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]*[ -,]*(\d{4})")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_SIGNS = str.maketrans("", "", "£$€ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}")
_GUARDED = re.compile(r"'[=+\-@]")
EXCEL_DIGITS = Decimal(10**15)


@dataclass(frozen=True)
class Reading:
    """How values are written in a file: order of dates, decimal mark, country of national phone numbers."""

    date_format: str = ""
    day_first: bool | None = None
    decimal: str = "."
    country: str = "GB"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Take the reading out of a mapping's JSON; raises BadMapping."""
        decimal = data.get("decimal", ".")
        if decimal not in (".", ","):
            raise BadMapping('“decimal” is "." or ",".')
        day_first = data.get("day_first")
        if day_first not in (None, True, False):
            raise BadMapping("“day_first” is true or false.")
        date_format = str(data.get("date_format") or data.get("time_format") or "")
        if date_format and "%" not in date_format:
            raise BadMapping("“date_format” is written like %d/%m/%Y.")
        return cls(date_format=date_format, day_first=day_first, decimal=decimal)


Parser: TypeAlias = Callable[[Cell, Reading], Any]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of an import: its names in files, how a cell is read, what the template says about it.

    `reference` names what the value must exist as (customer, number, dealer, carrier, feature type, tariff).
    """

    name: str
    parse: Parser
    label: str = ""
    required: bool = False
    aliases: tuple[str, ...] = ()
    help: str = ""
    example: str = ""
    reference: str = ""

    @property
    def title(self) -> str:
        """The heading people read."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def names(self) -> tuple[str, ...]:
        """The headings that mean this field, best first."""
        return (self.name, self.title, *self.aliases)


def text(longest: int) -> Parser:
    """Read text of up to a number of characters."""

    def parse(cell: Cell, reading: Reading) -> str:
        value = words(cell)
        if len(value) > longest:
            raise ValueError(f"“{value[:30]}…” is longer than {longest} characters.")
        if "\x00" in value:
            raise ValueError("The text has characters that cannot be stored.")
        return value

    return parse


def words(cell: Cell) -> str:
    """Return a cell as text, exactly as shown; a spreadsheet's guard mark before =, +, - or @ is taken off."""
    if isinstance(cell, Decimal):
        if abs(cell) >= EXCEL_DIGITS:
            raise ValueError("A workbook keeps 15 digits of a number; format this column as text.")
        return format(cell.normalize(), "f")
    if isinstance(cell, str):
        return cell[1:] if _GUARDED.match(cell) else cell
    return cell.isoformat()[:10]


def email(cell: Cell, reading: Reading) -> str:
    """Read an e-mail address."""
    value = words(cell)
    try:
        validate_email(value)
    except ValidationError:
        raise ValueError(f"“{value}” is not an e-mail address.") from None
    if len(value) > 254:
        raise ValueError("The e-mail address is too long.")
    return value


def flag(cell: Cell, reading: Reading) -> bool:
    """Read yes or no."""
    value = words(cell).casefold()
    if value in YES or value in NO:
        return value in YES
    raise ValueError(f"“{value}” is neither yes nor no.")


def choice(choices: type[TextChoices], **also: str) -> Parser:
    """Read one of a list of choices by its code or its label; `also` gives other words for a code."""
    known = {_key(k): str(k) for k in choices.values}
    known |= {_key(str(label)): str(code) for code, label in choices.choices}
    known |= {_key(word): code for word, code in also.items()}
    offered = ", ".join(str(code) for code in choices.values)

    def parse(cell: Cell, reading: Reading) -> str:
        value = words(cell)
        try:
            return known[_key(value)]
        except KeyError:
            raise ValueError(f"“{value}” is none of {offered}.") from None

    return parse


def _key(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.casefold())


def currency(cell: Cell, reading: Reading) -> str:
    """Read a currency code of three letters."""
    value = words(cell).upper()
    if not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError(f"“{value}” is not a currency code such as GBP.")
    return value


def country(cell: Cell, reading: Reading) -> str:
    """Read a country code of two letters."""
    value = words(cell).upper()
    if not re.fullmatch(r"[A-Z]{2}", value):
        raise ValueError(f"“{value}” is not a country code such as GB.")
    return value


def tags(cell: Cell, reading: Reading) -> list[str]:
    """Read words separated by semicolons or commas."""
    found = [word.strip() for word in re.split(r"[;,|]", words(cell)) if word.strip()]
    if any(len(word) > 60 for word in found):
        raise ValueError("One of the words is longer than 60 characters.")
    return list(dict.fromkeys(found))


def day(cell: Cell, reading: Reading) -> date:
    """Read a date: ISO always, else as the file's format or order of day and month says, never guessed."""
    if isinstance(cell, datetime):
        return _sane(cell.date())
    if isinstance(cell, date):
        return _sane(cell)
    value = words(cell)
    try:
        return _sane(_day(value, reading))
    except (ValueError, OverflowError) as error:
        if isinstance(error, FileRefused):
            raise
        wanted = f" like {reading.date_format}" if reading.date_format else "; write it as 2026-11-22"
        raise ValueError(f"“{value}” is not a date{wanted}.") from None


def _day(value: str, reading: Reading) -> date:
    if iso := _ISO.fullmatch(value):
        return date.fromisoformat(iso[1])
    if reading.date_format:
        return datetime.strptime(value, reading.date_format).date()  # noqa: DTZ007  a day has no zone
    if worded := _WORDED.fullmatch(value):
        return datetime.strptime(" ".join(worded.groups()), "%d %b %Y").date()  # noqa: DTZ007  a day has no zone
    slashed = _SLASHED.fullmatch(value)
    if slashed is None:
        raise ValueError(value)
    if reading.day_first is None:
        raise FileRefused(
            f"Dates such as “{value}” can mean day/month or month/day: say which (day_first or date_format)."
        )
    first, second, year = int(slashed[1]), int(slashed[2]), int(slashed[3])
    year += 2000 if len(slashed[3]) == 2 else 0
    return date(year, second, first) if reading.day_first else date(year, first, second)


def _sane(value: date) -> date:
    if value.year not in YEARS:
        raise ValueError(f"{value} is out of range.")
    return value


def exact(
    places: int, *, digits: int = 18, grouped: bool = True, least: int | None = None, most: int | None = None
) -> Parser:
    """Read an exact number with at most so many decimals; `grouped` allows thousands separators."""

    def parse(cell: Cell, reading: Reading) -> Decimal:
        value = cell if isinstance(cell, Decimal) else _number(words(cell), reading, grouped)
        if _decimals(value) > places:
            if not isinstance(cell, Decimal):
                raise ValueError(f"“{words(cell)}” has more than {places} decimals.")
            value = round(value, places)
        if abs(value) >= Decimal(10) ** (digits - places):
            raise ValueError(f"{words(cell)} is too large.")
        if least is not None and value < least:
            raise ValueError(f"{words(cell)} is less than {least}.")
        if most is not None and value > most:
            raise ValueError(f"{words(cell)} is more than {most}.")
        return value

    return parse


def _number(value: str, reading: Reading, grouped: bool) -> Decimal:
    bare = value.translate(_SIGNS).replace("\N{MINUS SIGN}", "-")
    if bare.startswith("(") and bare.endswith(")"):
        bare = "-" + bare[1:-1]
    if reading.decimal == ",":
        bare = bare.translate(str.maketrans(",.", ".,"))
    if grouped and _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    if not _NUMBER.fullmatch(bare):
        other = "," if reading.decimal == "." else "."
        hint = f" Is its decimal mark “{other}”? Then say so." if other in value else ""
        raise ValueError(f"“{value}” is not a number.{hint}")
    return Decimal(bare)


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def whole(least: int = 0, most: int = 2_000_000_000) -> Parser:
    """Read a whole number within limits."""

    def parse(cell: Cell, reading: Reading) -> int:
        value = cell if isinstance(cell, Decimal) else _number(words(cell), reading, grouped=True)
        if value != value.to_integral_value():
            raise ValueError(f"“{words(cell)}” is not a whole number.")
        if not least <= value <= most:
            raise ValueError(f"{words(cell)} must be from {least} to {most}.")
        return int(value)

    return parse
