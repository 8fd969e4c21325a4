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
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import visible
from resellerkpi.core.models import User
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
        self.report = self.find(kwargs["slug"])
        self.title, self.purpose = self.report.name, self.report.purpose
        self.back = ("Reports", reverse("report-list"))
        params = given(request.GET)
        form = self.report.Filters(params, reseller=self.reseller, now=timezone.now())
        output = request.GET.get("output", "")
        if output in OUTPUTS and form.is_valid():
            made = start(self.report, params, now=form.now, user=person(request))
            return follow(made, output)
        return self.render(self.form_context(form, asked=bool(output)), status=422 if output else 200)

    def find(self, slug: str) -> Report:
        """Return the report; 404 for none, 403 for one that shows what the role may not see."""
        if slug not in REPORTS:
            raise Http404
        report = REPORTS.get(slug)
        if not allowed(report, self.scope):
            raise PermissionDenied
        return report

    def form_context(self, form: ReportFilters, *, asked: bool) -> dict[str, Any]:
        """Return the form in its parts (interval, filters, groups and comparison), and what each column means."""
        interval = [form[name] for name in form.fields if name in INTERVAL]
        shape = [form[name] for name in form.fields if name in OPTIONS]
        rest = [form[name] for name in form.fields if name not in (*INTERVAL, *OPTIONS)]
        return {
            "form": form,
            "asked": asked,
            "interval": interval,
            "shape": shape,
            "rest": rest,
            "outputs": OUTPUTS,
            "columns": [c for c in visible(self.report.columns, self.scope.capabilities) if c.help],
        }


def person(request: HttpRequest) -> User | None:
    """Return who asks."""
    return request.user if isinstance(request.user, User) else None


def given(query: QueryDict) -> dict[str, list[str]]:
    """Return an address's parameters without what is not the query's own."""
    return {name: query.getlist(name) for name in query if name != "output"}


def address(slug: str, params: Mapping[str, Sequence[str]], **more: str) -> str:
    """Return the address of a query."""
    return f"{reverse('report', args=[slug])}?{urlencode({**params, **more}, doseq=True)}"


def follow(made: Run, output: str) -> HttpResponse:
    """Go on to the result, its file, or the job that makes it."""
    if not made.is_ready and made.job is not None:
        return job_redirect(made.job)
    if output in FORMATS:
        return redirect("run-export", pk=made.pk, kind=output)
    return redirect("run-result", pk=made.pk)
