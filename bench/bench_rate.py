"""Matches and prices a month's calls in memory on a book of 20,000 numbers and a deck of 20,000 prefixes, and compares
with a plain copy of the same columns.
"""

import gc
import json
import os
import time

import django
import numpy as np
import pandas as pd

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from billing.importing.parse import CHUNK_ROWS
from billing.rating.bands import standard_bands
from billing.rating.book import RatingBook
from billing.rating.book_rows import (
    AssignmentRow,
    BookRows,
    ChoiceRow,
    NumberRow,
    RateRow,
    TariffRow,
)
from billing.rating.dated import FOREVER
from billing.rating.rate import rate_calls

CALLS = 1_000_000
NUMBERS, CUSTOMERS, PREFIXES = 20_000, 10_000, 20_000
LIMIT = 1_000_000
ROUNDS = 3
MARCH = 1_772_323_200


def make_book(random: np.random.Generator) -> RatingBook:
    """Return the book: retail and wholesale decks of 20,000 prefixes, three plans that inherit, dated assignments."""
    prefixes = sorted({str(n) for n in random.integers(10**2, 10**7, PREFIXES * 3)})
    chosen = sorted(random.permutation(prefixes)[:PREFIXES].tolist())
    first = [str(n) for n in range(1, 10)]
    rates = []
    for tariff in (1, 9):
        for at, key in enumerate([*first, *chosen]):
            price, increment = int(random.integers(10**5, 10**8)), int(random.choice([1, 6, 60]))
            rates.append(
                RateRow(
                    *(tariff * 10**6 + at, tariff, "voice", "prefix", key, "", price, 10**6, 0, -1),
                    *(increment, increment, 0, 0, FOREVER, f"Destination {key}", "international"),
                )
            )
    tariffs = [_tariff(1, 0), _tariff(2, 1), _tariff(3, 1), _tariff(9, 0, kind="wholesale", carrier_id=5)]
    return RatingBook.build(
        BookRows(
            carrier_id=5,
            numbers=[NumberRow(n, f"+4420{7_000_000 + n}", "geographic") for n in range(1, NUMBERS + 1)],
            assignments=[AssignmentRow(n, 1 + n % CUSTOMERS, 0, FOREVER) for n in range(1, NUMBERS + 1)],
            choices=[ChoiceRow(0, c, "", 1 + c % 3, 0, FOREVER) for c in range(1, CUSTOMERS + 1)],
            tariffs=tariffs,
            rates=rates,
        )
    )


def _tariff(id: int, parent: int, kind: str = "retail", carrier_id: int = 0) -> TariffRow:
    return TariffRow(
        *(id, parent, kind, "GBP", carrier_id, False, "", 4, "half_up", False, False, True, 10**6, False),
        *(None, "Europe/London", "GB-ENG", FOREVER, standard_bands()),
    )


def make_calls(random: np.random.Generator) -> pd.DataFrame:
    """Return a month of calls to 600,000 different numbers."""
    pool = pd.Series("+" + pd.Series(random.integers(10**11, 10**12, 600_000).astype(str)), dtype="str")
    numbers = pd.Series([f"+4420{7_000_000 + n}" for n in range(1, NUMBERS + 1)], dtype="str")
    blank = pd.Series([""] * CALLS, dtype="str")
    calls = pd.DataFrame(
        {
            "service": pd.Series(["voice"] * CALLS, dtype="str"),
            "direction": pd.Series(["out"] * CALLS, dtype="str"),
            "started_at": MARCH + random.integers(0, 31 * 86_400, CALLS),
            "identity_1": numbers.iloc[random.integers(0, NUMBERS, CALLS)].reset_index(drop=True),
            "dialled": pool.iloc[random.integers(0, len(pool), CALLS)].reset_index(drop=True),
            "answered": random.random(CALLS) < 0.95,
            "duration": random.integers(0, 1_800, CALLS),
            "volume": np.zeros(CALLS, dtype=np.int64),
            "cost": random.integers(0, 10**7, CALLS),
            "has_cost": np.ones(CALLS, dtype=bool),
        }
    )
    for name in (
        "identity_2",
        "identity_3",
        "charge_code",
        "band",
        "destination",
        "cost_currency",
        "excluded",
    ):
        calls[name] = blank
    return calls


def main() -> dict[str, object]:
    """Print and return one line: calls rated per second on one core, and the ratio to copying their columns."""
    random = np.random.default_rng(20261122)
    book, calls = make_book(random), make_calls(random)
    chunks = [calls.iloc[at : at + CHUNK_ROWS] for at in range(0, CALLS, CHUNK_ROWS)]
    rate_calls(chunks[0], book)
    took, copied = [], []
    for _ in range(ROUNDS):
        gc.collect()
        begun = time.process_time()
        priced = sum(int((rate_calls(chunk, book)["retail"] > 0).sum()) for chunk in chunks)
        took.append(time.process_time() - begun)
        begun = time.process_time()
        for chunk in chunks:
            chunk.copy(deep=True)
        copied.append(time.process_time() - begun)
    assert priced > 0.9 * CALLS
    value = round(CALLS / min(took))
    line: dict[str, object] = {
        "name": "rate",
        "value": value,
        "unit": "calls/s/core",
        "ratio": round(min(took) / min(copied), 1),
        "limit": LIMIT,
        "ok": value >= LIMIT,
    }
    print(json.dumps(line))
    return line


if __name__ == "__main__":
    main()
