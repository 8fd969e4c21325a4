"""The first page's card of this month's review: the week whose turn it is."""

from datetime import datetime

from django.urls import reverse

from reports.models import ReviewAction
from reports.reviewing import days
from resellerkpi.core.access import Capability
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import Scope
from resellerkpi.ui.cards import card
from resellerkpi.ui.panels import Action, HtmlPanel, Panel


@card("review")
def this_week(reseller: Reseller, scope: Scope, now: datetime) -> Panel | None:
    """Return the week whose turn it is and how the four stand; nothing for who may not see reviews."""
    if not scope.can(Capability.VIEW_REVIEW):
        return None
    today = local_day(now, reseller.zone)
    weeks = days.weeks_of([today.replace(day=1)], today)[today.replace(day=1)]
    context = {
        "turn": days.turn(weeks),
        "weeks": weeks,
        "open": ReviewAction.objects.filter(closed_at=None).count(),
    }
    more = Action("All reviews", reverse("review"))
    return HtmlPanel("reports/_review_card.html", context, "This week’s review", [more])
