"""A demo month's calls with the planted ones among them, and what those cost, worked out as they are made."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from billing.demo.catalogue import BELOW_COST, DESTINATIONS, STALE, UNPRICED, WHOLESALER, bought_at
from billing.demo.frauds import hacked_calls, victim
from billing.demo.leaks import BELOW, UNRATED, Planted
from billing.demo.leaks import STALE as STALE_CHECK
from billing.demo.plan import CustomerPlan
from billing.demo.shape import Calendar, House
from billing.demo.store_catalogue import stale_since
from billing.demo.traffic import (
    UNIT,
    Lines,
    Month,
    Traffic,
    chosen,
    empty,
    in_units,
    month_sizes,
    ordinary,
    per_minute,
)

#: Months before the current one from which numbers nobody knows and destinations nobody priced are called.
UNKNOWN_FROM, UNPRICED_FROM = 4, 6
AFTER_CEASE = 2
#: Where calls of numbers nobody knows go to.
UNKNOWN_CALLS = next(d.code for d in DESTINATIONS if d.name == "United Arab Emirates mobile")


class Usage:
    """Makes the months of a reseller's calls in order and keeps count of what the planted ones lose."""

    def __init__(
        self, house: House, plans: list[CustomerPlan], planted: Planted | None, calendar: Calendar, seed: int
    ) -> None:
        self.house, self.plans, self.planted, self.calendar = house, plans, planted, calendar
        self.lines = Lines.of(plans)
        self.seed = [seed, len(house.code), ord(house.code[0])]
        self.few = max(3, house.size.calls // 18_000)
        self.lost: dict[tuple[str, str], dict[date, int]] = defaultdict(lambda: defaultdict(int))

    def months(self) -> Iterator[tuple[date, Traffic, np.random.Generator]]:
        """Yield each month's events, the current month's so far last."""
        for index, (first, count) in enumerate(month_sizes(self.calendar, self.house.size.calls)):
            random = np.random.default_rng([*self.seed, index])
            month = Month.of(first, self.calendar)
            traffic = ordinary(random, self.lines, month, count)
            if self.planted:
                for part in self._planted(random, month, self.planted):
                    traffic = traffic.plus(part)
            yield first, traffic, random

    def _planted(self, random: np.random.Generator, month: Month, planted: Planted) -> Iterator[Traffic]:
        callers = self._callers(month)
        yield self._below_cost(random, month, callers)
        yield self._stale(random, month, callers)
        if month.first >= self.calendar.ago(UNKNOWN_FROM):
            yield self._unrated(
                chosen(random, month, [planted.unknown_number], WHOLESALER, UNKNOWN_CALLS, 3 * self.few),
                month,
                planted.unknown_number,
            )
        if month.first >= self.calendar.ago(UNPRICED_FROM):
            numbers = [self.plans[plan].numbers[index].number for plan, index in planted.unpriced_callers]
            part = chosen(random, month, numbers, WHOLESALER, UNPRICED.code, self.few)
            yield self._unrated(part, month, UNPRICED.name)
        if planted.used_after_cease:
            yield self._after_cease(random, month, planted.used_after_cease)
        hacked = victim(self.plans, self.calendar)
        if hacked:
            yield hacked_calls(hacked[1], month, self.calendar)

    def _callers(self, month: Month) -> list[str]:
        """Return the wholesaler's lines that are in service the whole month."""
        first = month.first.toordinal()
        whole = (
            (self.lines.carrier == WHOLESALER)
            & (self.lines.start <= first)
            & (self.lines.end >= first + month.days)
        )
        return [self.lines.number[index] for index in np.flatnonzero(whole)]

    def _below_cost(self, random: np.random.Generator, month: Month, callers: list[str]) -> Traffic:
        part = chosen(random, month, callers, WHOLESALER, BELOW_COST.code, self.few)
        retail = per_minute(part.seconds, in_units(BELOW_COST.retail))
        self.lost[BELOW, BELOW_COST.name][month.first] += int((part.cost - retail).sum())
        return part

    def _stale(self, random: np.random.Generator, month: Month, callers: list[str]) -> Traffic:
        part = chosen(random, month, callers, WHOLESALER, STALE.code, 2 * self.few)
        if month.first >= stale_since(self.calendar):
            before = per_minute(part.seconds, in_units(bought_at(STALE, WHOLESALER)))
            self.lost[STALE_CHECK, STALE.name][month.first] += int((part.cost - before).sum())
        return part

    def _after_cease(self, random: np.random.Generator, month: Month, who: tuple[int, int]) -> Traffic:
        number = self.plans[who[0]].numbers[who[1]]
        assert number.end is not None
        if not number.end <= month.first < number.end + timedelta(days=31 * AFTER_CEASE):
            return empty([number.number])
        part = chosen(random, month, [number.number], WHOLESALER, UNKNOWN_CALLS, 2 * self.few)
        return self._unrated(part, month, number.number)

    def _unrated(self, part: Traffic, month: Month, subject: str) -> Traffic:
        self.lost[UNRATED, subject][month.first] += int(part.cost.sum())
        return part

    def report(self) -> None:
        """Add what the planted calls lost to the findings: the last closed month, and all so far."""
        if not self.planted:
            return
        why = {
            self.planted.unknown_number: "Calls of a number that is in nobody's book; at least their wholesale cost.",
            UNPRICED.name: "No retail tariff has a rate for the destination; at least the wholesale cost.",
            BELOW_COST.name: "Every minute costs more than it is sold for.",
            STALE.name: "The wholesale price rose and ours stayed; the rise on each call since.",
        }
        for (check, subject), months in self.lost.items():
            last, total = months.get(self.calendar.ago(1), 0), sum(months.values())
            self.planted.add(
                check,
                subject,
                min(months),
                Decimal(last) / UNIT,
                Decimal(total) / UNIT,
                why.get(
                    subject, "The number was ceased and still called; at least the calls' wholesale cost."
                ),
            )
