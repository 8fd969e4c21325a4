"""Charts of a run: its presets, or any chart of its columns, summed from the frozen rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal as D
from typing import Any

from reports.frozen import COUNT, Frozen
from reports.report import Preset
from resellerkpi.core.chartspec import Bar, Chart, Curve, Line, Stack
from resellerkpi.core.columns import (
    Bucket,
    Choice,
    Column,
    Date,
    DateTime,
    Decimal,
    Int,
    Minutes,
    Money,
    Text,
    ratio,
)
from resellerkpi.core.periods import add_months

TYPES: dict[str, type[Chart]] = {"bar": Bar, "line": Line, "stack": Stack}
SUMMED = (Int, Decimal, Money, Minutes)
MOST_BARS, MOST_POINTS = 20, 60
#: Buckets that are drawn on a line of days.
DAYS = ("day", "week")
ROWS = Int(name=COUNT, label="Rows")


@dataclass(frozen=True)
class Drawing:
    """A chart with its numbers and what was left out of it."""

    chart: Chart
    rows: list[dict[str, Any]]
    columns: list[Column]
    note: str = ""


def measures(columns: Sequence[Column]) -> list[Column]:
    """Return what can be summed and drawn: numbers, amounts that divide sums, and the count of rows."""
    drawn = (c for c in columns if isinstance(c, SUMMED) and not c.hidden)
    return [*(c for c in drawn if isinstance(c, Money) or not c.parts), ROWS]


def dimensions(columns: Sequence[Column]) -> list[Column]:
    """Return what a chart can be drawn over."""
    return [c for c in columns if c.align == "left" and not c.hidden]


def chosen(query: Mapping[str, str], presets: Sequence[Preset], columns: Sequence[Column]) -> Preset | None:
    """Return the chart an address asks for: `chart=<preset>` or `chart=blank` with type, x, y and series."""
    wanted = query.get("chart", "")
    found = next((p for p in presets if p.slug == wanted), None)
    if found is not None:
        return found if drawable(found, columns) else None
    over, drawn = dimensions(columns), measures(columns)
    if wanted != "blank" or not over:
        return None
    x = _named(over, query.get("x", "")) or over[0]
    y = _named(drawn, query.get("y", "")) or drawn[0]
    series = _named(over, query.get("series", ""))
    kind = TYPES.get(query.get("type", ""), Bar)
    by = series.name if series and series.name != x.name else ""
    title = f"{y.title} by {x.title.lower()}"
    return Preset("blank", kind(x=x.name, y=(y.name,), series=by, title=title))


def offered(presets: Sequence[Preset], columns: Sequence[Column], keys: Sequence[str]) -> list[Preset]:
    """Return the charts a result is offered: the report's that its columns allow, else one of its groups."""
    found = [preset for preset in presets if drawable(preset, columns)]
    groups = [c for c in dimensions(columns) if c.name in keys and c.name.startswith("by_")]
    drawn = [c for c in measures(columns) if isinstance(c, Money)] or measures(columns)
    if found or not groups:
        return found
    x, y = groups[0], drawn[0]
    kind = Line if isinstance(x, Bucket) and x.grain == "day" else Bar
    title = f"{y.title} by {x.title.lower()}"
    return [Preset("groups", kind(x=x.name, y=(y.name,), title=title))]


def drawable(preset: Preset, columns: Sequence[Column]) -> bool:
    """Say whether every column of a chart is shown, and what it draws can be summed or divides sums.

    A curve sums nothing: any column will do.
    """
    names, summed = {c.name for c in columns}, {c.name for c in measures(columns)}
    drawn = names if isinstance(preset.chart, Curve) else summed
    return {preset.chart.x, *filter(None, [preset.chart.series])} <= names and set(preset.chart.y) <= drawn


def _named(columns: Sequence[Column], name: str) -> Column | None:
    return next((c for c in columns if c.name == name), None)


def draw(preset: Preset, frozen: Frozen, columns: Sequence[Column], *, days: int) -> Drawing:
    """Sum the frozen rows into a chart's points; amounts of two currencies are never added."""
    chart, by_name = preset.chart, {c.name: c for c in [*columns, ROWS]}
    if isinstance(chart, Curve):
        return _curve(chart, frozen, by_name)
    x, ys = by_name[chart.x], [by_name[name] for name in chart.y]
    bucket = isinstance(x, Bucket)
    dated = isinstance(x, Date | DateTime) and not bucket
    grain = (preset.grain or ("month" if days > 62 else "day")) if dated else ""
    currency = next((y.currency for y in ys if isinstance(y, Money) and not y.currency.startswith("=")), "")
    by = {name: grain if name == chart.x else "" for name in (chart.x, chart.series, currency) if name}
    rows = [
        {**row, **{y.name: ratio(row, *y.parts) or D(0) for y in ys if y.parts}}
        for row in frozen.summed(by, list(dict.fromkeys(n for y in ys for n in y.parts or (y.name,))))
    ]
    if chart.series:
        rows = _named_series(rows, by_name[chart.series])
    if currency and len({row[currency] for row in rows}) > 1:
        chart = _per_currency(chart, rows, currency)
    series = list(dict.fromkeys(row.get(chart.series) for row in rows))
    rows, note = _arranged(rows, chart, dated=bool(grain) or bucket)
    flows = not any(y.parts or y.level for y in ys)
    if grain == "month" or (isinstance(x, Bucket) and x.grain == "month" and flows):
        rows = _every_month(rows, chart, series)
    shown: Column = Date(name=x.name, label=x.title)
    if grain != "day" and not (isinstance(x, Bucket) and x.grain in DAYS):
        shown = Text(name=x.name, label="Month" if grain else x.title)
        rows = [row | {x.name: _month(row[x.name]) if grain else _word(x, row)} for row in rows]
    split = [Text(name=chart.series, label=_title(by_name, chart.series))] if chart.series else []
    money = [Text(name=currency, label="Currency")] if currency and chart.series != currency else []
    return Drawing(chart, rows, [shown, *split, *ys, *money], note)


def _named_series(rows: list[dict[str, Any]], column: Column) -> list[dict[str, Any]]:
    """Name the series of rows as people read them, in the order of a choice, of days or of the alphabet."""
    places = {value: n for n, (value, _) in enumerate(column.choices)} if isinstance(column, Choice) else {}

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        value = row[column.name]
        return value is None, places.get(value, len(places)), "" if value is None else value

    return [row | {column.name: _word(column, row)} for row in sorted(rows, key=place)]


def _curve(chart: Curve, frozen: Frozen, columns: Mapping[str, Column]) -> Drawing:
    """Take the rows as they stand, each series in the order of `x` and from nothing on; of many, some evenly apart."""
    fields = [chart.x, *filter(None, [chart.series]), *chart.y]
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in frozen.rows():
        if row[chart.x] is not None and row[chart.y[0]] is not None:
            found.setdefault(row.get(chart.series), []).append({name: row[name] for name in fields})
    points, note = [], ""
    for name, rows in found.items():
        rows.sort(key=lambda row: row[chart.x])
        if len(rows) > MOST_POINTS:
            rows = [rows[-(-len(rows) * n // MOST_POINTS) - 1] for n in range(1, MOST_POINTS + 1)]
            note = f"{MOST_POINTS} points of each line."
        start = dict.fromkeys([chart.x, *chart.y], D(0)) | ({chart.series: name} if chart.series else {})
        points += [start, *rows]
    if len(found) == 1:
        chart, fields = replace(chart, series=""), [chart.x, *chart.y]
    return Drawing(chart, points, [columns[name] for name in fields], note)


def _word(column: Column, row: Mapping[str, Any]) -> str:
    return f"No {column.title.lower()}" if row[column.name] in (None, "") else column.display(row)


def _month(day: date) -> str:
    return f"{day:%b %Y}"


def _every_month(rows: list[dict[str, Any]], chart: Chart, series: Sequence[Any]) -> list[dict[str, Any]]:
    """Put zeros where a series has nothing in a month between the first and the last, so that time runs evenly."""
    if not rows:
        return rows
    held = {(row[chart.x], row.get(chart.series)): row for row in rows}
    month, last, filled = rows[0][chart.x], rows[-1][chart.x], []
    while month <= last:
        for name in series:
            empty = rows[0] | dict.fromkeys(chart.y, 0) | {chart.x: month}
            filled.append(held.get((month, name), empty | ({chart.series: name} if chart.series else {})))
        month = add_months(month, 1)
    return filled


def _title(by_name: Mapping[str, Column], name: str) -> str:
    return by_name[name].title if name in by_name else name.capitalize()


def _per_currency(chart: Chart, rows: list[dict[str, Any]], currency: str) -> Chart:
    """Split the series by currency."""
    if chart.series and chart.series != currency:
        for row in rows:
            row[chart.series] = f"{row[chart.series]} ({row[currency]})"
        return chart
    rows.sort(key=lambda row: row[currency])
    return replace(chart, y=chart.y[:1], series=currency)


def _arranged(rows: list[dict[str, Any]], chart: Chart, *, dated: bool) -> tuple[list[dict[str, Any]], str]:
    """Put dates in order; keep the largest of anything else, nothing of it that comes to 0."""
    if dated:
        kept = [row for row in rows if row[chart.x] is not None]
        return sorted(kept, key=lambda row: row[chart.x]), ""
    sizes: dict[Any, D] = {}
    for row in rows:
        sizes[row[chart.x]] = sizes.get(row[chart.x], D(0)) + abs(D(row[chart.y[0]] or 0))
    ranked = sorted(
        (x for x in sizes if sizes[x]) if any(sizes.values()) else sizes, key=lambda x: (-sizes[x], str(x))
    )
    largest = {x: at for at, x in enumerate(ranked[:MOST_BARS])}
    kept = [row for row in rows if row[chart.x] in largest]
    kept.sort(key=lambda row: largest[row[chart.x]])
    return kept, f"The {MOST_BARS} largest of {len(ranked):,}." if len(ranked) > MOST_BARS else ""
