"""Every reference case of rating whose semantics the product has, priced by the product's own columns.

Each shape of tariff in the reference is a named policy below; what no policy covers is listed in
oracle_exemptions.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from billing.rating.allowances import cumulative_units, draw
from billing.rating.bands import (
    MONDAY_TO_FRIDAY,
    SATURDAY_SUNDAY,
    HolidayRegion,
    TimeBand,
    bands_at,
    split_at_bands,
)
from billing.rating.price import (
    Rates,
    Terms,
    billed_seconds,
    price_calls,
    price_events,
    price_pieces,
    price_volume,
)
from billing.rating.rounding import Rounding
from tests.billing.oracle_exemptions import RATING
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

UNIT = 10**8
EXACT = 8
CASES = {case["id"]: case for case in load_cases("rating_cases.json") if case["verified"]}
SEQUENCES = {case for case, about in CASES.items() if "seq_family" in about["call"]}  # test_oracle_bundles.py
TESTED = [case for case in CASES if case not in exempt_ids(RATING) | SEQUENCES]
MODES = {"middle": Rounding.HALF_UP, "up": Rounding.UP, "down": Rounding.DOWN}
UTC_ZONE = ZoneInfo("UTC")


def ints(*values):
    return np.array(values, dtype=np.int64)


def exact(value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def units(value) -> int:
    """Return money in 1e-8, refusing a value finer than that."""
    scaled = Fraction(exact(value)) * UNIT
    assert scaled.denominator == 1
    return int(scaled)


@dataclass
class Leg:
    """A part of a call and its rate (money per minute)."""

    seconds: int
    per_minute: Decimal
    initial: int = 1
    next: int = 1


@dataclass
class Policy:
    """A reference call in the product's terms."""

    legs: list[Leg]
    fee: Decimal = Decimal(0)
    minimum: Decimal = Decimal(0)
    maximum: Decimal | None = None
    free: int = 0
    places: int = EXACT
    rounding: Rounding = Rounding.HALF_UP
    allowance: int = 0

    def priced(self):
        """Price by the columns; a call of one leg goes through both functions, which must agree."""
        rates = Rates(
            per_minute=units(self.legs[0].per_minute),
            connection_fee=units(self.fee),
            minimum_charge=units(self.minimum),
            maximum_charge=-1 if self.maximum is None else units(self.maximum),
            initial_increment=self.legs[0].initial,
            next_increment=self.legs[0].next,
            free_seconds=self.free,
        )
        terms = Terms(places=self.places, rounding=self.rounding)
        whole, _ = price_pieces(
            answered=True,
            rates=rates,
            terms=terms,
            piece_call=np.zeros(len(self.legs), dtype=np.int64),
            piece_seconds=ints(*(leg.seconds for leg in self.legs)),
            piece_rates=Rates(
                per_minute=ints(*(units(leg.per_minute) for leg in self.legs)),
                initial_increment=ints(*(leg.initial for leg in self.legs)),
                next_increment=ints(*(leg.next for leg in self.legs)),
            ),
        )
        if len(self.legs) == 1:
            alone = self.alone(rates, terms)
            if self.allowance:
                return Decimal(int(alone.amount[0])).scaleb(-8), int(alone.billed_seconds[0])
            assert (alone.amount[0], alone.billed_seconds[0]) == (whole.amount[0], whole.billed_seconds[0])
        return Decimal(int(whole.amount[0])).scaleb(-8), int(whole.billed_seconds[0])

    def alone(self, rates, terms):
        """Price a call of one leg, the allowance drawn from its billed seconds."""
        seconds = ints(self.legs[0].seconds)
        drawn = draw(ints(0), billed_seconds(seconds, rates), ints(self.allowance)).covered
        return price_calls(answered=True, seconds=seconds, rates=rates, terms=terms, bundle_seconds=drawn)


def per_minute(rate, unit) -> Decimal:
    return exact(rate) * 60 / exact(unit)


def cgrates(tariff, call) -> Policy:
    """Bands entered in turn; a second group counts only when the call reaches it, and must keep the first
    one's rate.
    """
    seconds, legs, fees = call["duration_s"], [], []
    for band, following in zip(tariff["bands"], [*tariff["bands"][1:], None], strict=True):
        end = min(seconds, following["at"]) if following else seconds
        groups = [group for group in band["groups"] if group["start"] < max(end - band["at"], 1)]
        prices = {per_minute(group["rate"], group["unit"]) for group in groups}
        assert len(prices) == 1
        assert len(groups) == 1 or groups[1]["start"] == groups[0]["inc"]
        legs.append(Leg(end - band["at"], prices.pop(), groups[0]["inc"], groups[-1]["inc"]))
        fees.append(exact(band.get("connect", 0)))
    rounded = "rounding_method" in tariff
    return Policy(
        legs,
        fee=Decimal(0) if call.get("loop_index") else fees[0],
        places=tariff["rounding_decimals"] if rounded else EXACT,
        rounding=MODES[tariff["rounding_method"]] if rounded else Rounding.HALF_UP,
    )


def rate_o_mat(tariff, call) -> Policy:
    """A dearer first interval is a connection fee on top of the following rate; free time is an allowance."""
    fee = tariff["fee"]
    following = per_minute(fee["fol_rate"], 1)
    dearer = exact(fee["init_rate"] - fee["fol_rate"]) * fee["init_int"]
    leg = Leg(call["duration_s"], following, fee["init_int"], fee["fol_int"])
    return Policy([leg], fee=dearer, allowance=call["free_time_s"])


def openrate(tariff, call) -> Policy:
    """Steps of (from, to, beat, factor, base); a first step of no width is a set-up fee; the call must end
    in the next one.
    """
    steps = tariff.get("steps") or tariff["steps[from,to,beat_s,factor,base_s]"]
    setup, steps = (steps[0][3], steps[1:]) if steps[0][1] == 0 else (0, steps)
    _, until, beat, factor, base = steps[0]
    assert call["duration_s"] <= max(until, 1_000_000 if until == 999_999 else until)
    return Policy([Leg(call["duration_s"], per_minute(factor, base), beat, beat)], fee=exact(setup))


def simple(tariff, call) -> Policy:
    """A single rate with whatever increments, fee, minimum and rounding the source names."""
    increment = tariff.get("inc_s", 1)
    rate = tariff.get("rate_per_min", tariff.get("initial_rate_per_min", tariff.get("rate_p_per_min", 0)))
    if "rate_per_s" in tariff:
        rate = per_minute(tariff["rate_per_s"], 1)
    if "band_hit" in tariff:
        rate = tariff["bands_per_min"][tariff["band_hit"]]
    if "free_increments" in tariff:
        rate = per_minute(tariff["rate"], increment)
    for version in tariff.get("versions", []):
        if call["call_date"][:4] >= version["from"][:4]:
            rate = version["per_min"]
    assert tariff.get("next_rate_per_min", rate) == rate
    initial = tariff.get("initblock_s", tariff.get("initial_s", tariff.get("minimum_s", increment)))
    following = tariff.get("billingblock_s", tariff.get("next_s", increment))
    nibble = tariff.get("nibble_rounding")
    return Policy(
        [Leg(call["duration_s"], exact(rate), initial, following)],
        fee=exact(tariff.get("connect", tariff.get("surcharge", 0))),
        minimum=exact(
            tariff.get("minimal_cost", tariff.get("nibble_minimum", tariff.get("minimum_call_charge_p", 0)))
        ),
        free=tariff.get("included_s", tariff.get("free_increments", 0) * increment),
        places=4 if "surcharge" in tariff else EXACT if nibble is None else nibble,
        rounding=Rounding.DOWN
        if "surcharge" in tariff
        else Rounding.HALF_UP
        if nibble is None
        else Rounding.UP,
    )


ENGINES = {
    "cgrates-0.11": cgrates,
    "cgrates-1.0 rates": cgrates,
    "rate-o-mat": rate_o_mat,
    "OpenRate tiered": openrate,
    "OpenRate threshold": openrate,
}


def check_voice(case):
    policy = ENGINES.get(case["tariff"].get("engine"), simple)(case["tariff"], case["call"])
    amount, billed = policy.priced()
    if case.get("expected_billed_s") is not None:
        assert billed == case["expected_billed_s"]
    expected = case["exact_cost"] if case.get("exact_cost") is not None else case["expected_cost"]
    if expected is not None:
        assert amount == round(exact(expected), EXACT)
    else:
        assert case.get("expected_billed_s") is not None


def check_money(case):
    """An amount alone: rounded, or held between a minimum and a maximum."""
    tariff = case["tariff"]
    policy = Policy(
        [Leg(1, Decimal(0))],
        fee=exact(case["call"].get("amount", case["call"].get("raw_cost"))),
        minimum=exact(tariff.get("min_cost", 0)),
        maximum=exact(tariff["max_cost"]) if "max_cost" in tariff else None,
        places=tariff.get("rounding_decimals", EXACT),
        rounding=MODES[tariff.get("rounding_method", "middle")],
    )
    assert policy.priced()[0] == exact(case["expected_cost"])


def check_data(case):
    tariff, rates = case["tariff"], Rates(per_minute=0)
    amounts = price_volume(
        volume=ints(case["call"]["usage"]),
        unit=tariff["unit"],
        block=tariff["inc"],
        each=units(tariff["rate"]),
        rates=rates,
        terms=Terms(places=EXACT),
    )
    assert Decimal(int(amounts[0])).scaleb(-8) == exact(case["expected_cost"])


def check_spans(case):
    """A call cut at the start of a band."""
    bands = (
        TimeBand("00:00", MONDAY_TO_FRIDAY, 0, 480),
        TimeBand("08:00", MONDAY_TO_FRIDAY, 480),
        TimeBand("weekend", SATURDAY_SUNDAY),
    )
    pieces = split_at_bands(*started(case), UTC_ZONE, bands)
    spans = [
        [offset, offset + seconds, bands[band].name]
        for offset, seconds, band in zip(pieces.offset, pieces.seconds, pieces.band, strict=True)
    ]
    assert spans == case["expected_spans"]


def check_overlap(case):
    """An increment begun in a span is completed there, and the next span loses those seconds."""
    spans = case["call"]["spans"]
    steps = ints(*(int(name.removeprefix("inc")) if name else 1 for *_, name in spans))
    rates = Rates(per_minute=0, initial_increment=steps, next_increment=steps)
    _, paid = price_pieces(
        answered=True,
        rates=Rates(per_minute=0),
        terms=Terms(),
        piece_call=np.zeros(len(spans), dtype=np.int64),
        piece_seconds=ints(*(end - start for start, end, _ in spans)),
        piece_rates=rates,
    )
    ends = np.cumsum(paid).tolist()
    assert [list(span) for span in zip([0, *ends[:-1]], ends, strict=True)] == case["expected_spans"]


def check_holiday(case):
    bands = (TimeBand("weekday", MONDAY_TO_FRIDAY), TimeBand("holiday", 0, holidays=True, priority=20))
    moment, _ = started(case)
    may_day = HolidayRegion("DE")  # where 1 May is a public holiday
    assert bands[bands_at(moment, UTC_ZONE, bands, may_day)[0]].name == case["expected_band"]


def started(case):
    moment = datetime.fromisoformat(case["call"]["start"].split(" ")[0])
    return ints(int(moment.timestamp())), ints(case["call"]["duration_s"])


def check_bundles(case):
    """Bundles in priority order, each with its own step."""
    bundles = case["tariff"]["bundles"]
    need, left = case["call"]["duration_s"], [0] * len(bundles)
    for number in sorted(range(len(bundles)), key=lambda n: bundles[n].get("weight", 0), reverse=True):
        held = bundles[number].get("left_s", bundles[number].get("left_units"))
        drawn = draw(
            ints(0), ints(need), ints(held), bundles[number].get("inc_s", bundles[number].get("inc"))
        )
        need, left[number] = need - int(drawn.covered[0]), held - int(drawn.used[0])
    assert need == 0
    assert case["expected"].get("left_s", case["expected"].get("left_units")) == left


def check_free_tier(case):
    free = case["tariff"]["tiers"][0]["free_s"]
    drawn = draw(ints(0), ints(case["call"]["duration_s"]), ints(free))
    assert case["call"]["duration_s"] - drawn.covered[0] == case["expected_cost"] == 0


def check_period(case):
    """Packages counted over the period, or units at one price."""
    tariff, call = case["tariff"], case["call"]
    assert tariff["minimum_spend"] is None
    assert tariff["maximum_spend"] is None
    size = int(tariff["package_size"] or 1)
    count = cumulative_units(
        ints(0), ints(int(call["usage"])), size, opening=ints(int(call["usage_already_in_period"]))
    )
    amounts = price_events(
        units=count, each=units(tariff["amount"]), rates=Rates(per_minute=0), terms=Terms()
    )
    assert Decimal(int(amounts[0])).scaleb(-8) == exact(case["expected_cost"])


def check_of(case):
    """Choose the check by the shape of the case."""
    tariff, call = case["tariff"], case["call"]
    shapes = [
        ("spans" in call, check_overlap),
        (tariff.get("engine") == "openmeter", check_period),
        ("amount" in call or "raw_cost" in call, check_money),
        ("usage" in call, check_data),
        (case.get("expected_spans") is not None, check_spans),
        (case.get("expected_band") is not None, check_holiday),
        ("bundles" in tariff, check_bundles),
        ("tiers" in tariff, check_free_tier),
    ]
    return next((check for fits, check in shapes if fits), check_voice)


if REFERENCE:

    @pytest.mark.parametrize("case", TESTED)
    def test_the_reference_case_is_priced_as_published(case):
        check_of(CASES[case])(CASES[case])

else:

    def test_the_reference_cases_are_priced_as_published():
        pytest.skip(MISSING)


def test_every_reference_case_is_tested_or_listed_with_its_reason():
    documented = (Path(__file__).parents[2] / "docs" / "oracle-cases.md").read_text(encoding="utf-8")
    for reason, cases in RATING.items():
        assert reason in documented
        assert all(case in documented for case in cases)
    listed = exempt_ids(RATING)
    assert len(listed) == sum(len(cases) for cases in RATING.values())
    if REFERENCE:
        assert listed <= set(CASES)
        assert set(CASES) == listed | set(TESTED) | SEQUENCES
