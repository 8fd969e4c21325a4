"""What figures are asked for: whose, at which closes, by which period, out of which facts; and the SQL that follows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from kpis.facts import close_of, computed, first_month, stored
from kpis.facts_book import DAYS
from kpis.facts_sql import preamble, written
from kpis.options import Options
from kpis.sources import ALWAYS, Source
from resellerkpi.core.periods import add_months

#: Windows longer than this are cut to the book's first month.
LONG = 24
#: The status at a row's close out of the account's own list: its place is the months from the first to the row's.
STATUS_KEPT = (
    "CROSS JOIN LATERAL (SELECT CASE WHEN r.month >= c.statuses_from"
    " THEN c.statuses[1 + ((r.month - c.statuses_from) * 400 + 6087) / 12175] END AS status) f"
)


class Cell(NamedTuple):
    """Where a figure stands: dimension ("" = all), key, month and currency ("" = a count)."""

    dimension: str
    key: str
    month: date
    currency: str


class Figure(NamedTuple):
    """The parts of a figure: what is divided, by what (None = nothing), and the base of the small-base mark."""

    top: Decimal
    bottom: Decimal | None = None
    base: Decimal | None = None


Figures = dict[Cell, Figure]


@dataclass(frozen=True)
class Asked:
    """Whose figures, for which closes, out of stored facts or computed; a dealer's or customer's own when named.

    `only` narrows to some customers of any kind. `customers` narrows to changed ones; of the names in `was` what was
    set aside, from the month `was_from` on, is read. A `grain` other than month is computed: each day closes its bucket
    so far.
    """

    reseller_id: int
    days: tuple[date, ...]
    options: Options = field(default_factory=Options)
    dealer_id: int | None = None
    customer_id: int | None = None
    customers: tuple[int, ...] | None = None
    from_store: bool = False
    was: frozenset[str] = frozenset()
    was_from: date | None = None
    grain: str = "month"
    only: tuple[int, ...] | None = None

    @classmethod
    def months(cls, reseller_id: int, months: Iterable[date], today: date, **more: Any) -> "Asked":
        """Ask for months: each at its last day, the open one at today."""
        return cls(reseller_id, tuple(close_of(m, today) for m in months if m <= today), **more)

    def window(self, wanted: int | str) -> int:
        """Return how many months before the one looked at a window reaches; a name is a setting of so many months."""
        return int(getattr(self.options, wanted)) - 1 if isinstance(wanted, str) else wanted

    def closes(self, wanted: int | str) -> list[date]:
        """Return the days facts are needed at: those asked and, for a window, the closes of the months before."""
        window = self.window(wanted)
        if not window or not self.days:
            return list(self.days)
        early = add_months(min(self.days).replace(day=1), -min(window, ALWAYS))
        if window > LONG:
            early = max(early, first_month(self.reseller_id) or min(self.days))
        found = {d.replace(day=1): d for d in self.days}
        last = max(self.days)
        for ago in range((last.year - early.year) * 12 + last.month - early.month + 1):
            month = add_months(last.replace(day=1), -ago)
            reaches = any(month >= add_months(d.replace(day=1), -window) for d in self.days if d >= month)
            if month not in found and reaches:
                found[month] = close_of(month, last)
        return sorted(found.values())

    def parameters(self, window: int | str = 0) -> dict[str, Any]:
        """Return the parameters of a query over a source with a window."""
        days = self.closes(window)
        return {
            **self.options.parameters(),
            "reseller": self.reseller_id,
            "days": days,
            "asked": list(self.days),
            "months": [d.replace(day=1) for d in days],
            "dealer": self.dealer_id,
            "customer": self.customer_id,
            "customers": list(self.customers or ()),
            "only": list(self.only or ()),
            "was_from": self.was_from,
        }

    def tables(self, source: Source, splits: Sequence[str]) -> str:
        """Return WITH and the common table expressions a source's rows need."""
        names = [*source.tables]
        dated = "status" in splits and source.of_customers and not self._knows_statuses
        if dated and "customerfact" not in names:
            names.append("customerfact")
        if self.from_store:
            parts = [written(DAYS), *stored(names, narrow=self.customers is not None, was=self.was)]
        else:
            facts = computed(names, grain=self.grain, suspended=self.options.suspended)
            parts = [preamble(grain=self.grain), *facts]
        return " ".join(["WITH", ", ".join(parts)])

    @property
    def _knows_statuses(self) -> bool:
        """Whether accounts hold their statuses as they are asked for: stored ones do, unless it is what they were."""
        return self.from_store and not self.was

    def rows(self, source: Source, splits: Sequence[str]) -> list[str]:
        """Return FROM and WHERE of a source's rows, joined with what the dimensions and the scope need."""
        kept, narrow = self.options.suspended, self.customers is not None
        text = written(source.rows, grain=self.grain, narrow=narrow, suspended=kept)
        parts = ["FROM", text, "r"]
        part = self.dealer_id or self.customer_id
        if not source.of_customers:
            return [*parts, *(["WHERE false"] if part or self.only is not None else [])]
        parts.append("JOIN account c ON c.id = r.customer_id")
        if "status" in splits and self._knows_statuses:
            parts.append(STATUS_KEPT)
        elif "status" in splits:
            parts.append("LEFT JOIN customerfact f ON f.customer_id = c.holder AND f.month = r.month")
        parts.append("WHERE true")
        if self.dealer_id:
            parts.append("AND c.dealer_id = %(dealer)s")
        if self.customer_id:
            parts.append("AND c.id = %(customer)s")
        if self.only is not None:
            parts.append("AND c.id = ANY(%(only)s::bigint[])")
        return parts
