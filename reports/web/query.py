"""The form of a report; an address with `output` runs it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from reports.filters import INTERVAL, OPTIONS, ReportFilters
from reports.models import Run
from reports.registry import REPORTS
from reports.render import FORMATS
from reports.report import Report
from reports.run import allowed, start
from reports.saved import readable, split
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import visible
from resellerkpi.core.models import User
from resellerkpi.core.scope import Scope
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.views import Page

OUTPUTS = {
    "web": "On screen",
    "csv": "CSV",
    "xlsx": "Spreadsheet (XLSX)",
    "xls": "Old spreadsheet (XLS)",
    "json": "JSON",
}


class Query(Page):
    """Asks what a report needs to know; the address holds the whole query, so that a bookmark reproduces it."""

    capability = Capability.RUN_REPORTS
    template = "reports/query.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, or run a good query when the address names an output."""
        self.report = find_report(kwargs["slug"], self.scope)
        self.title, self.purpose = self.report.name, self.report.purpose
        self.back = ("Reports", reverse("report-list"))
        query, view = split(given(request.GET))
        form = self.report.Filters(query, reseller=self.reseller, now=timezone.now())
        output = request.GET.get("output", "")
        if output in OUTPUTS and form.is_valid():
            then = self.then(output, view)
            made = start(self.report, query, now=form.now, user=person(request), then=then)
            return self.follow(made, then)
        context = self.form_context(form, asked=bool(output)) | {"view": view, "output": output}
        return self.render(context, status=422 if output else 200)

    def follow(self, made: Run, then: str) -> HttpResponse:
        """Go on to the result, its file or mail, or the job that makes it and leads there."""
        if not made.is_ready and made.job is not None:
            return job_redirect(made.job)
        return redirect(reverse("run-result", args=[made.pk]) + then)

    def then(self, output: str, view: Mapping[str, Sequence[str]]) -> str:
        """Return what follows the result's address: how it is shown, a file, or the mail it is sent by."""
        to = self.request.GET.get("send_to", "")
        if to and self.scope.can(Capability.SHARE):
            return f"mail/?{urlencode({'to': to, 'formats': output})}"
        shown = f"?{urlencode(view, doseq=True)}" if view else ""
        return f"export.{output}{shown}" if output in FORMATS else shown

    def form_context(self, form: ReportFilters, *, asked: bool) -> dict[str, Any]:
        """Return the form in its parts (interval, filters, groups and comparison), and what each column means."""
        interval = [form[name] for name in form.fields if name in INTERVAL]
        shape = [form[name] for name in form.fields if name in OPTIONS]
        asked_always = [form[name] for name in form.fields if name in form.always]
        rest = [form[name] for name in form.fields if name not in (*INTERVAL, *OPTIONS, *form.always)]
        user = person(self.request)
        return {
            "form": form,
            "asked": asked,
            "saved": readable(user.pk if user else None).filter(report=self.report.slug),
            "may_share": self.scope.can(Capability.SHARE),
            "send_to": self.request.GET.get("send_to", ""),
            "interval": interval,
            "shape": shape,
            "first": asked_always,
            "rest": rest,
            "outputs": OUTPUTS,
            "columns": [c for c in visible(self.report.columns, self.scope.capabilities) if c.help],
        }


def find_report(slug: str, scope: Scope) -> Report:
    """Return the report; 404 for none, 403 for one that shows what the role may not see."""
    if slug not in REPORTS:
        raise Http404
    report = REPORTS.get(slug)
    if not allowed(report, scope):
        raise PermissionDenied
    return report


def person(request: HttpRequest) -> User | None:
    """Return who asks."""
    return request.user if isinstance(request.user, User) else None


def given(query: QueryDict) -> dict[str, list[str]]:
    """Return an address's parameters without what is not the query's own."""
    return {name: query.getlist(name) for name in query if name not in ("output", "send_to")}


def address(slug: str, params: Mapping[str, Sequence[str]], **more: str) -> str:
    """Return the address of a query."""
    return f"{reverse('report', args=[slug])}?{urlencode({**params, **more}, doseq=True)}"
