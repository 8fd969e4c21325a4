"""The Pre-billing report: the findings of a run as its page tells them, by level and check, tied to the register."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from billing.billrun.prebilling import accept, findings, look
from billing.billrun.runs import prepare_run
from billing.models import BillingRun, Feature
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import enter
from tests.billing.money import a_call, rate_batch
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 9, 2, 9, tzinfo=UTC)
AUGUST = {"on_or_after": ["2026-08-01"], "before": ["2026-09-01"]}


@pytest.fixture
def world() -> World:
    return make_world()


def looked_at(world: World) -> BillingRun:
    """Look at August with two lost calls in different currencies and a line at a price of 0, which is accepted."""
    house = world.alpha
    lost = {"state": "error", "reason": "no_tariff"}
    first, second = house.customers[:2]
    rate_batch(
        house.reseller,
        a_call(first, "2026-08-05 10:00", "0", cost=D("2.505"), cost_currency="GBP", **lost),
        a_call(second, "2026-08-05 10:00", "0", cost=D("4"), cost_currency="EUR", **lost),
    )
    Feature.objects.filter(pk=house.features[0].pk).update(price=0)
    august = prepare_run(house.reseller, parse_month("2026-08", house.reseller.zone))
    look(august, now=NOW)
    accept(august, findings(august).filter(check_slug="zero_rates"), reason="Agreed", now=NOW)
    return august


def told(made: Run, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in Showing(made).rows()]


def test_it_tells_what_a_run_s_page_tells_and_adds_up_to_the_register(world: World) -> None:
    with enter(world.alpha.scope()):
        looked_at(world)
        report = REPORTS.get("pre-billing")
        made = run(report, AUGUST, now=NOW)
        told_of = ("check", "subject", "state", "money_per_month", "money_to_date", "currency")
        assert told(made, *told_of) == [
            ("Customers with calls and without a tariff", "C001", "open", None, D("2.51"), "GBP"),
            ("Customers with calls and without a tariff", "C002 (EUR)", "open", None, D(4), "EUR"),
            (
                "Lines and calls at a price of 0", "C001 LINE 01200000001 2026-01-01", "accepted", D("13.50"), None,
                "GBP",
            ),
        ]  # fmt: skip
        assert told(made, "period", "level") == [
            (date(2026, 8, 1), level) for level in ("error", "error", "warning")
        ]
        assert told(made, "label_url", "label_id", "accepted_reason", "until")[2] == (
            "feature", world.alpha.features[0].pk, "Agreed", None,
        )  # fmt: skip
        ties = [
            (tie["name"], tie["currency"], tie["ours"], tie["ledger"], tie["ok"]) for tie in made.tie_outs
        ]
        assert sorted(ties) == [
            ("At stake a month, in the register", "EUR", "0", "0", True),
            ("At stake a month, in the register", "GBP", "13.50", "13.50", True),
            ("Found, in the register", "", "3", "3", True),
        ]
        grouped = run(report, AUGUST | {"group_by": ["level"]}, now=NOW)
        assert told(grouped, "by_level", "currency", "found", "money_to_date") == [
            ("error", "EUR", 1, D(4)), ("error", "GBP", 1, D("2.51")), ("warning", "GBP", 1, None),
        ]  # fmt: skip
        assert run(report, {"on_or_after": ["2026-07-01"], "before": ["2026-08-01"]}, now=NOW).row_count == 0
