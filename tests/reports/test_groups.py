"""Grouping, comparing and converting: SQL groups, aligned intervals, dated rates; against sums in plain Python."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.models import ExchangeRate
from reports.comparing import Join, earlier, moved
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import BadQuery, run
from resellerkpi.core.access import Role
from resellerkpi.core.columns import SUM, Bucket, Int
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import enter
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.reports.test_formats import fill
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
YEAR = {"on_or_after": ["2026-01-01"], "before": ["2027-01-01"]}
LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def world() -> World:
    return make_world()


def asked(world: World, role: Role = Role.OWNER, **more: list[str]) -> tuple[Run, list[dict[str, Any]]]:
    """Run the Invoices report and return the run with its rows."""
    with enter(world.alpha.scope(role)):
        made = run(REPORTS.get("invoices"), YEAR | more, now=NOW)
        return Run.objects.get(pk=made.pk), list(Showing(made).rows())


def rate(world: World, currency: str, day: date, value: str) -> None:
    """Write down a rate against the euro."""
    with enter(world.alpha.scope()):
        ExchangeRate.objects.create(
            reseller=world.alpha.reseller, base="EUR", currency=currency, date=day, rate=D(value)
        )


def test_groups_sum_in_the_order_asked(world: World) -> None:
    three_bills(world.alpha)
    first, second, _ = world.alpha.customers
    make_bills(
        world.alpha,
        Bill("A-0004", second, date(2026, 10, 31), paid="20.00"),
        Bill("A-0005", second, date(2026, 11, 3), currency="EUR"),
    )
    made, rows = asked(world, group_by=["month", "customer"])
    assert [(r["by_month"], r["by_account"], r["currency"], r["net"], r["paid"]) for r in rows] == [
        (date(2026, 10, 1), "C002", "GBP", D("100.00"), D("20.00")),
        (date(2026, 11, 1), "C001", "GBP", D("180.00"), D("146.00")),
        (date(2026, 11, 1), "C002", "EUR", D("100.00"), D("0.00")),
        (date(2026, 11, 1), "C002", "GBP", D("100.00"), D("0.00")),
    ]
    assert made.keys == ["by_month", "by_customer", "by_account", "currency"]
    names = [c["name"] for c in made.columns]
    assert names[:4] == ["by_month", "by_customer", "by_account", "currency"]
    assert "number" not in names
    assert [(t["currency"], t["net"]) for t in made.totals] == [("EUR", "100.00"), ("GBP", "380.00")]
    assert all(t["ok"] for t in made.tie_outs)


def test_a_month_is_that_of_the_zone_and_shown_by_name(world: World) -> None:
    three_bills(world.alpha)
    made, rows = asked(world, group_by=["quarter", "week"])
    with enter(world.alpha.scope()):
        quarter, week = Showing(made).columns[:2]
    assert [quarter.display(row) for row in rows] == ["Q4 2026"] * 2
    assert [week.display(row) for row in rows] == ["Week of 26 Oct 2026", "Week of 9 Nov 2026"]


def test_a_role_groups_only_by_what_it_may_see(world: World) -> None:
    three_bills(world.alpha)
    with pytest.raises(BadQuery, match="Group by: Select a valid choice"):
        asked(world, Role.VIEWER, group_by=["account_manager"])
    made, _ = asked(world, Role.VIEWER, group_by=["dealer"])
    assert not {"cost", "margin", "margin_percent"} & {c["name"] for c in made.columns}


@pytest.mark.parametrize(
    ("usual", "expected"),
    [
        (("account_manager", "dealer"), ["dealer"]),
        (("account_manager",), ["year"]),
        (("month", "dealer"), ["month", "dealer"]),
        ((), []),
    ],
)
def test_a_default_group_that_the_role_may_not_use_is_left_out(
    world: World, usual: tuple[str, ...], expected: list[str]
) -> None:
    report = REPORTS.get("invoices")
    asks = replace(report.Filters.asks, default_groups=usual)
    with enter(world.alpha.scope(Role.VIEWER)):
        form = type("Usual", (report.Filters,), {"asks": asks})(YEAR, reseller=world.alpha.reseller, now=NOW)
        assert form.is_valid(), form.errors
        assert [d.slug for d in form.groups] == expected
    with enter(world.alpha.scope(Role.OWNER)):
        form = type("Usual", (report.Filters,), {"asks": asks})(YEAR, reseller=world.alpha.reseller, now=NOW)
        assert form.is_valid(), form.errors
        assert [d.slug for d in form.groups] == list(usual)


def test_a_comparison_joins_both_intervals_by_their_keys(world: World) -> None:
    first, second, third = world.alpha.customers
    make_bills(
        world.alpha,
        Bill("A-0001", first, date(2026, 10, 31), (("recurring", "80.00", "40.00"),)),
        Bill("A-0002", second, date(2026, 10, 1)),
        Bill("A-0003", first, date(2026, 11, 30)),
        Bill("A-0004", third, date(2026, 11, 1)),
        Bill("A-0005", third, date(2026, 9, 30)),
    )
    november = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}
    made, rows = asked(world, **november, group_by=["customer"], compare=["previous"])
    told = [(r["by_account"], r["net"], r["net_before"], r["net_change"]) for r in rows]
    assert told == [
        ("C001", D("100.00"), D("80.00"), D("20.00")),
        ("C003", D("100.00"), None, D("100.00")),
        ("C002", None, D("100.00"), D("-100.00")),
    ]
    with enter(world.alpha.scope()):
        columns = {c.name: c for c in Showing(made).columns}
        total = Showing(made).totals[0]
    assert [columns["net_growth"].display(r) for r in rows] == ["25.0\xa0%", "n/a", "\u2212100.0\xa0%"]
    assert columns["margin_percent_change"].display(rows[0]) == "\u221210.0"
    assert (total["net"], total["net_before"], total["net_change"]) == (D(200), D(180), D(20))
    assert ["Compared with", "October 2026 (31 days)", "", "compare"] in made.filters
    assert (made.data_from, made.data_to) == (date(2026, 11, 1), date(2026, 11, 30))
    assert made.keys == ["by_customer", "by_account", "currency"]


def test_days_are_set_beside_days_of_the_earlier_month(world: World) -> None:
    first = world.alpha.customers[0]
    make_bills(world.alpha, *(Bill(f"A-{n:04}", first, date(2026, 10, 30) + timedelta(n)) for n in range(3)))
    make_bills(world.alpha, Bill("A-0030", first, date(2026, 11, 30)))
    november = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}
    _, rows = asked(world, **november, group_by=["day"], compare=["month"])
    assert [(str(r["by_day"]), r["net"], r["net_before"]) for r in rows] == [
        ("2026-11-01", D(100), None),
        ("2026-11-30", D(100), D(100)),
        ("2026-10-31", None, D(100)),
    ]


def test_a_level_of_a_month_to_come_has_not_fallen_to_nothing() -> None:
    columns = [Bucket(name="month"), Int(name="clients", level=True), Int(name="joined", total=SUM)]
    later, since = (Period(date(year, 11, 1), date(year + 1, 1, 1), LONDON) for year in (2026, 2025))
    before = [{"month": date(2025, month, 1), "clients": 7, "joined": 2} for month in (11, 12)]
    changes = {}
    for today in (date(2026, 11, 22), date(2026, 12, 2)):
        join = Join(columns, columns[1:], ["month"], today=today)
        rows = join.rows([{"month": date(2026, 11, 1), "clients": 9, "joined": 3}], before, later, since)
        changes[today] = [(r["month"].month, r["clients_change"], r["joined_change"]) for r in rows]
    assert [*changes.values()] == [[(11, 2, 1), (12, None, -2)], [(11, 2, 1), (12, -7, -2)]]


@pytest.mark.parametrize(
    ("first", "end", "step", "expected"),
    [
        ("2026-11-01", "2026-12-01", "previous", ("2026-10-01", "2026-11-01")),
        ("2026-10-01", "2027-01-01", "previous", ("2026-07-01", "2026-10-01")),
        ("2026-11-03", "2026-11-10", "previous", ("2026-10-27", "2026-11-03")),
        ("2026-03-01", "2026-04-01", "month", ("2026-02-01", "2026-03-01")),
        ("2026-03-31", "2026-04-01", "month", ("2026-02-28", "2026-03-01")),
        ("2026-03-29", "2026-03-31", "month", ("2026-02-28", "2026-03-01")),
        ("2028-02-29", "2028-03-01", "year", ("2027-02-28", "2027-03-01")),
        ("2026-10-25", "2026-10-26", "day", ("2026-10-24", "2026-10-25")),
        ("2026-10-25", "2026-11-01", "week", ("2026-10-18", "2026-10-25")),
    ],
)
def test_the_interval_compared_with(first: str, end: str, step: str, expected: tuple[str, str]) -> None:
    period = Period(date.fromisoformat(first), date.fromisoformat(end), LONDON)
    found = earlier(period, step)
    assert (str(found.start), str(found.end)) == expected


def test_an_interval_across_the_change_of_the_clocks_keeps_its_hours() -> None:
    week = Period(date(2026, 10, 25), date(2026, 11, 1), LONDON)
    assert (week.ends_at - week.starts_at).total_seconds() / 3600 == 7 * 24 + 1
    assert (earlier(week, "week").ends_at, earlier(week, "week").days) == (week.starts_at, 7)


def test_buckets_of_two_intervals_stand_side_by_side() -> None:
    this = Period(date(2028, 1, 1), date(2029, 1, 1), LONDON)
    days = moved("day", this, earlier(this, "year"))
    assert days[date(2027, 3, 1)] == date(2028, 3, 1)
    assert len(days) == 365
    back = moved("day", earlier(this, "year"), this)
    assert date(2028, 2, 29) not in back
    months = moved("month", this, earlier(this, "year"))
    assert months[date(2027, 2, 1)] == date(2028, 2, 1)
    weeks = moved(
        "week", Period(date(2026, 11, 9), date(2026, 11, 23)), Period(date(2026, 10, 26), date(2026, 11, 9))
    )
    assert weeks == {date(2026, 10, 26): date(2026, 11, 9), date(2026, 11, 2): date(2026, 11, 16)}


def test_a_comparison_without_groups_is_refused_in_words(world: World) -> None:
    with pytest.raises(BadQuery, match="Choose what to group by"):
        asked(world, compare=["previous"])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            {"on_or_after": ["0001-01-01"], "before": ["0001-02-01"]},
            "The calendar has nothing that long before",
        ),
        (
            {"on_or_after": ["0001-01-01"], "before": ["9999-12-31"]},
            "The calendar has nothing that long before",
        ),
        ({"on_or_after": ["2000-01-01"], "before": ["2026-01-01"]}, "at most ten years"),
        ({"compare": ["decade"]}, "Compare to: Select a valid choice"),
        ({"group_by": ["customer", "\x00"]}, "Group by: Select a valid choice"),
        ({"currency": ["EUR' --"]}, "Currency: Select a valid choice"),
    ],
)
def test_a_comparison_nobody_can_mean_is_refused_in_words(
    world: World, query: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(BadQuery, match=told):
        asked(world, **{"group_by": ["day"], "compare": ["previous"], **query})


def test_amounts_are_converted_at_the_rate_of_their_day(world: World) -> None:
    first = world.alpha.customers[0]
    make_bills(
        world.alpha,
        Bill("A-0001", first, date(2026, 11, 2)),
        Bill("A-0002", first, date(2026, 11, 9), currency="EUR"),
        Bill("A-0003", first, date(2026, 11, 20), currency="USD"),
        Bill("A-0004", first, date(2026, 11, 1), currency="USD"),
    )
    for currency, day, value in (
        ("GBP", date(2026, 11, 2), "0.80"),
        ("GBP", date(2026, 11, 3), "0.70"),
        ("USD", date(2026, 11, 2), "1.20"),
    ):
        rate(world, currency, day, value)
    made, rows = asked(world, currency=["EUR"])
    fields = ("number", "currency", "net", "fx_from", "fx_rate", "fx_date", "fx_mark")
    told = [tuple(row[name] for name in fields) for row in rows]
    assert told == [
        ("A-0004", "EUR", None, "USD", None, None, "No rate"),
        ("A-0001", "EUR", D("125.00"), "GBP", D("1.25"), date(2026, 11, 2), ""),
        ("A-0002", "EUR", D("100.00"), "EUR", D(1), None, ""),
        ("A-0003", "EUR", D("83.33"), "USD", D("0.833333333333"), date(2026, 11, 2), "Old rate"),
    ]
    assert [(t["currency"], t["net"]) for t in made.totals] == [("EUR", "308.33")]
    assert made.notes == [
        ["Exchange rates", "European Central Bank, 2 Nov 2026", False],
        ["Amounts", "1 without a rate, left out; 1 at a rate more than 7 days old", True],
    ]
    grouped, groups = asked(world, currency=["EUR"], group_by=["month"])
    assert [(g["net"], g["currency"], g["fx_mark"]) for g in groups] == [
        (D("308.33"), "EUR", "1 without a rate, left out; 1 at a rate more than 7 days old")
    ]
    assert grouped.totals[0]["net"] == made.totals[0]["net"]
    assert grouped.notes == made.notes


def test_an_amount_of_two_foreign_currencies_goes_over_the_base(world: World) -> None:
    make_bills(world.alpha, Bill("A-0001", world.alpha.customers[0], date(2026, 11, 20), currency="USD"))
    rate(world, "GBP", date(2026, 11, 19), "0.80")
    rate(world, "USD", date(2026, 11, 20), "1.25")
    _, rows = asked(world, currency=["GBP"])
    assert (rows[0]["net"], rows[0]["fx_rate"], rows[0]["fx_date"]) == (
        D("64.00"),
        D("0.64"),
        date(2026, 11, 19),
    )


@pytest.mark.parametrize("target", ["", "EUR"])
def test_groups_and_comparisons_add_up_to_the_rows_themselves(world: World, target: str) -> None:
    fill(world, 40)
    for day, value in ((date(2026, 1, 2), "0.83"), (date(2026, 5, 9), "0.871234")):
        rate(world, "GBP", day, value)
    second = {"on_or_after": ["2026-04-01"], "before": ["2026-07-01"], "currency": [target]}
    first = second | {"on_or_after": ["2026-01-01"], "before": ["2026-04-01"]}
    wanted, earlier_ones = (sums(rows) for _, rows in (asked(world, **second), asked(world, **first)))
    assert len(wanted) == (1 if target else 2)
    for groups in (
        ["month"],
        ["week", "dealer"],
        ["customer", "method"],
        ["tags"],
        ["day", "customer", "year"],
    ):
        made, rows = asked(world, **second, group_by=groups, compare=["previous"])
        assert sums(rows) == wanted
        assert sums(rows, "_before") == earlier_ones
        keys = [tuple(row[key] for key in made.keys) for row in rows]
        assert len(keys) == len(set(keys))
        for total in made.totals:
            code = total["currency"]
            assert D(total["gross"]) == wanted.get(code, D(0))
            assert D(total["gross_change"]) == wanted.get(code, D(0)) - earlier_ones.get(code, D(0))


def sums(rows: list[dict[str, Any]], suffix: str = "") -> dict[str, D]:
    """Add gross up by currency, row by row."""
    found: dict[str, D] = {}
    for row in rows:
        if row[f"gross{suffix}"] is not None:
            found[row["currency"]] = found.get(row["currency"], D(0)) + row[f"gross{suffix}"]
    return found
