"""What a chart may draw, and how rows become its points: names, months, dates, averages, whole numbers, curves."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from reports.charting import draw, drawable
from reports.frozen import Freezer, Frozen, fields_of
from reports.picture import save
from reports.report import Preset
from resellerkpi.core.chartspec import Bar, Chart, Curve, Line, Stack
from resellerkpi.core.columns import SUM, Bucket, Choice, Column, Decimal, Int, Money, Percent, Text
from resellerkpi.ui.charts import figure

COLUMNS = (Text(name="dealer"), Int(name="paid", total=SUM), Percent(name="share", parts=("paid", "tried")))
JAN, FEB, MAR = (date(2026, month, 1) for month in (1, 2, 3))
LEVELS = (("error", "Error"), ("warning", "Warning"))
FOUND: tuple[Column, ...] = (
    Bucket(name="month", grain="month"),
    Choice(name="level", choices=LEVELS),
    Int(name="found", total=SUM),
    Money(name="mean", currency="=GBP", parts=("spent", "found")),
)


def drawn(
    folder: Path, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], chart: Chart
) -> dict[str, Any]:
    """Freeze rows and return what a chart of them plots."""
    path = folder / "rows"
    with Freezer(path, fields_of(columns, "Europe/London")) as freezer:
        list(freezer.passing(rows))
    drawing = draw(Preset("one", chart), Frozen(path), columns, days=90)
    return figure(drawing.chart, drawing.rows, drawing.columns)


def points(plot: Mapping[str, Any]) -> list[tuple[str, list[Any], list[Any]]]:
    """Return the traces of a plot as names, places and values."""
    return [(trace["name"], trace["x"], trace["y"]) for trace in plot["traces"]]


@pytest.mark.parametrize(("y", "fits"), [("paid", True), ("share", False), ("absent", False)])
def test_a_chart_draws_what_can_be_summed(y: str, fits: bool) -> None:
    assert drawable(Preset("one", Bar(x="dealer", y=(y,))), COLUMNS) is fits
    assert drawable(Preset("one", Curve(x="share", y=(y,))), COLUMNS) is (y != "absent")


def test_a_chart_over_a_column_that_is_not_shown_is_not_offered() -> None:
    assert not drawable(Preset("one", Bar(x="by_month", y=("paid",))), COLUMNS)
    assert not drawable(Preset("one", Curve(x="customers", y=("share",))), COLUMNS)


def test_series_have_the_names_and_order_of_their_choices_and_time_runs_evenly(tmp_path: Path) -> None:
    rows = [
        {"month": JAN, "level": "warning", "found": 3, "spent": D(6)},
        {"month": MAR, "level": "error", "found": 1, "spent": D(5)},
        {"month": MAR, "level": "warning", "found": 2, "spent": D(2)},
    ]
    plot = drawn(tmp_path, FOUND, rows, Stack(x="month", y=("found",), series="level"))
    months = ["Jan 2026", "Feb 2026", "Mar 2026"]
    assert points(plot) == [("Error", months, ["0", "0", "1"]), ("Warning", months, ["3", "0", "2"])]
    assert (plot["whole"], plot["dates"]) == (True, False)
    average = drawn(tmp_path, FOUND, rows, Line(x="month", y=("mean",)))
    assert [(x, [D(y) for y in ys]) for _, x, ys in points(average)] == [
        (["Jan 2026", "Mar 2026"], [D(2), D(7) / D(3)])
    ]
    assert average["whole"] is False


def test_weeks_stand_on_a_line_of_days(tmp_path: Path) -> None:
    columns = (Bucket(name="week", grain="week"), Decimal(name="points", decimals=0, total=SUM))
    rows = [{"week": date(2026, 3, day), "points": D(day)} for day in (9, 2)]
    plot = drawn(tmp_path, columns, rows, Bar(x="week", y=("points",)))
    assert points(plot) == [("Points", ["2026-03-02", "2026-03-09"], ["2", "9"])]
    assert (plot["whole"], plot["dates"]) == (True, True)


def test_the_average_of_all_others_divides_their_sums(tmp_path: Path) -> None:
    columns = (Bucket(name="month", grain="month"), Text(name="region"), FOUND[3])
    sizes = {"A": (90, 1), "B": (80, 1), "C": (70, 1), "D": (60, 1), "E": (50, 1), "F": (10, 4), "G": (2, 2)}
    rows = [
        {"month": month, "region": name, "spent": D(spent), "found": found}
        for month in (JAN, FEB)
        for name, (spent, found) in sizes.items()
    ]
    plot = drawn(tmp_path, columns, rows, Line(x="month", y=("mean",), series="region"))
    months = ["Jan 2026", "Feb 2026"]
    assert points(plot) == [
        *((name, months, [str(sizes[name][0])] * 2) for name in "ABCDE"), ("All others", months, ["2", "2"]),
    ]  # fmt: skip


def test_a_curve_keeps_rows_as_they_stand_and_thins_many(tmp_path: Path) -> None:
    columns = (Percent(name="people"), Percent(name="money"))
    curve = Curve(x="people", y=("money",), even="Evenly")
    rows = [
        {"people": D(n) / 4, "money": money}
        for n, money in ((2, D("0.9")), (1, D("0.7")), (4, D(1)), (3, None))
    ]
    plot = drawn(tmp_path, columns, rows, curve)
    assert points(plot) == [
        ("Money", ["0", "0.25", "0.5", "1"], ["0", "0.7", "0.9", "1"]),
        ("Evenly", ["0", "1"], ["0", "1"]),
    ]
    assert (plot["curve"], plot["across"], plot["format"]) == (True, "People", ",.1%")
    save(plot, tmp_path / "curve.png", accent="")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    many = [{"people": D(n) / 150, "money": D(n) / 150} for n in range(1, 151)]
    _, x, y = points(drawn(tmp_path, columns, many, curve))[0]
    assert (len(x), x[:2], x[-1], y[-1]) == (61, ["0", "0.02"], "1", "1")
