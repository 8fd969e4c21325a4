"""What is left of allowances: read by pages, which load no columns of calls for it."""

from django.db.models import F, QuerySet

from billing.models import AllowanceUse


def with_unused(rows: QuerySet[AllowanceUse]) -> QuerySet[AllowanceUse]:
    """Add what there was in all (`available`) and what is left of it (`unused`)."""
    available = F("granted") + F("carried_in") + F("overdrawn")
    return rows.annotate(available=available, unused=available - F("used"))
