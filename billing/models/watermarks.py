"""Which calls have been billed, told by two watermarks of each customer and currency instead of by marks on calls.

An invoice covers the calls of its customer and currency that started before `usage_before` and were rated in a
batch up to `usage_batch`, except those that an earlier invoice covers. Neither watermark ever goes back, so the
highest pair says what is billed; draft invoices of a run count. Calls without a currency (nothing was priced)
go with the customer's own currency. Calls in error or left out are never billed.
"""

from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Q

from billing.models.invoicing import Invoice
from billing.models.parties import Customer
from billing.models.usage import Call

#: Body of a common table expression: WITH billed AS (BILLED). One parameter: the reseller's id.
BILLED = """
SELECT marks.customer_id, shown.currency, marks.usage_before, marks.usage_batch
FROM (
    SELECT customer_id, currency, max(usage_before) AS usage_before, max(usage_batch) AS usage_batch
    FROM billing_invoice
    WHERE reseller_id = %s AND usage_before IS NOT NULL
    GROUP BY customer_id, currency
) marks
JOIN billing_customer customer ON customer.id = marks.customer_id
CROSS JOIN LATERAL (
    SELECT marks.currency UNION ALL SELECT '' WHERE customer.currency = marks.currency
) shown (currency)
"""

#: Join of calls `call` with `billed`; then UNBILLED is the condition on a call that no invoice covers.
JOIN_BILLED = "LEFT JOIN billed ON billed.customer_id = call.customer_id AND billed.currency = call.currency"
UNBILLED = """(
    billed.customer_id IS NULL OR call.state NOT IN ('rated', 'zero')
    OR call.started_at >= billed.usage_before OR call.batch_id > billed.usage_batch
)"""


class Watermark(NamedTuple):
    """Up to where a customer's usage in a currency is billed: call start (exclusive) and batch (inclusive)."""

    customer_id: int
    currency: str
    usage_before: datetime
    usage_batch: int


def billed_until(reseller_id: int) -> list[Watermark]:
    """Return the watermarks of every customer and currency that has been billed; "" is the customer's own."""
    with connection.cursor() as cursor:
        cursor.execute(BILLED, [reseller_id])
        return [Watermark(*row) for row in cursor.fetchall()]


def covering(call: Call) -> Invoice | None:
    """Return the invoice, draft or issued, that covers a call, or None when it is not billed."""
    if call.customer_id is None or call.state not in (Call.State.RATED, Call.State.ZERO):
        return None
    own = Customer.objects.filter(pk=call.customer_id).values("currency")[:1]
    currency = Q(currency=call.currency) if call.currency else Q(currency__in=own)
    return (
        Invoice.objects.filter(
            currency,
            customer_id=call.customer_id,
            usage_before__gt=call.started_at,
            usage_batch__gte=call.batch_id,
        )
        .order_by("usage_before", "usage_batch", "pk")
        .first()
    )
