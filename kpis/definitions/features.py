"""Features and packages: who has them and what they bring."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import BOOK, CUSTOMERS, FEATURE_MONEY, FEATURES

SPLITS = ("feature", *BOOK)


@kpi(
    name="Features in service",
    family=Family.FEATURES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def features_total() -> Shape:
    """Quantity of recurring features of every kind, lines and packages too, active on the last day of the month."""
    return stock(Part(FEATURES, "r.quantity"))


@kpi(
    name="Feature take-up",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def feature_take_up() -> Shape:
    """Customers who have the feature on the last day of the month ÷ all active customers.

    The total counts customers with at least one feature or package; plain lines are in the rows by feature only. A
    customer with the feature on several lines counts once. No active customer: n/a.
    """
    having = Part(CUSTOMERS, "(r.features > 0)::int", by={"feature": Part(FEATURES, "(r.quantity > 0)::int")})
    return stock(having, Part(CUSTOMERS, "r.active::int"))


@kpi(
    name="Feature revenue",
    family=Family.FEATURES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=2,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def feature_revenue() -> Shape:
    """Σ net of the invoice lines for features, by invoice date, less the credit note lines that take them back.

    Excluding VAT; recurring, activation and part-month lines alike.
    """
    return flow(Part(FEATURE_MONEY, "r.revenue"))
