"""How a sum is spread over its items: each measure as an exact numerator and denominator over ranked amounts.

The SQL reads one row per item with a sum other than zero: `x` its sum, `place` from the largest (1) to the smallest,
`n` how many there are. The count of items is the base of the small-base mark.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A numerator and a denominator, as aggregates over the items."""

    top: str
    bottom: str


#: Σ x ÷ number of items.
MEAN = Measure("sum(x)", "count(*)")
#: The middle one, or the mean of the two in the middle.
_MIDDLE = "FILTER (WHERE place IN ((n + 1) / 2, (n + 2) / 2))"
MEDIAN = Measure(f"sum(x) {_MIDDLE}", f"count(*) {_MIDDLE}")
#: Herfindahl-Hirschman: Σ (share in per cent)², 0 to 10,000; items below zero stay out.
HHI = Measure("10000 * sum(x * x) FILTER (WHERE x > 0)", "power(sum(x) FILTER (WHERE x > 0), 2)")
#: How many items of one size would be as concentrated: 10,000 ÷ HHI.
EFFECTIVE = Measure("power(sum(x) FILTER (WHERE x > 0), 2)", "sum(x * x) FILTER (WHERE x > 0)")
#: Σ (2i − n − 1) x ÷ (n Σ x) with x rising; amounts below zero count as 0.
GINI = Measure("sum((n + 1 - 2 * place) * greatest(x, 0))", "max(n) * sum(greatest(x, 0))")
#: The same against its largest possible value 1 − 1/n: for few items.
GINI_FULL = Measure("sum((n + 1 - 2 * place) * greatest(x, 0))", "(max(n) - 1) * sum(greatest(x, 0))")

#: The median of stays of which some are not over (below zero), after Kaplan and Meier; none of fewer than 30.
_LIFE = "kpis_median_life(array_agg(x ORDER BY abs(x), x DESC))"
MEDIAN_LIFE = Measure(_LIFE, f"(count(*) >= 30 AND {_LIFE} IS NOT NULL)::int")


def top_share(count: int) -> Measure:
    """Return what the largest `count` items have of the whole; items below zero are in the whole only."""
    return Measure(f"sum(x) FILTER (WHERE place <= {count} AND x > 0)", "sum(x)")


def share_of_fifth() -> Measure:
    """Return what the largest fifth of the items (rounded up) has of the whole."""
    return Measure("sum(x) FILTER (WHERE place <= ceil(n / 5.0) AND x > 0)", "sum(x)")
