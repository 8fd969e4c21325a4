"""The checks find every leak that was planted in the demo, to the penny, and invent none."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from billing.checks.register import run
from billing.checks.registry import of_family
from billing.models import Finding, FindingEvent
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.conftest import DEMO_DAY

pytestmark = pytest.mark.slow
NAMES = ("check", "subject", "period", "money_per_month", "money_to_date", "currency")


def told(findings: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return findings as planted.json and the command tell them, in one order."""
    return sorted(tuple(finding[name] for name in NAMES) for finding in findings)


def kept() -> list[tuple[str, ...]]:
    """Return the scope's standing findings of leakage alike."""
    rows = Finding.objects.filter(family="leakage", state="open").order_by("check_slug", "subject")
    return sorted(
        (
            f.check_slug,
            f.subject,
            f"{f.period:%Y-%m}",
            str(f.money_per_month),
            str(f.money_to_date),
            f.currency,
        )
        for f in rows
    )


def test_every_planted_leak_is_found_with_its_money_and_no_other(built: dict[str, Any]) -> None:
    planted = json.loads((built["folder"] / "planted.json").read_text())["findings"]
    with enter(Scope.of(Reseller.objects.get(code="harbour").pk, why="test")):
        assert kept() == told(planted)
    with enter(Scope.of(Reseller.objects.get(code="moorland").pk, why="test")):
        assert kept() == []


def test_looking_again_changes_nothing_and_a_repair_closes_its_finding(built: dict[str, Any]) -> None:
    house = Reseller.objects.get(code="harbour")
    now = datetime.combine(DEMO_DAY, datetime.min.time(), UTC).replace(hour=13)
    with enter(Scope.of(house.pk, why="test")):
        before, events = kept(), FindingEvent.objects.count()
        run(house, of_family("leakage"), now=now)
        assert (kept(), FindingEvent.objects.count()) == (before, events)
        uncollected = Finding.objects.filter(check_slug="uncollected").values_list("page", flat=True)
        assert list(uncollected) == ["customer-mandate"] * 3
        free = Finding.objects.filter(check_slug="free_by_mistake").order_by("subject")[0]
        free.customer.features.filter(pk=free.page_args[0]).update(price=None)
        run(house, of_family("leakage"), now=now)
        assert Finding.objects.get(pk=free.pk).state == "fixed"
        assert len(kept()) == len(before) - 1
        transaction.set_rollback(True)


def test_the_command_prints_the_findings_and_their_total(built: dict[str, Any]) -> None:
    planted = json.loads((built["folder"] / "planted.json").read_text())
    out = io.StringIO()
    with transaction.atomic():
        call_command("leakage", reseller="harbour", today=DEMO_DAY, stdout=out, stderr=io.StringIO())
        transaction.set_rollback(True)
    said = json.loads(out.getvalue())
    assert told(said["findings"]) == told(planted["findings"])
    assert said["total"] == planted["total"]
