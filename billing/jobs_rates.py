"""The daily look for new exchange rates."""

from typing import Any

from django.conf import settings
from django.utils import timezone

from billing.ecb import RatesUnavailable, fetch, load, wanted_from
from resellerkpi.core.jobs import JobRefused, Task, job
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day

KIND = "rates.fetch"


# The bank publishes at about 16:00 in Frankfurt on its working days.
@job(KIND, cron="30 15 * * 1-5")
def fetch_rates(task: Task) -> dict[str, Any]:
    """Load the European Central Bank's new rates; one sentence when they cannot be had. An empty address is off."""
    if not settings.ECB_RATES_URL:
        return {"off": True, "new": 0, "changed": 0}
    try:
        content = fetch(settings.ECB_RATES_URL, timeout=settings.ECB_RATES_TIMEOUT)
        with task.scope() as scope:
            reseller = Reseller.objects.get(pk=scope.reseller_id)
            today = local_day(timezone.now(), reseller.zone)
            outcome = load(content, reseller=reseller, since=wanted_from(reseller, today), today=today)
    except RatesUnavailable as failed:
        raise JobRefused(str(failed)) from None
    if outcome.problems:
        raise JobRefused(f"No exchange rate was loaded: {outcome.problems[0].error}")
    return {"off": False, "new": outcome.counts.new, "changed": outcome.counts.changed}
