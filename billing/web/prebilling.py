"""The pre-billing report of a run: what its checks found by level, the rows of each, and letting rows pass."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.billrun.prebilling import (
    FAMILY,
    OPEN_RUN,
    AcceptRefused,
    accept,
    findings,
    look_if_changed,
    take_back,
    with_acceptance,
)
from billing.checks.registry import CHECKS, of_family
from billing.models import BillingRun, Finding
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import DASH
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.navigation import address
from resellerkpi.ui.tables import mark
from resellerkpi.ui.templatetags.ui import moment, money
from resellerkpi.ui.views import Page

SHOWN = 200
LEVELS = (
    (Finding.Level.ERROR, "Errors", "They stop the run until each is mended or accepted with a reason."),
    (Finding.Level.WARNING, "Warnings", "The bills can be made, but money may be missing: look first."),
    (Finding.Level.INFORMATION, "Information", "Nothing is wrong; good to know before the bills go out."),
)
State = Finding.State


class AcceptFields(forms.Form):
    """Which findings pass, why and how long."""

    findings = forms.TypedMultipleChoiceField(
        coerce=int, required=False, label="Rows", error_messages={"invalid_choice": "A ticked row is gone."}
    )
    every = forms.BooleanField(required=False, label="All rows of this check, ticked or not")
    reason = forms.CharField(
        max_length=300,
        label="Why they may pass",
        help_text="Kept with your name and the time.",
        error_messages={"required": "Say why they may pass."},
    )
    until = forms.DateField(
        widget=DayInput(), required=False, label="Accepted until",
        help_text="The same rows pass in later runs too, up to the day before. Left empty, for this run only.",
    )  # fmt: skip

    def __init__(self, *args: Any, rows: Iterable[int], opening: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = not opening
        self.fields["findings"].choices = [(pk, str(pk)) for pk in rows]  # type: ignore[attr-defined]  # a choice field

    def clean(self) -> dict[str, Any]:
        """Ask for a row."""
        chosen = super().clean() or {}
        if not self.errors and not chosen.get("findings") and not chosen.get("every"):
            self.add_error("findings", "Tick the rows that are meant.")
        return chosen


class ReportPage(Page):
    """A page of a run's report; a run that is not billed is looked at again when something changed."""

    capability = Capability.BILL
    run: BillingRun

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Note the time of the visit."""
        self.now = timezone.now()
        return super().dispatch(request, *args, **kwargs)

    def look(self) -> None:
        """Find the run and see that its findings are those of now."""
        self.run = find(BillingRun, self.kwargs["pk"], "reseller")
        look_if_changed(self.run, now=self.now)

    @property
    def is_open(self) -> bool:
        """Whether the run's findings can still be accepted."""
        return self.run.state in OPEN_RUN


class PreBilling(ReportPage):
    """The report: checks by level with what they found and the money at stake."""

    template = "billing/prebilling.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what was found, and which checks found nothing."""
        self.look()
        self.title = f"Before billing {self.run}"
        looked = f" Looked at on {moment(self.run.looked_at, self.reseller)}." if self.run.looked_at else ""
        self.purpose = f"What the bills of the period depend on, with the money at stake.{looked}"
        self.back = (self.run.name, reverse("run", args=[self.run.pk]))
        rows = list(findings(self.run).order_by("check_slug", "pk"))
        by_check: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for row in rows:
            by_check[row.level, row.check_slug].append(row)
        levels = [
            {"code": level, "label": label, "meaning": meaning, "checks": checks}
            for level, label, meaning in LEVELS
            if (checks := self.checks(level, by_check))
        ]
        told = {slug for _, slug in by_check}
        quiet = [one for one in of_family(FAMILY) if one.slug not in told]
        return self.render({"run": self.run, "levels": levels, "quiet": quiet})

    def checks(self, level: str, found: dict[tuple[str, str], list[Finding]]) -> list[dict[str, Any]]:
        """Return the checks that found something of a level, those with the most open first."""
        shown = [self.shown(slug, rows) for (of_level, slug), rows in found.items() if of_level == level]
        return sorted(shown, key=lambda row: (-row["open"], row["name"]))

    def shown(self, slug: str, rows: list[Finding]) -> dict[str, Any]:
        """Return a check as the template needs it."""
        accepted = sum(row.state == State.ACCEPTED for row in rows)
        return {
            "name": CHECKS.get(slug).name if slug in CHECKS else rows[0].check_slug,
            "url": reverse("run-prebilling-check", args=[self.run.pk, slug]),
            "found": len(rows),
            "open": len(rows) - accepted,
            "accepted": accepted,
            "monthly": sums((row.money_per_month, row.currency) for row in rows),
            "to_date": sums((row.money_to_date, row.currency) for row in rows),
            "mark": stands(rows[0].level, len(rows) - accepted),
        }


class PreBillingCheck(ReportPage):
    """The rows of one check, each leading to the page that mends it; rows can be let pass with a reason."""

    template = "billing/prebilling_check.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the rows."""
        found = self.rows()
        return self.show(found, AcceptFields(rows=found.values_list("pk", flat=True)))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Accept the chosen rows, or open accepted ones again."""
        found = self.rows()
        opening = request.POST.get("do") == "open"
        form = AcceptFields(request.POST, rows=found.values_list("pk", flat=True), opening=opening)
        if not self.is_open:
            form.add_error(None, "The bills of this run are made: its report stays as it was.")
        elif form.is_valid():
            chosen = form.cleaned_data
            if not chosen["every"]:
                found = found.filter(pk__in=chosen["findings"])
            try:
                messages.success(request, self.act(found, request.POST.get("do", ""), chosen))
            except AcceptRefused as refused:
                form.add_error(refused.field, str(refused))
            else:
                return HttpResponseRedirect(request.path)
        return self.show(self.rows(), form, status=422)

    def act(self, found: QuerySet[Finding], do: str, chosen: dict[str, Any]) -> str:
        """Accept or open rows and return what was done in words."""
        if do == "open":
            count = take_back(self.run, found, now=self.now)
            return f"{count} row{' is' if count == 1 else 's are'} open again."
        count = accept(self.run, found, reason=chosen["reason"], until=chosen["until"], now=self.now)
        return f"{count} row{' is' if count == 1 else 's are'} accepted."

    def rows(self) -> QuerySet[Finding]:
        """Find the run and the check, and return its rows, the open ones first."""
        slug = self.kwargs["slug"]
        if slug not in CHECKS or CHECKS.get(slug).family != FAMILY:
            raise Http404
        self.look()
        check = CHECKS.get(slug)
        self.title, self.purpose = check.name, check.about
        self.back = (f"Before billing {self.run}", reverse("run-prebilling", args=[self.run.pk]))
        return findings(self.run).filter(check_slug=slug).order_by("-state", "label", "pk")

    def show(self, found: QuerySet[Finding], form: AcceptFields, *, status: int = 200) -> HttpResponse:
        """Render the rows with the form."""
        total = found.count()
        ticked = set(form.data.getlist("findings")) if form.is_bound else set()  # type: ignore[attr-defined]  # a QueryDict
        rows = [self.shown(row, str(row.pk) in ticked) for row in with_acceptance(found)[:SHOWN]]
        context = {
            "form": form,
            "rows": rows,
            "total": total,
            "more": max(total - SHOWN, 0),
            "may_accept": self.is_open,
            "some_accepted": any(row["accepted"] for row in rows),
        }
        return self.render(context, status=status)

    def shown(self, row: Any, chosen: bool) -> dict[str, Any]:
        """Return a row as the template needs it."""
        query = f"?{row.page_query}" if row.page_query else ""
        where = address(row.page, *row.page_args) if row.page else ""
        return {
            "pk": row.pk,
            "label": row.label,
            "why": row.why,
            "monthly": amount(row.money_per_month, row.currency),
            "to_date": amount(row.money_to_date, row.currency),
            "mark": stands(row.level, int(row.state == State.OPEN)),
            "accepted": self.acceptance(row) if row.state == State.ACCEPTED else "",
            "url": where + query if where else "",
            "chosen": chosen,
        }

    def acceptance(self, row: Any) -> str:
        """Say who accepted a row when, why and how long."""
        who = f" by {row.accepted_by}" if row.accepted_by else ""
        when = f" on {moment(row.accepted_at, self.reseller)}" if row.accepted_at else ""
        how_long = row.accepted_for
        return f"{row.accepted_reason} ({how_long[0].lower()}{how_long[1:]}{who}{when})"


def stands(level: str, still_open: int) -> str:
    """Return the mark of what is open of a level, or of what is all accepted."""
    if not still_open:
        return mark("done", "Accepted")
    return {
        Finding.Level.ERROR: mark("error", "Stops the run"),
        Finding.Level.WARNING: mark("pending", "Look"),
    }.get(Finding.Level(level), mark("quiet", "For information"))


def amount(value: Decimal | None, currency: str) -> str:
    """Return an amount with its currency, a dash for none."""
    return DASH if value is None else money(value, currency)


def sums(amounts: Iterable[tuple[Decimal | None, str]]) -> str:
    """Return the sum of each currency, "" when nothing is known; currencies are never added up."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for value, currency in amounts:
        if value is not None:
            found[currency] += value
    return ", ".join(money(value, currency) for currency, value in sorted(found.items()))


urls: Sequence[URLPattern] = [
    path("billing/runs/<int:pk>/pre-billing/", PreBilling.as_view(), name="run-prebilling"),
    path(
        "billing/runs/<int:pk>/pre-billing/<slug:slug>/",
        PreBillingCheck.as_view(),
        name="run-prebilling-check",
    ),
]
