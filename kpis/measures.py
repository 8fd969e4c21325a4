"""How a sum is spread over its items: each measure as an exact numerator and denominator over ranked amounts.

The SQL reads one row per amount: `x` the amount, `c` how many items have it, `upto` how many have it or more, `n` how
many there are. Items of one amount take the places `upto - c + 1` to `upto`, from the largest (1) to the smallest (n).
Items of 0 are there only when their source counts them. The count of items is the base of the small-base mark.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A numerator and a denominator, as aggregates over the amounts."""

    top: str
    bottom: str


#: Σ x ÷ number of items.
MEAN = Measure("sum(x * c)", "sum(c)")
#: How many of an amount's items are in the middle: at place (n + 1) / 2 or (n + 2) / 2, rounded down.
_MIDDLE = "greatest(least(upto, (n + 2) / 2) - greatest(upto - c + 1, (n + 1) / 2) + 1, 0)"
#: The middle one, or the mean of the two in the middle.
MEDIAN = Measure(f"sum(x * {_MIDDLE})", f"sum({_MIDDLE})")
#: Herfindahl-Hirschman: Σ (share in per cent)², 0 to 10,000; items below zero stay out.
HHI = Measure("10000 * sum(x * x * c) FILTER (WHERE x > 0)", "power(sum(x * c) FILTER (WHERE x > 0), 2)")
#: How many items of one size would be as concentrated: 10,000 ÷ HHI.
EFFECTIVE = Measure("power(sum(x * c) FILTER (WHERE x > 0), 2)", "sum(x * x * c) FILTER (WHERE x > 0)")
#: Σ (2i − n − 1) x ÷ (n Σ x) with x rising; amounts below zero count as 0.
_LEANING = "sum(c * (n + c - 2 * upto) * greatest(x, 0))"
GINI = Measure(_LEANING, "max(n) * sum(c * greatest(x, 0))")
#: The same against its largest possible value 1 − 1/n: for few items.
GINI_FULL = Measure(_LEANING, "(max(n) - 1) * sum(c * greatest(x, 0))")


def _largest(places: str) -> str:
    return f"sum(x * greatest(least(upto, {places}) - upto + c, 0)) FILTER (WHERE x > 0)"


#: The median of stays of which some are not over (below zero), after Kaplan and Meier; none of fewer than 30.
_SHORTEST = "ORDER BY abs(x), x DESC"
_LIFE = f"kpis_median_life(array_agg(x {_SHORTEST}), array_agg(c {_SHORTEST}))"
MEDIAN_LIFE = Measure(_LIFE, f"(sum(c) >= 30 AND {_LIFE} IS NOT NULL)::int")


def top_share(count: int) -> Measure:
    """Return what the largest `count` items have of the whole; items below zero are in the whole only."""
    return Measure(_largest(str(count)), "sum(x * c)")


def share_of_fifth() -> Measure:
    """Return what the largest fifth of the items (rounded up) has of the whole."""
    return Measure(_largest("ceil(n / 5.0)"), "sum(x * c)")
