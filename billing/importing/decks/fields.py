"""The fields of a rate deck, and the layouts of several prices on one line."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from billing.importing.tables.fields import Field, Reading, choice, day, exact, text, whole, words
from billing.importing.tables.kind import Kind
from billing.importing.tables.mapping import Mapping
from billing.importing.tables.problems import BadMapping
from billing.importing.tables.reading import Cell
from billing.models import TariffRate

BANDS = {"peak": "1", "off_peak": "2", "weekend": "3"}
ANY = ("any", "*", "")
_PREFIX = re.compile(r"\^?\+?(\d{1,40})(?:\.\*)?")
_INCREMENTS = re.compile(r"(\d{1,5})\s*[/:-]\s*(\d{1,5})")


@dataclass(frozen=True)
class PriceColumn:
    """A price on a deck's line: the fields that hold it and its fee, and the service and band that it is for."""

    price: str
    fee: str
    service: str = ""
    band: str = ""
    call_class: str = ""


def prefixes(cell: Cell, reading: Reading) -> tuple[str, ...]:
    """Read one or several prefixes: digits, +digits or ^digits.*; nothing else is taken as a pattern."""
    value = words(cell)
    if value.casefold() in ANY:
        return ("",)
    found = []
    for part in re.split(r"[,;\s]+", value):
        match = _PREFIX.fullmatch(part)
        if match is None:
            raise ValueError(f"“{part}” is not a prefix; only digits, +digits and ^digits.* are.")
        if match[1].startswith("0"):
            raise ValueError(f"“{part}” starts with 0; write prefixes with the country code, such as 44.")
        found.append(match[1])
    return tuple(dict.fromkeys(found))


def increments(cell: Cell, reading: Reading) -> tuple[int, int]:
    """Read initial and next increment: 60/60, 30/6, or one figure for both."""
    value = words(cell)
    match = _INCREMENTS.fullmatch(value)
    if match:
        first, following = int(match[1]), int(match[2])
    elif value.isdigit() and len(value) <= 5:
        first = following = int(value)
    else:
        raise ValueError(f"“{value}” is not an increment; write it as 60/60 or 6.")
    if not first or not following:
        raise ValueError("An increment is at least 1 second.")
    return first, following


_MONEY = exact(8, grouped=False, least=0)
_STEP = whole(1, 86_400)
_ACTIONS = {"i": "set", "a": "set", "u": "set", "add": "set", "insert": "set", "update": "set", "new": "set",
            "set": "set", "": "set", "d": "end", "delete": "end", "end": "end", "blocked": "end"}  # fmt: skip


_BAND = text(12)
#: Words for a band in decks that have a line for each: any time, and those of the columns peak, off peak, weekend.
_BAND_WORDS = {"flat": "", "any": "", "all": "", "peak": "peak", "offpeak": "off_peak", "weekend": "weekend"}


def _band(cell: Cell, reading: Reading) -> str:
    """Read a time band: its code, or one of the usual words for it."""
    value: str = _BAND(cell, reading)
    return _BAND_WORDS.get(re.sub(r"[^a-z]", "", value.casefold()), value)


def _action(cell: Cell, reading: Reading) -> str:
    value = words(cell).strip().casefold()
    if value not in _ACTIONS:
        raise ValueError(f"“{value}” is no action; a deck adds (A, I) or ends (D).")
    return _ACTIONS[value]


FIELDS = (
    Field(name="prefix", parse=prefixes, example="4477",
          aliases=("code", "code1", "pattern", "dial code", "dialcode", "area code", "area prefix", "prefixes",
                   "destination prefixes"),
          help="Digits with the country code; several may be separated by commas. “any” stands for every number."),
    Field(name="prefix_to", parse=prefixes, aliases=("code2", "prefix to", "last prefix"), example="",
          help="Where the line is for a range of prefixes of one length: the last one."),
    Field(name="charge_code", parse=text(40), aliases=("chargecode", "rate code"), example="",
          help="Instead of a prefix: the supplier's code as its call files carry it."),
    Field(name="destination", parse=text(120), example="United Kingdom mobile",
          aliases=("destination name", "description", "comment", "target pattern name", "name", "country",
                   "area name", "traffic direction")),
    Field(name="price", parse=_MONEY, example="0.0125", help="A minute, a message, or a data unit of the tariff.",
          aliases=("rate", "cost", "per minute charge", "price per minute", "rate per minute", "charge per minute",
                   "price / min", "per minute")),
    Field(name="connection_fee", parse=_MONEY, example="0",
          aliases=("connection charge", "connectcost", "connect cost", "setup", "setup fee", "call setup charge")),
    Field(name="minimum_charge", parse=_MONEY, aliases=("minimum", "min charge"), example="0"),
    Field(name="maximum_charge", parse=_MONEY, aliases=("maximum", "max charge"), example=""),
    Field(name="initial_increment", parse=_STEP, aliases=("interval1", "first increment", "initial"), example="60"),
    Field(name="next_increment", parse=_STEP, example="60",
          aliases=("intervaln", "inc", "increment", "charge period", "next", "subsequent increment")),
    Field(name="increments", parse=increments, aliases=("billing increment", "billing increments"), example="",
          help="Both increments in one: 60/60."),
    Field(name="free_seconds", parse=whole(0, 86_400), aliases=("included seconds", "includedseconds"), example=""),
    Field(name="service", parse=choice(TariffRate.Service, text="sms", message="sms"), example="voice",
          help="voice, sms or data; voice when empty."),
    Field(name="call_class", parse=text(30), aliases=("class", "destination type"), example="mobile"),
    Field(name="band", parse=_band, aliases=("time slot", "time band"), example="",
          help="Time band of the price; empty: any time."),
    Field(name="effective_date", parse=day, aliases=("effective", "effective from", "valid from"), example=""),
    Field(name="action", parse=_action, example="", help="D ends the rate; empty or I sets it."),
    Field(name="peak_price", parse=_MONEY, aliases=("peak per minute", "peak", "day rate"), example=""),
    Field(name="off_peak_price", parse=_MONEY, aliases=("off peak per minute", "off peak", "evening rate"), example=""),
    Field(name="weekend_price", parse=_MONEY, aliases=("weekend per minute", "weekend", "weekend rate"), example=""),
    Field(name="peak_fee", parse=_MONEY, aliases=("peak call set up charge", "peak set up"), example=""),
    Field(name="off_peak_fee", parse=_MONEY, aliases=("off peak call set up charge", "off peak set up"), example=""),
    Field(name="weekend_fee", parse=_MONEY, aliases=("weekend call set up charge", "weekend set up"), example=""),
)  # fmt: skip


def columns_problem(found: Collection[str]) -> str:
    """Say what a deck lacks to be one; "" for nothing."""
    if not {"prefix", "charge_code", "destination"} & set(found):
        return "The deck has neither prefixes nor charge codes, nor names of destinations."
    if not any(name == "price" or name.endswith("_price") for name in found):
        return "The deck has no column of prices."
    return ""


DECK = Kind(
    slug="tariff",
    title="Tariff",
    purpose="A price list or a supplier's rate deck, by dialled prefix or charge code.",
    fields=FIELDS,
    key=(),
    columns_problem=columns_problem,
    order=65,
)


def price_columns(mapping: Mapping) -> tuple[Kind, Mapping, list[PriceColumn]]:
    """Return the deck's fields, mapping and prices: those the mapping lists, else price and the three bands."""
    bands = {**BANDS, **mapping.extra.get("bands", {})}
    if "prices" not in mapping.extra:
        standard = [PriceColumn(price="price", fee="connection_fee")]
        return (
            DECK,
            mapping,
            standard + [PriceColumn(f"{b}_price", f"{b}_fee", band=str(bands[b])) for b in BANDS],
        )
    fields, columns, prices = list(FIELDS), dict(mapping.columns), []
    for index, entry in enumerate(_entries(mapping.extra["prices"])):
        own = PriceColumn(
            price=f"listed_{index}_price",
            fee=f"listed_{index}_fee" if "connection_fee" in entry else "connection_fee",
            service=_service(entry.get("service", "")),
            band=str(entry.get("band", "")),
            call_class=str(entry.get("call_class", "")),
        )
        fields.append(Field(name=own.price, parse=_MONEY, label=str(entry["price"])))
        columns[own.price] = entry["price"]
        if "connection_fee" in entry:
            fields.append(Field(name=own.fee, parse=_MONEY, label=str(entry["connection_fee"])))
            columns[own.fee] = entry["connection_fee"]
        prices.append(own)
    return replace(DECK, fields=tuple(fields)), replace(mapping, columns=columns), prices


def _entries(given: Any) -> Sequence[dict[str, Any]]:
    if not isinstance(given, list) or not all(
        isinstance(entry, dict) and "price" in entry for entry in given
    ):
        raise BadMapping('“prices” is a list of objects such as {"price": "Peak", "band": "1"}.')
    return given


def _service(given: Any) -> str:
    if given not in ("", *TariffRate.Service.values):
        raise BadMapping(f"“{given}” is no service; it is voice, sms or data.")
    return str(given)
