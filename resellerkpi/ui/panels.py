"""What a detail page is made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from django.utils.text import slugify

from resellerkpi.core.chartspec import Chart
from resellerkpi.core.columns import Column, visible
from resellerkpi.core.scope import current
from resellerkpi.ui.charts import figure
from resellerkpi.ui.tables import HouseTable, Rows, make_table
from resellerkpi.ui.tiles import Tile


@dataclass(frozen=True)
class EmptyState:
    """Why there is nothing, and the one thing to do next."""

    text: str
    action_label: str = ""
    action_url: str = ""


@dataclass(frozen=True)
class Action:
    """A button at the right of the page's head; `primary` for the one most used there."""

    label: str
    url: str
    primary: bool = False


NOTHING = EmptyState("Nothing here yet.")


class Panel:
    """A part of a page with a title and a template; `wide` panels take the whole width."""

    template: ClassVar[str] = "ui/_panel.html"
    wide: bool
    title: str
    actions: Sequence[Action]


@dataclass
class Facts(Panel):
    """Labels and values: (label, value) or (label, value, url)."""

    title: str
    items: Sequence[tuple[Any, ...]]
    actions: Sequence[Action] = ()
    wide: bool = False
    template: ClassVar[str] = "ui/_facts.html"

    @property
    def facts(self) -> list[tuple[str, Any, str]]:
        """The items that have a value, with an address, "" for none."""
        return [
            (i[0], i[1], i[2] if len(i) > 2 and i[2] else "") for i in self.items if i[1] not in (None, "")
        ]


@dataclass
class TablePanel(Panel):
    """Rows under columns; `more_url` leads to the whole list, `limit` cuts a queryset for this page."""

    title: str
    columns: Sequence[Column]
    rows: Rows
    row_url: str | None = None
    empty: EmptyState = NOTHING
    more_url: str = ""
    limit: int = 0
    order_by: str | None = None
    actions: Sequence[Action] = ()
    wide: bool = True
    template: ClassVar[str] = "ui/_table_panel.html"

    @cached_property
    def table(self) -> HouseTable:
        """The table in the scope in force."""
        columns = [c for c in self.columns if not c.hidden]
        table = make_table(columns, self.rows, scope=current(), order_by=self.order_by, row_url=self.row_url)
        if self.limit:
            table.data.data = table.data.data[: self.limit]
        table.orderable = False
        return table


@dataclass
class ChartPanel(Panel):
    """A chart with the table of its numbers; drawn in the browser, readable without."""

    title: str
    chart: Chart
    rows: Iterable[Mapping[str, Any]]
    columns: Sequence[Column]
    empty: EmptyState = NOTHING
    actions: Sequence[Action] = ()
    wide: bool = True
    note: str = ""
    template: ClassVar[str] = "ui/_chart.html"

    def __post_init__(self) -> None:
        self.rows = list(self.rows)
        self.columns = visible(self.columns, current().capabilities)

    @cached_property
    def figure(self) -> dict[str, Any]:
        """What the browser draws."""
        return figure(self.chart, self.rows, self.columns)

    @property
    def key(self) -> str:
        """The id under which the page carries the figure."""
        return f"chart-{slugify(self.title) or 'figure'}-{'-'.join(self.chart.y)}"

    @cached_property
    def table(self) -> HouseTable:
        """The numbers of the chart."""
        table = make_table(self.columns, self.rows, scope=current())
        table.orderable = False
        return table


@dataclass
class TilesPanel(Panel):
    """Figures side by side."""

    tiles: Sequence[Tile]
    title: str = ""
    actions: Sequence[Action] = ()
    wide: bool = True
    template: ClassVar[str] = "ui/_tiles.html"


@dataclass
class HtmlPanel(Panel):
    """A template of the application's own with its context."""

    template_name: str
    context: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    actions: Sequence[Action] = ()
    wide: bool = True
    template: ClassVar[str] = "ui/_html_panel.html"


def panel_rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return panels in rows: each wide one alone, narrow neighbours beside each other."""
    rows: list[list[Panel]] = []
    for panel in panels:
        if rows and not panel.wide and not rows[-1][-1].wide:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows
