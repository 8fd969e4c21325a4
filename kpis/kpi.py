"""What a KPI is: one declaration from which tiles, tables, charts, exports, snapshots and the dictionary follow.

The declared function returns the KPI's shape: a numerator and, for ratios, a denominator. Its docstring is the
published formula. Six shapes share one interface: a flow sums dated rows of the month, a stock reads the close, a
movement compares two closes, a cohort follows chosen customers over time, a distribution looks at how a sum is spread
over customers, an entered figure reads observations. A derived figure combines the parts of others.
"""

import hashlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from billing.observed import METRICS
from kpis.measures import Measure
from kpis.sources import Source, packaged, tagged
from resellerkpi.core.access import Capability
from resellerkpi.core.registry import Registry


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    MONEY = "money"
    PERCENT = "percent"
    RATIO = "ratio"
    MONTHS = "months"
    DAYS = "days"
    SECONDS = "seconds"
    POINTS = "points"


class Good(StrEnum):
    """Which direction is good news; WATCH means either may be."""

    UP = "up"
    DOWN = "down"
    WATCH = "watch"


class Rollup(StrEnum):
    """How months make a quarter: add, add the parts, take the close, or count again."""

    SUM = "sum"
    RATIO = "ratio"
    LAST = "last"
    DISTINCT = "distinct"


class Family(StrEnum):
    """Where a KPI stands on the overview and in the dictionary."""

    GROWTH = "Growth"
    CUSTOMERS = "Customers"
    INVOICES = "Invoices"
    CASH = "Cash"
    NUMBERS = "Numbers"
    FEATURES = "Features"
    RECURRING = "Recurring revenue"
    SPREAD = "Spread of revenue"
    DYNAMICS = "Customer dynamics"
    SALES = "Sales"
    MARGIN = "Margin and leakage"
    RUNS = "Bill runs"
    MARKETING = "Marketing"
    VOICE = "Customer voice and support"
    OPERATIONS = "Operations"


@dataclass(frozen=True)
class Part:
    """A sum over the rows of a source; `by` gives another part for the dimensions where this one would count twice."""

    source: Source
    value: str
    by: Mapping[str, "Part"] = field(default_factory=dict)

    def at(self, dimension: str) -> "Part":
        """Return the part to use for a dimension."""
        return self.by.get(dimension, self)

    def all(self) -> list["Part"]:
        """Return this part and the ones that stand in for it."""
        return [self, *self.by.values()]


def listed(part: Part, *dimensions: str) -> Part:
    """Return a part that can also be told by tag or package (or both, unless named), a customer under each it has."""
    made = {"tag": tagged, "package": packaged}
    lists = {d: Part(made[d](part.source), part.value) for d in dimensions or made}
    return Part(part.source, part.value, by={**part.by, **lists})


@dataclass(frozen=True)
class Need:
    """Parts of another KPI, summed over `months` months that end `ago` months before the one asked for.

    An `optional` one may lack its observations: it is 0 then.
    """

    slug: str
    ago: int = 0
    months: int = 1
    optional: bool = field(default=False, repr=False)


Parts = tuple[Decimal, Decimal | None]
Combine = Callable[[Sequence[Parts]], tuple[Decimal, Decimal | None, Decimal | None]]


@dataclass(frozen=True)
class Shape:
    """The parts of a KPI. A derived one has `needs` and combines them into numerator, denominator and base instead."""

    kind: str
    top: Part | None = None
    bottom: Part | None = None
    needs: tuple[Need, ...] = ()
    combine: Combine | None = None
    measure: Measure | None = None

    @property
    def observed(self) -> tuple[str, ...]:
        """The observed metrics it reads, a derived one by what it needs: without any of one of them, no value."""
        own = [p.source.metric for p in (self.top, self.bottom) if p and p.source.metric]
        needed = [KPIS.get(n.slug).shape.observed for n in self.needs if not n.optional]
        return tuple(dict.fromkeys([*own, *(m for found in needed for m in found)]))

    @property
    def ago(self) -> dict[str, str]:
        """Of the observed metrics those that are read some months before, and the setting that says how many."""
        found = {m: s for n in self.needs for m, s in KPIS.get(n.slug).shape.ago.items()}
        return found | {p.source.metric: p.source.ago for p in (self.top, self.bottom) if p and p.source.ago}


def flow(top: Part, per: Part | None = None) -> Shape:
    """Sum dated rows of the month, optionally per something."""
    return Shape("flow", top, per)


def stock(top: Part, per: Part | None = None) -> Shape:
    """Read what is there on the last day of the month."""
    return Shape("stock", top, per)


def movement(top: Part, per: Part | None = None) -> Shape:
    """Compare the set at the close with the set at the close before."""
    return Shape("movement", top, per)


def cohort(top: Part, per: Part | None = None) -> Shape:
    """Follow chosen customers over their time."""
    return Shape("cohort", top, per)


def distribution(of: Part, measure: Measure) -> Shape:
    """Look at how a sum is spread over the items of its source (customers, invoices): see `measures`."""
    return Shape("distribution", of, measure=measure)


def entered(top: Part, per: Part | None = None) -> Shape:
    """Read observations, on one side or both; a month without any has no value, never 0."""
    return Shape("entered", top, per)


def derived(kind: str, *needs: Need, combine: Combine) -> Shape:
    """Combine the parts of other KPIs, divided last."""
    return Shape(kind, needs=needs, combine=combine)


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """A declared KPI; `beside` names the one that says how far off the figure may be.

    `elsewhere` says how others count it, (who, how) each; `published` which values are known as good, and from whom.
    """

    slug: str
    name: str
    formula: str
    family: Family
    unit: Unit
    good: Good
    rollup: Rollup
    version: int
    shape: Shape
    by: tuple[str, ...] = ()
    small_base: bool = True
    sources: str = ""
    needs: Capability | None = None
    headline: int = 0
    overview: bool = False
    estimate: bool = False
    settings: tuple[str, ...] = ()
    beside: str = ""
    elsewhere: tuple[tuple[str, str], ...] = ()
    published: tuple[str, ...] = ()

    @property
    def is_ratio(self) -> bool:
        """Whether the figure divides by something."""
        return self.rollup is Rollup.RATIO

    @property
    def needs_data(self) -> str:
        """What to upload for the figure, "" when it needs nothing."""
        return " ".join(METRICS.get(slug).upload for slug in self.shape.observed)

    @property
    def summary(self) -> str:
        """The first sentence of the formula."""
        return " ".join(self.formula.split(".\n")[0].split(". ")[0].rstrip(".").split()) + "."

    @property
    def type_dimension(self) -> str:
        """The dimension meant by "type": number type, feature or client type."""
        own = ("number_type", "feature", "kind", "client_type")
        return next((d for d in own if d in self.by), "")

    def dimension(self, name: str, *, but: Collection[str] = ()) -> str:
        """Return the dimension of a name ("type" is the KPI's own), none of `but`; raises UnknownDimension."""
        found = self.type_dimension if name == "type" else name
        if found not in self.by or found in but:
            known = ", ".join(d for d in self.by if d not in but)
            instead = f"It can be broken down by {known}." if known else "It has no breakdown."
            raise UnknownDimension(f"“{self.name}” cannot be broken down by {name}. {instead}")
        return found

    def parts(self) -> list[Part]:
        """Return every part the KPI may sum."""
        return [p for part in (self.shape.top, self.shape.bottom) if part for p in part.all()]

    @property
    def of_customers(self) -> bool:
        """Whether every part belongs to customers, so that a dealer may see it for his own."""
        return all(p.source.of_customers for p in self.parts())

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides the figure; a test fails when it moves and the version does not."""
        said: list[str] = [
            self.unit,
            self.rollup,
            self.shape.kind,
            ",".join(self.by),
            repr(self.shape.measure),
        ]
        for part in self.parts():
            said += [part.source.fingerprint(), part.value]
            said += ["items of 0"] if self.shape.measure and part.source.counts_zero else []
        said += [repr(need) + ("?" if need.optional else "") for need in self.shape.needs]
        if self.shape.combine:
            said.append(inspect.getsource(self.shape.combine))
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]


class UnknownDimension(LookupError):
    """Raised when a KPI is asked for by something it is not declared by; worded for the user."""


class Undeclared(TypeError):
    """Raised at import when a KPI lacks its formula."""


KPIS: Registry[Kpi] = Registry("KPI")


def kpi(**declared: object) -> Callable[[Callable[[], Shape]], Kpi]:
    """Register the decorated function as a KPI under its own name; raises Undeclared without a docstring."""

    def register(function: Callable[[], Shape]) -> Kpi:
        formula = inspect.getdoc(function) or ""
        if not formula.strip():
            raise Undeclared(f"The KPI “{function.__name__}” has no docstring: it is the published formula.")
        made = Kpi(slug=function.__name__, formula=formula, shape=function(), **declared)  # type: ignore[arg-type]
        if made.unit is Unit.MONEY and made.needs is None:
            made = replace(made, needs=Capability.VIEW_MONEY)
        return KPIS.add(made.slug, made)

    return register
