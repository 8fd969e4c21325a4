"""Features that a price of their own gives away, though the supplier charges for them."""

from collections.abc import Iterator

from billing.checks.declare import Ask, Family, Found, check
from billing.checks.rows import in_currency
from billing.checks.standing import features, uncharged
from resellerkpi.core.columns import figure

FREE = features(
    """NOT f.not_charged AND (f.price = 0 OR f.discount_percent = 100) AND coalesce(f.cost, (
    SELECT p.cost FROM billing_featureprice p WHERE p.reseller_id = %(reseller)s
        AND p.feature_type_id = f.feature_type_id AND p.valid_from <= %(today)s
        AND (p.valid_to IS NULL OR p.valid_to > %(today)s)), 0) > 0""",
    price="nullif(f.price, 0)",
)


@check(slug="free_by_mistake", name="Free by mistake", family=Family.LEAKAGE, page="feature")
def free_by_mistake(ask: Ask) -> Iterator[Found]:
    """Features in service that cost something and are priced 0, or discounted to 0, at their list price."""
    for row in uncharged(ask, FREE):
        yield Found(
            subject=in_currency(ask, row.subject, row.currency),
            label=row.type,
            period=row.since.replace(day=1),
            why=f"{figure(row.quantity, 0)} × {row.type} has the price 0 of its own; the supplier charges for it.",
            money_per_month=row.monthly,
            money_to_date=row.to_date,
            currency=row.currency,
            customer_id=row.customer_id,
            args=(row.id,),
        )
