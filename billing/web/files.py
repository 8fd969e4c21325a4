"""Pages of call files: the list, one file with what became of its rows, removal, and which days are there."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.checks.completeness import grid
from billing.importing.counts import tally
from billing.importing.formats import FORMATS
from billing.models import Call, Carrier, CdrFile, CdrReject
from resellerkpi.core.access import Capability
from resellerkpi.core.audit import record
from resellerkpi.core.columns import SUM, Choice, Column, DateTime, Int, Minutes, Money, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Job
from resellerkpi.core.periods import local_day
from resellerkpi.ui.filters import PeriodFilter, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import figure, minutes, moment, money
from resellerkpi.ui.views import DetailPage, ListPage, Page

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
LISTED, MOST_DOWNLOADED = 100, 100_000
LAYOUTS = {known.name: known.label for known in FORMATS}


class FileFilters(ScopedFilterSet):
    """Which files to list."""

    q = SearchFilter("name", label="File name")
    carrier = ScopedChoiceFilter(Carrier, "carrier", label="Carrier")
    period = PeriodFilter("loaded_at", instant=True, label="Loaded")


class FileList(ListPage):
    """All call files of the scope."""

    capability = Capability.VIEW_USAGE
    title = "Call files"
    purpose = "What each carrier has supplied, and what became of every row of it."
    filterset = FileFilters
    row_url = "cdr-file"
    order = ("-loaded_at", "-pk")
    columns = (
        Text(name="name", label="File"),
        Text(name="carrier", source="carrier__name"),
        DateTime(name="loaded_at", label="Loaded"),
        Int(
            name="rows",
            total=SUM,
            help="Priced, free, left out, already loaded and in error add up to the rows.",
        ),
        Int(name="rated", label="Priced", total=SUM),
        Int(name="zero", label="Free", total=SUM),
        Int(name="excluded", label="Left out", total=SUM),
        Int(name="duplicates", label="Already loaded", total=SUM),
        Int(name="errors", label="In error", source="in_error", total=SUM),
        Minutes(name="seconds", label="Duration", total=SUM),
        Money(name="cost", decimals=2, needs=WHOLESALE, total=SUM),
        Money(name="retail", decimals=2, needs=MONEY, total=SUM),
        Text(name="currency", needs=MONEY),
        Text(name="format", hidden=True),
    )
    empty = EmptyState("No call file has been loaded yet.")

    def queryset(self) -> QuerySet[Any]:
        """Return the files with their rows in error: those that could not be read and calls without a price."""
        return CdrFile.objects.annotate(in_error=F("rejects") + F("unpriced"))

    def actions(self) -> Sequence[Action]:
        """Offer loading and the grid of days."""
        complete = Action("Which days are there", reverse("cdr-completeness"))
        load = Action("Load a call file", reverse("cdr-upload"), primary=True)
        return (complete, load) if self.scope.can(Capability.IMPORT) else (complete,)


OUTCOMES: tuple[Column, ...] = (
    Choice(name="state", label="Outcome", choices=Call.State.choices),
    Choice(name="reason", choices=Call.Reason.choices),
    Int(name="calls"),
    Minutes(name="seconds", label="Duration"),
    Money(name="cost", currency="cost_currency", decimals=4, needs=WHOLESALE),
    Text(name="cost_currency", label="Cost currency", needs=WHOLESALE),
    Money(name="retail", decimals=4, needs=MONEY),
    Text(name="currency", needs=MONEY),
)
REJECTS: tuple[Column, ...] = (
    Int(name="line", label="Line"),
    Choice(name="outcome", choices=CdrReject.Outcome.choices),
    Text(name="reason"),
    Text(name="raw", label="As supplied", needs=WHOLESALE),
)


class FilePage(DetailPage):
    """One file: its figures, its calls by outcome, and the rows that are no calls of their own."""

    capability = Capability.VIEW_USAGE
    model = CdrFile
    related = ("carrier", "loaded_by")
    purpose = "What became of every row of this file."

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the files."""
        return ("Call files", reverse("cdr-file-list"))

    def actions(self) -> Sequence[Action]:
        """Offer the error rows and removal."""
        found = []
        if self.object.rejects and self.scope.can(Capability.IMPORT):
            found.append(Action("Download error rows", reverse("cdr-file-errors", args=[self.object.pk])))
        if self.scope.can(Capability.IMPORT):
            found.append(Action("Remove this file", reverse("cdr-file-remove", args=[self.object.pk])))
        if self.scope.can(Capability.BILL) and self.object.first_call_at and self.object.last_call_at:
            zone, file = self.reseller.zone, self.object
            days = [local_day(at, zone).isoformat() for at in (file.first_call_at, file.last_call_at)]
            asked = f"?file={file.pk}&first={days[0]}&last={days[1]}"
            found.append(Action("Price its calls again", reverse("price-again") + asked))
        return found

    def panels(self) -> list[Panel]:
        """Return the figures, the calls by outcome and the rows kept aside."""
        file = self.object
        rows = [vars(each) for each in tally(file)]
        kept = CdrReject.objects.filter(file=file).order_by("outcome", "line")
        rejected = file.rejects + file.duplicates
        more = f", the first {LISTED}" if rejected > LISTED else ""
        empty = EmptyState("Every row of the file is a call of its own.")
        aside = TablePanel(
            title=f"Rows kept aside{more}", columns=REJECTS, rows=kept, limit=LISTED, empty=empty
        )
        return [
            Facts("File", self.about(file)),
            Facts("What became of its rows", outcome_facts(file)),
            TablePanel(title="Calls by outcome", columns=OUTCOMES, rows=rows),
            aside,
        ]

    def about(self, file: CdrFile) -> list[tuple[Any, ...]]:
        """Return what the file is."""
        return [
            ("Carrier", file.carrier.name),
            ("Layout", LAYOUTS.get(file.format, "Columns matched by hand")),
            ("Size", f"{figure(file.size)} bytes"),
            ("Loaded", moment(file.loaded_at, self.reseller)),
            ("Loaded by", str(file.loaded_by) if file.loaded_by else ""),
            ("First call", moment(file.first_call_at, self.reseller) if file.first_call_at else ""),
            ("Last call", moment(file.last_call_at, self.reseller) if file.last_call_at else ""),
            ("Duration", minutes(file.seconds)),
            ("Supplier's price", money(file.cost, file.currency) if self.scope.can(WHOLESALE) else ""),
            ("Customers' price", money(file.retail, file.currency) if self.scope.can(MONEY) else ""),
            (
                "Content (SHA-256)",
                file.sha256 if len(file.sha256) == 64 else "Taken out again; may be supplied anew",
            ),
        ]


def outcome_facts(file: CdrFile) -> list[tuple[str, str]]:
    """Return the rows by outcome and the sum that they make up."""
    parts = (
        ("Priced", file.rated),
        ("Free of charge", file.zero),
        ("Left out by the layout", file.excluded),
        ("Already loaded", file.duplicates),
        ("Could not be priced", file.unpriced),
        ("Could not be read", file.rejects),
    )
    together = " + ".join(figure(n) for _, n in parts)
    return [*((label, figure(n)) for label, n in parts), ("Rows", f"{figure(file.rows)} = {together}")]


class FileErrors(Page):
    """The rows that could not be read, under the file's own heading: mend them and supply the file."""

    capability = Capability.IMPORT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the rows as they were supplied."""
        file = CdrFile.objects.filter(pk=kwargs["pk"]).first()
        if file is None:
            raise Http404
        rows = CdrReject.objects.filter(file=file, outcome=CdrReject.Outcome.ERROR).order_by("line", "pk")
        lines = list(rows.values_list("raw", flat=True)[:MOST_DOWNLOADED])
        record("usage.export", file.name, rows=len(lines))
        content = "\n".join([*([file.heading] if file.heading else []), *lines, ""])
        answer = HttpResponse(content, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="error-rows-{file.pk}.csv"'
        return answer


class FileRemove(Page):
    """Ask before a file's calls are taken out; what is billed stays."""

    capability = Capability.IMPORT
    template = "billing/file_remove.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say what will happen."""
        file = self.file()
        self.title = f"Remove {file.name}"
        self.purpose = "Its calls are taken out, except those on an invoice."
        return self.render({"file": file, "calls": file.rows - file.duplicates - file.rejects})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Hand the removal to a worker."""
        file = self.file()
        back = reverse("cdr-file", args=[file.pk])
        job: Job = enqueue("usage.remove", {"file_id": file.pk}, title=f"Remove {file.name}", back_url=back)
        return job_redirect(job)

    def file(self) -> CdrFile:
        """Return the file; raises Http404."""
        found: CdrFile | None = CdrFile.objects.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        return found


class Completeness(Page):
    """A grid of carriers and days: what is missing shows."""

    capability = Capability.VIEW_USAGE
    title = "Which days are there"
    purpose = "Records of each carrier by day; gaps, and days with less than half of the weekday's usual, are marked."
    template = "billing/file_days.html"

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the files."""
        return ("Call files", reverse("cdr-file-list"))

    def get_context(self) -> dict[str, Any]:
        """Return the rows of the grid."""
        rows = grid(self.today)
        by_day = zip(*(row.days for row in rows), strict=True)
        lines = [{"day": cells[0].day, "cells": cells} for cells in by_day]
        return {"rows": rows, "lines": lines[::-1], "shows_cost": self.scope.can(WHOLESALE)}


urls: list[URLPattern] = [
    path("usage/", FileList.as_view(), name="cdr-file-list"),
    path("usage/completeness/", Completeness.as_view(), name="cdr-completeness"),
    path("usage/files/<int:pk>/", FilePage.as_view(), name="cdr-file"),
    path("usage/files/<int:pk>/errors.csv", FileErrors.as_view(), name="cdr-file-errors"),
    path("usage/files/<int:pk>/remove/", FileRemove.as_view(), name="cdr-file-remove"),
]
