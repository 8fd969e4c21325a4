"""Numbers under management."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, movement, stock
from kpis.sources import BOOK, CUSTOMERS, NUMBERS

SPLITS = ("number_type", *BOOK)


@kpi(
    name="Numbers under management",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_total() -> Shape:
    """Numbers assigned to a customer on the last day of the month.

    Numbers in stock, assigned to nobody, do not count.
    """
    return stock(Part(NUMBERS, "r.held"))


@kpi(
    name="Numbers added",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_added() -> Shape:
    """Numbers a customer has at the close of the month and did not have at the close before.

    Open + added − removed = close. A number that moves from one customer to another is removed
    from the first and added to the second.
    """
    return movement(Part(NUMBERS, "r.added"))


@kpi(
    name="Numbers removed",
    family=Family.NUMBERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_removed() -> Shape:
    """Numbers a customer had at the close before and does not have at the close of the month."""
    return movement(Part(NUMBERS, "r.removed"))


@kpi(
    name="Numbers per customer",
    family=Family.NUMBERS,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def numbers_per_customer() -> Shape:
    """Numbers under management ÷ customers with at least one number, on the last day of the month.

    By type of number, the base is the customers with a number of that type.
    """
    having = Part(CUSTOMERS, "(r.numbers > 0)::int", by={"number_type": Part(NUMBERS, "(r.held > 0)::int")})
    return stock(Part(NUMBERS, "r.held"), having)
