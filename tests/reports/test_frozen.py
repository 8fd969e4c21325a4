"""Frozen rows: typed, exact, paged and sorted without reading the rest."""

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.frozen import GROUP_ROWS, Freezer, Frozen, Inexact, fields_of
from reports.packing import pack, unpack
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import (
    SUM,
    Choice,
    Code,
    Column,
    Date,
    DateTime,
    Flag,
    Int,
    Minutes,
    Money,
    Percent,
    Text,
)

COLUMNS: list[Column] = [
    Code(name="number", url="invoice"),
    Date(name="day"),
    DateTime(name="at"),
    Flag(name="open"),
    Int(name="count"),
    Minutes(name="seconds"),
    Money(name="net", total=SUM),
    Percent(name="share", parts=("margin", "net")),
]


def freeze(
    path: Path, columns: list[Column], rows: list[dict[str, Any]], zone: str = "Europe/London"
) -> Frozen:
    """Freeze rows and open them again."""
    with Freezer(path, fields_of(columns, zone)) as freezer:
        assert list(freezer.passing(rows)) == rows
    return Frozen(path)


def row(**changes: Any) -> dict[str, Any]:
    """Make a row of every kind of value."""
    return {
        "number": "+44 0123",
        "number_id": 7,
        "day": date(2026, 11, 22),
        "at": datetime(2026, 7, 1, 12, 0, 1, tzinfo=UTC),
        "open": True,
        "count": 3,
        "seconds": 61,
        "net": D("12.30"),
        "margin": D("-0.123456"),
        "currency": "GBP",
        **changes,
    }


def test_values_come_back_as_they_went_in(tmp_path: Path) -> None:
    empty = dict.fromkeys(row())
    frozen = freeze(tmp_path / "f", COLUMNS, [row(), empty])
    first, second = frozen.rows()
    assert str(first["net"]) == "12.30"
    assert first == row(at=datetime(2026, 7, 1, 13, 0, 1, tzinfo=ZoneInfo("Europe/London")))
    assert first["at"].hour == 13
    assert second == empty


def test_no_rows_are_a_file_too(tmp_path: Path) -> None:
    frozen = freeze(tmp_path / "f", COLUMNS, [])
    assert (frozen.count, list(frozen.rows())) == (0, [])
    assert list(frozen.rows(order=frozen.order(COLUMNS[0], descending=False))) == []
    assert frozen.summed({"number": ""}, ["net"]) == []


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Inexact):
        freeze(tmp_path / "f", COLUMNS, [row(net=12.3)])


def test_pages_over_several_groups(tmp_path: Path) -> None:
    size = GROUP_ROWS * 2 + 7
    frozen = freeze(tmp_path / "f", COLUMNS, [row(count=n) for n in range(size)])
    assert [r["count"] for r in frozen.rows(start=GROUP_ROWS - 2, stop=GROUP_ROWS + 2)] == [
        4998,
        4999,
        5000,
        5001,
    ]
    assert [r["count"] for r in frozen.rows(start=size - 1, stop=size + 9)] == [size - 1]
    assert list(frozen.rows(start=size)) == []
    down = frozen.order(COLUMNS[4], descending=True)
    assert [r["count"] for r in frozen.rows(stop=2, order=down)] == [size - 1, size - 2]
    assert [r["count"] for r in frozen.rows(start=size - 2, order=down)] == [1, 0]
    assert len(list(frozen.rows(order=down))) == size


def test_sorting_is_exact_stable_and_empty_values_come_last(tmp_path: Path) -> None:
    nets = [D("10"), D("9.5"), None, D("9.5"), D("-1")]
    frozen = freeze(tmp_path / "f", COLUMNS, [row(net=net, count=n) for n, net in enumerate(nets)])
    money = COLUMNS[6]
    assert list(frozen.order(money, descending=False)) == [4, 1, 3, 0, 2]
    assert list(frozen.order(money, descending=True)) == [0, 1, 3, 4, 2]
    ratio = freeze(
        tmp_path / "g",
        COLUMNS,
        [row(margin=D(m), net=D(n)) for m, n in (("1", "2"), ("1", "0"), ("3", "4"), ("-1", "4"))],
    )
    assert list(ratio.order(COLUMNS[7], descending=True)) == [2, 0, 3, 1]


def test_words_sort_whatever_their_case(tmp_path: Path) -> None:
    columns: list[Column] = [Text(name="name")]
    frozen = freeze(tmp_path / "f", columns, [{"name": n} for n in ("beta", "Alpha", "gamma", None)])
    assert [r["name"] for r in frozen.rows(order=frozen.order(columns[0], descending=False))] == [
        "Alpha",
        "beta",
        "gamma",
        None,
    ]


def test_sums_are_exact_by_month(tmp_path: Path) -> None:
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30)]
    frozen = freeze(tmp_path / "f", COLUMNS, [row(day=d, net=D("0.10")) for d in days])
    found = sorted(frozen.summed({"day": "month", "currency": ""}, ["net", "count"]), key=lambda r: r["day"])
    assert found == [
        {"day": date(2026, 10, 1), "currency": "GBP", "net": D("0.10"), "count": 3},
        {"day": date(2026, 11, 1), "currency": "GBP", "net": D("0.20"), "count": 6},
    ]


AMOUNTS = st.none() | st.decimals(-(10**12), 10**12, places=6)


@settings(max_examples=25, deadline=None)
@given(values=st.lists(AMOUNTS, max_size=30))
def test_any_amounts_sort_and_add_like_python(tmp_path_factory: Any, values: list[D | None]) -> None:
    columns: list[Column] = [Money(name="net", total=SUM), Text(name="who")]
    rows = [{"net": v, "currency": "GBP", "who": "a"} for v in values]
    frozen = freeze(tmp_path_factory.mktemp("f") / "f", columns, rows)
    found = [r["net"] for r in frozen.rows(order=frozen.order(columns[0], descending=False))]
    known = sorted(v for v in values if v is not None)
    assert found == known + [None] * (len(values) - len(known))
    if known:
        assert frozen.summed({"who": ""}, ["net"]) == [{"who": "a", "net": sum(known, D(0))}]


@pytest.mark.parametrize(
    "column",
    [
        *COLUMNS,
        Choice(name="state", choices=[("a", "A"), ("b", "B")]),
        Money(
            name="price", currency="=GBP", decimals=4, needs=Capability.VIEW_WHOLESALE, group="G", help="H"
        ),
    ],
    ids=lambda c: c.name,
)
def test_a_column_survives_being_data(column: Column) -> None:
    again = unpack(pack(column))
    assert type(again) is type(column)
    assert pack(again) == pack(column)
    assert (again.needs, again.title, again.group) == (column.needs, column.title, column.group)


def test_pandas_stays_out_of_the_web(tmp_path: Path) -> None:
    program = """
import sys
from decimal import Decimal
from pathlib import Path
import django
django.setup()
import resellerkpi.urls
from reports.frozen import COUNT, Freezer, Frozen, fields_of
from resellerkpi.core.columns import Date, Money, Percent
from datetime import date
columns = [Date(name="day"), Money(name="net"), Percent(name="share", parts=("net", "gross"))]
rows = [{"day": date(2026, 11, n), "net": Decimal(n), "gross": Decimal(2), "currency": "GBP"} for n in (2, 1)]
with Freezer(Path(sys.argv[1]), fields_of(columns, "UTC")) as freezer:
    list(freezer.passing(rows))
frozen = Frozen(Path(sys.argv[1]))
for column in columns:
    list(frozen.rows(order=frozen.order(column, descending=True)))
frozen.summed({"day": "month"}, ["net", COUNT])
sys.exit("pandas" in sys.modules or "matplotlib" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "f")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
