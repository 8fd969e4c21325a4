"""Saved queries: kept from a form's address, opened, changed, deleted."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from reports import saved
from reports.filters import FREE, ReportFilters
from reports.models import SavedQuery
from reports.registry import REPORTS
from reports.run import BadQuery, query
from reports.web.query import address, find_report, given, person
from resellerkpi.core.access import Capability
from resellerkpi.ui.views import FormPage, Page


class NameForm(forms.Form):
    """The name of a query, and whether colleagues find it."""

    name = forms.CharField(label="Name", max_length=80)
    is_shared = forms.BooleanField(
        required=False,
        label="Share with colleagues",
        help_text="Everybody here who may run the report finds it; each sees what their role may see.",
    )


class SaveQuery(FormPage):
    """Keeps the query of an address under a name."""

    capability = Capability.RUN_REPORTS
    form_class = NameForm
    title = "Save this query"
    submit = "Save"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Lead back to the form, which says what is wrong with a query that nobody can mean."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except BadQuery:
            return redirect(address(kwargs["slug"], self.params, output="web"))

    def form_kwargs(self) -> dict[str, Any]:
        """Check the query before anything is asked."""
        self.report = find_report(self.kwargs["slug"], self.scope)
        self.params = given(self.request.GET)
        self.cancel_url = address(self.report.slug, self.params)
        self.back = (self.report.name, self.cancel_url)
        f = query(self.report, saved.split(self.params)[0], now=timezone.now())
        known = {*f.fields, *saved.VIEW}
        self.params = {name: values for name, values in self.params.items() if name in known}
        self.purpose = f"{self.report.name}: {_in_words(f)}"
        return {}

    def save(self, form: NameForm) -> str:
        """Keep it and go back to it."""
        user = person(self.request)
        if user is None:
            raise PermissionDenied
        kept = saved.save(
            self.report, params=self.params, owner_id=user.pk, now=timezone.now(), **form.cleaned_data
        )
        messages.success(self.request, f"The query is saved as “{kept.name}”.")
        return self.cancel_url


def _in_words(f: ReportFilters) -> str:
    """Return the query as one line; a relative interval is said to move on."""
    (_, when), *rest = f.words()
    name = f.cleaned_data.get("period")
    if name not in (None, FREE):
        when = f"{name.replace('_', ' ')}, moving on with the calendar"
    return "; ".join([when, *(f"{label} {value}" for label, value in rest)])


class OpenQuery(Page):
    """Leads to the form a saved query fills in."""

    capability = Capability.RUN_REPORTS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Note that it is used and go on to the form."""
        kept = find_query(self)
        SavedQuery.objects.filter(pk=kept.pk).update(used_at=timezone.now())
        return redirect(address(kept.report, kept.params | kept.view))


class ChangeQuery(FormPage):
    """Renames a query, shares it or no longer."""

    capability = Capability.RUN_REPORTS
    form_class = NameForm
    submit = "Save"

    def form_kwargs(self) -> dict[str, Any]:
        """Fill in what it is called."""
        self.kept = find_query(self, own=True)
        self.title = self.kept.name
        self.purpose = f"A saved query of the report {REPORTS.get(self.kept.report).name}."
        self.back = ("Reports", reverse("report-list"))
        self.cancel_url = reverse("report-list")
        return {"initial": {"name": self.kept.name, "is_shared": self.kept.is_shared}}

    def save(self, form: NameForm) -> str:
        """Write it down."""
        saved.change(self.kept, **form.cleaned_data)
        messages.success(self.request, f"The query “{self.kept.name}” is changed.")
        return reverse("report-list")


class DeleteQuery(FormPage):
    """Forgets a query."""

    capability = Capability.RUN_REPORTS
    form_class = forms.Form
    submit = "Delete the query"

    def form_kwargs(self) -> dict[str, Any]:
        """Say what is lost."""
        self.kept = find_query(self, own=True)
        self.title = f"Delete “{self.kept.name}”"
        self.danger = (
            "Colleagues will not find it any more; results made with it stay."
            if self.kept.is_shared
            else "Results made with it stay."
        )
        self.back = ("Reports", reverse("report-list"))
        self.cancel_url = reverse("report-list")
        return {}

    def save(self, form: forms.Form) -> str:
        """Forget it."""
        saved.remove(self.kept)
        messages.success(self.request, f"The query “{self.kept.name}” is deleted.")
        return reverse("report-list")


def find_query(page: Page, *, own: bool = False) -> SavedQuery:
    """Return a query the reader finds; raises Http404, or PermissionDenied for a colleague's that is to be changed."""
    user = person(page.request)
    kept = saved.readable(user.pk if user else None).filter(pk=page.kwargs["pk"]).first()
    if kept is None:
        raise Http404
    if own and (user is None or kept.owner_id != user.pk):
        raise PermissionDenied
    return kept
