"""What the fraud watch warns of, in the register: with an owner, accepted for a time, closed when resolved."""

from collections.abc import Iterator
from datetime import timedelta

from billing.checks.declare import Ask, Family, Found, Level, check
from billing.models import FraudAlert

#: Days for which a warning that nobody resolved stays in the register after it was last seen.
STANDS = 60


@check(
    slug="fraud_watch",
    name="Fraud watch",
    family=Family.WATCH,
    level=Level.WARNING,
    page="fraud-alert",
)
def fraud_watch(ask: Ask) -> Iterator[Found]:
    """Usage that stands out and spend limits used up: each warning until a person resolves it."""
    alerts = FraudAlert.objects.filter(resolved_at=None, last_seen__gte=ask.now - timedelta(days=STANDS))
    reached = set(alerts.filter(mark=FraudAlert.Mark.OVER).values_list("subject", "period"))
    for alert in alerts.order_by("pk"):
        if alert.mark == FraudAlert.Mark.NEAR and (alert.subject, alert.period) in reached:
            continue
        yield Found(
            subject=f"{alert.subject} {alert.period}",
            label=alert.label,
            period=alert.period.replace(day=1),
            why=alert.why,
            money_to_date=alert.retail,
            currency=alert.currency or ask.reseller.currency,
            count=alert.calls,
            customer_id=alert.customer_id,
            args=(alert.pk,),
        )
