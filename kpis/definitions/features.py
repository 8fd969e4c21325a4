"""Features and packages: who has them and what they bring."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, movement, stock
from kpis.sources import BOOK, CUSTOMERS, FEATURE_MONEY, FEATURES, LADDERS, NUMBERS, Source
from resellerkpi.core.access import Capability

SPLITS = ("feature", *BOOK)
#: Features and packages: what is sold on top of lines.
ADDED = "r.product IN ('feature', 'package')"


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
    version=3,
    by=SPLITS,
    sources="SAFE",
    overview=True,
    published=("SAFE: under 15 % is low",),
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


#: Features of customers that hold a number at the close.
WITH_NUMBERS = Source(
    "features_with_numbers",
    " ".join(
        [
            "(SELECT y.* FROM",
            FEATURES.rows,
            "y JOIN account a ON a.id = y.customer_id",
            "WHERE (a.holder, y.month) IN (SELECT customer_id, month FROM customerfact WHERE numbers > 0))",
        ]
    ),
    ("featurefact", "customerfact"),
    own=FEATURES.own,
)


@kpi(
    name="Feature take-up of those with numbers",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
)
def feature_take_up_eligible() -> Shape:
    """Customers with a number that have the feature at the close ÷ active customers with at least one number.

    Those without a number have nothing to put a feature on.
    """
    return stock(
        Part(
            CUSTOMERS,
            "(r.features > 0 AND r.numbers > 0)::int",
            by={"feature": Part(WITH_NUMBERS, "(r.quantity > 0)::int")},
        ),
        Part(CUSTOMERS, "(r.active AND r.numbers > 0)::int"),
    )


@kpi(
    name="Features per number",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def feature_per_number() -> Shape:
    """Quantity of features and packages at the close ÷ numbers under management.

    By feature, the share of lines that have it: a customer with it on 1 of 50 lines counts 2 %.
    """
    return stock(
        Part(
            FEATURES,
            f"CASE WHEN {ADDED} THEN r.quantity ELSE 0 END",
            by={"feature": Part(FEATURES, "r.quantity")},
        ),
        Part(NUMBERS, "r.held"),
    )


@kpi(
    name="Features per customer",
    family=Family.FEATURES,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def features_per_customer() -> Shape:
    """Quantity of features and packages ÷ active customers, on the last day of the month; plain lines are left out."""
    return stock(
        Part(FEATURES, f"CASE WHEN {ADDED} THEN r.quantity ELSE 0 END"), Part(CUSTOMERS, "r.active::int")
    )


@kpi(
    name="Features added",
    family=Family.FEATURES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=SPLITS,
)
def features_added() -> Shape:
    """Σ over customers and features of what the quantity at the close is above that at the close before."""
    return movement(Part(FEATURES, "greatest(r.quantity - r.quantity_past, 0)"))


@kpi(
    name="Features removed",
    family=Family.FEATURES,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=1,
    by=SPLITS,
)
def features_removed() -> Shape:
    """Σ over customers and features of what the quantity at the close is below that at the close before.

    Open + added − removed = close.
    """
    return movement(Part(FEATURES, "greatest(r.quantity_past - r.quantity, 0)"))


@kpi(
    name="Growth in features",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    sources="SAFE",
)
def feature_growth() -> Shape:
    """(Quantity at the close − quantity at the close before) ÷ quantity at the close before."""
    return movement(Part(FEATURES, "r.quantity - r.quantity_past"), Part(FEATURES, "r.quantity_past"))


@kpi(
    name="Share of features in recurring revenue",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def feature_share() -> Shape:
    """MRR of features and packages ÷ all MRR, on the last day of the month."""
    return stock(
        Part(FEATURE_MONEY, f"CASE WHEN {ADDED} THEN r.mrr ELSE 0 END"), Part(FEATURE_MONEY, "r.mrr")
    )


@kpi(
    name="Margin of features",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def feature_margin() -> Shape:
    """(MRR − monthly cost to us) ÷ MRR of what customers have on the last day of the month, lines too.

    The cost is the feature's own, else the catalogue's of that day. Given free: no revenue, its cost stays.
    """
    return stock(Part(FEATURE_MONEY, "r.mrr - r.cost"), Part(FEATURE_MONEY, "r.mrr"))


@kpi(
    name="Feature take-up of new customers",
    family=Family.FEATURES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def attach_rate_new() -> Shape:
    """Customers in their first 90 days with a feature or package at the close ÷ customers in their first 90 days."""
    return stock(
        Part(CUSTOMERS, "(r.active AND r.since > r.day - 90 AND r.features > 0)::int"),
        Part(CUSTOMERS, "(r.active AND r.since > r.day - 90)::int"),
    )


#: What would come each month if so many customers more had each feature: missing customers × its margin at list price.
OPPORTUNITY = Source(
    "opportunity",
    " ".join(
        [
            "(SELECT d.month, d.day, t.code AS feature, t.currency,",
            "round(greatest(%(target_take_up)s * e.customers / 100.0",
            "- coalesce(h.customers, 0), 0) * (p.price - p.cost)",
            "/ CASE t.interval WHEN 'month' THEN 1 WHEN 'quarter' THEN 3 ELSE 12 END, 6) AS amount FROM days d",
            "JOIN (SELECT month, count(*) AS customers FROM customerfact WHERE active GROUP BY month) e",
            "ON e.month = d.month JOIN billing_featuretype t ON t.reseller_id = %(reseller)s AND t.is_available",
            "AND t.kind IN ('feature', 'package') AND t.interval <> 'once' JOIN billing_featureprice p",
            "ON p.reseller_id = %(reseller)s AND p.feature_type_id = t.id AND p.valid_from <= d.day",
            "AND (p.valid_to IS NULL OR p.valid_to > d.day) AND p.price > p.cost",
            "LEFT JOIN (SELECT month, feature_type_id,",
            "count(DISTINCT customer_id) AS customers FROM featurefact WHERE quantity > 0 GROUP BY 1, 2) h",
            "ON h.month = d.month AND h.feature_type_id = t.id WHERE d.asked)",
        ]
    ),
    ("customerfact", "featurefact"),
    "r.currency",
    {"feature": "r.feature"},
    of_customers=False,
)


@kpi(
    name="Opportunity in features",
    family=Family.FEATURES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=("feature",),
    estimate=True,
    needs=Capability.VIEW_MARGIN,
    settings=("target_take_up",),
    sources="SAFE",
)
def feature_opportunity() -> Shape:
    """Σ (take-up aimed at − take-up) × active customers × (list price − cost) per month, of the features still sold.

    The aim is one setting for every feature. A feature above it adds nothing.
    """
    return stock(Part(OPPORTUNITY, "r.amount"))


@kpi(
    name="Moves up a product ladder",
    family=Family.FEATURES,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=("ladder", *BOOK),
)
def ladder_up() -> Shape:
    """Customers whose highest level on a product ladder is above that at the close before, where they already were
    on it.
    """
    return movement(Part(LADDERS, "(r.level > r.level_past AND r.level_past > 0)::int"))


@kpi(
    name="Moves down a product ladder",
    family=Family.FEATURES,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=1,
    by=("ladder", *BOOK),
)
def ladder_down() -> Shape:
    """Customers whose highest level on a product ladder is below that at the close before, and who are still on it."""
    return movement(Part(LADDERS, "(r.level < r.level_past AND r.level > 0)::int"))
