"""Saved queries: a report's query under a name, private or shared within the reseller."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from reports.models import SavedQuery
from reports.registry import REPORTS
from reports.report import Report
from reports.run import NotAllowed, allowed
from resellerkpi.core.audit import record
from resellerkpi.core.scope import current

#: What an address says of how a result is shown; the rest is the query.
VIEW = ("col", "sort", "chart", "type", "x", "y", "series")
Params = Mapping[str, Sequence[str]]


class BadName(ValueError):
    """Raised for a name that is taken; the sentence is shown to the user."""

    field = "name"


def save(
    report: Report, *, name: str, params: Params, is_shared: bool, owner_id: int, now: datetime
) -> SavedQuery:
    """Keep a query under a name; raises BadName when its owner has one of that name for the report."""
    scope = current()
    if not allowed(report, scope):
        raise NotAllowed(f"You may not run the report “{report.name}”.")
    query, view = split(params)
    kept = SavedQuery(
        reseller_id=scope.reseller_id,
        report=report.slug,
        name=name,
        params=query,
        view=view,
        owner_id=owner_id,
        is_shared=is_shared,
        dealer_id=scope.dealer_id,
        created_at=now,
    )
    _keep(kept)
    record("Report query saved", name, report=report.slug, shared=is_shared)
    return kept


def change(kept: SavedQuery, *, name: str, is_shared: bool) -> None:
    """Give a query another name, or share it or no longer; its owner alone may."""
    _own(kept)
    kept.name, kept.is_shared = name, is_shared
    _keep(kept)
    record("Report query changed", name, query=kept.pk, shared=is_shared)


def remove(kept: SavedQuery) -> None:
    """Forget a query; its owner alone may. Results made with it stay."""
    _own(kept)
    record("Report query deleted", kept.name, query=kept.pk)
    kept.delete()


def readable(user_id: int | None) -> QuerySet[SavedQuery]:
    """Return the queries a person finds: its own and shared ones, of reports it may run."""
    known = [report.slug for report in REPORTS if allowed(report, current())]
    found: QuerySet[SavedQuery] = SavedQuery.objects.filter(
        Q(owner_id=user_id) | Q(is_shared=True), report__in=known
    ).select_related("owner")
    return found.order_by("name", "pk")


def split(params: Params) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return an address's parameters as query and view; empty ones and what no text can hold are left out."""
    held = {name: [v for v in values if v and "\x00" not in v] for name, values in params.items()}
    view = {name: held[name] for name in VIEW if held.get(name)}
    return {name: values for name, values in held.items() if values and name not in VIEW}, view


def _own(kept: SavedQuery) -> None:
    if kept.owner_id != current().user_id:
        raise NotAllowed("Only who saved a query may change it.")


def _keep(kept: SavedQuery) -> None:
    try:
        with transaction.atomic():
            kept.save()
    except IntegrityError:
        raise BadName(f"You have a query called “{kept.name}” for this report already.") from None
