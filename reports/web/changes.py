"""What changed since: comparing a result with now, and the differences with their causes."""

from collections.abc import Iterator, Sequence
from decimal import Decimal as D
from itertools import groupby
from typing import Any, ClassVar
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from reports import changes
from reports.causes import kinds
from reports.models import Comparison
from reports.packing import unpack_all
from reports.registry import REPORTS
from reports.run import MOST_AT_ONCE, TooManyRows, allowed, scratch
from reports.web.query import person
from reports.web.result import find_run
from reports.web.table import whole
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column, DateTime, Money, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.sheets import MEDIA, write_csv
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action, EmptyState, TablePanel
from resellerkpi.ui.templatetags.ui import moment
from resellerkpi.ui.views import Page

LINES_PER_PAGE = 100
BEFORE = [
    Text(name="words", label="What changed"),
    Text(name="by", label="Compared by"),
    DateTime(name="made_at", label="When", sortable=False),
]


class Written(Text):
    """A figure that its own column has written out."""

    align: ClassVar[str] = "right"


TOTALS = [
    Text(name="column", label="Total"),
    Written(name="difference", label="Difference"),
    Written(name="before", label="Before"),
    Written(name="after", label="Now"),
    Text(name="currency", label="Currency"),
]


def words_of(comparison: Comparison) -> str:
    """Return how many rows changed, came and went."""
    counts = [(comparison.changed, "changed"), (comparison.added, "new"), (comparison.removed, "gone")]
    told = [f"{n:,} {'row' if n == 1 else 'rows'} {word}" for n, word in counts if n]
    return ", ".join(told) or "Nothing changed"


class Changes(Page):
    """The comparisons of a result, and the button for a new one."""

    capability = Capability.RUN_REPORTS
    template = "reports/changes.html"
    title = "What changed since"
    purpose = "The same query is run again over the same days and set beside this result, row by row."

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the earlier comparisons."""
        run = find_run(self, kwargs["pk"])
        self.back = (run.title, reverse("run-result", args=[run.pk]))
        made = Comparison.objects.filter(run=run).select_related("user").order_by("-made_at", "-pk")[:50]
        rows = [
            {"pk": one.pk, "words": words_of(one), "by": str(one.user or ""), "made_at": one.made_at}
            for one in made
            if changes.open_to(one, self.scope)
        ]
        empty = EmptyState("Nobody has compared this result with a later state of the books yet.")
        panel = TablePanel("Comparisons", BEFORE, rows, row_url="comparison", empty=empty)
        return self.render({"run": run, "panel": panel})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Compare with now: a small result at once, a large one by a job."""
        run = find_run(self, kwargs["pk"])
        try:
            slow = run.report in REPORTS and REPORTS.get(run.report).slow
            if run.row_count <= MOST_AT_ONCE and not slow:
                with transaction.atomic():
                    made = changes.compare(run, now=timezone.now(), user=person(request), most=MOST_AT_ONCE)
                return redirect("comparison", pk=made.pk)
        except changes.NothingToCompare as refused:
            messages.error(request, str(refused))
            return redirect("run-changes", pk=run.pk)
        except TooManyRows:
            messages.info(request, "There are many more rows now: they are compared in the background.")
        back = reverse("run-changes", args=[run.pk])
        params = {"run": str(run.pk), "request": str(uuid4())}
        job = enqueue("reports.compare", params, title=f"What changed: {run.title}", back_url=back)
        return job_redirect(job)


class ComparisonPage(Page):
    """The differences between a result and a later state of the books."""

    capability = Capability.RUN_REPORTS
    template = "reports/comparison.html"
    title = "What changed since"

    def find(self) -> Comparison:
        """Return the comparison; 404 for none of the scope, 403 for one with columns the role may not see."""
        rows = Comparison.objects.select_related("run", "fresh", "artifact", "user")
        found: Comparison | None = rows.filter(pk=self.kwargs["pk"]).first()
        if found is None or found.run.report not in REPORTS:
            raise Http404
        if not allowed(REPORTS.get(found.run.report), self.scope) or not changes.open_to(found, self.scope):
            raise PermissionDenied
        return found

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the differences a page at a time."""
        self.made = made = self.find()
        run = made.run
        self.back = (run.title, reverse("run-result", args=[run.pk]))
        then, now = moment(run.as_of, self.reseller), moment(made.fresh.as_of, self.reseller)
        self.purpose = f"{run.title} of {then}, beside the same query of {now}."
        frozen = changes.lines(made)
        pages = max(1, -(-frozen.count // LINES_PER_PAGE))
        page = min(max(1, whole(request.GET.get("page"), 1)), pages)
        start = (page - 1) * LINES_PER_PAGE
        context = {
            "made": made,
            "words": words_of(made),
            "entries": list(entries(frozen.rows(start=start, stop=start + LINES_PER_PAGE))),
            "totals": TablePanel("Totals", TOTALS, totals_of(made)) if made.totals else None,
            "number": page,
            "pages": pages,
        }
        return self.render(context)

    def actions(self) -> Sequence[Action]:
        """Offer the file and the fresh result."""
        return (
            Action("As CSV", reverse("comparison-export", args=[self.made.pk])),
            Action("The result of now", reverse("run-result", args=[self.made.fresh_id])),
        )


def entries(lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of each row together."""
    for _, group in groupby(lines, key=lambda line: line["entry"]):
        cells = list(group)
        head = cells[0]
        causes = {cell["cause"] for cell in cells}
        yield {
            "change": head["change"],
            "kind": kinds()[head["change"]],
            "row": head["row"],
            "cells": [cell for cell in cells if cell["column"]],
            "cause": head if len(causes) == 1 else None,
        }


def totals_of(made: Comparison) -> list[dict[str, Any]]:
    """Return the totals side by side as people read them."""
    columns = {c.name: c for c in unpack_all(made.columns)}
    return [
        {
            "column": columns[total["column"]].title,
            "currency": total["currency"],
            **{
                name: shown(columns[total["column"]], total, name)
                for name in ("before", "after", "difference")
            },
        }
        for total in made.totals
    ]


def shown(column: Column, total: dict[str, str], name: str) -> str:
    """Return a total as its column shows it; a difference with its sign."""
    code = {column.currency: total["currency"]} if isinstance(column, Money) else {}
    amount = D(total[name])
    words = column.display({column.name: amount, **code})
    return f"+{words}" if name == "difference" and amount > 0 else words


class ComparisonFile(ComparisonPage):
    """The differences as CSV."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Send the file."""
        made = self.find()
        columns = [column for column in changes.LINES if not column.hidden]
        with scratch() as place:
            with place.open("w", encoding="utf-8", newline="") as out:
                write_csv(columns, changes.lines(made).rows(), out, [words_of(made)])
            content = place.open("rb")
        name = f"{made.run.report}-what-changed.csv"
        response = FileResponse(content, as_attachment=True, filename=name)
        response["Content-Type"] = MEDIA["csv"]
        return response


urlpatterns: list[URLPattern] = [
    path("reports/runs/<uuid:pk>/changes/", Changes.as_view(), name="run-changes"),
    path("reports/changes/<int:pk>/", ComparisonPage.as_view(), name="comparison"),
    path("reports/changes/<int:pk>/export.csv", ComparisonFile.as_view(), name="comparison-export"),
]
