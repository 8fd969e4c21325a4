"""Which days of which carrier have their usage: records, minutes and cost a day against the same weekday's mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import holidays
from django.db.models import Exists, OuterRef

from billing.models import Carrier, CdrFile
from resellerkpi.core.periods import Period

SHOWN_DAYS = 35
#: A day with less than this share of its weekday's mean is flagged as a half.
HALF = Decimal("0.5")


@dataclass
class Day:
    """What one carrier's files hold of a day; `mark` is "", "gap" or "half", `usual` its weekday's mean of records."""

    day: date
    currency: str
    files: int = 0
    records: int = 0
    seconds: int = 0
    cost: Decimal = Decimal(0)
    mark: str = ""
    usual: Decimal = Decimal(0)


@dataclass(frozen=True)
class Row:
    """One carrier's days, oldest first."""

    carrier: Carrier
    days: list[Day]

    @property
    def flagged(self) -> int:
        """How many of the days look incomplete."""
        return sum(bool(day.mark) for day in self.days)


def grid(today: date, *, shown: int = SHOWN_DAYS, until: date | None = None) -> list[Row]:
    """Return each carrier's last days before `until` (not given: before today) by local day, in the scope in force.

    A day is expected from the carrier's first one on, once its delay has passed. It is a gap when it has no records
    though its weekday usually has, and a half when it has less than half the mean of its weekday in the days shown.
    """
    first = (until or today) - timedelta(days=shown)
    carriers = list(Carrier.objects.order_by("name", "pk"))
    found = {c.pk: [Day(first + timedelta(days=n), c.currency) for n in range(shown)] for c in carriers}
    files = CdrFile.objects.filter(
        state=CdrFile.State.LOADED,
        last_call_at__date__gte=first - timedelta(days=1),
        first_call_at__date__lte=first + timedelta(days=shown + 1),
    )
    for carrier_id, days in files.values_list("carrier_id", "days"):
        _add(found[carrier_id], first, days)
    for carrier in carriers:
        _mark(found[carrier.pk], today - timedelta(days=carrier.cdr_delay_days))
    return [Row(c, found[c.pk]) for c in carriers if any(day.records for day in found[c.pk])]


def silent_carriers(period: Period) -> list[Carrier]:
    """Return the carriers a bill run has to wait for that have no loaded file with calls of the period."""
    files = CdrFile.objects.filter(
        carrier=OuterRef("pk"),
        state=CdrFile.State.LOADED,
        first_call_at__lt=period.ends_at,
        last_call_at__gte=period.starts_at,
    )
    required = Carrier.objects.filter(required_for_run=True).filter(~Exists(files))
    return list(required.order_by("name", "pk"))


def missing_days(period: Period, today: date, *, usual: Decimal) -> Iterator[tuple[Carrier, list[date]]]:
    """Yield each carrier with the days of the period without calls though their weekday usually has `usual` or more.

    Days whose files may still come and bank holidays of the carrier's country are left out.
    """
    for row in grid(today, shown=max(SHOWN_DAYS, period.days), until=period.end):
        free = _bank_holidays(row.carrier.country, frozenset({period.start.year, period.last_day.year}))
        days = [
            day.day
            for day in row.days
            if day.mark == "gap" and day.usual >= usual and day.day >= period.start and day.day not in free
        ]
        if days:
            yield row.carrier, days


@lru_cache(maxsize=100)
def _bank_holidays(country: str, years: frozenset[int]) -> frozenset[date]:
    known = holidays.list_supported_countries(include_aliases=False)
    return frozenset(holidays.country_holidays(country, years=years)) if country in known else frozenset()


def _add(days: list[Day], first: date, held: dict[str, list[int]]) -> None:
    for text, (records, seconds, cost) in held.items():
        at = (date.fromisoformat(text) - first).days
        if 0 <= at < len(days):
            days[at].files += 1
            days[at].records += records
            days[at].seconds += seconds
            days[at].cost += Decimal(cost).scaleb(-6)


def _mark(days: list[Day], expected_before: date) -> None:
    begun = next((at for at, day in enumerate(days) if day.records), len(days))
    for day in days[begun:]:
        others = [d.records for d in days if d.day.weekday() == day.day.weekday() and d.day != day.day]
        day.usual = _mean(n for n in others if n)
        if day.usual and day.day < expected_before and day.records < day.usual * HALF:
            day.mark = "half" if day.records else "gap"


def _mean(values: Iterable[int]) -> Decimal:
    held = list(values)
    return Decimal(sum(held)) / len(held) if held else Decimal(0)
