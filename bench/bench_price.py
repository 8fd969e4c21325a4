"""Prices a million calls in memory, with the time band of each, and compares with a plain copy of the same
columns.
"""

import json
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

import numpy as np

from billing.rating.bands import HolidayRegion, bands_at, standard_bands
from billing.rating.price import NO_MAXIMUM, Rates, Terms, price_calls

CALLS = 1_000_000
LIMIT = 1_000_000
ROUNDS = 5


def best_seconds(work: Callable[[], object]) -> float:
    """Return the shortest of several runs, in seconds."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def main() -> dict[str, object]:
    """Print and return one line: calls priced per second on one core, and the ratio to copying their
    columns.
    """
    random = np.random.default_rng(20261122)
    started = random.integers(1_760_000_000, 1_795_000_000, CALLS)
    seconds = random.integers(0, 3_600, CALLS)
    answered = random.random(CALLS) < 0.9
    money = [random.integers(0, 10**8, CALLS) for _ in range(3)]
    rates = Rates(
        per_minute=money[0],
        connection_fee=money[1],
        minimum_charge=money[2],
        maximum_charge=np.where(random.random(CALLS) < 0.5, NO_MAXIMUM, 10**9),
        initial_increment=random.integers(1, 61, CALLS),
        next_increment=random.integers(1, 61, CALLS),
        free_seconds=random.integers(0, 5, CALLS),
    )
    terms = Terms(places=random.integers(2, 7, CALLS), rounding=random.integers(0, 4, CALLS))
    zone, bands, region = ZoneInfo("Europe/London"), standard_bands(), HolidayRegion("GB", "ENG")

    def price() -> None:
        bands_at(started, zone, bands, region)
        price_calls(answered=answered, seconds=seconds, rates=rates, terms=terms)

    columns = [started, seconds, answered, *money]
    took, copied = best_seconds(price), best_seconds(lambda: [column.copy() for column in columns])
    value = round(CALLS / took)
    line: dict[str, object] = {
        "name": "price",
        "value": value,
        "unit": "calls/s/core",
        "ratio": round(took / copied, 1),
        "limit": LIMIT,
        "ok": value >= LIMIT,
    }
    print(json.dumps(line))
    return line


if __name__ == "__main__":
    main()
