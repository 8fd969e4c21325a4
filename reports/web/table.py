"""The table of a frozen run: pages and sorts on the frozen rows, reading only what is shown."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.http import QueryDict
from django.urls import NoReverseMatch, reverse
from django_tables2.data import TableData

from reports.render import Showing
from resellerkpi.core.columns import BY_ROW, Column
from resellerkpi.ui.tables import HouseColumn, HouseTable

PAGE_SIZES = (50, 100, 250)


class FrozenData(TableData):
    """Frozen rows as django-tables2 reads them; they come in their order already."""

    def __init__(self, showing: Showing) -> None:
        self.showing = showing
        super().__init__(showing)

    def __len__(self) -> int:
        return self.showing.frozen.count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.showing.rows()

    def __getitem__(self, key: slice) -> list[dict[str, Any]]:
        return list(self.showing.rows(key.start or 0, key.stop))

    def order_by(self, aliases: Any) -> None:
        """Leave the order alone: the showing sorts."""


def frozen_table(showing: Showing, query: QueryDict, *, first: int = 0) -> HouseTable:
    """Return the page of a showing that an address asks for, or its `first` rows, with the totals of all rows."""
    columns = [c if leads(c) else replace(c, url="") for c in showing.columns if not c.hidden]
    extra = [(c.name, HouseColumn(c, first=index == 0)) for index, c in enumerate(columns)]
    order = showing.sort if showing.sorted_by else None
    table = HouseTable(FrozenData(showing), extra_columns=extra, order_by=order, order_by_field="sort")
    table.total_rows, table.house_columns = showing.totals, columns
    size = whole(query.get("rows"), PAGE_SIZES[0])
    size = first or (size if size in PAGE_SIZES else PAGE_SIZES[0])
    last = max(1, -(-showing.frozen.count // size))
    table.paginate(page=min(max(1, whole(query.get("page"), 1)), last), per_page=size)
    return table


def leads(column: Column) -> bool:
    """Say whether a column's link leads anywhere: a run may be older or newer than the page it names."""
    try:
        return column.url == BY_ROW or bool(column.url and reverse(column.url, args=[1]))
    except NoReverseMatch:
        return False


def whole(text: str | None, default: int) -> int:
    """Read a whole number out of an address."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else default
