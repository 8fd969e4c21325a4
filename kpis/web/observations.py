"""What billing cannot know: which metrics there are and what is held, entering them, templates, the list of lines."""

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import django_filters
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from billing.models import Observation
from billing.observed import METRICS, Area, Metric, as_chosen
from kpis.jobs import ask_for_refresh
from kpis.kpi import Kpi
from kpis.observing import held, keep_lines, lines_of, used_by
from kpis.options import Options
from kpis.web.observation_form import MOST, LinesForm
from kpis.words import DIMENSIONS
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Date, Decimal, Text
from resellerkpi.core.periods import BadPeriod, add_months, parse_month
from resellerkpi.core.scope import Scope
from resellerkpi.ui.filters import PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, HtmlPanel
from resellerkpi.ui.views import FormPage, ListPage, Page

MONTHS = 12
TITLE = "What billing cannot know"


def find(slug: str) -> Metric:
    """Return the metric of an address; raises Http404."""
    if slug not in METRICS:
        raise Http404
    return METRICS.get(slug)


def enter_url(metric: str, month: date) -> str:
    """Return where the lines of a metric in a month are entered."""
    return f"{reverse('observation-enter', args=[metric])}?month={month:%Y-%m}"


def ask_for(kpi: Kpi, scope: Scope, month: date, options: Options) -> EmptyState:
    """Return what a KPI without its data says, with the way to enter it in the month it is read in for who may."""
    slugs = kpi.shape.observed
    if not slugs or not scope.can(Capability.IMPORT):
        return EmptyState(kpi.needs_data)
    before = getattr(options, kpi.shape.ago[slugs[0]]) if slugs[0] in kpi.shape.ago else 0
    read = add_months(month, -before)
    return EmptyState(kpi.needs_data, f"Enter {METRICS.get(slugs[0]).name}", enter_url(slugs[0], read))


class ObservationMetrics(Page):
    """Every metric, what it is for and the months it is held for."""

    capability = Capability.IMPORT
    title = TITLE
    purpose = "Marketing, sales, surveys, support, stock and costs: enter or upload them, and their KPIs have figures."
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return a panel per area."""
        last = self.today.replace(day=1)
        months = [add_months(last, i + 1 - MONTHS) for i in range(MONTHS)]
        counts, uses = held(months), used_by()
        panels = [
            HtmlPanel(
                "kpis/_held.html",
                {
                    "months": months,
                    "rows": [
                        _row(as_chosen(m, self.reseller), months, counts, uses[m.slug])
                        for m in METRICS
                        if m.area is area
                    ],
                },
                title=area.value,
            )
            for area in Area
        ]
        return {"panels": panels}

    def actions(self) -> Sequence[Action]:
        """Offer the upload and all lines."""
        return (
            Action("All lines", reverse("observation-list")),
            Action("Upload a spreadsheet", reverse("import-start", args=["observations"]), primary=True),
        )


def _row(
    metric: Metric, months: Sequence[date], counts: dict[tuple[str, date], int], uses: list[Kpi]
) -> dict[str, Any]:
    return {
        "metric": metric,
        "words": metric.words[0].upper() + metric.words[1:],
        "uses": uses,
        "cells": [
            (month, counts.get((metric.slug, month), 0), enter_url(metric.slug, month)) for month in months
        ],
        "enter": enter_url(metric.slug, months[-2]),
        "lines": f"{reverse('observation-list')}?metric={metric.slug}",
        "template": reverse("observation-template", args=[metric.slug]),
    }


class LineFilters(ScopedFilterSet):
    """Which lines to list."""

    metric = django_filters.ChoiceFilter(label="Metric", choices=[(m.slug, m.name) for m in METRICS])
    key = SearchFilter("key", label="Key")
    period = PeriodFilter("date", label="Period")


class ObservationList(ListPage):
    """All lines, as entered or uploaded."""

    capability = Capability.IMPORT
    title = "Lines entered"
    purpose = "Every value entered or uploaded of what billing cannot know."
    back = (TITLE, "/kpis/observations/")
    filterset = LineFilters
    order = ("-date", "metric", "dimension", "key")
    columns = (
        Date(name="date", label="Day"),
        Choice(name="metric", choices=tuple((m.slug, m.name) for m in METRICS)),
        Choice(name="dimension", label="Split by", choices=tuple(DIMENSIONS.items())),
        Text(name="key", label="Key"),
        Decimal(name="value", label="Value"),
        Code(name="currency", label="Currency"),
    )
    empty = EmptyState("Nothing has been entered.", TITLE, "/kpis/observations/")

    def queryset(self) -> QuerySet[Any]:
        """Return the lines of the scope."""
        return Observation.objects.all()


class EnterObservations(FormPage):
    """The lines of a metric in a month."""

    capability = Capability.IMPORT
    template = "kpis/enter.html"
    form_class = LinesForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Find the metric of the address."""
        metric, reseller = find(kwargs["slug"]), getattr(request, "reseller", None)
        self.metric = as_chosen(metric, reseller) if reseller else metric
        self.title, self.purpose = self.metric.name, f"Enter {self.metric.words}."
        self.back = (TITLE, reverse("observation-metrics"))
        return super().dispatch(request, *args, **kwargs)

    @property
    def month(self) -> date:
        """The month of the address, last month without one."""
        try:
            return parse_month(self.request.GET.get("month", ""), zone=self.reseller.zone).start
        except BadPeriod:
            return add_months(self.today.replace(day=1), -1)

    def form_kwargs(self) -> dict[str, Any]:
        """Return the lines there are; of more than the form holds, the first."""
        rows = list(lines_of(self.metric, self.month)[: MOST + 1])
        self.too_many = len(rows) > MOST
        return {
            "metric": self.metric,
            "month": self.month,
            "today": self.today,
            "home": self.reseller.currency,
            "rows": rows[:MOST],
        }

    def get_context(self) -> dict[str, Any]:
        """Return the month, the ones beside it, and where else the values can come from."""
        month = self.month
        return {
            "month": month,
            "earlier": enter_url(self.metric.slug, add_months(month, -1)),
            "later": enter_url(self.metric.slug, add_months(month, 1))
            if month < self.today.replace(day=1)
            else "",
            "metric": self.metric,
            "uses": used_by()[self.metric.slug],
            "too_many": MOST if self.too_many else 0,
        }

    def actions(self) -> Sequence[Action]:
        """Offer the template and the upload."""
        return (
            Action("CSV template", reverse("observation-template", args=[self.metric.slug])),
            Action("Upload", reverse("import-start", args=["observations"])),
        )

    def save(self, form: LinesForm) -> str:
        """Keep the lines and have the figures made anew."""
        kept, removed = keep_lines(self.reseller, self.metric, self.month, form.given, form.shown())
        ask_for_refresh({})
        words = f"{kept} line{'' if kept == 1 else 's'} of {self.month:%B %Y} kept"
        messages.success(self.request, f"{words}, {removed} removed." if removed else f"{words}.")
        return enter_url(self.metric.slug, self.month)


class ObservationTemplate(Page):
    """The CSV template of one metric, with an example line for each way it is split."""

    capability = Capability.IMPORT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the file: the columns of the upload, filled for last month."""
        metric = as_chosen(find(kwargs["slug"]), self.reseller)
        month = add_months(self.today.replace(day=1), -1)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(["Metric", "Date", "Value", "Dimension", "Key", "Currency"])
        for dimension, key in examples(metric):
            currency = self.reseller.currency if metric.is_money else ""
            writer.writerow([metric.slug, month.isoformat(), "0", dimension, key, currency])
        name = f'attachment; filename="{metric.slug}.csv"'
        return HttpResponse(
            out.getvalue().encode("utf-8-sig"),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": name},
        )


def examples(metric: Metric) -> list[tuple[str, str]]:
    """Return where lines may stand: none, each fixed key, an example of each other dimension."""
    found = [] if metric.split else [("", "")]
    for name in metric.by:
        found += [(name, key) for key in metric.keys.get(name) or (f"Example {name}",)]
    return found
