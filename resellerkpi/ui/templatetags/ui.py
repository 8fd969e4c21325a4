"""Template tags of the toolkit."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal as D
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from resellerkpi.core import columns
from resellerkpi.core.money import places
from resellerkpi.ui import charts, tables
from resellerkpi.ui.panels import Panel, panel_rows
from resellerkpi.ui.tiles import Change

register = template.Library()
NBSP = "\N{NO-BREAK SPACE}"


@register.filter
def money(amount: Any, currency: str = "GBP") -> str:
    """Return an amount with its currency: 1,204.80 GBP."""
    if amount is None or amount == "":
        return columns.DASH
    return f"{columns.figure(amount, places(currency))}{NBSP}{currency}"


@register.filter
def figure(value: Any, decimals: int = 0) -> str:
    """Return a number with thousands separators."""
    return columns.DASH if value is None or value == "" else columns.figure(value, int(decimals))


@register.filter
def percent(ratio: Any, decimals: int = 1) -> str:
    """Return a ratio (0.05) in per cent (5.0 %)."""
    return (
        "n/a" if ratio is None or ratio == "" else f"{columns.figure(D(ratio) * 100, int(decimals))}{NBSP}%"
    )


@register.filter
def day(value: date | datetime | None) -> str:
    """Return a day as 22 Nov 2026."""
    return columns.day(value)


@register.filter
def moment(value: datetime | None, reseller: Any = None) -> str:
    """Return an instant as 22 Nov 2026 14:03 in the reseller's zone."""
    if value is None:
        return columns.DASH
    local = value.astimezone(reseller.zone) if reseller else value
    return f"{columns.day(local.date())} {local:%H:%M}"


@register.filter
def minutes(seconds: Any) -> str:
    """Return seconds as h:mm:ss."""
    return columns.Minutes(name="s").display({"s": seconds})


@register.simple_tag
def delta(change: Change | None) -> SafeString:
    """Return a change with arrow, amount, per cent, what it is against, and a word for its meaning."""
    if change is None:
        return SafeString("")
    text = " ".join(part for part in (change.amount, f"({change.percent})" if change.percent else "") if part)
    return format_html(
        '<span class="delta delta-{}"><span aria-hidden="true">{}</span> {} <span class="quiet">{}</span>'
        '<span class="sr">{}</span></span>',
        change.meaning,
        change.arrow,
        text,
        change.against,
        change.word,
    )


@register.simple_tag
def sparkline(values: Sequence[Any], words: str = "") -> SafeString:
    """Return a small line over the values."""
    return charts.sparkline(values, words=words)


@register.simple_tag(takes_context=True)
def query_with(context: Mapping[str, Any], **changes: Any) -> str:
    """Return the page's query string with some parameters changed; an empty value drops one."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return _address(query)


@register.simple_tag(takes_context=True)
def query_without(context: Mapping[str, Any], name: str) -> str:
    """Return the page's query string without a filter (and its page and two dates)."""
    query = context["request"].GET.copy()
    for gone in (name, f"{name}_from", f"{name}_to", "page"):
        query.pop(gone, None)
    return _address(query)


def _address(query: QueryDict) -> str:
    """Return a query string without its empty parameters."""
    kept = [(name, value) for name, values in query.lists() for value in values if value]
    return f"?{urlencode(kept)}"


@register.filter
def in_rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Return panels in rows: wide ones alone, narrow neighbours beside each other."""
    return panel_rows(panels)


@register.filter
def grouped(form: Any) -> list[tuple[str, list[Any]]]:
    """Return a form's visible fields under the headings of its `groups`, what is left over last."""
    fields = {field.name: field for field in form.visible_fields()}
    found = []
    for title, names in getattr(form, "groups", ()):
        inside = [fields.pop(name) for name in names if name in fields]
        found += [(title, inside)] if inside else []
    return [*found, ("", list(fields.values()))] if fields else found


@register.filter
def unit_of(column: columns.Column) -> str:
    """Return the unit that stands in a column's head."""
    return tables.heading(column)


@register.filter
def core_column(bound: Any) -> columns.Column:
    """Return the declared column behind a table's column."""
    return bound.column.column
