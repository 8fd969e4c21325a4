"""Reference cases in which the rate has to be found: by prefix, parent, band or day, among others that must not be.

Each case's own rate is loaded into a book with decoys, and the call goes through the product's matching and pricing.
"""

from datetime import datetime
from decimal import Decimal

import pytest

from billing.rating.bands import EVERY_DAY, TimeBand, standard_bands
from billing.rating.book_rows import AssignmentRow, ChoiceRow
from billing.rating.dated import FOREVER
from billing.rating.rate import rate_calls
from tests.billing.rating_book import book_of, chunk_of, day, rate, tariff
from tests.billing.reference import MISSING, REFERENCE, load_cases

CASES = {case["id"]: case for case in load_cases("rating_cases.json")}
DECOY = "7.77"
WRONG = {"fee": "3", "initial": 60, "next": 60, "start": 0}
MONDAY = "2019-03-11T09:00"
ALWAYS = {
    "assignments": [AssignmentRow(11, 7, 0, FOREVER)],
    "choices": [ChoiceRow(0, 7, "", 1, 0, FOREVER)],
}

#: What the case's number is found by, in the table of the customer (1) or of the tariff it inherits from (2).
PREFIXED = {
    "R047": (1, "1002"), "R048": (2, "1003"), "R049": (2, "1003"), "R050": (1, "2001"), "R056": (1, "1002"),
    "R059": (1, "1002"), "R060": (1, ""), "R358": (1, "1002"),
}  # fmt: skip
DIALLED = {"R360": "+86", "R363": "+1", "R364": "+86"}


def priced(book, **call):
    """Return rate and price of a call."""
    frame = rate_calls(chunk_of(call), book)
    assert frame.state.tolist() == ["rated"]
    return int(frame.rate_id[0]), Decimal(int(frame.retail[0])).scaleb(-8)


def of_bands(case):
    """Return the case's rate as fee, price a minute and increments; groups of one price are one rate."""
    (band,) = case["tariff"]["bands"]
    groups = [group for group in band["groups"] if group["start"] < max(case["call"]["duration_s"], 1)]
    (price,) = {Decimal(str(g["rate"])) * 60 / g["unit"] for g in groups}
    assert len(groups) == 1 or groups[1]["start"] == groups[0]["inc"]
    return {
        "price": str(price),
        "fee": str(band["connect"]),
        "initial": groups[0]["inc"],
        "next": groups[-1]["inc"],
    }


def check_prefix(case):
    """The customer's own table first, then the one it inherits from; the longest prefix; the band of the start."""
    table, key = PREFIXED[case["id"]]
    own = of_bands(case) if "bands" in case["tariff"] else {"price": case["tariff"]["rate_per_min"]}
    begun = case["call"].get("start", f"{MONDAY}:00Z")
    band = "Day" if "T09" in begun else "Evening"
    other = {"Day": "Evening", "Evening": "Day"}[band]
    dialled = case["call"].get("dest", "1002" if key else "1003") + "55"
    shorter = key[:-1] if key else "1002"
    if table == 1:  # the parent has the same key and a longer one, the customer's own table a shorter one
        decoys = [(2, key, ""), (2, dialled, ""), (1, shorter, "")]
    else:  # the parent has the key in the other band, and a shorter one
        decoys = [(2, key, other), (2, shorter, ""), (1, "9", "")]
    rates = [
        rate(n, owner, text, DECOY, band=name, **WRONG) for n, (owner, text, name) in enumerate(decoys, 1)
    ]
    mine = rate(9, table, key, band=band if table == 2 else "", start=0, **own)
    child = tariff(1, parent_id=2, rounding="up")
    parent = tariff(2, rounding="up", bands=standard_bands())
    book = book_of(tariffs=[child, parent], rates=[*rates, mine], **ALWAYS)
    found = priced(book, dialled=dialled, duration=case["call"]["duration_s"], started_at=instant(begun))
    assert found == (9, cost(case))


def check_dated(case):
    """The version in force when the call starts."""
    versions = case["tariff"]["versions"]
    step = case["tariff"]["inc_s"]
    ends = [*(day(version["from"]) for version in versions[1:]), FOREVER]
    rates = [
        rate(
            n, 1, "44", str(version["per_min"]), start=day(version["from"]), end=end, initial=step, next=step
        )
        for n, (version, end) in enumerate(zip(versions, ends, strict=True), 1)
    ]
    book = book_of(rates=rates, **ALWAYS)
    number, year = (2, 2013) if "2013" in case["call"]["call_date"] else (1, 2010)
    for moment in (f"{year}-01-01T00:00:00Z", f"{year + 2}-12-31T23:59:59Z"):
        found = priced(
            book, dialled="+442079460999", duration=case["call"]["duration_s"], started_at=instant(moment)
        )
        assert found == (number, cost(case))


def check_band(case):
    """The band in force at the start of the call, by the clock."""
    bands = (
        TimeBand("normal", EVERY_DAY, 8 * 60, 20 * 60),
        TimeBand("reduced", EVERY_DAY, 20 * 60, 5 * 60),
        TimeBand("super reduced", EVERY_DAY, 5 * 60, 8 * 60),
    )
    prices = case["tariff"]["bands_per_min"]
    rates = [rate(n, 1, "44", prices[band.name], band=band.name) for n, band in enumerate(bands, 1)]
    book = book_of(tariffs=[tariff(1, bands=bands, zone="UTC")], rates=rates)
    moment = f"2026-02-10T{case['call']['start']}:00Z"
    found, amount = priced(
        book, dialled="+442079460999", duration=case["call"]["duration_s"], started_at=instant(moment)
    )
    assert bands[found - 1].name == case["tariff"]["band_hit"]
    assert amount == cost(case)


def check_country(case):
    """The dialling code chooses the price; a customer with a tariff of its own pays that."""
    code, step = DIALLED[case["id"]], case["tariff"]["inc_s"]
    prices = {"+86": "0.10", "+1": "0.05", "+8": DECOY, "+": DECOY}
    rates = [
        rate(n, 2, key[1:], price, initial=step, next=step)
        for n, (key, price) in enumerate(prices.items(), 1)
    ]
    own = Decimal(case["tariff"]["rate_per_min"])
    special = str(own) != prices[code]
    if special:
        rates.append(rate(9, 1, code[1:], str(own), initial=step, next=step))
    book = book_of(tariffs=[tariff(1, parent_id=2), tariff(2)], rates=rates)
    found, amount = priced(book, dialled=f"{code}3055501234", duration=case["call"]["duration_s"])
    assert (found, amount) == (9 if special else list(prices).index(code) + 1, cost(case))


def instant(text):
    return int(datetime.fromisoformat(text).timestamp())


def cost(case):
    return Decimal(str(case.get("exact_cost") or case["expected_cost"]))


CHECKS = {
    **dict.fromkeys(PREFIXED, check_prefix),
    **dict.fromkeys(("R187", "R188", "R189"), check_dated),
    **dict.fromkeys(("R356", "R357"), check_band),
    **dict.fromkeys(DIALLED, check_country),
}

if REFERENCE:

    @pytest.mark.parametrize("case", CHECKS)
    def test_the_rate_of_the_reference_case_is_found_among_others(case):
        CHECKS[case](CASES[case])

else:

    def test_the_rates_of_the_reference_cases_are_found_among_others():
        pytest.skip(MISSING)
