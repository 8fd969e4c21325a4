"""The parts pages are made of: tables, filters, periods, charts, forms, static files."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django import forms
from django.contrib.staticfiles import finders
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.html import parse_html
from django.urls import reverse

from billing.models import Customer, LedgerEntry
from resellerkpi.core.access import Capability, Role
from resellerkpi.core.chartspec import Bar, Line, Stack
from resellerkpi.core.columns import SUM, Bucket, Code, Column, Date, Minutes, Money, Percent, Text
from resellerkpi.core.models import Job
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import Scope, enter
from resellerkpi.ui.charts import figure, sparkline
from resellerkpi.ui.finders import PLOTLY, plotly_styles
from resellerkpi.ui.forms import LongSelect, PeriodField, PeriodInput, ReferenceField
from resellerkpi.ui.navigation import menu
from resellerkpi.ui.panels import Facts, HtmlPanel, TilesPanel, panel_rows
from resellerkpi.ui.tables import make_table
from resellerkpi.ui.tiles import Change, Tile
from resellerkpi.ui.views import Page
from tests.world import CANARY, make_world

COLUMNS: tuple[Column, ...] = (
    Text(name="name"),
    Money(name="net", total=SUM),
    Money(name="cost", total=SUM, needs=Capability.VIEW_WHOLESALE),
    Percent(name="share", parts=("net", "cost"), needs=Capability.VIEW_MARGIN),
    Code(name="currency"),
)
ROWS = [
    {"name": "a", "net": D("10"), "cost": D("4"), "currency": "GBP"},
    {"name": "b", "net": D("5"), "cost": D("1"), "currency": "EUR"},
    {"name": "c", "net": D("2.5"), "cost": D("1"), "currency": "GBP"},
]


def test_a_table_hides_what_the_role_may_not_see_and_never_adds_two_currencies() -> None:
    owner = make_table(COLUMNS, ROWS, scope=Scope.of(1, role=Role.OWNER))
    assert [c.name for c in owner.house_columns] == ["name", "net", "cost", "share", "currency"]
    assert [[text for _, text in row] for row in owner.foot] == [
        ["Total", "5.00", "1.00", "500.0\N{NO-BREAK SPACE}%", "EUR"],
        ["Total", "12.50", "5.00", "250.0\N{NO-BREAK SPACE}%", "GBP"],
    ]
    dealer = make_table(COLUMNS, ROWS, scope=Scope.of(1, role=Role.DEALER), order_by="-cost")
    assert [c.name for c in dealer.house_columns] == ["name", "net", "currency"]
    assert [row.record["name"] for row in dealer.rows] == ["a", "b", "c"]


@pytest.mark.django_db
def test_a_queryset_is_read_by_paths_sorted_with_a_tie_break_and_totalled() -> None:
    house = make_world().alpha
    with enter(house.scope()) as scope:
        for customer, amount in zip(house.customers, (5, 7, 7), strict=True):
            LedgerEntry.objects.create(
                reseller=house.reseller,
                customer=customer,
                date=date(2026, 5, 1),
                kind="invoice",
                amount=amount,
                currency="GBP",
                source_key=f"t{customer.pk}",
            )
        columns = (
            Text(name="customer", source="customer__name", url="customer"),
            Money(name="amount", total=SUM),
            Date(name="date"),
        )
        table = make_table(columns, LedgerEntry.objects.all(), scope=scope, order_by="-amount")
        assert [row.record["customer"] for row in table.rows] == [
            "Alpha Customer 2",
            "Alpha Customer 3",
            "Alpha Customer 1",
        ]
        first = next(iter(table.rows))
        address = reverse("customer", args=[house.customers[1].pk])
        assert first.get_cell("customer") == f'<a href="{address}">Alpha Customer 2</a>'
        assert first.get_cell("amount") == "7.00"
        assert [[text for _, text in row] for row in table.foot] == [["Total", "19.00", ""]]


@pytest.mark.parametrize(
    ("given", "period"),
    [
        ("2026-10", Period(date(2026, 10, 1), date(2026, 11, 1))),
        ("last_month", Period(date(2026, 10, 1), date(2026, 11, 1))),
        ("2026-10-05..2026-10-08", Period(date(2026, 10, 5), date(2026, 10, 8))),
        ("", None),
    ],
)
def test_a_period_is_a_preset_a_month_or_two_days(given: str, period: Period | None) -> None:
    with time_machine.travel(datetime(2026, 11, 22, tzinfo=UTC)):
        assert PeriodField(required=False).clean(given) == period


@pytest.mark.parametrize("value", [None, "", "b", 2, "gone"])
def test_a_long_list_says_what_djangos_own_does(value: Any) -> None:
    """Given the same choices, then both lists hold the same options and choose the same one."""
    choices = [("", "None"), ("a", "<A> & “A”"), ("b", "B"), (2, "Two")]
    attrs = {"id": "id_x", "aria-describedby": "id_x_helptext", "required": True}
    written = [w(choices=choices).render("x", value, attrs) for w in (LongSelect, forms.Select)]
    ours, theirs = (parse_html(html) for html in written)
    assert str(ours) == str(theirs)


def test_two_days_of_a_period_include_the_last_one() -> None:
    field = PeriodField(required=False)
    data = {"period": "between", "period_from": "2026-10-05", "period_to": "2026-10-07"}
    assert PeriodInput().value_from_datadict(data, {}, "period") == "2026-10-05..2026-10-08"
    shown = PeriodInput().get_context("period", "2026-10-05..2026-10-08", {"id": "p"})
    assert (shown["range"], shown["widget"]["value"]) == (
        {"from": "2026-10-05", "to": "2026-10-07"},
        ["between"],
    )
    for bad in ({"period": "between", "period_from": "x", "period_to": "y"}, {"period": "no"}):
        with pytest.raises(Exception, match="is not a"):
            field.clean(PeriodInput().value_from_datadict(bad, {}, "period"))


@pytest.mark.django_db
def test_a_reference_finds_rows_of_the_scope_only() -> None:
    world = make_world()
    field = ReferenceField(Customer, by="name", what="customer")
    with enter(world.alpha.scope()):
        assert field.clean("Alpha Customer 1") == world.alpha.customers[0]
        with pytest.raises(Exception, match=f"There is no customer “{CANARY} Customer 1”"):
            field.clean(f"{CANARY} Customer 1")


def test_a_figure_keeps_numbers_exact_and_draws_six_series_at_most() -> None:
    rows: list[dict[str, Any]] = [
        {"month": date(2026, m, 1), "kind": f"k{k}", "net": D(10 * k) + D("0.01")}
        for m in (1, 2)
        for k in range(8)
    ]
    drawn = figure(Stack(x="month", y=("net",), series="kind"), rows, COLUMNS)
    assert [t["name"] for t in drawn["traces"]] == ["k3", "k4", "k5", "k6", "k7", "All others"]
    assert drawn["traces"][-1]["y"] == ["30.03", "30.03"]
    assert drawn["traces"][0]["x"] == ["2026-01-01", "2026-02-01"]
    assert (drawn["bars"], drawn["stacked"], drawn["dates"]) == (True, True, True)
    plain = figure(Line(x="name", y=("net", "cost")), ROWS, COLUMNS)
    assert [t["name"] for t in plain["traces"]] == ["Net", "Cost"]
    assert (plain["unit"], plain["bars"]) == ("", False)
    assert figure(Bar(x="name", y=("net",)), ROWS[:1], COLUMNS)["unit"] == "GBP"
    calls = figure(Bar(x="day", y=("used",)), [{"day": "Mon", "used": 90}], (Minutes(name="used"),))
    assert calls["traces"][0]["y"] == ["1.50"]


@pytest.mark.parametrize(
    ("grain", "at", "names"),
    [
        ("quarter", [(2025, 10), (2026, 1), (2026, 4)], ["Q4 2025", "Q1 2026", "Q2 2026"]),
        ("year", [(2024, 1), (2025, 1), (2026, 1)], ["2024", "2025", "2026"]),
        ("month", [(2026, 1), (2026, 2)], ["Jan 2026", "Feb 2026"]),
        ("month", [(2026, 1), (2026, 2), (2026, 3)], ["2026-01-01", "2026-02-01", "2026-03-01"]),
    ],
)
def test_an_axis_names_periods_as_the_table_does(
    grain: str, at: list[tuple[int, int]], names: list[str]
) -> None:
    columns = (Bucket(name="month", grain=grain), Money(name="net", currency="=GBP"))
    rows = [{"month": date(year, month, 1), "net": D(1)} for year, month in at]
    drawn = figure(Line(x="month", y=("net",)), rows, columns)
    assert drawn["traces"][0]["x"] == names
    assert drawn["dates"] is names[0].startswith("2026-")


def test_a_sparkline_leaves_gaps_and_needs_two_values() -> None:
    assert sparkline([1]) == ""
    assert sparkline([1, 2, None, 3, 4]).count("<polyline") == 2


@pytest.mark.django_db
def test_tiles_say_what_a_change_means_without_colour(client: Client) -> None:
    change = Change(amount="+3", percent="10.0 %", direction="up", meaning="bad", against="on September")
    assert (change.arrow, change.word) == ("↑", "worse")
    facts, other, wide = (
        Facts("a", []),
        Facts("b", []),
        TilesPanel([Tile(label="Churn", value="3", change=change)]),
    )
    assert panel_rows([facts, other, wide, HtmlPanel("x.html")]) == [
        [facts, other],
        [wide],
        [HtmlPanel("x.html")],
    ]
    assert Facts("a", [("x", ""), ("y", None), ("z", 0)]).facts == [("z", 0, "")]


def test_a_page_that_names_no_capability_is_refused() -> None:
    class Careless(Page):
        """Forgot to say what it needs."""

    request: HttpRequest = RequestFactory().get("/")
    with pytest.raises(ImproperlyConfigured, match="Careless does not say which capability it needs"):
        Careless.as_view()(request)


@pytest.mark.django_db
def test_the_menu_shows_what_the_role_includes() -> None:
    labels = {role: [s.label for s in menu(Scope.of(1, role=role), "/customers/")] for role in Role}
    assert labels[Role.CUSTOMER] == []
    assert "Customers" in labels[Role.SUPPORT]
    assert "Reports" not in labels[Role.SUPPORT]
    here = [s for s in menu(Scope.of(1), "/numbers/7/") if s.here]
    assert [(s.label, [e.label for e in s.entries if e.here]) for s in here] == [("Customers", ["Numbers"])]


@pytest.mark.django_db
def test_a_job_is_watched_by_its_own_house_and_stopped(client: Client) -> None:
    world = make_world()
    with enter(world.alpha.scope()):
        job = Job.objects.create(
            reseller=world.alpha.reseller, kind="test", title="Load a file", owner=world.ana
        )
    address = reverse("job", args=[job.pk])
    client.force_login(world.ana, "django.contrib.auth.backends.ModelBackend")
    assert 'hx-trigger="load delay:1s"' in client.get(address).content.decode()
    part = client.get(address, headers={"HX-Request": "true", "HX-Target": "progress"}).content.decode()
    assert part.lstrip().startswith("<section")
    assert client.post(address).status_code == 302
    done = client.get(address).content.decode()
    assert "Cancelled" in done
    assert "hx-trigger" not in done
    for stranger in (world.bo, world.dee):
        client.force_login(stranger, "django.contrib.auth.backends.ModelBackend")
        assert client.get(address).status_code == 404


def test_static_files_of_packages_are_found_and_the_style_sheet_is_that_of_the_bundle() -> None:
    for name in ("vendor/plotly.min.js", "vendor/plotly.css", "vendor/htmx-2.min.js"):
        assert Path(str(finders.find(name))).is_file()
    found = Path(str(finders.find("vendor/plotly.css"))).read_text()
    assert found == plotly_styles((PLOTLY / "plotly.min.js").read_text(encoding="utf-8"))
    assert ".js-plotly-plot .plotly .main-svg{position:absolute;top:0;left:0;pointer-events:none;}" in found
