"""What allocated carrier charges cost, day by day of their service, without counting a cost twice.

The cost of a charge is spread evenly over its days. Some of it is carried by other rows already: by the customer's
charge when it was passed on, by the calls when it is usage, by a feature's own cost when the charge is a rental (or its
credit) of that feature, or of a number on which a line with a cost of its own runs. What is left is `extra`: to be
added to the cost of invoices and calls where a margin is to be whole.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from resellerkpi.core.models import Reseller
from resellerkpi.core.planner import joined_by_hash


class CarrierCost(NamedTuple):
    """The cost of one service in a period: `cost` all of it, `extra` what no charge, feature or call carries yet.

    `customer_id` is None where nobody had the number, all three are never None together. Amounts are exact, in the
    bill's currency, before VAT.
    """

    customer_id: int | None
    number_id: int | None
    feature_id: int | None
    carrier_id: int
    kind: str
    currency: str
    cost: Decimal
    extra: Decimal


_COSTS = """
WITH part AS MATERIALIZED (
    SELECT charge.id, charge.customer_id, charge.number_id, charge.feature_id, invoice.carrier_id, charge.kind,
        invoice.currency, charge.charge_id, charge.service_start, charge.service_end,
        charge.amount * (least(charge.service_end, %(end)s) - greatest(charge.service_start, %(start)s))
            / (charge.service_end - charge.service_start) AS cost
    FROM billing_carriercharge charge
    JOIN billing_carrierinvoice invoice ON invoice.id = charge.invoice_id AND invoice.reseller_id = %(reseller)s
    WHERE charge.reseller_id = %(reseller)s AND charge.state = 'allocated'
        AND charge.service_start < %(end)s AND charge.service_end > %(start)s
), carrying AS (
    SELECT part.id, feature.id AS feature_id, feature.feature_type_id, feature.cost
    FROM part JOIN billing_feature feature ON feature.id = part.feature_id AND feature.reseller_id = %(reseller)s
        AND feature.start_date < part.service_end
        AND (feature.end_date IS NULL OR feature.end_date > part.service_start)
    WHERE part.kind IN ('rental', 'credit') AND NOT feature.not_charged
    UNION ALL
    SELECT part.id, feature.id, feature.feature_type_id, feature.cost
    FROM part JOIN billing_feature feature ON feature.number_id = part.number_id
        AND feature.reseller_id = %(reseller)s AND feature.start_date < part.service_end
        AND (feature.end_date IS NULL OR feature.end_date > part.service_start)
    JOIN billing_featuretype type ON type.id = feature.feature_type_id AND type.kind = 'line'
    WHERE part.kind IN ('rental', 'credit') AND part.feature_id IS NULL AND NOT feature.not_charged
), own AS (
    SELECT DISTINCT part.id
    FROM carrying
    JOIN part ON part.id = carrying.id
    JOIN billing_featuretype type ON type.id = carrying.feature_type_id AND type.interval <> 'once'
    LEFT JOIN billing_featureprice price ON carrying.cost IS NULL AND price.reseller_id = %(reseller)s
        AND price.feature_type_id = carrying.feature_type_id AND price.cost > 0
        AND price.valid_from < part.service_end
        AND (price.valid_to IS NULL OR price.valid_to > part.service_start)
    WHERE carrying.cost > 0 OR price.id IS NOT NULL
)
SELECT part.customer_id, part.number_id, part.feature_id, part.carrier_id, part.kind, part.currency, sum(part.cost),
    coalesce(sum(part.cost) FILTER (
        WHERE part.charge_id IS NULL AND part.kind <> 'usage' AND own.id IS NULL), 0)
FROM part LEFT JOIN own ON own.id = part.id
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 1, 2, 3, 4, 5, 6
"""


def carrier_costs(reseller: Reseller, start: date, end: date) -> Iterator[CarrierCost]:
    """Yield what each service cost by carriers' bills from a day to before another."""
    with joined_by_hash() as cursor:
        cursor.execute(_COSTS, {"reseller": reseller.pk, "start": start, "end": end})
        rows = cursor.fetchall()
    yield from (CarrierCost(*row) for row in rows)
