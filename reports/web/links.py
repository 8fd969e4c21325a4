"""All links of the reseller to results: for whom, until when, how often opened."""

from typing import Any

from django.db.models import Case, CharField, Count, Max, Q, QuerySet, Value, When
from django.urls import URLPattern, path
from django.utils import timezone

from reports.models import ShareLink, ShareView
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, DateTime, Int, Text
from resellerkpi.ui.filters import PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import EmptyState
from resellerkpi.ui.views import ListPage

STATES = [("open", "Open"), ("expired", "Expired"), ("void", "Revoked")]
OPENED = ~Q(views__what=ShareView.What.MISS)


class LinkFilters(ScopedFilterSet):
    """Which links to list."""

    q = SearchFilter("label", "run__title", label="Note or report")
    period = PeriodFilter("created_at", instant=True, label="Made")


class LinkList(ListPage):
    """Every link by which outsiders could open a result."""

    capability = Capability.SHARE
    title = "Shared links"
    purpose = "Who outside the house can open which result, and until when."
    filterset = LinkFilters
    order = ("-created_at", "-pk")
    columns = (
        Text(name="title", label="Result", source="run__title", url="run-share"),
        Text(name="label", label="For"),
        Choice(name="state", label="State", choices=STATES),
        DateTime(name="expires_at", label="Expires"),
        Int(name="opened", label="Opened"),
        DateTime(name="last", label="Last opened"),
        Int(name="misses", label="Wrong passwords", help="How often a wrong password was tried."),
        Text(name="created_by", label="Made by", source="created_by__name"),
        DateTime(name="created_at", label="Made", hidden=True),
    )
    empty = EmptyState(
        "No result is open to outsiders. Run a report, look at its result, then press Share there.",
        "Choose a report",
        "/reports/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the links with their state and how often they were opened."""
        return ShareLink.objects.annotate(
            state=Case(
                When(revoked_at__isnull=False, then=Value("void")),
                When(expires_at__lte=timezone.now(), then=Value("expired")),
                default=Value("open"),
                output_field=CharField(),
            ),
            opened=Count("views", filter=OPENED),
            misses=Count("views", filter=~OPENED),
            last=Max("views__at", filter=OPENED),
        )


urlpatterns: list[URLPattern] = [path("reports/links/", LinkList.as_view(), name="link-list")]
