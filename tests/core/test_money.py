"""Money: half-up, per currency, and no penny lost."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resellerkpi.core.money import CurrencyMismatch, allocate, one_currency, places, quantise


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.005", "GBP", "0.01"),
        ("10.125", "GBP", "10.13"),
        ("-0.005", "GBP", "-0.01"),
        ("18678.60", "HUF", "18678.60"),
        ("2.5", "JPY", "3"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_rounding_is_half_up_to_the_minor_unit(amount: str, currency: str, expected: str) -> None:
    assert quantise(Decimal(amount), currency) == Decimal(expected)


def test_minor_units_follow_the_currency() -> None:
    assert (places("GBP"), places("JPY"), places("KWD")) == (2, 0, 3)


def test_spare_pennies_go_to_the_first_shares() -> None:
    assert allocate(Decimal("0.99"), [1] * 10, "GBP") == [Decimal("0.10")] * 9 + [Decimal("0.09")]
    assert allocate(Decimal("0.05"), [3, 7], "GBP") == [Decimal("0.02"), Decimal("0.03")]
    assert allocate(Decimal("-0.05"), [3, 7], "GBP") == [Decimal("-0.02"), Decimal("-0.03")]


def test_a_share_of_nothing_gets_nothing() -> None:
    assert allocate(Decimal("0.01"), [0, 1, 0], "GBP") == [0, Decimal("0.01"), 0]
    with pytest.raises(ValueError, match="more than zero"):
        allocate(Decimal(1), [0, 0], "GBP")


@given(
    st.decimals(-10_000, 10_000, places=2), st.lists(st.integers(0, 50), min_size=1, max_size=9).filter(any)
)
def test_shares_always_add_up(amount: Decimal, weights: list[int]) -> None:
    assert sum(allocate(amount, weights, "GBP")) == amount


def test_two_currencies_are_never_added() -> None:
    assert one_currency(["GBP", "GBP"]) == "GBP"
    with pytest.raises(CurrencyMismatch, match="EUR and GBP"):
        one_currency(["GBP", "EUR"])
