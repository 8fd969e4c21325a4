"""Campaigns: what each cost and won; one campaign by month; the funnel from a visit to the first invoice."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from billing.models import Customer
from kpis.campaigns import STEPS, Tally, funnel, points_by, sources, tallies, totals
from kpis.facts import months_between
from kpis.jobs import ask_for_refresh
from kpis.models import Campaign
from kpis.reading import Reader
from kpis.web.columns import Month
from resellerkpi.core import audit
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Line
from resellerkpi.core.columns import SUM, Choice, Code, Column, Int, Money, Percent, Text
from resellerkpi.core.periods import BadPeriod, add_months, parse_month
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import Action, ChartPanel, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.views import FormPage, Page

MOST = 60
NOTE = (
    "Each step by its own month: an order may follow a visit of a month before. A step nobody entered is left out;"
    " orders of customers you have already are in it where they were entered."
)
RETURN = "(gross profit of the customers it won − cost) ÷ cost, in these months"
FIGURES: tuple[Column, ...] = (
    Money(name="campaign_spend", label="Cost"),
    Int(name="impressions", label="Impressions"),
    Int(name="clicks", label="Clicks"),
    Percent(name="ctr", label="Click-through"),
    Int(name="leads", label="Leads"),
    Int(name="orders", label="Orders"),
    Int(name="accounts_won", label="Customers won"),
    Percent(name="conversion", label="Leads won", help="Customers won ÷ leads."),
    Money(name="cac", label="Cost per customer"),
    Money(name="campaign_revenue", label="Revenue", help="Of the customers it ever won, in these months."),
    Percent(name="roi", label="Return", decimals=0, help=RETURN),
)


class MonthsPage(Page):
    """A page over some months, those of the address or the last twelve closed ones."""

    template = "ui/detail.html"
    dimensions: Sequence[tuple[str, str]] = ()

    def reader(self) -> Reader:
        """Return a reader of the KPIs for who looks."""
        return Reader(self.reseller, self.scope, timezone.now())

    def months(self) -> tuple[list[date], str]:
        """Return the months asked for, and why others are shown when they make no sense."""
        open_month = self.today.replace(day=1)
        usual = [add_months(open_month, i - 12) for i in range(12)]
        told = self.request.GET
        if not (told.get("from") or told.get("to")):
            return usual, ""
        try:
            first, last = (parse_month(told.get(n, ""), self.reseller.zone).start for n in ("from", "to"))
        except BadPeriod as bad:
            return usual, str(bad)
        found = months_between(first, min(last, open_month))
        if not 0 < len(found) <= MOST:
            return usual, f"Choose 1 to {MOST} months, the first before the last."
        return found, ""

    def chooser(self, months: Sequence[date], problem: str, by: str = "") -> HtmlPanel:
        """Return the form that chooses months."""
        told = {
            "first": f"{months[0]:%Y-%m}",
            "last": f"{months[-1]:%Y-%m}",
            "by": by,
            "dimensions": self.dimensions,
            "required": True,
            "problem": problem,
        }
        return HtmlPanel("kpis/_choose.html", told)


class CampaignList(MonthsPage):
    """What each campaign cost and won."""

    capability = Capability.VIEW_MARGIN
    title = "Campaigns"
    purpose = "What each campaign cost, who came of it, and whether it is worth running again."

    def get_context(self) -> dict[str, Any]:
        """Return the table over the months asked for."""
        months, problem = self.months()
        found, named = tallies(self.reader(), months), sources()
        rows = [t.row(named.get(t.name, "")) for t in found]
        for row in rows:
            row["url"] = one_url(str(row["name"]))
        table = HtmlPanel(
            "kpis/_campaigns.html",
            {"rows": rows, "empty": EmptyState("No campaign is named on a customer or in marketing figures.",
             "Enter marketing cost", reverse("observation-enter", args=["marketing_spend"]))},
            "In these months",
        )  # fmt: skip
        return {"panels": [self.chooser(months, problem), table], "back": ("KPIs", reverse("kpi-list"))}

    def actions(self) -> Sequence[Action]:
        """Lead to the funnel."""
        return (Action("Funnel", reverse("funnel")),)


def one_url(name: str) -> str:
    """Return where a campaign's page is."""
    return reverse("campaign", args=[name])


class CampaignPage(MonthsPage):
    """One campaign: what it came to, by month, and the customers it won."""

    capability = Capability.VIEW_MARGIN
    purpose = "What the campaign cost and won, by month, and its customers."

    def get_context(self) -> dict[str, Any]:
        """Return the panels; a campaign nobody names is not found."""
        name = self.kwargs["name"]
        known = Campaign.objects.filter(name=name).first()
        won = Customer.objects.filter(campaign=name, is_test=False)
        reader, (months, problem) = self.reader(), self.months()
        mine = [t for t in tallies(reader, months) if t.name == name]
        if not (known or mine or won.exists()):
            raise Http404
        panels: list[Panel] = [_summary(known, t) for t in mine or [Tally(name, "")]]
        rows = by_month(reader, months, name)
        columns = [Month(name="month", label="Month"), *FIGURES]
        chart = Line(x="month", y=("campaign_spend", "campaign_revenue"), title="Cost and revenue by month")
        panels += [
            ChartPanel("Cost and revenue", chart, rows, [columns[0], FIGURES[0], FIGURES[9]]),
            TablePanel("By month", columns, rows[::-1]),
            TablePanel("Customers it won", CUSTOMERS, won.order_by("-pk").values(*WANTED),
                       row_url="customer", limit=50),
        ]  # fmt: skip
        return {
            "panels": panels,
            "title": name,
            "back": ("Campaigns", reverse("campaign-list")),
            "problem": problem,
        }

    def actions(self) -> Sequence[Action]:
        """Offer to say where its people come from."""
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        return (Action("Source and dates", reverse("campaign-edit", args=[self.kwargs["name"]])),)


WANTED = ("pk", "name", "code", "status")
CUSTOMERS = (
    Text(name="name", label="Customer"),
    Code(name="code", label="Account"),
    Choice(name="status", label="Status", choices=tuple(Customer.Status.choices)),
)


def _summary(known: Campaign | None, tally: Tally) -> Facts:
    row = tally.row(known.source if known else "")
    items = [(c.title, c.display(row)) for c in FIGURES if row.get(c.name) is not None]
    profit = row["campaign_profit"]
    more = [("Gross profit", Money(name="campaign_profit").display(row))] if profit is not None else []
    shown = Percent(name="roi_revenue", decimals=0).display(row)
    return Facts(
        f"In these months{', ' + tally.currency if tally.currency else ''}",
        [
            ("Source", row["source"] or "Not said"),
            *items,
            *more,
            ("Return by revenue", shown),
            ("Return is", RETURN),
        ],
        wide=True,
    )


def by_month(reader: Reader, months: Sequence[date], name: str) -> list[dict[str, Any]]:
    """Return a campaign's figures month by month, in the reseller's own currency."""
    home = reader.reseller.currency
    slugs = ("campaign_spend", "campaign_revenue", "campaign_profit", "impressions", "clicks", "leads", "orders",
             "accounts_won")  # fmt: skip
    found = points_by(reader, slugs, months, "campaign")
    told: dict[date, Tally] = {month: Tally(name, home) for month in months}
    for slug, points in found.items():
        for p in points:
            if p.key == name and p.currency in ("", home) and p.numerator is not None:
                told[p.month].sums[slug] = p.numerator
    return [{**tally.row(""), "month": month} for month, tally in told.items()]


class CampaignFields(forms.Form):
    """Where a campaign's people come from, and when it runs."""

    source = forms.CharField(
        max_length=80,
        required=False,
        help_text="Such as Paid search, Post, Events. Its leads and orders count there.",
    )
    start_date = forms.DateField(required=False, widget=DayInput(), label="First day")
    end_date = forms.DateField(required=False, widget=DayInput(), label="Day after the last one")

    def clean(self) -> dict[str, Any]:
        """Refuse an end that is not after the start."""
        told = super().clean() or {}
        if told.get("start_date") and told.get("end_date") and told["end_date"] <= told["start_date"]:
            self.add_error("end_date", "It must come after the first day.")
        return told


class CampaignEdit(FormPage):
    """Says where a campaign's people come from."""

    capability = Capability.EDIT_BOOK
    form_class = CampaignFields
    title = "Source and dates of a campaign"
    purpose = "The funnel by source counts a campaign's visits, leads, quotes and orders under its source."

    def name(self) -> str:
        """Return the campaign of the address; one nobody names is not found."""
        name: str = self.kwargs["name"]
        if not (
            Campaign.objects.filter(name=name).exists()
            or Customer.objects.filter(campaign=name).exists()
            or any(
                t.name == name
                for t in tallies(Reader(self.reseller, self.scope, timezone.now()), self.known())
            )
        ):
            raise Http404
        return name

    def known(self) -> list[date]:
        """Return the months in which a campaign may be named."""
        return [add_months(self.today.replace(day=1), -i) for i in range(24)]

    def form_kwargs(self) -> dict[str, Any]:
        """Start from what is known."""
        name = self.name()
        self.cancel_url = one_url(name)
        self.back = (name, self.cancel_url)
        row = Campaign.objects.filter(name=name).values("source", "start_date", "end_date").first()
        return {"initial": row or {}}

    def save(self, form: Any) -> str:
        """Keep it and have figures by source made anew."""
        name = self.name()
        kept, _ = Campaign.objects.update_or_create(
            reseller=self.reseller, name=name, defaults=form.cleaned_data
        )
        audit.record(
            "campaign.changed", kept, **{n: str(form.cleaned_data[n] or "") for n in form.changed_data}
        )
        ask_for_refresh({})
        messages.success(self.request, f"{name} is kept.")
        return one_url(name)


class Funnel(MonthsPage):
    """Visits, leads, quotes, orders, first invoices: by source or campaign."""

    capability = Capability.VIEW_KPIS
    title = "Funnel"
    purpose = "From a visit to the first invoice: how many go each step, by source or by campaign."
    dimensions = (("source", "Source"), ("campaign", "Campaign"))

    def get_context(self) -> dict[str, Any]:
        """Return chart and table over the months asked for."""
        (months, problem), reader = self.months(), self.reader()
        by = "campaign" if self.request.GET.get("by") == "campaign" else "source"
        found = funnel(reader, months, by)
        steps = _steps(totals(found))
        period = f"{months[0]:%b %Y} to {months[-1]:%b %Y}"
        many: list[Column] = [Text(name="step", label="Step"), Int(name="count", label="How many")]
        shares = [
            Percent(name="share", label="Of the step before"),
            Percent(name="whole", label="Of the first step", decimals=2),
        ]
        drawn = steps[1:] if _dwarfs(steps) else steps
        bars = Bar(x="step", y=("count",), title="How many went each step")
        left_out = "Visits are too many to draw beside the rest. " if drawn != steps else ""
        chart = ChartPanel(period, bars, drawn, many, note=left_out + NOTE)
        steps_table = TablePanel("Step by step", [*many, *shares], steps)
        rows = [_line(key, row, by) for key, row in found.items()]
        columns: list[Column] = [Text(name="label", label=by.capitalize())]
        columns += [Int(name=slug, label=label, total=SUM) for slug, label in STEPS]
        parts = ("first_invoices", "web_traffic")
        columns.append(Percent(name="whole", label="Visits to first invoice", parts=parts, decimals=2))
        table = TablePanel(
            f"By {by}", columns, rows, empty=EmptyState("Nothing has been counted in these months.")
        )
        return {
            "panels": [self.chooser(months, problem, by), chart, steps_table, table],
            "back": ("KPIs", reverse("kpi-list")),
        }

    def actions(self) -> Sequence[Action]:
        """Lead to where the steps are entered, and to the campaigns."""
        found = []
        if self.scope.can(Capability.VIEW_MARGIN):
            found.append(Action("Campaigns", reverse("campaign-list")))
        if self.scope.can(Capability.IMPORT):
            found.append(Action("Enter figures", reverse("observation-metrics"), primary=True))
        return found


def _dwarfs(steps: Sequence[dict[str, Any]]) -> bool:
    """Say whether the first step is so many more than the second that no other bar could be seen."""
    return len(steps) > 2 and steps[0]["count"] > 20 * steps[1]["count"]


def _steps(sums: Sequence[tuple[str, D | None]]) -> list[dict[str, Any]]:
    """Return the steps with what share of the one before, and of the first, went so far."""
    rows: list[dict[str, Any]] = []
    told = [(label, count) for label, count in sums if count is not None]
    for n, (label, count) in enumerate(told):
        before, first = told[n - 1][1] if n else None, told[0][1]
        rows.append(
            {
                "step": label,
                "count": count,
                "share": count / before if before else None,
                "whole": count / first if n and first else None,
            }
        )
    return rows


def _line(key: str, row: Mapping[str, D | None], by: str) -> dict[str, Any]:
    return {"label": key or f"No {by}", **{slug: row.get(slug) for slug, _ in STEPS}}
