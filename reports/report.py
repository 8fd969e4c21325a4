"""A report is one class: its query form, its columns, its rows, its tie-outs; everything else is the frame's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from reports.currency import Billed
from reports.filters import Asks, ReportFilters
from reports.grouping import Dimension
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Chart
from resellerkpi.core.columns import Column, Row
from resellerkpi.core.registry import Registry

REPORTS: "Registry[Report]" = Registry("report")


@dataclass(frozen=True)
class TieOut:
    """A total of the report beside the same figure from the books; both in the currency's units."""

    name: str
    currency: str
    ours: Decimal
    ledger: Decimal

    @property
    def difference(self) -> Decimal:
        """The report's figure minus the books'."""
        return self.ours - self.ledger

    @property
    def ok(self) -> bool:
        """Whether they agree to the penny."""
        return self.difference == 0


@dataclass(frozen=True)
class Preset:
    """A chart people choose by name; its `x` is a column, dated ones fall into `grain` ("" = as long as it fits)."""

    slug: str
    chart: Chart
    grain: str = ""

    @property
    def title(self) -> str:
        """The name of the chart."""
        return self.chart.title


class Report:
    """Base of every report: declare a slug and the frame lists, runs, freezes, shows, exports, mails and shares it.

    The class docstring's first line is the purpose people read. `needs` is the capability its rows ask for. `dated`
    names the date column that tells which days the data really cover. Raise `version` when a figure's meaning moves.

    `dimensions` are what rows can be grouped by, `default_groups` those used when none is chosen. `keys` names the
    columns that tell one of the report's own rows from another; `compares_rows` says that such rows can be set beside
    those of an earlier interval. `measures` names the columns compared (all totals and ratios otherwise). `billed`
    says where the query has currency and day, so that amounts can be converted. `moved_by` tells which of
    `reports.causes` move a column, where that is fewer than all. A `slow` report is always made by a job: no page waits
    for it.
    """

    slug: ClassVar[str] = ""
    name: ClassVar[str] = ""
    family: ClassVar[str] = "Other"
    version: ClassVar[int] = 1
    needs: ClassVar[Capability] = Capability.RUN_REPORTS
    dated: ClassVar[str] = ""
    columns: ClassVar[Sequence[Column]] = ()
    charts: ClassVar[Sequence[Preset]] = ()
    dimensions: ClassVar[Sequence[Dimension]] = ()
    default_groups: ClassVar[Sequence[str]] = ()
    keys: ClassVar[Sequence[str]] = ()
    moved_by: ClassVar[Mapping[str, Sequence[str]]] = {}
    compares_rows: ClassVar[bool] = False
    measures: ClassVar[Sequence[str]] = ()
    billed: ClassVar[Billed | None] = None
    slow: ClassVar[bool] = False

    class Filters(ReportFilters):
        """The interval alone."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Register a subclass that has a slug; its form gets what it lets people ask."""
        super().__init_subclass__(**options)
        asks = Asks(cls.dimensions, cls.default_groups, cls.compares_rows, cls.billed)
        cls.Filters = type(cls.Filters)("Filters", (cls.Filters,), {"asks": asks})  # type: ignore[misc]
        if cls.slug:
            REPORTS.add(cls.slug, cls())

    @property
    def purpose(self) -> str:
        """What the report is for, in one line."""
        return (type(self).__doc__ or "").strip().partition("\n")[0]

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns a query asks for (all unless a report says otherwise); groups and changes are added."""
        return self.columns

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the rows of a query, in the scope in force: an iterable or a queryset of mappings."""
        return ()

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> Sequence[TieOut]:
        """Return the report's totals beside the books' for the same rows, one per figure and currency."""
        return ()

    def notes(self, f: ReportFilters) -> Sequence[tuple[str, str, bool]]:
        """Return what a reader must know of the rows that were made: label, sentence, whether it is a warning."""
        return ()
