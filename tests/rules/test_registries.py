"""The parts that grow are declared once and whole: KPIs, reports, formats, lists, jobs."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import mail

from billing.checks.registry import CHECKS
from billing.importing.book import BOOK_KINDS
from billing.importing.formats import FORMATS
from billing.importing.uploads import keep
from billing.models.freshness import fingerprint
from kpis.kpi import KPIS
from reports.mailing import ask
from reports.models import ScheduleTurn
from reports.registry import REPORTS
from resellerkpi.core.jobs import HANDLERS, TIMETABLE, enqueue
from resellerkpi.core.models import Job, TenantModel
from resellerkpi.core.scope import enter
from tests.rules.worked_world import MAPPING, NOW, Worked, worked_world

DEFINITIONS = Path(__file__).resolve().parents[2] / "billing" / "checks" / "definitions"
SAMPLES = Path(__file__).resolve().parents[1] / "data" / "cdr"
OWN_ROWS = {"core_job", "core_auditevent", "kpis_change"}

Parameters = Callable[[Worked], dict[str, Any]]


def call_file(worked: Worked) -> dict[str, Any]:
    """Return the parameters of loading one more file of one call."""
    number = worked.number.number
    token, _ = keep([f"id,from,to,start,seconds,cost\n9,{number},+4412,2026-08-09 10:00:00,60,0\n".encode()])
    carrier = worked.carrier
    return {"token": token, "name": "x.csv", "carrier_id": carrier, "format_name": "", "mapping": MAPPING}


def dealers(worked: Worked) -> dict[str, Any]:
    """Return the parameters of loading one more dealer."""
    token, _ = keep([b"code,name\nD9,Nine\n"])
    return {"kind": "dealers", "token": token, "mapping": {}, "options": {}, "url": "/import/dealers/"}


def pricing_again(worked: Worked) -> dict[str, Any]:
    """Return the parameters of pricing calls again after a preview that is up to date."""
    worked.preview.result["fingerprint"] = fingerprint(worked.house.reseller.pk)
    worked.preview.save(update_fields=["result"])
    return {"preview": str(worked.preview.pk)}


def mailing(worked: Worked) -> dict[str, Any]:
    """Return the parameters of the mail that was asked for."""
    asked = ask(
        worked.report, to=["a@b.example"], formats=["csv"], names=["number", "gross"], note="", now=NOW
    )
    return dict(asked.params)


def a_turn(worked: Worked) -> dict[str, Any]:
    """Return the parameters of a turn that waits for its worker."""
    own = {"reseller": worked.house.reseller}
    turn = ScheduleTurn.objects.create(**own, schedule=worked.schedule, due_at=NOW, request=uuid.uuid4())
    return {"turn": turn.pk}


#: kind -> its parameters in the worked house.
JOBS: dict[str, Parameters] = {
    "book.import": dealers,
    "usage.import": call_file,
    "usage.repair": lambda w: {"reasons": None, "identities": None},
    "usage.preview": lambda w: {"where": {"first": "2026-08-01", "last": "2026-08-31"}},
    "usage.rerate": pricing_again,
    "tariff.compare": lambda w: w.deck.params,
    "prices.what_if": lambda w: {"asked": w.answer.params["asked"]},
    "prices.uplift": lambda w: {"uplift_id": w.uplift.pk},
    "allowances.draw": lambda w: {"feature_type_id": w.package.pk, "first": "2026-08-01"},
    "allowances.standing": lambda w: {},
    "checks.run": lambda w: {},
    "match.months": lambda w: {},
    "bills.produce": lambda w: {"run_id": w.run.pk},
    "kpis.refresh": lambda w: {},
    "reports.post_billing": lambda w: {"run_id": w.run.pk},
    "reports.run": lambda w: {"run": str(w.report.pk)},
    "reports.export": lambda w: {"run": str(w.report.pk), "kind": "xlsx"},
    "reports.mail": mailing,
    "reports.compare": lambda w: {"run": str(w.report.pk), "request": str(uuid.uuid4())},
    "reports.schedules": lambda w: {},
    "reports.scheduled": a_turn,
    "usage.remove": lambda w: {"file_id": w.file.pk},
    "usage.room": lambda w: {},
    "usage.watch": lambda w: {},
    "house.sweep": lambda w: {},
    "reports.forget": lambda w: {},
    "rates.fetch": lambda w: {},
    "reports.reviews": lambda w: {},
    "reports.watch": lambda w: {"request": str(uuid.uuid4())},
    "reports.demo": lambda w: {},
}


def test_every_job_kind_is_held_here() -> None:
    assert set(HANDLERS.slugs()) == set(JOBS)
    assert set(TIMETABLE) <= set(JOBS)
    assert [h.__name__ for h in HANDLERS if not h.__doc__] == []


def rows(worked: Worked) -> dict[str, int]:
    """Count the house's rows per table."""
    models = [m for m in apps.get_models() if issubclass(m, TenantModel) and m._meta.db_table not in OWN_ROWS]
    with enter(worked.house.scope()):
        return {m._meta.db_table: m._default_manager.count() for m in models}


@pytest.mark.usefixtures("committed_db")
def test_a_job_run_twice_has_the_effect_of_once(tmp_path: Path, settings: Any) -> None:
    settings.VAR_DIR = tmp_path
    settings.ECB_RATES_URL = ""
    _, alpha, _ = worked_world(tmp_path)
    for kind in JOBS:
        with enter(alpha.house.scope()):
            parameters = JOBS[kind](alpha)
        assert run(kind, parameters, alpha) == Job.State.DONE, kind
        once, sent = rows(alpha), len(mail.outbox)
        run(kind, parameters, alpha)
        assert (kind, rows(alpha), len(mail.outbox)) == (kind, once, sent)


def run(kind: str, parameters: dict[str, Any], worked: Worked) -> str:
    """Run one job to its end and return the state it ended in."""
    with enter(worked.house.scope()):
        row = enqueue(kind, parameters, title=kind)
    with enter(worked.house.scope()):
        return str(Job.objects.get(pk=row.pk).state)


def test_every_format_has_a_sample() -> None:
    assert {path.stem for path in SAMPLES.iterdir()} - {"mapped"} == set(FORMATS.slugs())


def test_every_list_says_what_it_is_for_and_gives_an_example() -> None:
    silent = [kind.slug for kind in BOOK_KINDS if not kind.purpose or not any(f.example for f in kind.fields)]
    assert silent == []


def test_every_check_says_what_it_finds_and_where_it_is_repaired() -> None:
    assert [c.slug for c in CHECKS if not c.about.endswith(".") or not c.name or not c.page] == []
    assert [(c.slug, s.name) for c in CHECKS for s in c.settings if not s.label] == []
    modules = {path.stem for path in DEFINITIONS.glob("[a-z]*.py")}
    assert modules == {c.find.__module__.rpartition(".")[2] for c in CHECKS}


def test_every_kpi_and_report_says_what_it_is() -> None:
    assert [k.slug for k in KPIS if not k.formula or not k.name or k.version < 1] == []
    assert [r.slug for r in REPORTS if not r.__doc__ or not r.columns] == []
