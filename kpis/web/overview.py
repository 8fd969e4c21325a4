"""The first page: the five figures, then the families, the cash card and what changed, in one sentence."""

from datetime import date
from typing import Any, ClassVar

from django.urls import reverse
from django.utils import timezone

from kpis.kpi import KPIS, Kpi
from kpis.models import Fill
from kpis.reading import Reader
from kpis.registry import by_family
from kpis.series import Point
from kpis.web.tiles import current, main_line, sentence, tile
from kpis.words import BUCKETS, month
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Money, Text
from resellerkpi.ui.cards import cards
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import ChartPanel, EmptyState, HtmlPanel, Panel, TilesPanel
from resellerkpi.ui.views import Page

MONTHS = 15
NO_FIGURES = "There are no figures yet: they follow from customers, numbers, features and invoices."
BEING_MADE = (
    "The figures are not made yet: they follow from customers, numbers, features and invoices, and are made "
    "within ten minutes of a change."
)
MADE_ANEW = (
    "The figures are being made anew, after a change of how they are counted: look again in a few minutes."
)


class Overview(Page):
    """Is the business growing, and why did a number move."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    title = "Overview"
    purpose = "How the business is doing, as of the last full month."
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return the panels; an empty book says what to do first."""
        reader = Reader(self.reseller, self.scope, timezone.now())
        kpis = [k for k in reader.visible(KPIS) if k.headline or k.overview]
        points = reader.points(kpis, reader.last_months(MONTHS), ["", "bucket"])
        if not any(p.value for of_kpi in points.values() for p in of_kpi.get("", [])):
            return {"panels": [_empty()]}
        panels = self._panels(kpis, points, reader)
        return {"panels": [*panels[:2], *cards(self.reseller, self.scope, reader.now), *panels[2:]]}

    def _panels(self, kpis: list[Kpi], points: dict[str, Any], reader: Reader) -> list[Panel]:
        home = self.reseller.currency
        totals = {slug: of_kpi[""] for slug, of_kpi in points.items()}
        five = sorted((k for k in kpis if k.headline), key=lambda k: k.headline)
        words = {
            "text": sentence(totals, {k.slug: k for k in kpis}, home, reader.began),
            "as_of": reader.as_of,
        }
        panels: list[Panel] = [
            HtmlPanel("kpis/_sentence.html", words),
            TilesPanel([tile(k, totals[k.slug], home, reader.began) for k in five], title="Growth"),
        ]
        cash = points.get("aged_debt", {}).get("bucket", [])
        if cash:
            panels.append(_cash(cash, main_line(totals["outstanding"], home), reader.began))
        grouped = by_family([k for k in kpis if not k.headline])
        panels += [
            TilesPanel([tile(k, totals[k.slug], home, reader.began) for k in found], title=family.value)
            for family, found in grouped.items()
        ]
        return panels


def _empty(text: str = NO_FIGURES) -> HtmlPanel:
    where = address("import-start", "customers")
    state = EmptyState(
        text,
        "Import customers" if where else "",
        where,
    )
    return HtmlPanel("kpis/_empty.html", {"empty": state})


def _cash(points: list[Point], outstanding: list[Point], began: date | None) -> ChartPanel:
    """Return what is owed by age at the close shown elsewhere on the page; an age with nothing stands there too."""
    at: date = outstanding[current(outstanding, began)].month
    here = {(p.key, p.currency): p.value for p in points if p.month == at}
    currencies = sorted({currency for _, currency in here})
    rows = [
        {"label": label, "value": here.get((key, currency), 0), "currency": currency}
        for key, label in BUCKETS.items()
        for currency in currencies
    ]
    columns = [
        Text(name="label", label="Age"),
        Text(name="currency"),
        Money(name="value", label="Open", total=SUM),
    ]
    series = "currency" if len(currencies) > 1 else ""
    return ChartPanel(
        f"Outstanding by age, {month(at)}",
        Bar(x="label", y=("value",), series=series, title="Outstanding by age"),
        rows,
        columns,
        note="Days past the due date; including VAT.",
        wide=False,
    )


class KpiList(Page):
    """Every KPI by family, with its last full month and what it means."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    title = "KPIs"
    purpose = "Every figure the house keeps, what it was in the last full month and how it is counted."
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return one panel of tiles per family, read from what is kept: computing every KPI takes minutes."""
        reader = Reader(self.reseller, self.scope, timezone.now())
        back = ("Overview", reverse("overview"))
        if not reader.is_kept:
            again = Fill.objects.filter(reseller=self.reseller).exists()
            state = HtmlPanel("kpis/_empty.html", {"empty": EmptyState(MADE_ANEW)})
            return {"panels": [state if again else _empty(BEING_MADE)], "back": back}
        kpis = reader.visible(KPIS)
        points, home = reader.points(kpis, reader.last_months(MONTHS)), self.reseller.currency
        families = by_family(kpis)
        told = {"total": len(kpis), "families": [(f.value, len(found)) for f, found in families.items()]}
        panels: list[Panel] = [HtmlPanel("kpis/_families.html", told)]
        panels += [
            TilesPanel([tile(k, points[k.slug][""], home, reader.began) for k in found], title=family.value)
            for family, found in families.items()
        ]
        return {"panels": panels, "back": back}
