"""Reference sequences of calls that share inclusive bundles, drawn and priced by the product's own book and tables.

A subscriber of the source is a number here, its plan and services are package features, a bundle of the account is
shared by its numbers, a pooled one comes once with each of them. Bundles draw in the order the source lists them.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from math import ceil

import pytest

from billing.models import Bundle, Call, Feature, FeatureType, Number
from billing.rating.redraw import redraw_allowances
from resellerkpi.core.scope import Scope, enter
from tests.billing.oracle_exemptions import RATING
from tests.billing.rating_book import chunk_of
from tests.billing.rating_world import World
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

CASES = {c["id"]: c for c in load_cases("rating_cases.json") if "seq_family" in c["call"]}
TESTED = [case for case in CASES if case not in exempt_ids(RATING)]
MARCH = date(2026, 3, 1)
#: Bundles that end in the middle of their sequence, by the time of its calls.
ENDS = {"O10": date(2026, 3, 15)}


def sequences() -> list[list[dict]]:
    """Return the cases in runs that share allowances: up to the account's next reset."""
    runs: list[list[dict]] = [[]]
    for case in CASES.values():
        last = runs[-1][-1]["call"] if runs[-1] else None
        if last and (last["resets_after"] or last["account"] != case["call"]["account"]):
            runs.append([])
        runs[-1].append(case)
    return runs


def build(world: World, run: list[dict]) -> None:
    """Make the account with its numbers and bundles, and supply its calls."""
    customer = world.customer("account", currency="GBP")
    tariff = world.tariff(places=6)
    world.assign(tariff, customer=customer)
    rates = dict.fromkeys(case["tariff"]["rate"] for case in run)
    keys = {name: f"44{n:02d}" for n, name in enumerate(rates, 10)}
    for case in run:
        tier = case["tariff"]["rate_tiers"][0]
        if rates[case["tariff"]["rate"]] is None:
            price = str(Decimal(str(tier["price"])) * 60 / tier["interval"])
            size = {"initial_increment": tier["interval"], "next_increment": tier["interval"]}
            rates[case["tariff"]["rate"]] = world.rate(tariff, keys[case["tariff"]["rate"]], price, **size)
    subscribers = dict.fromkeys(case["call"]["subscriber"] for case in run)
    numbers = {who: world.number(f"+4420794600{n:02d}", customer) for n, who in enumerate(subscribers)}
    for group, bundle in bundles_of(run).items():
        give(world, group, bundle, run, keys, numbers)
    rows = [
        {
            "identity_1": numbers[case["call"]["subscriber"]].number,
            "dialled": f"+{keys[case['tariff']['rate']]}5550000",
            "duration": ceil(Decimal(str(case["call"]["usage"]))),
            "started_at": int(moment(case, place).timestamp()),
            "dedupe_key": place,
        }
        for place, case in enumerate(run)
    ]
    world.supply(chunk_of(*rows))


def bundles_of(run: list[dict]) -> dict[str, tuple[int, dict]]:
    """Return the bundles of a sequence that any of its calls may draw, with their place in the order of drawing."""
    found: dict[str, tuple[int, dict]] = {}
    for case in run:
        for place, bundle in enumerate(case["tariff"]["bundles"]):
            if bundle["applies_to_rate"]:
                found.setdefault(bundle["group"], (place, bundle))
    return found


def give(
    world: World,
    group: str,
    placed: tuple[int, dict],
    run: list[dict],
    keys: dict[str, str],
    numbers: dict[int, Number],
) -> None:
    """Make a bundle for the rates it applies to, and give it to the account or to each of its numbers."""
    place, bundle = placed
    serves = {
        keys[case["tariff"]["rate"]]
        for case in run
        for each in case["tariff"]["bundles"]
        if each["group"] == group and each["applies_to_rate"]
    }
    kind = FeatureType.objects.create(**world.own, code=group, name=group, kind="package")
    Bundle.objects.create(
        **world.own, feature_type=kind, unit="seconds", amount=int(bundle["allowance"]), priority=place,
        shared=bundle["shared_account"], prefixes=" ".join(sorted(serves)),
    )  # fmt: skip
    once = bundle["shared_account"] and not bundle["pooled"]
    for number in list(numbers.values())[: 1 if once else None]:
        Feature.objects.create(
            **world.own, feature_type=kind, customer=number.assignments.get().customer, number=number,
            quantity=bundle["quantity"], start_date=MARCH, end_date=ENDS.get(group),
        )  # fmt: skip


def moment(case: dict, place: int) -> datetime:
    """Return when a call began: the day and hour of the source's month, else in the order of the sequence."""
    told = case["call"].get("call_time") or ""
    base = datetime(2026, 3, int(told[8:10]) if told else 10, 9, tzinfo=UTC)
    return base + timedelta(minutes=place)


@cache
def drawn(first: str) -> dict[str, tuple]:
    """Return billed seconds, what allowances cover of them, and the price of each call of a sequence."""
    run = next(run for run in sequences() if run[0]["id"] == first)
    world = World.make(f"s{first}")
    with enter(Scope.of(world.reseller.pk)):
        build(world.begin(), run)
        redraw_allowances(world.reseller, None, MARCH, date(2026, 3, 31))
        rows = list(Call.objects.order_by("dedupe_key").values_list("billed_seconds", "drawn", "retail"))
    return {case["id"]: row for case, row in zip(run, rows, strict=True)}


if REFERENCE:

    @pytest.mark.django_db
    @pytest.mark.parametrize("case", TESTED)
    def test_the_call_of_the_sequence_draws_and_costs_what_is_published(case):
        about = CASES[case]
        first = next(run[0]["id"] for run in sequences() if about in run)
        billed, covered, retail = drawn(first)[case]
        interval = about["tariff"]["rate_tiers"][0]["interval"]
        over = ceil(Decimal(str(about["expected_over"])) / interval) * interval
        published = (Decimal(str(about["expected_in_bundle"])), over, Decimal(str(about["expected_cost"])))
        assert (covered, billed - covered, retail) == published

else:

    def test_the_calls_of_the_sequences_draw_and_cost_what_is_published():
        pytest.skip(MISSING)
