"""The result of a run: its table, chart, tie-outs, files and mail; all read from the frozen rows."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from reports import mailing
from reports.charting import chosen, dimensions, draw, measures
from reports.charting import offered as offered_charts
from reports.models import Export, MailDelivery, Run
from reports.packing import unpack_all
from reports.registry import REPORTS
from reports.render import FORMATS, Showing, existing, export, filename, files_made
from reports.run import MOST_AT_ONCE, allowed
from reports.saved import split
from reports.sharing import SHA256, offered
from reports.web.forms import FILES, MailForm
from reports.web.query import address, given
from reports.web.table import PAGE_SIZES, frozen_table
from resellerkpi.core.access import Capability
from resellerkpi.core.artifacts import path_of
from resellerkpi.core.audit import record
from resellerkpi.core.columns import DateTime, Text, visible
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Artifact
from resellerkpi.core.scope import current
from resellerkpi.core.sheets import MEDIA
from resellerkpi.core.xls import TooWide
from resellerkpi.ui.htmx import is_partial, varies
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import ChartPanel, Facts, Panel, TablePanel
from resellerkpi.ui.views import FormPage, Page

DELIVERIES = [
    Text(name="recipient", label="To"),
    Text(name="formats", label="Files"),
    Text(name="outcome", label="Outcome"),
    DateTime(name="at", label="When", sortable=False),
]


def find_run(page: Page, pk: UUID) -> Run:
    """Return a run of the scope that its reader may see; raises Http404 or PermissionDenied."""
    run: Run | None = Run.objects.select_related("artifact", "job", "reseller").filter(pk=pk).first()
    if run is None or run.report not in REPORTS:
        raise Http404
    if not allowed(REPORTS.get(run.report), page.scope):
        raise PermissionDenied
    return run


class Result(Page):
    """Shows a run as it was frozen; sorting, pages and charts ask the database nothing new."""

    capability = Capability.RUN_REPORTS
    template = "reports/result.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the result, or the job that is making it."""
        self.run = run = find_run(self, kwargs["pk"])
        if not run.is_ready and run.job is not None:
            return job_redirect(run.job)
        if not run.is_ready:
            raise Http404
        self.title, self.purpose = run.title, REPORTS.get(run.report).purpose
        self.back = ("Reports", reverse("report-list"))
        showing = showing_of(run, request.GET)
        context = {"table": frozen_table(showing, request.GET), "sizes": PAGE_SIZES, "run": run}
        if is_partial(request, "list"):
            return varies(self.render(context, template="reports/_rows.html"))
        return varies(self.render(context | self.whole(showing)))

    def whole(self, showing: Showing) -> dict[str, Any]:
        """Return what stands around the table."""
        run = showing.run
        _, view = split(given(self.request.GET))
        query = run.params | view
        return {
            "chips": chips(showing, view),
            "warnings": [warning(label, text) for label, text, warns in run.notes if warns],
            "facts": Facts("About this result", showing.about, wide=True),
            "query_url": address(run.report, query),
            "again_url": address(run.report, query, output="web"),
            "save_url": f"{reverse('report-save', args=[run.report])}?{urlencode(query, doseq=True)}",
            "formats": [(kind, export_url(showing, kind)) for kind in FORMATS],
            "may_share": self.scope.can(Capability.SHARE),
            "definitions": [c for c in showing.columns if c.help],
            "deliveries": deliveries(run),
            **checked(showing, self.request.GET.get("sha", "")),
            "all_columns": visible(unpack_all(run.columns), self.scope.capabilities),
            "shown": {c.name for c in showing.columns},
            "kept_by_columns": kept(self.request.GET, "col", "page"),
            "kept_by_chart": kept(self.request.GET, "chart", "type", "x", "y", "series", "page"),
            **self.drawn(Showing(run)),
        }

    def drawn(self, showing: Showing) -> dict[str, Any]:
        """Return the chart of the address, and what else can be drawn."""
        run = showing.run
        charts = offered_charts(REPORTS.get(run.report).charts, showing.columns, run.keys)
        preset = chosen(self.request.GET, charts, showing.columns)
        return {
            "presets": charts,
            "chart": chart_panel(showing, preset) if preset else None,
            "blank": preset.chart if preset and preset.slug == "blank" else None,
            "dimensions": dimensions(showing.columns),
            "measures": measures(showing.columns),
        }


def checked(showing: Showing, sha: str) -> dict[str, Any]:
    """Return the files made of what is shown with their SHA-256, and whether one asked about is a file of the run."""
    asked = sha.strip()[:80]
    made = Export.objects.filter(run=showing.run, artifact__sha256=asked.lower())
    known = made.select_related("artifact").first() if SHA256.fullmatch(asked) else None
    return {
        "files": files_made(showing),
        "asked_sha": asked,
        "known_sha": known.artifact.name.rpartition(".")[2] if known else "",
    }


def kept(query: QueryDict, *without: str) -> list[tuple[str, str]]:
    """Return an address's parameters that a form of the page must carry along."""
    return [(name, value) for name, values in query.lists() if name not in without for value in values]


def showing_of(run: Run, query: QueryDict) -> Showing:
    """Return what an address shows of a run: the columns it names (the first always), in its order."""
    wanted = set(query.getlist("col"))
    columns = visible(unpack_all(run.columns), current().capabilities)
    named = [c.name for n, c in enumerate(columns) if n == 0 or c.name in wanted]
    usual = [c.name for c in columns if not c.hidden]
    names = tuple(named) if len(named) > 1 and named != usual else None
    return Showing(run, names, query.get("sort", ""))


def export_url(showing: Showing, kind: str) -> str:
    """Return where a file of what is displayed is found."""
    view = {"col": showing.names or (), "sort": [showing.sort] if showing.sorted_by else ()}
    query = urlencode(view, doseq=True)
    address_ = reverse("run-export", args=[showing.run.pk, kind])
    return f"{address_}?{query}" if query else address_


def chips(showing: Showing, view: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]]:
    """Return the filters in force as (label, words, address of the query without it; "" for the interval)."""
    run, allowed_labels = showing.run, dict(showing.filters)
    found = []
    for label, words, _, *name in run.filters:
        if label not in allowed_labels:
            continue
        rest = {k: v for k, v in run.params.items() if k not in name}
        gone = address(run.report, {**rest, **view}, output="web") if name and name[0] in run.params else ""
        found.append((label, words, gone))
    return found


def chart_panel(showing: Showing, preset: Any) -> ChartPanel:
    """Draw a chart from the frozen rows."""
    run = showing.run
    days = (run.period_end - run.period_start).days if run.period_start and run.period_end else 0
    drawing = draw(preset, showing.frozen, showing.columns, days=days)
    return ChartPanel(drawing.chart.title, drawing.chart, drawing.rows, drawing.columns, note=drawing.note)


def deliveries(run: Run) -> Panel | None:
    """Return to whom a run was mailed, None for nobody."""
    rows = [
        {
            "pk": sent.pk,
            "recipient": sent.recipient,
            "formats": sent.formats.upper() or "None",
            "outcome": f"{sent.get_state_display()}{f': {sent.error}' if sent.error else ''}",
            "at": (sent.sent_at or sent.asked_at).astimezone(run.reseller.zone),
        }
        for sent in MailDelivery.objects.filter(run=run).order_by("-asked_at", "pk")[:50]
    ]
    return TablePanel("Mailed to", DELIVERIES, rows) if rows else None


class ExportFile(Page):
    """Downloads a run as displayed; a large one is made by a job first."""

    capability = Capability.RUN_REPORTS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Send the file."""
        run, kind = find_run(self, kwargs["pk"]), kwargs["kind"]
        if kind not in FORMATS or not run.is_ready:
            raise Http404
        showing = showing_of(run, request.GET)
        if existing(showing, kind) is None and run.row_count > MOST_AT_ONCE:
            sort, names = showing.sort if showing.sorted_by else "", showing.names
            params = {"run": str(run.pk), "kind": kind, "sort": sort, "names": list(names) if names else None}
            back = reverse("run-result", args=[run.pk])
            return job_redirect(
                enqueue("reports.export", params, title=f"{kind.upper()}: {run.title}", back_url=back)
            )
        try:
            artifact = export(showing, kind)
        except TooWide as wide:
            messages.error(request, str(wide))
            return redirect("run-result", pk=run.pk)
        record("Report exported", run.title, run=run.pk, kind=kind, rows=run.row_count)
        return download(artifact, run, kind)


def download(artifact: Artifact, run: Run, kind: str) -> FileResponse:
    """Send a stored file of a run."""
    response = FileResponse(path_of(artifact).open("rb"), as_attachment=True, filename=filename(run, kind))
    response["Content-Type"] = MEDIA[kind]
    return response


class MailPage(FormPage):
    """Sends a run to several addresses."""

    capability = Capability.SHARE
    form_class = MailForm
    template = "reports/mail.html"
    title = "Send by mail"
    submit = "Send"

    def form_kwargs(self) -> dict[str, Any]:
        """Offer the columns the sender may share."""
        self.run = find_run(self, self.kwargs["pk"])
        if not self.run.is_ready:
            raise Http404
        self.cancel_url = reverse("run-result", args=[self.run.pk])
        self.back = (self.run.title, self.cancel_url)
        self.purpose = "Everybody gets a mail of their own with the first rows, the totals and the files."
        asked = self.request.GET
        initial: dict[str, Any] = {"to": asked["to"]} if asked.get("to") else {}
        if asked.get("formats") in dict(FILES):
            initial["formats"] = [asked["formats"]]
        return {"offered": offered(self.run), "initial": initial}

    def save(self, form: MailForm) -> HttpResponse:
        """Hand the sending to a job."""
        data = form.cleaned_data
        job = mailing.ask(
            self.run,
            to=data["to"],
            formats=data["formats"],
            names=data["columns"],
            note=data["note"],
            now=timezone.now(),
        )
        messages.success(self.request, f"The mail goes to {len(data['to'])} people.")
        return job_redirect(job)


def warning(label: str, text: str) -> str:
    """Return a note of a run as a sentence; amounts without a good rate are marked in their rows."""
    return f"{label}: {text}. They are marked in their rows." if label == "Amounts" else f"{label}: {text}"
