"""Rating a chunk: states and reasons in repair order, prices of every service, markup, wholesale, split bands."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.models import (
    Carrier,
    Customer,
    Number,
    NumberAssignment,
    NumberIdentity,
    Tariff,
    TariffAssignment,
    TariffRate,
    TimeBand,
)
from billing.rating.bands import MONDAY_TO_FRIDAY, SATURDAY_SUNDAY, standard_bands
from billing.rating.book import RatingBook
from billing.rating.book_rows import AssignmentRow, NumberRow
from billing.rating.dated import FOREVER
from billing.rating.rate import rate_calls
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.rating_book import MB, UNIT, at, book_of, chunk_of, day, money, rate, tariff
from tests.oracles import NaiveCall, naive_price


def rated(book, *calls):
    return rate_calls(chunk_of(*calls), book)


def outcomes(frame):
    return list(zip(frame.state, frame.reason, strict=True))


def test_errors_come_in_repair_order():
    book = book_of(
        numbers=[NumberRow(n, str(n), "") for n in (11, 12, 13, 14)],
        assignments=[
            AssignmentRow(11, 7, 0, FOREVER),
            AssignmentRow(12, 7, 0, 1),
            AssignmentRow(13, 8, 0, FOREVER),
        ],
    )
    frame = rated(
        book,
        {"identity_1": "99", "dialled": ""},
        {"identity_1": "12"},
        {"identity_1": "14"},
        {"identity_1": "13", "dialled": ""},
        {"identity_1": "11", "dialled": ""},
        {"identity_1": "11", "service": "fax"},
        {"identity_1": "11", "dialled": "+999"},
        {"identity_1": "11"},
    )
    assert outcomes(frame) == [
        ("error", "unknown_cli"),
        ("error", "inactive"),
        ("error", "inactive"),
        ("error", "no_tariff"),
        ("error", "unknown_type"),
        ("error", "unknown_type"),
        ("error", "no_rate"),
        ("rated", ""),
    ]
    assert frame.retail.tolist() == [0] * 7 + [money("0.10")]
    assert frame.customer_id.tolist() == [0, 0, 0, 8, 7, 7, 7, 7]


def test_excluded_incoming_and_unanswered_calls_are_free_and_never_errors():
    frame = rated(
        book_of(),
        {"identity_1": "nobody", "excluded": "internal"},
        {"identity_1": "nobody", "direction": "in"},
        {"identity_1": "nobody", "answered": False},
        {"answered": False, "dialled": "+999"},
        {"answered": False},
        {"duration": 0},
        {"duration": 0, "identity_1": "nobody"},
        {"direction": "in"},
    )
    assert outcomes(frame) == [
        ("excluded", "internal"),
        ("zero", "inbound"),
        ("zero", "unanswered"),
        ("zero", "unanswered"),
        ("zero", "unanswered"),
        ("zero", ""),
        ("error", "unknown_cli"),
        ("zero", "inbound"),
    ]
    assert frame.retail.sum() == 0
    assert frame.billed_seconds.sum() == 0
    assert frame.customer_id.tolist() == [0, 0, 0, 7, 7, 7, 0, 7]


def test_a_tariff_may_charge_the_fee_of_unanswered_calls():
    book = book_of(
        tariffs=[tariff(1, charge_unanswered=True)], rates=[rate(101, 1, "44", "0.02", fee="0.05")]
    )
    frame = rated(book, {"answered": False}, {"answered": False, "dialled": "1"})
    assert outcomes(frame) == [("rated", ""), ("zero", "unanswered")]
    assert frame.retail.tolist() == [money("0.05"), 0]


def test_a_call_of_61_seconds_by_30_and_6_is_billed_66():
    rates = [
        rate(101, 1, "44", "0.10", initial=30, next=6, fee="0.01", destination="UK", call_class="national")
    ]
    frame = rated(book_of(rates=rates), {"duration": 61})
    row = frame.iloc[0]
    assert (row.billed_seconds, row.retail, row.currency) == (66, money("0.12"), "GBP")
    assert (row.destination, row.call_class, row.rate_id) == ("UK", "national", 101)


def test_a_destination_of_the_file_stays():
    frame = rated(book_of(), {"destination": "Mobile O2"}, {})
    assert frame.destination.tolist() == ["Mobile O2", "UK mobile"]
    assert frame.call_class.tolist() == ["mobile", "mobile"]


def test_messages_and_data_have_rates_of_their_own():
    rates = [
        rate(101, 1, "", "0.05", service="sms", call_class="sms"),
        rate(102, 1, "447", "0.03", service="sms"),
        rate(103, 1, "", "0.20", service="data"),
    ]
    book = book_of(tariffs=[tariff(1, data_unit=10 * MB)], rates=rates)
    frame = rated(
        book,
        {"service": "sms"},
        {"service": "sms", "dialled": "88100"},
        {"service": "data", "dialled": "internet", "volume": 10 * MB + 1},
        {"service": "data", "dialled": "", "volume": 0},
        {"service": "voice"},
    )
    assert frame.retail.tolist() == [money("0.03"), money("0.05"), money("0.40"), 0, 0]
    assert outcomes(frame)[3:] == [("zero", ""), ("error", "no_rate")]


def test_data_summed_over_the_period_waits_for_the_period():
    rates = [rate(103, 1, "", "10", service="data")]
    book = book_of(tariffs=[tariff(1, data_unit=1024 * MB, per_period=True)], rates=rates)
    frame = rated(book, {"service": "data", "volume": 5 * MB})
    assert (frame.rate_id[0], frame.retail[0], frame.state[0]) == (103, 0, "zero")


WHOLESALE = {
    "tariffs": [
        tariff(1, markup=2500, places=2),
        tariff(9, kind="wholesale", carrier_id=5, places=3, rounding="up"),
    ],
    "rates": [rate(901, 9, "44", "0.0054", minimum="0.001", destination="UK"), rate(902, 9, "1", "0.02")],
}


def test_without_a_rate_the_markup_over_wholesale_is_the_price():
    frame = rated(
        book_of(**WHOLESALE),
        {"duration": 61, "cost": money("0.10"), "has_cost": True, "cost_currency": "GBP"},
        {"dialled": "+1202", "duration": 150},
        {"dialled": "+1202", "cost": money("9"), "has_cost": True, "cost_currency": "USD"},
        {"dialled": "+3312", "cost": money("9"), "has_cost": True, "cost_currency": "USD"},
        {"answered": False, "cost": money("0.10"), "has_cost": True},
    )
    assert frame.retail.tolist() == [money("0.13"), money("0.06"), money("0.03"), 0, 0]
    assert outcomes(frame)[2:] == [("rated", ""), ("error", "no_rate"), ("zero", "unanswered")]
    assert frame.rate_id.tolist() == [0] * 5
    assert frame.billed_seconds.tolist() == [61, 150, 60, 0, 0]
    assert frame.currency.tolist() == ["GBP"] * 5


def test_expected_cost_comes_from_the_carriers_tariff_also_for_errors():
    frame = rated(
        book_of(**WHOLESALE),
        {"duration": 61, "identity_1": "nobody"},
        {"dialled": "+3312"},
        {"direction": "in"},
        {"answered": False},
    )
    assert frame.expected_cost.tolist() == [money("0.006"), 0, 0, 0]
    assert frame.has_expected.tolist() == [True, False, False, True]
    assert frame.cost_rate_id.tolist() == [901, 0, 0, 901]
    assert frame.cost_currency.tolist() == ["GBP", "", "", "GBP"]
    assert frame.destination[0] == "UK"


def test_wholesale_tariffs_succeed_each_other():
    tariffs = [
        tariff(1),
        tariff(8, kind="wholesale", carrier_id=5, superseded=day("2026-03-10")),
        tariff(9, kind="wholesale", carrier_id=5),
        tariff(10, kind="wholesale", carrier_id=6),
    ]
    rates = [rate(t * 100, t, "44", f"0.0{t % 10}") for t in (8, 9, 10)]
    frame = rated(book_of(tariffs=tariffs, rates=rates), {"started_at": at("2026-03-09T12:00")}, {})
    assert frame.cost_rate_id.tolist() == [800, 900]


BANDED = {
    "rates": [
        rate(101, 1, "44", "0.10", band="Day", fee="0.05"),
        rate(102, 1, "44", "0.02", band="Evening"),
        rate(103, 1, "44", "0.01"),
        rate(104, 1, "447", "0.20", band="Day"),
    ]
}


@pytest.mark.parametrize(
    ("moment", "dialled", "expected"),
    [
        ("2026-03-10T12:00", "+442", 101),
        ("2026-03-10T12:00", "+447", 104),
        ("2026-03-10T20:00", "+447", 102),  # the longer prefix has no rate of the evening
        ("2026-03-14T12:00", "+442", 103),  # weekend: the rate of any band
        ("2026-07-10T17:59:59", "+442", 101),  # 18:59:59 in British summer time
        ("2026-07-10T18:00:00", "+442", 102),
        ("2026-12-25T12:00", "+442", 103),
    ],
)
def test_the_clock_of_the_tariff_gives_the_band(moment, dialled, expected):
    book = book_of(tariffs=[tariff(1, bands=standard_bands(), holidays="GB-ENG")], **BANDED)
    frame = rated(book, {"started_at": at(moment), "dialled": dialled})
    assert frame.rate_id[0] == expected
    assert frame.band[0] == ""


def test_a_child_without_bands_has_its_parents():
    book = book_of(tariffs=[tariff(1, parent_id=2), tariff(2, bands=standard_bands())], **BANDED)
    assert rated(book, {"started_at": at("2026-03-10T20:00")}).rate_id[0] == 102


def test_a_call_over_a_boundary_is_split_where_the_tariff_says_so():
    calls = (
        {"started_at": at("2026-03-10T18:59:00"), "duration": 180, "dialled": "+442"},
        {"started_at": at("2026-03-10T18:00:00"), "duration": 180, "dialled": "+442"},
    )
    for split, expected in ((False, "0.35"), (True, "0.19")):
        book = book_of(tariffs=[tariff(1, bands=standard_bands(), split=split)], **BANDED)
        frame = rated(book, *calls)
        assert frame.retail.tolist() == [money(expected), money("0.35")]
        assert frame.billed_seconds.tolist() == [180, 180]


def test_rating_does_not_depend_on_the_index_or_the_order_of_rows():
    calls = [
        {"identity_1": name, "duration": 10 * n} for n, name in enumerate(["x", "+442079460001", "", "y"] * 3)
    ]
    chunk = chunk_of(*calls)
    straight = rate_calls(chunk, book_of())
    turned = rate_calls(chunk.iloc[::-1], book_of())
    pd.testing.assert_frame_equal(
        turned.sort_values("line").reset_index(drop=True), straight.reset_index(drop=True)
    )


def test_no_calls_rate_to_no_calls():
    assert len(rate_calls(chunk_of({}).iloc[:0], book_of())) == 0


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["+4420", "+447", "+44", "+1", "00", ""]),
            st.integers(0, 4000),
            st.booleans(),
            st.sampled_from(["+442079460001", "zz"]),
            st.sampled_from(["2026-03-09T23:59:59", "2026-03-10T00:00:00"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_naive_oracle_agrees_call_by_call(calls):
    rates = [
        rate(1, 1, "44", "0.0123", initial=30, next=6, fee="0.002"),
        rate(2, 1, "447", "0.1", initial=60, next=60, end=day("2026-03-10"), minimum="0.15"),
        rate(3, 1, "1", "0.5", free=10, maximum="2"),
    ]
    frame = rated(
        book_of(rates=rates),
        *(
            {"dialled": d, "duration": s, "answered": a, "identity_1": i, "started_at": at(t)}
            for d, s, a, i, t in calls
        ),
    )
    for row, (dialled, seconds, answered, identity, moment) in zip(frame.itertuples(), calls, strict=True):
        valid = [
            r
            for r in rates
            if dialled.removeprefix("+").startswith(r.key) and r.start <= day(moment[:10]) < r.end
        ]
        if not answered:
            assert (row.state, row.reason) == ("zero", "unanswered")
        elif identity == "zz":
            assert (row.state, row.reason) == ("error", "unknown_cli")
        elif not valid:
            assert (row.state, row.reason) == ("error", "no_rate" if dialled else "unknown_type")
        else:
            best = max(valid, key=lambda r: len(r.key))
            expected = naive_price(
                NaiveCall(
                    seconds=seconds,
                    rate=best.price,
                    fee=best.fee,
                    minimum=best.minimum,
                    maximum=best.maximum,
                    initial=best.initial,
                    next=best.next,
                    free=best.free,
                )
            )
            assert (row.rate_id, (row.billed_seconds, row.retail)) == (best.id, expected)
            assert row.state == ("rated" if expected[1] else "zero")


def test_prices_beyond_int64_are_exact():
    book = book_of(rates=[rate(1, 1, "44", "9999999", fee="0.00000001")], tariffs=[tariff(1, places=8)])
    frame = rated(book, {"duration": 86_400})
    assert frame.retail[0] == 9_999_999 * 1440 * UNIT + 1


@pytest.mark.django_db
def test_the_book_is_loaded_from_the_tables_in_few_queries(django_assert_num_queries):
    reseller = Reseller.objects.create(code="alpha", name="Alpha")
    with enter(Scope.of(reseller.pk)):
        own = {"reseller": reseller}
        carrier = Carrier.objects.create(**own, code="gamma", name="Gamma")
        customer = Customer.objects.create(**own, code="C1", name="Café")
        number = Number.objects.create(**own, number="+442079460001")
        NumberIdentity.objects.create(**own, number=number, identity="AAA1")
        NumberAssignment.objects.create(**own, number=number, customer=customer, start_date=date(2026, 1, 1))
        base = Tariff.objects.create(**own, name="Base", markup_percent="12.5")
        retail = Tariff.objects.create(**own, name="Retail", parent=base)
        TimeBand.objects.create(**own, tariff=base, code="WE", weekdays=SATURDAY_SUNDAY)
        TimeBand.objects.create(**own, tariff=base, code="WD", weekdays=MONDAY_TO_FRIDAY)
        wholesale = Tariff.objects.create(**own, name="Buy", kind="wholesale", carrier=carrier)
        TariffAssignment.objects.create(**own, customer=customer, tariff=retail, start_date=date(2026, 1, 1))
        found = TariffRate.objects.create(
            **own, tariff=base, key="44", price="0.12345678", band="WD", valid_from=date(2026, 1, 1)
        )
        cost = TariffRate.objects.create(
            **own, tariff=wholesale, key="44", price="0.006", valid_from=date(2026, 1, 1)
        )
        with django_assert_num_queries(8):
            book = RatingBook.load(reseller, carrier, date(2026, 3, 1), date(2026, 3, 31))
        row = rated(book, {"identity_1": "aaa1"}).iloc[0]
        assert (row.customer_id, row.number_id, row.rate_id, row.cost_rate_id) == (
            customer.pk,
            number.pk,
            found.pk,
            cost.pk,
        )
        assert (row.retail, row.expected_cost, row.billed_party) == (money("0.1235"), money("0.006"), "aaa1")
        assert book.tariffs.markups.tolist() == [[1250], [1250], [-FOREVER]]
        prices = RatingBook.prices(reseller, [found.pk], date(2026, 3, 1), date(2026, 3, 31))
        assert prices.rates.ids.tolist() == [found.pk]
