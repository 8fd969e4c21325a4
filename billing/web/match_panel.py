"""How the services of a customer, a number or a feature stand in the last closed month of the three-way match."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.urls import reverse

from billing.charging.three_way_words import SHORT
from billing.models import ServiceMatch
from billing.web.match import VIEW, newest_month, service_rows
from resellerkpi.core.scope import Scope
from resellerkpi.ui.panels import Action, Facts
from resellerkpi.ui.templatetags.ui import money

#: The most services that are named one by one; the rest are counted.
NAMED = 5
Attention = ServiceMatch.Attention
TROUBLE = Q(attention__in=[Attention.LOSS, Attention.CHECK])


def match_panel(scope: Scope, today: date, *, search: str, **whose: Any) -> Facts | None:
    """Return how the services of `whose` stand: each problem with its money and page, the others counted.

    None for who may not see the match, and where no month is matched yet. Three statements, however many services.
    """
    if not scope.can(VIEW):
        return None
    month, at = newest_month(today)
    if at is None:
        return None
    rows = service_rows(month=month, **whose)
    counts = (
        rows.order_by().values("finding").annotate(services=Count("pk"), wrong=Count("pk", filter=TROUBLE))
    )
    found = {row["finding"]: row for row in counts.order_by("-services", "finding")}
    items: list[tuple[Any, ...]] = []
    if any(row["wrong"] for row in found.values()):
        wrong = rows.filter(TROUBLE).select_related("number").order_by("-at_risk", "key")[:NAMED]
        items = [(_name(row), _words(row), reverse("match-service", args=[row.pk])) for row in wrong]
    more = sum(row["wrong"] for row in found.values()) - len(items)
    if more > 0:
        items.append(("And", f"{more:,} more that need{'s' if more == 1 else ''} a look"))
    items += [
        (SHORT[name], "1 service" if row["services"] == 1 else f"{row['services']:,} services")
        for name, row in found.items()
        if name in SHORT and not row["wrong"]
    ]
    if not items:
        items = [("Services", f"None was provided, billed or charged in {month:%B %Y}.")]
    all_of_them = f"{reverse('match')}?{urlencode({'q': search, 'period': f'{month:%Y-%m}'})}"
    return Facts(f"Three-way match, {month:%B %Y}", items, actions=(Action("All in the match", all_of_them),))


def _name(row: Any) -> str:
    if not row.number_id:
        return str(row.service)
    return f"{row.service}, {row.number}" if row.feature_type_id else f"Number {row.number}"


def _words(row: Any) -> str:
    said = str(row.get_finding_display())
    return f"{said}: {money(row.at_risk, row.risk_currency)} a month at risk" if row.at_risk else said
