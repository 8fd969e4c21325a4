"""Chart declarations and rows to Plotly figures (data only; the theme is the page's) and to sparklines."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal as D
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from resellerkpi.core.chartspec import Bar, Chart, Curve, Stack
from resellerkpi.core.columns import Bucket, Column, Decimal, Int, Minutes, Money, Percent, ratio

MOST_SERIES = 6
Rows = Iterable[Mapping[str, Any]]


def figure(chart: Chart, rows: Rows, columns: Sequence[Column]) -> dict[str, Any]:
    """Return what a chart plots: numbers as exact text, at most six series, the rest of them in one.

    `whole` says that what is measured comes in whole numbers. A curve has the words `across` below it and, drawn
    quietly, the line of an even spread.
    """
    by_name = {c.name: c for c in columns}
    drawn = _in_words(list(rows), by_name.get(chart.x))
    series = _split(chart, drawn, by_name) if chart.series else _fields(chart, drawn, by_name)
    curve = isinstance(chart, Curve)
    first = by_name.get(chart.y[0])
    traces = [_trace(name, points, by_name) for name, points in series]
    if isinstance(chart, Curve) and chart.even:
        traces.append({"name": chart.even, "x": ["0", "1"], "y": ["0", "1"], "quiet": True})
    return {
        "title": chart.title,
        "bars": isinstance(chart, Bar | Stack),
        "stacked": isinstance(chart, Stack),
        "unit": chart.unit or _unit(first, drawn),
        "format": _format(first),
        "dates": any(isinstance(row.get(chart.x), date) for row in drawn[:1]),
        "whole": all(_is_whole(by_name.get(name)) for name in chart.y),
        "curve": curve,
        "across": by_name[chart.x].title if curve else "",
        "traces": traces,
    }


def _in_words(rows: list[Mapping[str, Any]], x: Column | None) -> list[Mapping[str, Any]]:
    """Name quarters and years, and one or two months, as tables do: a line of days has no words for them."""
    if not isinstance(x, Bucket) or x.grain not in ("month", "quarter", "year"):
        return rows
    if x.grain == "month" and len({row.get(x.name) for row in rows}) > 2:
        return rows
    return [{**row, x.name: x.display(row)} for row in rows]


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
    absent = f"No {columns[chart.series].title.lower()}" if chart.series in columns else "None"
    named = [(str(row.get(chart.series) or absent), row) for row in rows]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, row in named:
        found.setdefault(name, []).append(row)
    if len(found) > MOST_SERIES:
        found = _at_most(chart, found, named, columns.get(chart.y[0]))
    return [(name, [(_x(row.get(chart.x)), row.get(chart.y[0])) for row in of]) for name, of in found.items()]


def _at_most(
    chart: Chart,
    series: Mapping[str, list[Mapping[str, Any]]],
    named: Sequence[tuple[str, Mapping[str, Any]]],
    measure: Column | None,
) -> dict[str, list[Mapping[str, Any]]]:
    """Keep the five largest series; the others come together: amounts added up, averages from sums of their parts."""
    value = chart.y[0]
    sizes = {name: sum(abs(D(row[value] or 0)) for row in rows) for name, rows in series.items()}
    kept = {*sorted(sizes, key=lambda name: sizes[name], reverse=True)[: MOST_SERIES - 1]}
    parts = (measure.parts if measure else None) or (value,)
    sums: dict[Any, dict[str, D]] = {}
    for name, row in named:
        if name not in kept:
            into = sums.setdefault(row.get(chart.x), dict.fromkeys(parts, D(0)))
            for part in parts:
                into[part] += D(row.get(part) or 0)
    rest = [
        {chart.x: x, value: found[value] if value in parts else ratio(found, *parts)}
        for x, found in sums.items()
    ]
    return {name: rows for name, rows in series.items() if name in kept} | {"All others": [*rest]}


def _trace(name: str, points: Points, columns: Mapping[str, Column]) -> dict[str, Any]:
    return {"name": name, "x": [x for x, _ in points], "y": [_number(y) for _, y in points]}


def _x(value: Any) -> Any:
    if isinstance(value, D):
        return format(value, "f")
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


def _is_whole(column: Column | None) -> bool:
    return isinstance(column, Int) or (isinstance(column, Decimal) and not column.decimals)


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
