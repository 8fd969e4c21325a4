"""The catalogue of reports."""

from typing import Any

from django.utils import timezone

from reports.models import Run, ShareLink
from reports.registry import REPORTS
from reports.report import Report
from reports.run import allowed
from reports.saved import readable
from reports.web.query import person
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Date, DateTime, Int, Text
from resellerkpi.ui.panels import EmptyState, Panel, TablePanel
from resellerkpi.ui.views import Page

RUNS = [
    Text(name="title", label="Report"),
    DateTime(name="made_at", label="Generated", sortable=False),
    Text(name="by_name", label="By"),
    Int(name="row_count", label="Rows"),
    Date(name="kept_until", label="Kept until", help="Without a day: for ever, as a signed review shows it."),
]
LINKS = [
    Text(name="title", label="Shared report"),
    Text(name="label", label="For"),
    Date(name="expires_at", label="Expires"),
]
QUERIES = [
    Text(name="name", label="Saved query"),
    Text(name="report_name", label="Report"),
    Text(name="whose", label="Whose"),
    DateTime(name="last", label="Last used", sortable=False),
    Text(name="change", label="Change", url="query-change"),
    Text(name="delete", label="Delete", url="query-delete"),
]
OWN, NOT_OWN = {"change": "Change", "delete": "Delete"}, {"change": "", "delete": ""}
NO_RUNS = EmptyState("Nobody has run a report yet. Choose one above; its result is kept here for 30 days.")


class Catalogue(Page):
    """Every report by what it is for, and the results of late."""

    capability = Capability.RUN_REPORTS
    title = "Reports"
    purpose = "Choose what you want to know; each result is kept as it was, to download, mail or share."
    template = "reports/catalogue.html"

    def get_context(self) -> dict[str, Any]:
        """Return the reports the person may run, by family, and the tables below them."""
        families: dict[str, list[Report]] = {}
        for report in REPORTS:
            if allowed(report, self.scope):
                families.setdefault(report.family, []).append(report)
        panels: list[Panel] = [
            TablePanel("Latest results", RUNS, self._runs(), row_url="run-result", empty=NO_RUNS)
        ]
        queries = self._queries()
        if queries:
            panels.insert(0, TablePanel("Saved queries", QUERIES, queries, row_url="query-open"))
        links = self._links()
        if links:
            panels.append(TablePanel("Links that are open to outsiders", LINKS, links, row_url="run-share"))
        return {"families": families, "panels": panels}

    def _runs(self) -> list[dict[str, Any]]:
        known = [report.slug for report in REPORTS if allowed(report, self.scope)]
        late = Run.objects.filter(report__in=known, state=Run.State.READY).order_by("-as_of")[:20]
        fields = ("pk", "title", "as_of", "by_name", "row_count", "kept_until")
        return [
            row | {"made_at": row["as_of"].astimezone(self.reseller.zone)} for row in late.values(*fields)
        ]

    def _queries(self) -> list[dict[str, Any]]:
        user, zone = person(self.request), self.reseller.zone
        own = user.pk if user else None
        return [
            {
                "pk": kept.pk,
                "name": kept.name,
                "report_name": REPORTS.get(kept.report).name,
                "whose": "Yours" if kept.owner_id == own else str(kept.owner),
                "last": kept.used_at.astimezone(zone) if kept.used_at else None,
                **(OWN | {"change_id": kept.pk, "delete_id": kept.pk} if kept.owner_id == own else NOT_OWN),
            }
            for kept in readable(own)[:50]
        ]

    def _links(self) -> list[dict[str, Any]]:
        if not self.scope.can(Capability.SHARE):
            return []
        live = ShareLink.objects.filter(revoked_at=None, expires_at__gt=timezone.now()).order_by("expires_at")
        rows = live.values("run_id", "run__title", "label", "expires_at")[:20]
        return [{**row, "pk": row["run_id"], "title": row["run__title"]} for row in rows]
