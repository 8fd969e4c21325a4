"""The command: the last line on stdout is one JSON object."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from kpis.jobs import refresh_snapshots
from kpis.kpi import KPIS
from kpis.models import Fill, Snapshot
from resellerkpi.core.jobs import HANDLERS, Task
from resellerkpi.core.scope import Scope, enter
from tests.kpis.test_kpi_pages import _noon, alpha  # noqa: F401  the frozen noon applies here too

pytestmark = pytest.mark.django_db


def run(*args: str) -> Any:
    """Run the command and read its last line."""
    out = io.StringIO()
    call_command("kpi", *args, stdout=out, stderr=io.StringIO())
    return json.loads(out.getvalue().splitlines()[-1])


def test_the_list_names_every_kpi_with_its_unit() -> None:
    found = run("--list")["kpis"]
    assert [k["slug"] for k in found] == KPIS.slugs()
    assert all(k["unit"] and k["formula"] and k["family"] for k in found)


def test_figures_by_month_and_by_dimension() -> None:
    alpha()
    asked = ("--reseller", "alpha", "--from", "2026-03", "--to", "2026-04")
    found = run("mrr", "customers_active", *asked)
    assert (found["from"], found["until"]) == ("2026-03-01", "2026-05-01")
    assert [(r["month"], r["currency"], r["value"]) for r in found["kpis"][0]["rows"]] == [
        ("2026-03", "GBP", "78.00"),
        ("2026-04", "GBP", "52.00"),
    ]
    assert [r["value"] for r in found["kpis"][1]["rows"]] == [3, 2]
    by = run("customers_active", *asked, "--by", "dealer")["kpis"][0]["rows"]
    assert [(r["key"], r["month"], r["value"]) for r in by] == [
        ("D1", "2026-03", 1),
        ("D1", "2026-04", 1),
        ("D2", "2026-03", 2),
        ("D2", "2026-04", 1),
    ]
    typed = run("numbers_total", *asked, "--by", "type")["kpis"][0]["rows"]
    assert [(r["key"], r["value"]) for r in typed] == [("mobile", 3), ("mobile", 2)]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["mrr"], "Say which KPIs"),
        (["mrrr", "--reseller", "alpha", "--from", "2026-03", "--to", "2026-03"], "There is no KPI called"),
        (["mrr", "--reseller", "nobody", "--from", "2026-03", "--to", "2026-03"], "There is no reseller"),
        (["mrr", "--reseller", "alpha", "--from", "2026-3", "--to", "2026-03"], "is not a month"),
        (["mrr", "--reseller", "alpha", "--from", "2026-04", "--to", "2026-03"], "must not be before"),
        (
            ["mrr", "--reseller", "alpha", "--from", "2026-03", "--to", "2026-03", "--by", "x"],
            "cannot be broken down",
        ),
    ],
)
def test_a_wrong_question_is_refused_in_words(args: list[str], words: str) -> None:
    alpha()
    with pytest.raises(CommandError, match=words):
        run(*args)


def test_the_job_keeps_the_snapshots_and_twice_is_once() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        Snapshot.objects.all().delete()
        Fill.objects.all().delete()
    task = Task(job_id="x", stored_scope=Scope.of(made.pk))
    assert HANDLERS.get("kpis.refresh") is refresh_snapshots
    first = refresh_snapshots(task)
    with enter(Scope.of(made.pk)):
        kept = list(Snapshot.objects.order_by("pk").values_list("kpi", "key", "month", "numerator"))
    assert first["snapshots"] == len(kept) > 100
    refresh_snapshots(task, full=True)
    with enter(Scope.of(made.pk)):
        again = list(Snapshot.objects.order_by("pk").values_list("kpi", "key", "month", "numerator"))
    assert sorted(map(str, again)) == sorted(map(str, kept))
