"""A clerk can work every kind of price of the demo out from the sentences on the call's page."""

from fractions import Fraction
from typing import Any

import pytest

from billing.models import Call
from billing.rating.why import explain
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.clerk import work_out
from tests.billing.naive_book import rows_of
from tests.billing.test_demo_oracle import HOUSES, House, mend_calls, undone

EACH = 4
KINDS = """
SELECT id, started_at FROM (
    SELECT call.id, call.started_at, row_number() OVER (
        PARTITION BY call.service, call.state, call.reason, rate.tariff_id, cost_rate.tariff_id, bundle.unit,
            rate.is_service_charge, call.retail = 0, call.drawn < call.billed_seconds, call.cost IS NULL
        ORDER BY call.started_at, call.id) AS place
    FROM billing_call call
    LEFT JOIN billing_tariffrate rate ON rate.id = call.rate_id
    LEFT JOIN billing_tariffrate cost_rate ON cost_rate.id = call.cost_rate_id
    LEFT JOIN billing_bundle bundle ON bundle.id = call.bundle_id
    WHERE call.reseller_id = %s
) kinds WHERE place <= %s ORDER BY started_at
"""


def kinds_of(reseller: Reseller) -> list[Call]:
    """Return some calls of each kind there is."""
    rows = rows_of(KINDS, reseller.pk, EACH)
    return list(Call.objects.filter(pk__in=[row["id"] for row in rows]).select_related("reseller"))


def misread(calls: list[Call], reseller: Reseller) -> list[Any]:
    """Return the calls whose sentences amount to another price, or another expected cost, than the call holds."""
    wrong = []
    for call in calls:
        told = explain(call, reseller)
        retail, cost = work_out(told.retail), work_out(told.wholesale)
        if (retail or 0) != Fraction(call.retail):
            wrong.append((call.pk, call.retail, retail, told.retail))
        if call.cost_rate_id and cost != Fraction(call.expected_cost or 0):
            wrong.append((call.pk, call.expected_cost, cost, told.wholesale))
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("house", HOUSES)
def test_the_sentences_of_every_kind_of_demo_call_amount_to_its_price(
    house: str, built: dict[str, Any]
) -> None:
    reseller = Reseller.objects.get(code=house)
    with enter(Scope.of(reseller.pk, why="test")):
        calls = kinds_of(reseller)
        assert misread(calls, reseller) == []
        assert len(calls) > 60
        assert {call.service for call in calls} == {"voice", "sms", "data"}


@pytest.mark.slow
def test_the_sentences_of_mended_demo_calls_amount_to_their_price(built: dict[str, Any]) -> None:
    house = House("harbour")
    with undone(house):
        errors = list(Call.objects.filter(state="error").values_list("pk", flat=True))
        mend_calls(house.reseller)
        mended = Call.objects.filter(pk__in=errors).select_related("reseller")
        assert misread(list(mended), house.reseller) == []
        assert {call.state for call in mended} == {"rated"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("billed as 66 s", "billed as 67 s"),
        ("66 s at", "61 s at"),
        ("66 s at 0.10 GBP", "66 s at 0.11 GBP"),
        ("make 0.11 GBP", "make 0.12 GBP"),
        ("fee of 0.015 GBP that", "fee of 0.01 GBP that"),
        ("that is 0.125 GBP", "that is 0.13 GBP"),
        ("decimal places: 0.13 GBP", "decimal places: 0.12 GBP"),
    ],
)
def test_a_clerk_notices_each_wrong_figure(right: str, wrong: str) -> None:
    sentences = (
        "Its rate is found by prefix 447, the longest that +447700900123 begins with, in force from 1 Jan 2026:"
        " 0.10 GBP a minute, first 30 s, then steps of 6 s, connection fee 0.015 GBP.",
        "61 s billed as 66 s: 30 then steps of 6.",
        "66 s at 0.10 GBP a minute make 0.11 GBP.",
        "With the connection fee of 0.015 GBP that is 0.125 GBP.",
        "Rounded half up to 2 decimal places: 0.13 GBP.",
    )
    assert work_out(sentences) == Fraction(13, 100)
    changed = tuple(sentence.replace(right, wrong) for sentence in sentences)
    assert changed != sentences
    with pytest.raises(AssertionError):
        work_out(changed)
