"""Columns to django-tables2 tables: redaction, typed cells, sorting with a tie-break, totals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import django_tables2 as tables
from django.db.models import F, QuerySet, Sum
from django.db.models.expressions import OrderBy
from django.db.models.query import ValuesIterable
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from resellerkpi.core.columns import BY_ROW, SUM, Column, DateTime, Decimal, Minutes, Money, totals, visible
from resellerkpi.core.scope import Scope
from resellerkpi.ui.navigation import address

Rows = QuerySet[Any] | Iterable[Mapping[str, Any]]
#: Codes whose label is shown as a mark of that meaning.
MEANINGS = {
    **dict.fromkeys(
        ("active", "sent", "paid", "done", "loaded", "rated", "issued", "confirmed", "allocated"), "good"
    ),
    **dict.fromkeys(
        ("suspended", "superseded", "billed", "checked", "pending", "running", "loading", "open"), "attention"
    ),
    **dict.fromkeys(("failed", "error", "void"), "bad"),
}


def mark(code: Any, label: str) -> SafeString:
    """Return a label in the colour of what its code means."""
    return format_html('<span class="mark mark-{}">{}</span>', MEANINGS.get(str(code), "plain"), label)


def local(column: Column, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the row with the column's instant in the zone of the page."""
    value = row.get(column.name)
    if isinstance(value, datetime) and timezone.is_aware(value):
        return {**row, column.name: timezone.localtime(value)}
    return row


class HouseColumn(tables.Column):
    """A django-tables2 column that shows a core column; numbers stand right, links lead to the row's page."""

    def __init__(self, column: Column, *, first: bool = False, row_url: str = "") -> None:
        classes = " ".join(
            name
            for name in (f"k-{column.kind}", "num" if column.align == "right" else "", "first" * first)
            if name
        )
        super().__init__(
            verbose_name=column.title,
            accessor=column.name,
            orderable=column.sortable,
            empty_values=(),
            attrs={"td": {"class": classes}, "th": {"class": classes, "scope": "col"}},
        )
        self.column, self.row_url = column, row_url

    def render(self, record: Mapping[str, Any]) -> str | SafeString:
        """Show the value, as a link or a mark where it is one."""
        shown = self.column.display(local(self.column, record))
        href = self._href(record)
        if href:
            return format_html('<a href="{}">{}</a>', href, shown)
        if self.column.kind == "choice":
            return mark(self.column.value(record), shown)
        return shown

    def _href(self, record: Mapping[str, Any]) -> str:
        if self.row_url and record.get("pk") is not None:
            return address(self.row_url, record["pk"])
        place = record.get(f"{self.column.name}_id")
        if self.column.url == BY_ROW:
            page = record.get(f"{self.column.name}_url")
            return address(page, *([] if place is None else [place])) if page else ""
        if self.column.url and place is not None:
            return address(self.column.url, place)
        return ""

    def order(self, queryset: QuerySet[Any], is_descending: bool) -> tuple[QuerySet[Any], bool]:
        """Sort in the database, empty values last, equal ones by primary key."""
        return queryset.order_by(OrderBy(F(self.column.path), is_descending, nulls_last=True), "pk"), True


class HouseTable(tables.Table):
    """A table of the house; `total_rows` stand under it."""

    total_rows: Sequence[Mapping[str, Any]] = ()
    house_columns: Sequence[Column] = ()

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Runs of columns under one group heading; empty when no column has a group."""
        runs: list[tuple[str, int]] = []
        for column in self.house_columns:
            if runs and runs[-1][0] == column.group:
                runs[-1] = (column.group, runs[-1][1] + 1)
            else:
                runs.append((column.group, 1))
        return runs if any(name for name, _ in runs) else []

    @property
    def body(self) -> Iterator[SafeString]:
        """The cells of each row of the page as markup, made here: a template for each cell is most of a page's time."""
        shown = [(bound.column, bound.attrs["td"].as_html()) for bound in self.columns]
        for row in self.paginated_rows:
            cells = [(attrs, column.render(row.record)) for column, attrs in shown]
            yield format_html('<th {} scope="row">{}</th>', *cells[0]) + format_html_join(
                "", "<td {}>{}</td>", cells[1:]
            )

    @property
    def foot(self) -> list[list[tuple[Column, str]]]:
        """The total rows as (column, text), the first cell saying Total."""
        return [self._total(row) for row in self.total_rows]

    def _total(self, row: Mapping[str, Any]) -> list[tuple[Column, str]]:
        cells = []
        for index, column in enumerate(self.house_columns):
            summed = column.has_total or (column.name in row and not column.level)
            cells.append((column, column.display(row) if summed else "Total" if index == 0 else ""))
        return cells


def make_table(
    columns: Sequence[Column],
    rows: Rows,
    *,
    scope: Scope,
    order_by: str | None = None,
    row_url: str | None = None,
    with_totals: bool = True,
) -> HouseTable:
    """Return a table of the columns the scope's holder may see; querysets are read as values of their paths."""
    shown = visible(columns, scope.capabilities)
    summed = with_totals and any(c.total == SUM for c in shown)
    if isinstance(rows, QuerySet):
        total_rows = queryset_totals(shown, rows) if summed else []
        data: Any = read(shown, rows)
    else:
        data = list(rows)
        total_rows = totals(shown, data) if summed and data else []
    extra = [
        (c.name, HouseColumn(c, first=i == 0, row_url=(row_url or "") if i == 0 else ""))
        for i, c in enumerate(shown)
    ]
    table = HouseTable(data, extra_columns=extra, order_by=_allowed(shown, order_by), order_by_field="sort")
    table.total_rows, table.house_columns = total_rows, shown
    return table


def _allowed(columns: Sequence[Column], order_by: str | None) -> str | None:
    names = {c.name for c in columns if c.sortable}
    return order_by if order_by and order_by.lstrip("-") in names else None


def heading(column: Column) -> str:
    """Return the unit that stands in a column's head, "" for none."""
    if isinstance(column, Money) and column.currency.startswith("="):
        return column.currency[1:]
    if isinstance(column, Decimal):
        return column.unit
    return "h:mm:ss" if isinstance(column, Minutes) else ""


def paths(columns: Sequence[Column]) -> dict[str, str]:
    """Return row key -> lookup for everything the columns read from a row, the primary key included."""
    wanted: dict[str, str] = {"pk": "pk"}
    for column in columns:
        if column.parts:
            wanted |= {part: part for part in column.parts}
        else:
            wanted[column.name] = column.path
        if isinstance(column, Money) and not column.currency.startswith("="):
            wanted.setdefault(column.currency, _beside(column.path, column.currency))
        if column.url:
            head, _, _ = column.path.rpartition("__")
            wanted[f"{column.name}_id"] = f"{head or column.name}_id"
    return wanted


def _beside(path: str, field: str) -> str:
    head, _, _ = path.rpartition("__")
    return f"{head}__{field}" if head else field


def read(columns: Sequence[Column], queryset: QuerySet[Any]) -> QuerySet[Any]:
    """Return the queryset read as dictionaries by column name, in one query."""
    wanted = paths(columns)
    names = list(wanted)
    instants = [c for c in columns if isinstance(c, DateTime)]

    class Named(ValuesIterable):
        """Rows keyed by column names instead of lookups."""

        def __iter__(self) -> Any:
            for row in super().__iter__():
                found = {name: row[wanted[name]] for name in names}
                for column in instants:
                    found = dict(local(column, found))
                yield found

    found = queryset.values(*dict.fromkeys(wanted.values()))
    found._iterable_class = Named  # type: ignore[assignment]
    return found


def queryset_totals(columns: Sequence[Column], queryset: QuerySet[Any]) -> list[dict[str, Any]]:
    """Return total rows of the whole queryset, one per currency where money is summed: one query."""
    summed = {c.name: c.path for c in columns if c.total == SUM}
    summed |= {p: p for c in columns if c.has_total for p in c.parts or ()}
    money = next((c for c in columns if c.total == SUM and isinstance(c, Money)), None)
    sums = {f"sum_{name}": Sum(path) for name, path in summed.items()}
    plain = queryset.order_by()
    if money is None or money.currency.startswith("="):
        found = [plain.aggregate(**sums)]
        return [_renamed(row) for row in found]
    currency = paths([money])[money.currency]
    rows = plain.values(currency).annotate(**sums).order_by(currency)
    return [_renamed(row) | {money.currency: row[currency]} for row in rows]


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removeprefix("sum_"): v or 0 for k, v in row.items() if k.startswith("sum_")}
