"""The command `report`: the same frozen rows as the page, one JSON object as its last line."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from reports.models import Run
from resellerkpi.core.scope import enter
from tests.reports.bills import three_bills
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
NOVEMBER = ("on_or_after=2026-11-01", "before=2026-12-01")


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> World:
    settings.VAR_DIR = tmp_path
    world = make_world()
    three_bills(world.alpha)
    return world


def report(*args: str, **options: Any) -> dict[str, Any]:
    """Run the command and return what its last line says."""
    out = io.StringIO()
    call_command("report", *args, stdout=out, stderr=io.StringIO(), **options)
    told: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return told


def test_it_writes_the_file_and_tells_totals_and_tie_outs(world: World, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.json"
    told = report(
        "invoices", *NOVEMBER, "dealer=D1", "--reseller", "alpha", "--as", "json", "-o", str(target)
    )
    data = json.loads(target.read_text())
    assert [row["gross"] for row in data["rows"]] == ["96.00", "120.00"]
    assert (told["report"], told["rows"], told["file"]) == ("invoices", 2, str(target))
    assert told["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert told["period"] == {"start": "2026-11-01", "end": "2026-12-01"}
    assert told["totals"] == data["totals"]
    assert told["totals"][0]["gross"] == "216.00"
    assert {t["ok"] for t in told["tie_outs"]} == {True}
    with enter(world.alpha.scope()):
        run = Run.objects.get()
    assert (str(run.pk), run.sha256, run.by_name) == (told["run"], told["frozen_sha256"], "Command line")


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json"])
def test_without_a_file_it_writes_one_under_exports(world: World, tmp_path: Path, kind: str) -> None:
    told = report("invoices", *NOVEMBER, "--reseller", "alpha", "--as", kind)
    assert Path(told["file"]) == tmp_path / "exports" / f"invoices-2026-11-01-to-2026-12-01.{kind}"
    assert Path(told["file"]).stat().st_size > 0


def test_it_lists_the_reports() -> None:
    listed = report("--list")["reports"]
    invoices = next(r for r in listed if r["slug"] == "invoices")
    assert {"period", "on_or_after", "before", "method", "dealer", "view"} <= set(invoices["filters"])
    assert invoices["purpose"].startswith("What was invoiced")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nothing", "--reseller", "alpha"), "There is no report called “nothing”"),
        (("invoices", "--reseller", "nobody"), "There is no reseller with the code “nobody”"),
        (("invoices",), "Say which report and whose"),
        (("invoices", "--reseller", "alpha", "colour=red"), "“Invoices” has no filter “colour”"),
        (("invoices", "--reseller", "alpha", "colour"), "“colour” is not a filter; write it as name=value"),
        (("invoices", "--reseller", "alpha", "amount=lots"), "Invoice amount at least: Enter a number"),
        (("invoices", "--reseller", "alpha", "--sort", "colour"), "There is no column “colour” to sort by"),
    ],
)
def test_it_refuses_in_a_sentence(world: World, args: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        report(*args)
