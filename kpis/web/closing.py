"""Closed months: which are, as of when, how complete, what changed since; and closing one by hand."""

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from kpis.closing import CannotClose, close
from kpis.jobs import ask_for_refresh
from kpis.kpi import KPIS, Kpi
from kpis.models import Fill
from kpis.months import Standing, not_kept, restated, standings
from kpis.reading import Reader
from kpis.series import Point
from kpis.web.columns import Figure, Month
from kpis.words import month, shown
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Column, Date, Int, Text
from resellerkpi.core.periods import BadPeriod, local_day, parse_month
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, moment
from resellerkpi.ui.views import FormPage, Page

STATES = (("Closed", "Closed"), ("Not closed", "Not closed"), ("Still open", "Still open"))
NOT_MADE = EmptyState(
    "There are no figures to close yet: they follow from customers, numbers, features and invoices."
)
COLUMNS: tuple[Column, ...] = (
    Month(name="month", label="Month"),
    Choice(name="state", label="State", choices=STATES),
    Date(name="closed_at", label="Closed"),
    Text(name="how", label="How, or what it waits for"),
    Date(name="as_of", label="Figures as of"),
    Int(name="restated", label="KPIs restated"),
    Int(name="files", label="Call files"),
    Int(name="carriers", label="Carriers"),
    Int(name="unpriced", label="Rows without price"),
)


def read(page: Page) -> tuple[Reader, list[Standing]]:
    """Return a reader and the months there are."""
    reader = Reader(page.reseller, page.scope, timezone.now())
    fill = Fill.objects.filter(reseller=page.reseller).first()
    return reader, standings(fill, reader.options, reader.today) if fill else []


def asked(page: Page) -> tuple[Reader, Standing]:
    """Return a reader and the month of the address; raises Http404 where that is no month."""
    try:
        wanted = parse_month(page.kwargs["month"], page.reseller.zone).start
    except BadPeriod:
        raise Http404 from None
    reader, found = read(page)
    kept = [s for s in found if s.month == wanted]
    return reader, kept[0] if kept else not_kept(wanted, reader.today)


class Closing(Page):
    """Every month and how it stands."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    title = "Closed months"
    purpose = (
        "A closed month keeps its figures as they were; a figure that is another today is marked “restated”."
    )
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return the table of the months."""
        reader, found = read(self)
        back = ("KPIs", reverse("kpi-list"))
        if not found:
            return {"panels": [HtmlPanel("kpis/_empty.html", {"empty": NOT_MADE})], "back": back}
        closed = [s.month for s in found if s.close]
        changed = restated(reader, reader.visible(KPIS), closed) if closed else {}
        columns = COLUMNS[:-3] if reader.is_part else COLUMNS
        rows = [_row(s, changed.get(s.month), reader.reseller.zone) for s in found]
        return {"panels": [TablePanel("Months", columns, rows, row_url="kpi-month")], "back": back}


def _row(standing: Standing, changed: Sequence[Any] | None, zone: ZoneInfo) -> dict[str, Any]:
    made = standing.close
    return {
        "pk": f"{standing.month:%Y-%m}",
        "month": standing.month,
        "state": standing.state,
        "closed_at": made and local_day(made.closed_at, zone),
        "how": _how(standing),
        "as_of": made and local_day(made.as_of, zone),
        "restated": None if changed is None else len(changed),
        **standing.completeness,
    }


def _how(standing: Standing) -> str:
    if standing.close is None:
        return standing.why
    return "By hand" if standing.close.by_hand else "By itself"


class MonthPage(Page):
    """One month: how it stands, and each figure that is another than when it was closed."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return the panels."""
        reader, standing = asked(self)
        self.standing = standing
        self.title = f"{standing.month:%B %Y}"
        self.purpose = "How this month stands, and what changed in it since it was closed."
        panels: list[Panel] = [Facts("In short", self._facts(reader))]
        if standing.close:
            found = restated(reader, reader.visible(KPIS), [standing.month])[standing.month]
            panels.append(_changed(found))
        return {"panels": panels, "back": ("Closed months", reverse("kpi-closing"))}

    def _facts(self, reader: Reader) -> list[tuple[str, Any]]:
        """Return state, times and completeness; a dealer is not told of everybody's call files."""
        standing, made = self.standing, self.standing.close
        told: list[tuple[str, Any]] = [("State", standing.state)]
        if made:
            told += [("Closed", f"{moment(made.closed_at, self.reseller)}, {_how(standing).lower()}")]
            told += [("Figures as of", moment(made.as_of, self.reseller))]
            told += [("KPIs kept", len(made.settings.get("kpis", {})))]
        else:
            told += [("Then", standing.why)]
        if not reader.is_part:
            named = (
                ("files", "Call files loaded"),
                ("carriers", "Carriers heard of"),
                ("unpriced", "Rows without a price"),
            )
            told += [(label, f"{standing.completeness[name]:,}") for name, label in named]
        return told

    def actions(self) -> Sequence[Action]:
        """Offer closing it to who may."""
        standing = self.standing
        if standing.close or not standing.is_over or not self.scope.can(Capability.BILL):
            return ()
        where = reverse("kpi-month-close", args=[f"{standing.month:%Y-%m}"])
        return [Action("Close this month", where, primary=True)]


def _changed(found: Sequence[tuple[Kpi, Point]]) -> TablePanel:
    """Return the figures that are others today, then and now."""
    rows = [
        {
            "pk": kpi.slug,
            "kpi": kpi.name,
            "then": shown(kpi, p.kept, p.currency),
            "now": shown(kpi, p.value, p.currency),
        }
        for kpi, p in found
    ]
    columns = [
        Text(name="kpi", label="KPI"),
        Figure(name="then", label="When closed"),
        Figure(name="now", label="Today"),
    ]
    empty = EmptyState("Nothing changed: every figure is what it was when the month was closed.")
    return TablePanel("Restated since", columns, rows, row_url="kpi", empty=empty)


class CloseMonth(FormPage):
    """Close a month by hand."""

    capability: ClassVar[Capability | None] = Capability.BILL
    form_class = forms.Form
    refusals = (CannotClose,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the month and say what closing it does."""
        self.reader, self.standing = asked(self)
        self.month: date = self.standing.month
        self.title = f"Close {self.month:%B %Y}"
        self.submit = f"Close {month(self.month)}"
        self.cancel_url = reverse("kpi-month", args=[f"{self.month:%Y-%m}"])
        self.back = ("Closed months", reverse("kpi-closing"))
        held = self.standing.completeness
        self.danger = (
            f"The figures of {self.month:%B %Y} are kept as they are, taken {moment(self.reader.as_of, self.reseller)}:"
            f" {held['files']:,} call files of {held['carriers']:,} carriers,"
            f" {held['unpriced']:,} rows without a price."
            f" Whatever comes in later still counts, and marks the figure as restated. A month is never opened again."
        )
        return {}

    def save(self, form: Any) -> str:
        """Keep the figures."""
        try:
            made = close(self.reseller, self.month, self.reader.options, now=timezone.now(), by_hand=True)
        except CannotClose:
            ask_for_refresh({})
            raise
        messages.success(
            self.request, f"{made.month:%B %Y} is closed, with its figures of {day(made.as_of)}."
        )
        return reverse("kpi-month", args=[f"{made.month:%Y-%m}"])
