"""The price_calls and prorate commands: the contract of their lines, and what a bad line does."""

import dataclasses
import io
import json
from decimal import Decimal
from fractions import Fraction

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.charging.prorate_lines import prorate_lines
from billing.rating.price_lines import price_lines
from billing.rating.rounding import ROUNDINGS
from tests.oracles import NaiveCall, naive_price

CHARGE = {
    "amount": "31",
    "interval": "month",
    "anchor_day": 1,
    "mode": "advance",
    "method": "actual",
    "service_start": "2026-10-15",
    "service_end": None,
    "target_date": "2026-11-01",
}


def priced(**fields):
    ((answer, _),) = price_lines([json.dumps(fields)])
    return json.loads(answer)


def prorated(**changes):
    ((answer, _),) = prorate_lines([json.dumps(CHARGE | changes)])
    return json.loads(answer)


def test_a_call_is_priced_with_money_as_strings():
    assert priced(
        rate_per_minute="0.05",
        connection_fee="0.025",
        minimum_charge="0.01",
        maximum_charge="1",
        initial_increment=30,
        next_increment=6,
        free_seconds=0,
        places=4,
        rounding="half_up",
        charge_unanswered=False,
        duration=61,
        answered=True,
    ) == {"billed_seconds": 66, "amount": "0.0800"}


def test_an_access_charge_is_added_to_the_price_a_minute():
    call = {
        "rate_per_minute": "0.13",
        "access_charge": "0.05",
        "connection_fee": "0.10",
        "next_increment": 60,
    }
    assert priced(**call, initial_increment=60, duration=181) == {"billed_seconds": 240, "amount": "0.8200"}


def test_missing_fields_have_their_defaults():
    assert priced(duration=61, rate_per_minute=0.6) == {"billed_seconds": 61, "amount": "0.6100"}
    assert priced(duration=61, maximum_charge=None) == {"billed_seconds": 61, "amount": "0.0000"}
    assert priced(duration=61, rate_per_minute="1", answered=False) == {
        "billed_seconds": 0,
        "amount": "0.0000",
    }


def test_part_seconds_count_as_one():
    assert priced(duration="60.001", rate_per_minute="0.6", places=2) == {
        "billed_seconds": 61,
        "amount": "0.61",
    }
    assert priced(duration=0.4, rate_per_minute="0.6", places=2) == {"billed_seconds": 1, "amount": "0.01"}


def test_money_finer_than_the_columns_or_huge_is_exact():
    fine = priced(duration=3, rate_per_minute="0.000000000000000020", places=12)
    assert fine == {"billed_seconds": 3, "amount": "0.000000000000"}
    assert priced(duration=60, rate_per_minute="0.123456789012", places=12)["amount"] == "0.123456789012"
    assert priced(duration=120, rate_per_minute="999999999999999", places=0)["amount"] == "1999999999999998"
    assert (
        priced(duration=60, rate_per_minute="-0.000000000000000001", rounding="down")["amount"] == "-0.0001"
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "The line is not valid JSON."),
        ("[1]", "The line is not a JSON object."),
        ('{"rate_per_minute": 1}', "duration is missing."),
        ('{"duration": -1}', "duration must not be negative."),
        ('{"duration": true}', "duration is not a number."),
        ('{"duration": NaN}', "duration is not a number."),
        ('{"duration": "1e999999999"}', "duration is too large."),
        ('{"duration": "1e-999999999"}', "duration is too small."),
        ('{"duration": 1, "rate_per_minute": "x"}', "rate_per_minute is not a number."),
        ('{"duration": 1, "rate_per_minute": "1e-19"}', "rate_per_minute has more than 18 decimal places."),
        ('{"duration": 1, "maximum_charge": -1}', "maximum_charge must not be negative."),
        (
            '{"duration": 1, "next_increment": 0}',
            "next_increment must be a whole number from 1 to 1000000000000.",
        ),
        ('{"duration": 1, "places": 13}', "places must be a whole number from 0 to 12."),
        ('{"duration": 1, "rounding": "half"}', "rounding is not one of half_up, half_even, up, down."),
        ('{"duration": 1, "answered": "yes"}', "answered must be true or false."),
    ],
)
def test_a_bad_line_is_answered_with_one_sentence_and_the_rest_goes_on(line, error):
    answers = list(price_lines([line + "\n", "\n", '{"duration": 60, "rate_per_minute": "0.1"}\n']))
    assert [good for _, good in answers] == [False, True]
    assert json.loads(answers[0][0]) == {"error": error}
    assert json.loads(answers[1][0]) == {"billed_seconds": 60, "amount": "0.1000"}


amounts = st.integers(0, 10**10) | st.integers(0, 10**22)


@given(
    st.builds(
        NaiveCall,
        seconds=st.integers(0, 10_000) | st.integers(0, 10**9),
        rate=amounts,
        answered=st.booleans(),
        fee=amounts,
        minimum=amounts,
        maximum=st.just(-1) | amounts,
        initial=st.integers(0, 100),
        next=st.integers(100, 10_000),
        free=st.integers(0, 100),
        places=st.integers(0, 8),
        rounding=st.integers(0, 3),
        charge_unanswered=st.booleans(),
    )
)
@settings(deadline=None, max_examples=150)
def test_lines_agree_with_the_naive_price_whatever_their_size(call):
    call = dataclasses.replace(call, next=max(call.next, call.seconds // 1_000))
    answer = priced(
        rate_per_minute=str(Decimal(call.rate).scaleb(-8)),
        connection_fee=str(Decimal(call.fee).scaleb(-8)),
        minimum_charge=str(Decimal(call.minimum).scaleb(-8)),
        maximum_charge=None if call.maximum < 0 else str(Decimal(call.maximum).scaleb(-8)),
        initial_increment=call.initial,
        next_increment=call.next,
        free_seconds=call.free,
        places=call.places,
        rounding=list(ROUNDINGS)[call.rounding],
        charge_unanswered=call.charge_unanswered,
        duration=call.seconds,
        answered=call.answered,
    )
    billed, amount = naive_price(call)
    assert (answer["billed_seconds"], Fraction(answer["amount"])) == (billed, Fraction(amount, 10**8))


def test_a_charge_is_cut_into_periods_with_exact_fractions():
    assert prorated() == {
        "charges": [
            {"start": "2026-10-15", "end": "2026-11-01", "fraction": "17/31", "amount": "17.00"},
            {"start": "2026-11-01", "end": "2026-12-01", "fraction": "1", "amount": "31.00"},
        ]
    }
    assert prorated(service_end="2026-10-20", amount=0.31)["charges"] == [
        {"start": "2026-10-15", "end": "2026-10-20", "fraction": "5/31", "amount": "0.05"}
    ]
    assert prorated(method=30)["charges"][0]["fraction"] == "8/15"
    assert prorated(target_date="2026-10-14") == {"charges": []}
    assert prorated(places=0, amount="0.5")["charges"][1]["amount"] == "1"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"amount": None}, "amount is missing."),
        ({"amount": "ten"}, "amount is not a number."),
        ({"amount": "Infinity"}, "amount is not a number that can be charged."),
        ({"amount": "1e999999"}, "amount is not a number that can be charged."),
        ({"amount": "1e15"}, "amount is not a number that can be charged."),
        ({"interval": "fortnight"}, "interval is not one of day, week, month, quarter, year."),
        ({"anchor_day": 0}, "The anchor day must be from 1 to 31."),
        ({"anchor_day": 1.5}, "anchor_day is not a whole number from 0 to 31."),
        ({"service_start": "15/10/2026"}, "service_start is not a date such as 2026-11-22."),
        ({"service_end": "2026-10-01"}, "The service ends before it starts."),
        ({"target_date": "9999-01-01"}, "The target date is too far from the service's start."),
    ],
)
def test_a_bad_charge_is_answered_with_one_sentence(changes, error):
    assert prorated(**changes) == {"error": error}


def test_a_charge_without_its_dates_or_braces_is_refused():
    answers = [json.loads(answer) for answer, _ in prorate_lines(["{}", "[]", "{"])]
    assert answers == [
        {"error": "service_start is missing."},
        {"error": "The line is not a JSON object."},
        {"error": "The line is not valid JSON."},
    ]


@pytest.mark.parametrize(
    ("command", "line", "answer"),
    [
        (
            "price_calls",
            b'{"duration": 60, "rate_per_minute": "0.1"}',
            '{"billed_seconds": 60, "amount": "0.1000"}',
        ),
        ("prorate", json.dumps(CHARGE | {"target_date": "2026-01-01"}).encode(), '{"charges": []}'),
    ],
)
def test_the_commands_answer_stdin_and_fail_when_a_line_was_bad(command, line, answer, monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line + b"\n")))
    call_command(command, stdout=out)
    assert out.getvalue() == answer + "\n"

    out = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n" + line + b"\n")))
    with pytest.raises(SystemExit) as ended:
        call_command(command, stdout=out)
    assert ended.value.code == 1
    assert out.getvalue() == '{"error": "The line is not valid JSON."}\n' + answer + "\n"
