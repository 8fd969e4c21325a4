"""Features in service that have no price."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.checks.rows import select
from billing.checks.words import counted

SQL = """
SELECT type.id, type.code, type.name, count(*) AS features, count(DISTINCT feature.customer_id) AS customers
FROM billing_feature feature
JOIN billing_featuretype type ON type.id = feature.feature_type_id AND type.reseller_id = %(reseller)s
JOIN billing_customer customer ON customer.id = feature.customer_id AND customer.reseller_id = %(reseller)s
    AND NOT customer.is_test
WHERE feature.reseller_id = %(reseller)s AND NOT feature.not_charged AND feature.price IS NULL
    AND feature.start_date < %(end)s AND (feature.end_date IS NULL OR feature.end_date > %(start)s)
    AND (type.interval <> 'once' OR feature.start_date >= %(start)s)
    AND NOT EXISTS (SELECT FROM billing_featureprice price WHERE price.reseller_id = %(reseller)s
        AND price.feature_type_id = type.id AND price.valid_from < %(end)s
        AND (price.valid_to IS NULL OR price.valid_to > %(start)s))
GROUP BY 1, 2, 3 ORDER BY 3, 1
"""


@check(
    slug="features_without_price",
    name="Features without a price",
    family=Family.PRE_BILLING,
    level=Level.WARNING,
    page="feature-type",
)
def features_without_price(ask: Ask) -> Iterator[Found]:
    """Features in service in the period that have no price, neither of their own nor in the list: they go uncharged."""
    for row in select(SQL, ask.sql()):
        yield Found(
            subject=row.code,
            label=row.name,
            period=ask.period.start,
            why=f"{counted(row.features, 'feature')} of {counted(row.customers, 'customer')} will not be charged: "
            "the list has no price for the period.",
            count=row.features,
            args=(row.id,),
        )
