"""The dictionary: every KPI with its formula, edge cases, the settings in force, and how others count it."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from kpis.dictionary import Entry, described, entries, found
from kpis.kpi import KPIS, Kpi
from kpis.options import Options
from kpis.reading import Reader
from kpis.registry import by_family
from kpis.web.answers import exact_json
from resellerkpi.core.access import Capability
from resellerkpi.core.scope import Scope
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState
from resellerkpi.ui.views import Page

WAYS = {"needs": "Needs data entered", "settings": "Depends on a setting", "estimate": "Estimated"}


class Dictionary(Page):
    """What each figure means; narrowed by words, family or kind, all of it in the address."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    title = "KPI dictionary"
    purpose = "What every figure means, how it is counted here, and how others count it."
    template = "kpis/dictionary.html"

    def get_context(self) -> dict[str, Any]:
        """Return the entries the address asks for, by family."""
        reader = Reader(self.reseller, self.scope, timezone.now())
        every = reader.visible(KPIS)
        asked = {name: self.request.GET.get(name, "") for name in ("q", "family", "only")}
        kept = _narrowed(every, asked)
        grouped = by_family(kept)
        return {
            "back": ("KPIs", reverse("kpi-list")),
            "asked": asked,
            "families": [family.value for family in by_family(every)],
            "ways": WAYS,
            "count": len(kept),
            "total": len(every),
            "groups": [(f.value, entries(kpis, reader.options)) for f, kpis in grouped.items()],
            "empty": EmptyState("No KPI matches.", "Show all", reverse("kpi-dictionary")),
            **links(self.scope),
        }

    def actions(self) -> Sequence[Action]:
        """Offer the same for machines."""
        return [Action("JSON", reverse("kpi-dictionary-json"))]


class DictionaryJson(Page):
    """The dictionary for machines."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return each KPI the reader may see, with the settings in force here."""
        reader = Reader(self.reseller, self.scope, timezone.now())
        told = [
            {**described(e.kpi), "in_force": {c.name: c.value for c in e.chosen}}
            for e in entries(reader.visible(KPIS), reader.options)
        ]
        return HttpResponse(exact_json({"kpis": told}), content_type="application/json")


def _narrowed(kpis: list[Kpi], asked: dict[str, str]) -> list[Kpi]:
    """Return the KPIs that an address asks for; a family or way nobody knows leaves none."""
    kept = found(kpis, asked["q"])
    if asked["family"]:
        kept = [k for k in kept if k.family.value == asked["family"]]
    if asked["only"]:
        kept = [e.kpi for e in entries(kept, Options()) if asked["only"] in _ways(e)]
    return kept


def _ways(entry: Entry) -> set[str]:
    """Return which of the ways to narrow the dictionary keep an entry."""
    told = {"needs": entry.metrics, "settings": entry.chosen, "estimate": entry.kpi.estimate}
    return {way for way, holds in told.items() if holds}


def links(scope: Scope) -> dict[str, str]:
    """Return where settings are changed and data entered, "" for who may not."""
    return {
        "settings_url": address("kpi-settings") if scope.can(Capability.MANAGE) else "",
        "enters": "yes" if scope.can(Capability.IMPORT) else "",
    }


def entry_of(kpi: Kpi, reader: Reader) -> Entry:
    """Return a KPI's entry under the settings in force."""
    return entries([kpi], reader.options)[0]
