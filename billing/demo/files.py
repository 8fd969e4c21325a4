"""Writes a month's calls the way suppliers deliver them: UK Standard, Asterisk's Master.csv, mapped CSV."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from billing.demo.catalogue import CARRIERS, MOBILE, PBX, WHOLESALER
from billing.demo.traffic import ALL, DATA, SMS, UNIT, VOICE, Traffic
from billing.importing.formats.uk_standard import HEADINGS

LONDON = ZoneInfo("Europe/London")

#: The mapped layouts of the mobile supplier, as a user would declare them.
MAPPINGS: dict[str, dict[str, Any]] = {
    "voice": {
        "service": "voice",
        "zone": "Europe/London",
        "columns": {
            "uid": "Event",
            "identity": "SIM number",
            "cli": "SIM number",
            "dialled": "To",
            "started_at": "Start",
            "duration": "Seconds",
            "cost": "Charge",
            "cost_currency": "Currency",
        },
    },
    "sms": {
        "service": "sms",
        "zone": "Europe/London",
        "columns": {
            "uid": "Event",
            "identity": "SIM number",
            "cli": "SIM number",
            "dialled": "To",
            "started_at": "Start",
            "cost": "Charge",
            "cost_currency": "Currency",
        },
    },
    "data": {
        "service": "data",
        "zone": "Europe/London",
        "volume_unit": "kb",
        "columns": {
            "uid": "Event",
            "identity": "SIM number",
            "cli": "SIM number",
            "started_at": "Start",
            "volume": "Kilobytes",
            "cost": "Charge",
            "cost_currency": "Currency",
        },
    },
}
MOBILE_HEADINGS = {
    "voice": ("Event", "SIM number", "To", "Start", "Seconds", "Charge", "Currency"),
    "sms": ("Event", "SIM number", "To", "Start", "Charge", "Currency"),
    "data": ("Event", "SIM number", "Start", "Kilobytes", "Charge", "Currency"),
}


@dataclass(frozen=True)
class SupplierFile:
    """A file written: whose, where, and how it is read (a format's name, or one of MAPPINGS)."""

    carrier: int
    path: Path
    layout: str


def write_month(
    folder: Path, first: date, traffic: Traffic, random: np.random.Generator
) -> Iterator[SupplierFile]:
    """Write a month's files; a carrier or service without events gets none."""
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime(first.year, first.month, 1)  # noqa: DTZ001  local wall time, as in the suppliers' files
    parts = [
        (WHOLESALER, "uk_standard", VOICE, _uk_standard),
        (PBX, "asterisk", VOICE, _master),
        (MOBILE, "voice", VOICE, _mobile_voice),
        (MOBILE, "sms", SMS, _mobile_sms),
        (MOBILE, "data", DATA, _mobile_data),
    ]
    for carrier, layout, service, rows in parts:
        mine = traffic.only((traffic.carrier == carrier) & (traffic.service == service))
        if len(mine):
            suffix = f"_{layout}" if layout in MAPPINGS else ""
            path = folder / f"{CARRIERS[carrier].code}_{first:%Y-%m}{suffix}.csv"
            with path.open("w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out, lineterminator="\n")
                writer.writerows(rows(mine, moment, random))
            yield SupplierFile(carrier, path, layout)


def _events(
    traffic: Traffic, moment: datetime, random: np.random.Generator
) -> Iterator[tuple[str, str, str, datetime, int, int, str, int]]:
    """Yield number, dialled number, event id, local start, seconds, kilobytes, cost, destination."""
    tails = random.integers(0, 10**6, len(traffic)).tolist()
    columns = (
        traffic.line,
        traffic.destination,
        traffic.at,
        traffic.seconds,
        traffic.kilobytes,
        traffic.cost,
    )
    rows = zip(*(column.tolist() for column in columns), tails, strict=True)
    for position, (line, destination, at, seconds, kilobytes, cost, tail) in enumerate(rows):
        yield (
            traffic.numbers[line],
            dialled(ALL[destination].dialled_stem, tail),
            f"{moment:%y%m}{position:06d}",
            moment + timedelta(seconds=at),
            seconds,
            kilobytes,
            f"{cost // UNIT}.{cost % UNIT:04d}00",
            destination,
        )


def dialled(stem: str, tail: int) -> str:
    """Return a whole E.164 number that begins with a stem."""
    length = 11 if stem.startswith("1") else 12
    return f"+{stem}{tail % 10 ** max(0, length - len(stem)):0{max(0, length - len(stem))}d}"


def _uk_standard(traffic: Traffic, moment: datetime, random: np.random.Generator) -> Iterable[list[str]]:
    yield list(HEADINGS)
    place = {heading: index for index, heading in enumerate(HEADINGS)}
    for number, to, event, start, seconds, _, cost, destination in _events(traffic, moment, random):
        row = [""] * len(HEADINGS)
        for heading, value in (
            ("Call Type", "V"),
            ("Call Cause Definition Required", "0"),
            ("Non-Charged Party", to),
            ("Call Date", f"{start:%d/%m/%Y}"),
            ("Call Time", f"{start:%H:%M:%S}"),
            ("Duration", str(seconds)),
            ("Description", ALL[destination].name),
            ("Chargecode", ALL[destination].code),
            ("Time Band", _band(start)),
            ("Salesprice", cost),
            ("DDI", number),
            ("Call Class (Feature)", "SIPD"),
            ("Carrier", CARRIERS[WHOLESALER].name),
            ("Record ID", f"NG{event}"),
            ("Currency", "GBP"),
            ("Caller Line Identity", number),
        ):
            row[place[heading]] = value
        yield row


def _band(start: datetime) -> str:
    if start.weekday() > 4:
        return "3"
    return "1" if 8 <= start.hour < 18 else "2"


def _master(traffic: Traffic, moment: datetime, random: np.random.Generator) -> Iterable[list[str]]:
    """Yield the records of a telephone system: no prices, national numbers, internal calls among the rest."""
    for position, (number, to, _, start, seconds, *_) in enumerate(_events(traffic, moment, random)):
        instant = int(start.replace(tzinfo=LONDON).astimezone(UTC).timestamp())
        ring = 4 + position % 9
        yield _leg(number, national(to), "from-internal", start, seconds, ring, f"{instant}.{2 * position}")
        if position % 12 == 0:
            extension = str(200 + position % 40)
            yield _leg(
                number,
                extension,
                "from-internal",
                start,
                40,
                ring,
                f"{instant}.{2 * position + 1}",
                extension,
            )


def _leg(
    number: str,
    to: str,
    context: str,
    start: datetime,
    seconds: int,
    ring: int,
    uid: str,
    extension: str = "",
) -> list[str]:
    answer = start + timedelta(seconds=ring)
    end = answer + timedelta(seconds=seconds)
    channel = f"PJSIP/{extension}-00000a1f" if extension else "PJSIP/lantern-00000a1f"
    return [
        number,
        number,
        to,
        context,
        f'"{number}" <{number}>',
        "PJSIP/desk-00000a1e",
        channel,
        "Dial",
        f"PJSIP/{to}@lantern" if not extension else f"PJSIP/{to}",
        f"{start:%Y-%m-%d %H:%M:%S}",
        f"{answer:%Y-%m-%d %H:%M:%S}" if seconds else "",
        f"{end:%Y-%m-%d %H:%M:%S}",
        str(ring + seconds),
        str(seconds),
        "ANSWERED" if seconds else "NO ANSWER",
        "DOCUMENTATION",
        uid,
        "",
    ]


def national(number: str) -> str:
    """Return a number as dialled in the UK."""
    return f"0{number[3:]}" if number.startswith("+44") else f"00{number[1:]}"


def _mobile_voice(traffic: Traffic, moment: datetime, random: np.random.Generator) -> Iterable[list[str]]:
    yield list(MOBILE_HEADINGS["voice"])
    for number, to, event, start, seconds, _, cost, _ in _events(traffic, moment, random):
        yield [f"V{event}", number, to, f"{start:%Y-%m-%d %H:%M:%S}", str(seconds), cost, "GBP"]


def _mobile_sms(traffic: Traffic, moment: datetime, random: np.random.Generator) -> Iterable[list[str]]:
    yield list(MOBILE_HEADINGS["sms"])
    for number, to, event, start, _, _, cost, _ in _events(traffic, moment, random):
        yield [f"S{event}", number, to, f"{start:%Y-%m-%d %H:%M:%S}", cost, "GBP"]


def _mobile_data(traffic: Traffic, moment: datetime, random: np.random.Generator) -> Iterable[list[str]]:
    yield list(MOBILE_HEADINGS["data"])
    for number, _, event, start, _, kilobytes, cost, _ in _events(traffic, moment, random):
        yield [f"D{event}", number, f"{start:%Y-%m-%d %H:%M:%S}", str(kilobytes), cost, "GBP"]
