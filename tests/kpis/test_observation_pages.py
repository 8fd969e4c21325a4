"""Entering what billing cannot know: the grid of months, the form of lines, the template, the way from a KPI."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.importing.book.observations import check
from billing.importing.tables.kind import Work
from billing.models import Observation
from billing.observed import METRICS, Area, Metric
from kpis.models import KpiSettings
from kpis.observing import used_by
from kpis.web.observations import examples
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import Scope, enter
from tests.rules.test_access import client_of
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
D = Decimal
MONTH = add_months(timezone.now().date().replace(day=1), -1)


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def browser(world: World) -> Client:
    return client_of(world.ana)


def url(metric: str, month: date = MONTH) -> str:
    """Return where a metric's month is entered."""
    return f"{reverse('observation-enter', args=[metric])}?month={month:%Y-%m}"


def kept(world: World, metric: str) -> set[tuple[Any, ...]]:
    """Return the lines held."""
    with enter(world.alpha.scope()):
        rows = Observation.objects.filter(metric=metric)
        return set(rows.values_list("date", "dimension", "key", "currency", "value"))


def test_lines_are_entered_changed_and_removed(world: World, browser: Client) -> None:
    told = {
        "key_0": "Web search", "value_0": "620.50", "currency_0": "", "date_0": str(MONTH),
        "key_1": "", "value_1": "80", "currency_1": "EUR", "date_1": str(MONTH.replace(day=3)),
    }  # fmt: skip
    assert browser.post(url("marketing_spend"), told).status_code == 302
    assert kept(world, "marketing_spend") == {
        (MONTH, "campaign", "Web search", "", D("620.5")),
        (MONTH.replace(day=3), "", "", "EUR", D(80)),
    }
    with enter(world.alpha.scope()):
        first, second = Observation.objects.filter(metric="marketing_spend").order_by("date")
    shown = browser.get(url("marketing_spend")).content.decode()
    assert "Web search" in shown
    told |= {"id_0": str(first.pk), "value_0": "7", "id_1": str(second.pk), "value_1": ""}
    answer = browser.post(url("marketing_spend"), told, follow=True)
    assert "1 line of" in answer.content.decode()
    assert kept(world, "marketing_spend") == {(MONTH, "campaign", "Web search", "", D(7))}
    assert str(MONTH) not in browser.get(url("clicks")).content.decode().split("<tbody>")[0]


@pytest.mark.parametrize(
    ("metric", "told", "words"),
    [
        ("visits", {"value_0": "1.5"}, "decimal"),
        ("visits", {"value_0": "-1"}, "is not less than 0"),
        ("visits", {"value_0": "3", "key_0": "Search"}, "It is split by source or campaign."),
        ("visits", {"value_0": "3", "dimension_0": "source"}, "Say which source it is"),
        ("visits", {"value_0": "3", "date_0": "2020-01-01"}, "This page holds the lines of"),
        ("visits", {"value_0": "3", "value_1": "4"}, "There is a line of this day and key above."),
        ("visits", {"dimension_0": "source", "key_0": "Search"}, "Say how much."),
        ("visits", {"value_0": "many"}, "Enter a number."),
        ("marketing_spend", {"value_0": "3", "currency_0": "pounds"}, "Write it like GBP."),
        ("marketing_spend", {"value_0": "3", "value_1": "3", "currency_1": "GBP"}, "day and key above"),
        ("csat_responses", {"value_0": "3", "key_0": "9"}, "Select a valid choice"),
        ("csat_responses", {"value_0": "3"}, "is entered by score"),
    ],
)
def test_a_refused_value_says_why(
    world: World, browser: Client, metric: str, told: dict[str, str], words: str
) -> None:
    answer = browser.post(url(metric), told)
    assert answer.status_code == 422
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert kept(world, metric) == set()


def test_a_month_to_come_is_refused_and_a_strange_one_is_last_month(world: World, browser: Client) -> None:
    later = add_months(MONTH, 2)
    answer = browser.post(url("visits", later), {"value_0": "3"})
    assert "lies in the future" in answer.content.decode()
    shown = browser.get(f"{reverse('observation-enter', args=['visits'])}?month=soon").content.decode()
    assert f"{MONTH:%B %Y}" in shown
    assert browser.get(reverse("observation-enter", args=["nothing"])).status_code == 404


def test_the_grid_counts_lines_by_month(world: World, browser: Client) -> None:
    browser.post(url("visits"), {"value_0": "3", "dimension_1": "source", "key_1": "Search", "value_1": "5"})
    shown = browser.get(reverse("observation-metrics")).content.decode()
    assert f'aria-label="Visits, {MONTH:%B %Y}: 2 lines"' in shown
    assert f'aria-label="Clicks, {MONTH:%B %Y}: missing, enter"' in shown
    listed = browser.get(reverse("observation-list"), {"metric": "visits", "as": "csv"}).content.decode()
    assert len(listed.strip().splitlines()) == 3


def test_a_kpi_without_data_leads_to_its_form(world: World, browser: Client) -> None:
    shown = browser.get(reverse("kpi", args=["csat"])).content.decode()
    assert "Needs data: enter or upload how many answered each score." in shown
    assert reverse("observation-enter", args=["csat_responses"]) in shown
    viewer = client_of(world.vic).get(reverse("kpi", args=["csat"])).content.decode()
    assert reverse("observation-enter", args=["csat_responses"]) not in viewer


def test_a_score_says_how_far_off_it_may_be(world: World, browser: Client) -> None:
    """30 promoters and 20 detractors of 100: +10, give or take 13.7."""
    told = {f"key_{n}": k for n, k in enumerate(("10", "8", "3"))}
    browser.post(url("nps_responses"), told | {"value_0": "30", "value_1": "50", "value_2": "20"})
    shown = browser.get(reverse("kpi", args=["nps"])).content.decode()
    assert "± 13.7" in shown


@pytest.mark.parametrize("metric", list(METRICS), ids=lambda m: m.slug)
def test_a_template_loads_as_it_is(metric: Metric) -> None:
    house = Reseller.objects.create(code="x", name="X")
    work = Work(house, timezone.now().date())
    rows = [
        {
            "line": 2,
            "metric": metric.slug,
            "date": MONTH,
            "value": D(0),
            "dimension": d,
            "key": k,
            "currency": None,
        }
        for d, k in examples(metric)
    ]
    assert rows
    with enter(Scope.of(house.pk)):
        check(rows, work)
    assert not work.problems


def test_every_metric_is_of_use() -> None:
    idle = [
        slug for slug, kpis in used_by().items() if not kpis and METRICS.get(slug).area is not Area.INDICES
    ]
    assert idle == []


def test_the_form_the_template_and_the_upload_know_the_scale(world: World, browser: Client) -> None:
    """By default 1 to 5; a score above it, entered while the scale was longer, is named and can be taken out."""
    told = {f"key_{n}": str(n + 1) for n in range(10)} | {f"value_{n}": "" for n in range(10)}
    template = reverse("observation-template", args=["csat_responses"])
    assert "each score from 1 to 5." in browser.get(url("csat_responses")).content.decode()
    assert len(browser.get(template).content.decode().strip().splitlines()) == 6
    with enter(world.alpha.scope()):
        KpiSettings.objects.create(reseller=world.alpha.reseller, csat_scale="1-10")
    assert "each score from 1 to 10." in browser.get(url("csat_responses")).content.decode()
    assert "each score from 1 to 10" in browser.get(reverse("observation-metrics")).content.decode()
    assert browser.get(template).content.decode().strip().splitlines()[-1].split(",")[3:5] == ["score", "10"]
    assert upload(world, "9") == []
    assert upload(world, "11") == ["“11” is none of 1 to 10."]
    browser.post(url("csat_responses"), told | {"value_8": "3"})
    assert kept(world, "csat_responses") == {(MONTH, "score", "9", "", D(3))}
    with enter(world.alpha.scope()):
        KpiSettings.objects.update(csat_scale="1-5")
        row = Observation.objects.get(metric="csat_responses")
    assert upload(world, "9") == ["“9” is none of 1 to 5."]
    assert '<option value="9" selected>9</option>' in browser.get(url("csat_responses")).content.decode()
    again = {"id_0": str(row.pk), "key_0": "9", "value_0": "3"}
    refused = browser.post(url("csat_responses"), again)
    assert (refused.status_code, "“9” is none of 1 to 5." in refused.content.decode()) == (422, True)
    browser.post(url("csat_responses"), again | {"value_0": ""})
    assert kept(world, "csat_responses") == set()


def upload(world: World, score: str) -> list[str]:
    """Return why an upload refuses a satisfaction score."""
    row = {"metric": "csat_responses", "dimension": "score", "key": score, "value": D(3), "currency": ""}
    work = Work(world.alpha.reseller, MONTH)
    with enter(world.alpha.scope()):
        check([row | {"line": 2, "date": MONTH}], work)
    return [problem.error for problem in work.problems]
