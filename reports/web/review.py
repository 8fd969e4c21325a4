"""The pages of the monthly review: the year at a glance, a month, a week."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.http import Http404
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.models import Finding
from kpis.kpi import KPIS
from kpis.words import NOT_AVAILABLE, shown
from reports.models import ReviewAction
from reports.reviewing import days
from reports.reviewing.checks import family_of
from reports.reviewing.days import Week
from reports.reviewing.look import WeekLook, look_at
from reports.reviewing.signed import as_signed
from reports.reviewing.steps import HOUR, WEEKS
from reports.web.query import address
from reports.web.review_forms import MarkForm, people
from resellerkpi.core.access import Capability
from resellerkpi.core.periods import BadPeriod, add_months, parse_month
from resellerkpi.ui.panels import Action
from resellerkpi.ui.views import Page, whole


def asked_month(page: Page) -> date:
    """Return the month of the address; raises Http404 for none, or one beyond next year's."""
    try:
        month = parse_month(page.kwargs["month"], page.reseller.zone).start
    except BadPeriod:
        raise Http404 from None
    if not 2000 <= month.year <= page.today.year + 1:
        raise Http404
    return month


def asked_week(page: Page, *, whole: bool = False) -> Week:
    """Return the week of the address; raises Http404."""
    month, number = asked_month(page), page.kwargs["week"]
    if number not in WEEKS:
        raise Http404
    return days.weeks_of([month], page.today, whole=whole)[month][number - 1]


class Year(Page):
    """A year of reviews: four weeks a month, signed, missed or to come."""

    capability = Capability.VIEW_REVIEW
    title = "Monthly review"
    purpose = "An hour a month, in four weeks: bills, customers, opportunities, cash."
    template = "reports/review_year.html"

    def get_context(self) -> dict[str, Any]:
        """Return the months of the year and the week whose turn it is."""
        today = self.today
        year = whole(self.request.GET.get("year"), today.year)
        year = min(max(year, 2000), today.year + 1)
        months = [date(year, n, 1) for n in range(1, 13)]
        this = today.replace(day=1)
        found = days.weeks_of({*months, this}, today)
        rows = [(month, found[month], self.sums(found[month])) for month in months]
        return {
            "year": year,
            "rows": rows,
            "turn": days.turn(found[this]),
            "titles": WEEKS,
            "began": days.first_month() is not None,
            "this": f"{this:%Y-%m}",
            "later": year + 1 if year < today.year else None,
        }

    def sums(self, weeks: Sequence[Week]) -> dict[str, Any]:
        """Return how many weeks of a month were on time, of how many that are over, and the minutes spent."""
        over = [w for w in weeks if w.standing in ("signed", "late", "missed", "overdue")]
        signed = [w.signed for w in over if w.signed]
        return {
            "over": len(over),
            "on_time": sum(w.standing == "signed" for w in over),
            "minutes": sum(s.minutes for s in signed),
            "signed": len(signed),
        }


class Month(Page):
    """A month's review: its four weeks with their steps, and the actions it follows up."""

    capability = Capability.VIEW_REVIEW
    template = "reports/review_month.html"

    def get_context(self) -> dict[str, Any]:
        """Return the weeks as they stand."""
        month, now = asked_month(self), timezone.now()
        self.title, self.back = f"Review of {month:%B %Y}", ("Monthly review", reverse("review"))
        self.purpose = (
            "Four weeks, an hour in all. Figures are as of now; a signed week keeps them as they were."
        )
        weeks = days.weeks_of([month], self.today, whole=True)[month]
        looks = look_at(weeks, reseller=self.reseller, scope=self.scope, now=now)
        actions = {a.pk: a for look in looks for step in look.steps for a in step.actions}
        return {
            "month": month,
            "looks": looks,
            "titles": WEEKS,
            "today": self.today,
            "hour": HOUR,
            "minutes": sum(look.week.signed.minutes if look.week.signed else look.minutes for look in looks),
            "noted": [told(a, looks[0]) for a in actions.values()],
            "earlier": f"{add_months(month, -1):%Y-%m}",
            "later": f"{add_months(month, 1):%Y-%m}" if month < self.today.replace(day=1) else "",
        }


class WeekPage(Page):
    """One week: each step with its figures, its reports and what people wrote; signed, as it was."""

    capability = Capability.VIEW_REVIEW
    template = "reports/review_week.html"

    def get_context(self) -> dict[str, Any]:
        """Return the steps as they stand, or as they were signed."""
        self.week = week = asked_week(self, whole=True)
        self.title = f"Week {week.number}: {WEEKS[week.number]}"
        self.purpose = f"Review of {week.month:%B %Y}."
        self.back = (f"Review of {week.month:%B %Y}", reverse("review-month", args=[week.key]))
        now = timezone.now()
        shared = {
            "week": week,
            "today": self.today,
            "hour": HOUR,
            "may_work": self.scope.can(Capability.BILL),
        }
        if week.signed is not None:
            steps = as_signed(week.signed, reseller=self.reseller, scope=self.scope, now=now)
            differing = sum(bool(f.now) for step in steps for f in step.figures)
            return {**shared, "kept": steps, "differing": differing}
        look = look_at([week], reseller=self.reseller, scope=self.scope, now=now)[0]
        self.look = look
        return {**shared, "look": look, "steps": self.steps(look), "has_begun": week.standing != "ahead"}

    def register(self, check: str) -> tuple[str, str] | None:
        """Return where the findings of a step's check are worked through, None for who may not."""
        family = family_of(check)
        if family == Finding.Family.LEAKAGE and self.scope.can(Capability.VIEW_MARGIN):
            narrowed = f"?check={check}" if check != family else ""
            return "Leakage register", reverse("leakage") + narrowed
        if family == Finding.Family.WATCH and self.scope.can(Capability.VIEW_USAGE):
            return "Fraud watch", reverse("fraud-watch")
        return None

    def steps(self, look: WeekLook) -> list[dict[str, Any]]:
        """Return each step with its links, its form and its actions."""
        who = people(self.reseller.pk)
        return [
            {
                "look": step,
                "links": [(link.name, address(link.slug, link.params, output="web")) for link in step.links],
                "register": self.register(step.step.check),
                "form": MarkForm(
                    people=who, initial=MarkForm.initial_of(step.mark), auto_id=f"id_{step.step.slug}_%s"
                ),
                "actions": [told(a, look) for a in step.actions],
            }
            for step in look.steps
        ]

    def actions(self) -> Sequence[Action]:
        """Offer signing off, or opening again, to who may."""
        week, args = self.week, [self.week.key, self.week.number]
        if week.signed is not None:
            may = self.scope.can(Capability.MANAGE)
            return [Action("Open again", reverse("review-reopen", args=args))] if may else []
        ready = self.scope.can(Capability.BILL) and self.look.is_ready and week.standing != "ahead"
        return [Action("Sign off", reverse("review-sign", args=args), primary=True)] if ready else []


def told(action: ReviewAction, look: WeekLook) -> dict[str, Any]:
    """Return an action with its KPI's value when it was noted and in the last full month of the review."""
    kpi = KPIS.get(action.kpi) if action.kpi in KPIS and action.kpi in look.figures.visible else None
    found: dict[str, Any] = {"action": action, "kpi": kpi, "carried": action.month != look.week.month}
    if kpi is not None:
        point = look.figures.at(kpi.slug, look.figures.last, currency=action.currency)
        found |= {
            "then": shown(kpi, action.value_then, action.currency),
            "now": shown(kpi, point.value, point.currency) if point else NOT_AVAILABLE,
            "now_month": look.figures.last,
        }
    return found


urlpatterns: list[URLPattern] = [
    path("review/", Year.as_view(), name="review"),
    path("review/<str:month>/", Month.as_view(), name="review-month"),
    path("review/<str:month>/<int:week>/", WeekPage.as_view(), name="review-week"),
]
