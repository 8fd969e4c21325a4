"""The columns of a batch of calls that matching and pricing need."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from billing.rating.bands import offsets_at
from billing.rating.book import SERVICES, RatingBook
from billing.rating.dated import NONE
from billing.rating.keys import Dialled, Distinct

if TYPE_CHECKING:
    import pandas as pd

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls as columns: start and its local day, seconds, volume in 1e-6 MB, service (position in SERVICES).

    `access` is what each call's own tariff adds to a minute of a service charge, in 1e-8; None where nothing is added.
    """

    started: Ints
    day: Ints
    seconds: Ints
    volume: Ints
    service: Ints
    answered: Bools
    dialled: Dialled
    code: Distinct
    band: Distinct
    access: Ints | None = None

    @classmethod
    def of(cls, chunk: "pd.DataFrame", book: RatingBook) -> "Calls":
        """Read the columns of a chunk; days are the reseller's own."""
        started = chunk["started_at"].to_numpy(dtype=np.int64)
        service = Distinct.of(chunk["service"])
        known = [SERVICES.index(name) if name in SERVICES else NONE for name in service.values]
        return cls(
            started=started,
            day=local_days(started, book),
            seconds=chunk["duration"].to_numpy(dtype=np.int64),
            volume=chunk["volume"].to_numpy(dtype=np.int64),
            service=np.array(known, dtype=np.int64)[service.codes],
            answered=chunk["answered"].to_numpy(dtype=bool),
            dialled=Dialled.of(chunk["dialled"]),
            code=Distinct.of(chunk["charge_code"]),
            band=Distinct.of(chunk["band"]),
        )

    def __len__(self) -> int:
        return len(self.started)

    def take(self, rows: Ints) -> "Calls":
        """Return the calls named."""
        return Calls(
            self.started[rows],
            self.day[rows],
            self.seconds[rows],
            self.volume[rows],
            self.service[rows],
            self.answered[rows],
            self.dialled.take(rows),
            self.code.take(rows),
            self.band.take(rows),
            None if self.access is None else self.access[rows],
        )


def local_days(started: Ints, book: RatingBook) -> Ints:
    """Return the reseller's local day of each instant, as a day number."""
    if not len(started):
        return started
    return (started + offsets_at(started, book.zone)) // SECONDS_PER_DAY


def rows_by(value: Ints) -> list[tuple[int, Ints]]:
    """Return each distinct value with the rows that hold it; a column of one value is not sorted."""
    if not len(value):
        return []
    low, high = int(value.min()), int(value.max())
    if low == high:
        return [(low, np.arange(len(value)))]
    small = value - low
    order = np.argsort(small.astype(np.uint16) if high - low < 1 << 16 else small, kind="stable")
    ordered = value[order]
    edges = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(edges[1:], len(order))
    return [(int(ordered[a]), order[a:b]) for a, b in zip(edges.tolist(), ends.tolist(), strict=True)]
