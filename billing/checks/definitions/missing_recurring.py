"""Recurring charges that are missing: features marked as not charged, and numbers in service that nothing rents."""

from collections.abc import Iterator
from decimal import Decimal

from billing.checks.declare import Ask, Family, Found, Level, Setting, check
from billing.checks.rows import in_currency
from billing.checks.standing import features, uncharged
from resellerkpi.core.columns import day, figure

NOT_CHARGED = features("f.not_charged", price="nullif(f.price, 0)")
#: Numbers in service without a line feature, where others of their type and cost have one: with the commonest of those.
NOT_RENTED = """
WITH held AS (
    SELECT a.id, a.number_id, n.number, a.customer_id, n.type, n.monthly_cost, a.start_date, rented.type_id
    FROM billing_numberassignment a JOIN billing_number n ON n.id = a.number_id AND n.reseller_id = %(reseller)s
    JOIN billing_customer c ON c.id = a.customer_id AND NOT c.is_test
    LEFT JOIN (
        SELECT f.number_id, f.customer_id, min(f.feature_type_id) AS type_id
        FROM billing_feature f JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.kind = 'line'
        WHERE f.reseller_id = %(reseller)s AND f.number_id IS NOT NULL AND f.start_date <= %(today)s
            AND (f.end_date IS NULL OR f.end_date > %(today)s) GROUP BY 1, 2
    ) rented ON rented.number_id = a.number_id AND rented.customer_id = a.customer_id
    WHERE a.reseller_id = %(reseller)s AND a.start_date <= %(today)s
        AND (a.end_date IS NULL OR a.end_date > %(today)s)
), usual AS (
    SELECT type, monthly_cost, mode() WITHIN GROUP (ORDER BY type_id) AS type_id
    FROM held GROUP BY 1, 2 HAVING count(type_id) * 100 >= count(*) * %(rented)s AND count(type_id) > 0
), ended AS (
    SELECT f.number_id, f.customer_id, max(f.end_date) AS ended
    FROM billing_feature f JOIN billing_featuretype t ON t.id = f.feature_type_id AND t.kind = 'line'
    WHERE f.reseller_id = %(reseller)s AND f.number_id IS NOT NULL AND f.end_date <= %(today)s GROUP BY 1, 2
)
SELECT h.id, h.number AS subject, h.customer_id, h.number_id, u.type_id, 1::numeric AS quantity,
    NULL::numeric AS price, greatest(h.start_date, e.ended) AS since, NULL::date AS until, true AS stands
FROM held h JOIN usual u ON u.type = h.type AND u.monthly_cost = h.monthly_cost
LEFT JOIN ended e ON e.number_id = h.number_id AND e.customer_id = h.customer_id
WHERE h.type_id IS NULL
"""


@check(
    slug="missing_recurring",
    name="Missing recurring charges",
    family=Family.LEAKAGE,
    level=Level.ERROR,
    page="feature",
    settings=(
        Setting(
            "rented",
            Decimal(50),
            "Share of numbers of a type that have a rental (%)",
            "A number without a rental is a leak where at least so many per cent of the same type and cost have one.",
        ),
    ),
)
def missing_recurring(ask: Ask) -> Iterator[Found]:
    """Features in service marked as not charged, and numbers in service without a rental, at their list price."""
    for row in uncharged(ask, NOT_CHARGED):
        why = f"{figure(row.quantity, 0)} × {row.type} provided since {day(row.since)} and marked as not charged."
        yield _found(ask, row, why, page="feature", args=(row.id,))
    for row in uncharged(ask, NOT_RENTED):
        why = f"{row.subject} is in service since {day(row.since)} and no {row.type.lower()} is charged."
        yield _found(ask, row, why, page="number", args=(row.number_id,))


def _found(ask: Ask, row: object, why: str, *, page: str, args: tuple[int, ...]) -> Found:
    values = vars(row)
    return Found(
        subject=in_currency(ask, values["subject"], values["currency"]),
        label=f"{values['subject']}: {values['type']}" if page == "number" else values["type"],
        period=values["since"].replace(day=1),
        why=why,
        money_per_month=values["monthly"],
        money_to_date=values["to_date"],
        currency=values["currency"],
        customer_id=values["customer_id"],
        page=page,
        args=args,
    )
