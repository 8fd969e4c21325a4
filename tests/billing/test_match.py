"""Matching: longest prefix, dated tables, numbers by candidate and day, tariffs by choice; against naive oracles."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.rating.book_rows import AssignmentRow, ChoiceRow, NumberRow
from billing.rating.calls import rows_by
from billing.rating.dated import FOREVER, DatedTable, day_number, day_of
from billing.rating.keys import Dialled, PrefixTable
from billing.rating.rate import rate_calls
from tests.billing.rating_book import at, book_of, chunk_of, day, rate, tariff

digits = st.text(alphabet="0123456789", max_size=6)
keys = st.one_of(digits, st.text(alphabet="01*#a", max_size=20))


@given(st.dictionaries(keys, st.integers(0, 50), max_size=12), st.lists(keys, min_size=1, max_size=20))
def test_the_longest_prefix_is_found(prefixes, numbers):
    table = PrefixTable.of(list(prefixes), list(prefixes.values()))
    found = table.find(Dialled.of(pa.array(numbers))).tolist()
    for number, value in zip(numbers, found, strict=True):
        held = [prefix for prefix in prefixes if number.startswith(prefix)]
        assert value == (prefixes[max(held, key=len)] if held else -1)


def test_a_shorter_number_than_the_prefix_does_not_match():
    table = PrefixTable.of(["440", "44"], [1, 2])
    assert table.find(Dialled.of(pa.array(["44", "+440", "4", "", "44a0"]))).tolist() == [2, 1, -1, -1, 2]


ranges = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(1, 12), st.integers(0, 99)), max_size=12
)


@given(ranges, st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 45)), min_size=1, max_size=30))
def test_dated_values_are_found_one_by_one_and_by_group(rows, asked):
    spans = [(key, start, start + length, value) for key, start, length, value in rows]
    table = DatedTable.of(spans)
    expected = []
    for key, when in asked:
        held = [span for span in spans if span[0] == key and span[1] <= when < span[2]]
        expected.append(max(held, key=lambda span: (span[1], span[3]))[3] if held else -1)
    key, when = (np.array(column) for column in zip(*asked, strict=True))
    assert table.find(key, when).tolist() == expected
    group_keys = np.array([2, 0, 1, 3, 4])
    group = np.array([-1 if k < 0 else group_keys.tolist().index(k) for k in key.tolist()])
    assert table.find_by_group(group, group_keys, when).tolist() == expected


@given(st.lists(st.integers(-2, 100_000), max_size=30))
def test_rows_by_value_holds_each_row_once(values):
    found = {value: rows.tolist() for value, rows in rows_by(np.array(values, dtype=np.int64))}
    assert found == {value: [i for i, v in enumerate(values) if v == value] for value in set(values)}


def test_day_numbers_count_from_1970():
    assert day("1970-01-02") == 1
    assert day_of(day("2026-03-29")).isoformat() == "2026-03-29"
    assert day_number(None) == FOREVER


def outcome(book, **call):
    """Rate one call and return (customer, number, state, reason)."""
    row = rate_calls(chunk_of(call), book).iloc[0]
    return row.customer_id, row.number_id, row.state, row.reason


def test_candidates_are_tried_in_order_and_texts_meet_without_plus_spaces_and_case():
    book = book_of(identities=[("Trunk A", 11)])
    assert outcome(book, identity_1="TRUNK  a") == (7, 11, "rated", "")
    assert outcome(book, identity_1="nobody", identity_2="44 2079460001") == (7, 11, "rated", "")
    assert outcome(book, identity_1="nobody", identity_2="") == (0, 0, "error", "unknown_cli")
    frame = rate_calls(chunk_of({"identity_1": "", "identity_2": "x", "identity_3": "y"}), book)
    assert frame.billed_party.tolist() == ["x"]


def test_an_assigned_candidate_beats_an_earlier_one_that_is_not():
    book = book_of(
        numbers=[NumberRow(11, "441", ""), NumberRow(12, "442", "")],
        assignments=[
            AssignmentRow(11, 7, day("2026-01-01"), day("2026-02-01")),
            AssignmentRow(12, 8, day("2026-01-01"), FOREVER),
        ],
        choices=[ChoiceRow(0, 8, "", 1, 0, FOREVER)],
    )
    assert outcome(book, identity_1="441", identity_2="442") == (8, 12, "rated", "")
    assert outcome(book, identity_1="441", identity_2="zzz") == (0, 11, "error", "inactive")


@pytest.mark.parametrize(
    ("moment", "customer"),
    [
        ("2026-03-28T23:59:59", 7),
        ("2026-03-29T00:00:00", 8),  # the night the clocks go forward, still GMT
        ("2026-03-31T22:59:59", 8),
        ("2026-03-31T23:00:00", 0),  # 1 April 00:00 in British summer time: the end day is not served
    ],
)
def test_assignments_end_before_their_end_day_in_local_time(moment, customer):
    book = book_of(
        assignments=[
            AssignmentRow(11, 7, day("2026-01-01"), day("2026-03-29")),
            AssignmentRow(11, 8, day("2026-03-29"), day("2026-04-01")),
        ],
        choices=[ChoiceRow(11, 0, "", 1, 0, FOREVER)],
    )
    assert outcome(book, started_at=at(moment))[0] == customer


def priced(book, **call):
    row = rate_calls(chunk_of(call), book).iloc[0]
    return row.rate_id, row.retail


def test_the_numbers_tariff_beats_the_customers_and_that_the_default():
    rates = [rate(100 + n, n, "44", "0.01") for n in (1, 2, 3, 4, 5)]
    tariffs = [
        tariff(1),
        tariff(2),
        tariff(3, is_default=True),
        tariff(4, is_default=True, carrier_id=5),
        tariff(5, is_default=True, number_type="mobile"),
    ]
    of_number, of_customer = ChoiceRow(11, 0, "", 2, 0, FOREVER), ChoiceRow(0, 7, "", 1, 0, FOREVER)
    for choices, expected in (([of_number, of_customer], 102), ([of_customer], 101), ([], 104)):
        assert priced(book_of(tariffs=tariffs, rates=rates, choices=choices))[0] == expected
    mobile = [NumberRow(11, "+442079460001", "mobile")]
    for left, expected in ((tariffs[:3] + tariffs[4:], 105), (tariffs[:3], 103)):
        assert priced(book_of(tariffs=left, rates=rates, choices=[], numbers=mobile))[0] == expected


def test_a_class_has_its_own_tariff():
    rates = [
        rate(101, 1, "44", "0.01"),
        rate(102, 1, "447", "0.02", call_class="mobile"),
        rate(201, 2, "4", "0.30"),
    ]
    of_class = ChoiceRow(0, 7, "mobile", 2, 0, FOREVER)
    book = book_of(
        tariffs=[tariff(1), tariff(2)], rates=rates, choices=[ChoiceRow(0, 7, "", 1, 0, FOREVER), of_class]
    )
    assert priced(book) == (201, 30_000_000)
    assert priced(book, dialled="+442012345678")[0] == 101
    own = ChoiceRow(11, 0, "", 1, 0, FOREVER)
    assert priced(book_of(tariffs=[tariff(1), tariff(2)], rates=rates, choices=[own, of_class]))[0] == 102


def test_a_dated_tariff_changes_on_its_day():
    book = book_of(
        tariffs=[tariff(1), tariff(2)],
        rates=[rate(101, 1, "44", "0.01"), rate(201, 2, "44", "0.02")],
        choices=[
            ChoiceRow(0, 7, "", 1, day("2026-01-01"), FOREVER),
            ChoiceRow(0, 7, "", 2, day("2026-03-10"), day("2026-03-11")),
        ],
    )
    frame = rate_calls(chunk_of(*({"started_at": at(f"2026-03-{n:02d}T12:00")} for n in (9, 10, 11))), book)
    assert frame.rate_id.tolist() == [101, 201, 101]


def test_the_rate_in_force_at_the_start_and_the_longest_valid_prefix_price_the_call():
    rates = [
        rate(101, 1, "44", "0.01"),
        rate(102, 1, "447", "0.02", end=day("2026-03-10")),
        rate(103, 1, "447", "0.03", start=day("2026-03-10"), end=day("2026-03-12")),
    ]
    book = book_of(rates=rates)
    frame = rate_calls(
        chunk_of(*({"started_at": at(f"2026-03-{n:02d}T12:00")} for n in (9, 10, 11, 12))), book
    )
    assert frame.rate_id.tolist() == [102, 103, 103, 101]


def test_the_own_table_beats_a_longer_prefix_of_the_parent_and_terms_are_the_parents_for_its_rates():
    book = book_of(
        tariffs=[tariff(1, parent_id=2, places=2), tariff(2, places=0, rounding="up")],
        rates=[rate(101, 1, "44", "0.014"), rate(201, 2, "447", "0.9"), rate(202, 2, "1", "0.4")],
    )
    assert priced(book) == (101, 1_000_000)
    assert priced(book, dialled="+12025550123") == (202, 100_000_000)


def test_parents_in_a_circle_end():
    book = book_of(tariffs=[tariff(1, parent_id=2), tariff(2, parent_id=1)], rates=[])
    assert outcome(book) == (7, 11, "error", "no_rate")


def test_a_charge_code_beats_the_prefix_and_its_band_comes_from_the_file():
    rates = [
        rate(101, 1, "44", "0.01"),
        rate(110, 1, "UKN", "0.02", kind="code", band="1"),
        rate(111, 1, "UKN", "0.03", kind="code", band="2"),
        rate(112, 1, "UKN", "0.04", kind="code"),
    ]
    book = book_of(rates=rates)
    for band, expected in (("1", 110), ("2", 111), ("3", 112), ("", 112)):
        assert priced(book, charge_code="UKN", band=band)[0] == expected
    assert priced(book, charge_code="ZZZ")[0] == 101
