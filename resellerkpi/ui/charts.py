"""Chart declarations and rows to Plotly figures (data only; the theme is the page's) and to sparklines."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal as D
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from resellerkpi.core.chartspec import Bar, Chart, Stack
from resellerkpi.core.columns import Column, Decimal, Minutes, Money, Percent

MOST_SERIES = 6
Rows = Iterable[Mapping[str, Any]]


def figure(chart: Chart, rows: Rows, columns: Sequence[Column]) -> dict[str, Any]:
    """Return {traces, unit, format, bars, stacked}: numbers as exact text, at most six series, the rest summed."""
    by_name = {c.name: c for c in columns}
    drawn = list(rows)
    series = _split(chart, drawn, by_name) if chart.series else _fields(chart, drawn, by_name)
    series = _at_most(series)
    first = by_name.get(chart.y[0])
    return {
        "title": chart.title,
        "bars": isinstance(chart, Bar | Stack),
        "stacked": isinstance(chart, Stack),
        "unit": chart.unit or _unit(first, drawn),
        "format": _format(first),
        "dates": any(isinstance(row.get(chart.x), date) for row in drawn[:1]),
        "traces": [_trace(name, points, by_name) for name, points in series],
    }


Points = list[tuple[Any, Any]]


def _fields(
    chart: Chart, rows: list[Mapping[str, Any]], columns: Mapping[str, Column]
) -> list[tuple[str, Points]]:
    titles = [columns[name].title if name in columns else name for name in chart.y]
    return [
        (title, [(_x(row.get(chart.x)), _y(columns.get(name), row, name)) for row in rows])
        for title, name in zip(titles, chart.y, strict=True)
    ]


def _split(
    chart: Chart, rows: list[Mapping[str, Any]], columns: Mapping[str, Column]
) -> list[tuple[str, Points]]:
    found: dict[str, Points] = {}
    absent = f"No {columns[chart.series].title.lower()}" if chart.series in columns else "None"
    for row in rows:
        name = str(row.get(chart.series) or absent)
        found.setdefault(name, []).append((_x(row.get(chart.x)), row.get(chart.y[0])))
    return list(found.items())


def _at_most(series: list[tuple[str, Points]]) -> list[tuple[str, Points]]:
    """Keep the five largest series and add the others up into one when there are more than six."""
    if len(series) <= MOST_SERIES:
        return series
    ranked = sorted(series, key=lambda s: sum(abs(D(y)) for _, y in s[1] if y is not None), reverse=True)
    kept = {name for name, _ in ranked[: MOST_SERIES - 1]}
    rest: dict[Any, D] = {}
    for name, points in series:
        for x, y in points if name not in kept else ():
            rest[x] = rest.get(x, D(0)) + D(y or 0)
    return [s for s in series if s[0] in kept] + [("All others", list(rest.items()))]


def _trace(name: str, points: Points, columns: Mapping[str, Column]) -> dict[str, Any]:
    return {"name": name, "x": [x for x, _ in points], "y": [_number(y) for _, y in points]}


def _x(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _y(column: Column | None, row: Mapping[str, Any], name: str) -> Any:
    return column.cell(row) if isinstance(column, Minutes | Percent) else row.get(name)


def _number(value: Any) -> str | None:
    return None if value is None else format(D(value), "f")


def _unit(column: Column | None, rows: list[Mapping[str, Any]]) -> str:
    if isinstance(column, Money):
        codes = sorted({column.currency_of(row) for row in rows} - {""})
        return codes[0] if len(codes) == 1 else ""
    if isinstance(column, Minutes):
        return "minutes"
    return column.unit if isinstance(column, Decimal) else ""


def _format(column: Column | None) -> str:
    if isinstance(column, Percent):
        return ",.1%"
    return ",.2f" if isinstance(column, Money) else ",.4~f"


def sparkline(values: Sequence[Any], *, words: str = "") -> SafeString:
    """Return a small line over the values as SVG; missing values leave gaps, the last one is marked."""
    numbers = [None if v is None else D(v) for v in values]
    known = [n for n in numbers if n is not None]
    if len(known) < 2:
        return SafeString("")
    low, high = min(known), max(known)
    step, span = D(100) / (len(numbers) - 1), high - low or D(1)
    runs: list[list[str]] = [[]]
    last = ("0", "0")
    for index, number in enumerate(numbers):
        if number is None:
            runs.append([])
            continue
        last = (f"{index * step:.1f}", f"{26 - (number - low) / span * 24:.1f}")
        runs[-1].append(",".join(last))
    lines = format_html_join(
        "", '<polyline points="{}"/>', ((" ".join(run),) for run in runs if len(run) > 1)
    )
    label = words or f"Trend over {len(numbers)} periods"
    return format_html(
        '<svg class="spark" viewBox="0 0 104 28" preserveAspectRatio="none" role="img" aria-label="{}">{}'
        '<circle cx="{}" cy="{}" r="2"/></svg>',
        label,
        lines,
        *last,
    )
