"""What a rate deck would do, before it is loaded: to its tariff line by line, and to last month's calls."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from billing.importing.decks.options import MOST_ENDED, MOST_RISE
from billing.models import TariffRate
from billing.models.freshness import fingerprint
from billing.web.frozen import FrozenPage, Narrow, Row, exact
from billing.web.whatif_answer import MONEYS, change
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Int, Minutes, Money, Percent, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.models import Job
from resellerkpi.core.money import places
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action, EmptyState, Panel, TablePanel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, figure
from resellerkpi.ui.tiles import Tile

MONEY, WHOLESALE = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE
KINDS = (
    ("new", "New"),
    ("changed", "Changed"),
    ("absent", "Not in the deck"),
    ("ended", "Ended"),
    ("unchanged", "As it is"),
)
PRICES = ("old_price", "new_price", "old_fee", "new_fee")


class LineFilters(Narrow):
    """Which lines of the difference to show."""

    kind = forms.ChoiceField(required=False, label="Only", choices=(("", "All"), *KINDS))

    def keeps(self, row: Row, chosen: Any) -> bool:
        """Keep lines of a kind."""
        return super().keeps(row, chosen) and chosen.get("kind", "") in ("", row["kind"])


class DeckDifference(FrozenPage):
    """New, changed, ended and missing prices, the biggest rises first, and what last month would have come to."""

    capability = Capability.IMPORT
    job_kind = "tariff.compare"
    form_class = LineFilters
    template = "billing/deck_difference.html"
    order = "-rise"
    empty = EmptyState("The deck has no line that could be compared.")

    def columns(self) -> Sequence[Column]:
        """Return each price before and after."""
        money: dict[str, Any] = {
            "currency": f"={self.found['currency']}",
            "needs": WHOLESALE if self.found["wholesale"] else MONEY,
        }
        return (
            Text(name="destination"),
            Code(name="key", label="Prefix or code"),
            Code(name="band"),
            Choice(name="service", choices=TariffRate.Service.choices, hidden=True),
            Choice(name="kind", label="What happens", choices=KINDS),
            Money(name="old_price", label="Price now", decimals=5, **money),
            Money(name="new_price", label="Price in the deck", decimals=5, **money),
            Percent(name="rise", label="Change", needs=money["needs"]),
            Money(name="old_fee", label="Fee now", decimals=4, hidden=True, **money),
            Money(name="new_fee", label="Fee in the deck", decimals=4, hidden=True, **money),
        )  # fmt: skip

    def rows(self) -> list[Row]:
        """Return the lines with their change in per cent."""
        found: list[Row] = []
        for line in self.found["lines"]:
            row = exact(line, PRICES)
            old, new = row["old_price"], row["new_price"]
            found.append({**row, "rise": (new - old) / old if old and new is not None else None})
        return found

    @cached_property
    def is_loaded(self) -> bool:
        """Whether the deck was handed on to be loaded, and has not failed."""
        failed = (Job.State.FAILED, Job.State.CANCELLED)
        loading = self.job.result.get("loaded")
        return bool(loading) and Job.objects.filter(pk=loading).exclude(state__in=failed).exists()

    @property
    def is_stale(self) -> bool:
        """Whether the book or the calls have changed since."""
        return bool(self.found["fingerprint"] != fingerprint(self.reseller.pk))

    def get_context(self) -> dict[str, Any]:
        """Return the counts, the effect on last month and what is asked before loading."""
        found = self.found
        self.title = f"What the deck changes: {found['tariff']}"
        begins = f"Prices hold from {day(date.fromisoformat(found['day']))}. " if found["day"] else ""
        self.purpose = f"{begins}Nothing is loaded yet; past prices stay as they are."
        effect = found["effect"]
        panels: list[Panel] = [TilesPanel(self.counts())]
        panels += effect_panels(effect) if effect else []
        return {
            "panels": panels,
            "notes": self.notes(),
            "back": ("The deck’s columns", self.job.params["check_url"])
            if self.job.params.get("check_url")
            else None,
            "list_title": "Prices",
            "found": found,
            "questions": found["errors"],
            "cautions": cautions_of(found),
            "ready": not found["errors"] and not self.is_loaded,
        }

    def actions(self) -> Sequence[Action]:
        """Lead to the tariff, and on to pricing calls again once the deck is loaded."""
        tariff = self.found["tariff_id"]
        if not tariff:
            return ()
        links = [Action("The tariff", reverse("tariff", args=[tariff]))]
        if self.is_loaded:
            links.append(
                Action("Price calls again", f"{reverse('price-again')}?tariff={tariff}", primary=True)
            )
        return links

    def counts(self) -> list[Tile]:
        """Return how many prices are new, changed, missing, as they are, and how they move on average."""
        found = self.found
        names = [
            ("new", "New"),
            ("changed", "Changed"),
            ("unchanged", "As they are"),
            ("absent", "Not in the deck"),
        ]
        shown = [
            Tile(label=label, value=figure(found[name]), unit="price" if found[name] == 1 else "prices")
            for name, label in names
        ]
        if found["average_rise"] is not None:
            average = figure(Decimal(found["average_rise"]), 1)
            shown.append(
                Tile(
                    label="Change on average",
                    value=average,
                    unit="%",
                    definition="The mean change of the prices in both the tariff and the deck, each counting once.",
                )
            )
        return shown

    def notes(self) -> list[tuple[str, str]]:
        """Return what stands in the way, and what a reader must know."""
        said = []
        if self.is_loaded:
            said.append(("success", "This deck has been handed on to be loaded."))
        elif self.is_stale:
            said.append(
                ("warning", "Prices or calls have changed since this comparison; compare again to be sure.")
            )
        if self.found["errors"]:
            count = self.found["error_count"]
            said.append(
                ("error", f"{count:,} questions stand open: answer them on the page of the deck’s columns.")
            )
        effect = self.found["effect"]
        if effect and effect["uncovered"]:
            said.append(
                ("warning", f"{effect['uncovered']:,} calls of last month go where no price would be left.")
            )
        return said

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Load the deck as answered."""
        self.load(kwargs["pk"])
        here = reverse("deck-difference", args=[self.job.pk])
        absent, agreed = request.POST.get("absent", ""), bool(request.POST.get("agree"))
        missing = self.found["absent"] and absent not in ("keep", "end")
        if self.is_loaded:
            messages.error(request, "This deck has been handed on to be loaded already.")
        elif missing:
            messages.error(request, "Say what becomes of the prices that are not in the deck.")
        elif cautions_of(self.found, absent) and not agreed:
            messages.error(request, "Tick that the effect of this deck is right.")
        else:
            return self.hand_on(absent, agreed)
        return HttpResponseRedirect(here)

    def hand_on(self, absent: str, agreed: bool) -> HttpResponse:
        """Hand the loading to a worker."""
        params = self.job.params
        options = {**params["options"], "absent": absent, "guarded": True, "accept_effect": agreed}
        here = reverse("deck-difference", args=[self.job.pk])
        tariff = self.found["tariff_id"]
        done = reverse("tariff", args=[tariff]) if tariff else reverse("tariff-list")
        given = {name: params[name] for name in ("token", "mapping")}
        given |= {"kind": "tariff", "options": options, "url": done}
        loading = enqueue("book.import", given, title=f"Load the deck: {self.found['tariff']}", back_url=here)
        self.job.result = {**self.job.result, "loaded": str(loading.pk)}
        self.job.save(update_fields=["result"])
        return job_redirect(loading)


def cautions_of(found: dict[str, Any], absent: str = "end") -> list[str]:
    """Return what is to be ticked before loading, if what is absent ends or stays."""
    said = []
    ended = found["ended"] + (found["absent"] if absent == "end" else 0)
    if found["held"] and ended * 100 > MOST_ENDED * found["held"]:
        said.append(f"{ended:,} of the tariff’s {found['held']:,} prices would end.")
    if found["average_rise"] is not None and Decimal(found["average_rise"]) > MOST_RISE:
        said.append(f"Prices rise by {figure(Decimal(found['average_rise']), 1)} % on average.")
    return said


def effect_panels(effect: dict[str, Any]) -> list[Panel]:
    """Return what last month's calls would have come to, in all and where it moves most."""
    side = effect["side"]
    needs = WHOLESALE if side == "cost" else MONEY
    label = "Calls cost us" if side == "cost" else "Customers pay"
    tiles = []
    for currency, sums in effect["totals"].items():
        total = exact(sums, MONEYS)
        old, new = total[f"old_{side}"], total[f"new_{side}"]
        moved = change(old, new, currency, bad_up=side == "cost")
        tiles += [
            Tile(label="Calls", value=figure(total["calls"])),
            Tile(label="Minutes", value=figure(Decimal(total["seconds"]) / 60)),
            Tile(label=label, value=figure(new, places(currency)), unit=currency, change=moved),
        ]
    rows = [exact(row, MONEYS) for row in effect["destinations"]]
    shown = [
        {
            **row,
            "old": row[f"old_{side}"],
            "new": row[f"new_{side}"],
            "moved": row[f"new_{side}"] - row[f"old_{side}"],
        }
        for row in rows
    ]
    columns: tuple[Column, ...] = (
        Text(name="destination"),
        Int(name="calls"),
        Minutes(name="seconds", label="Duration"),
        Code(name="currency"),
        Money(name="old", label="As it was", needs=needs),
        Money(name="new", label="With the deck", needs=needs),
        Money(name="moved", label="Difference", needs=needs),
    )
    title = f"Effect on the calls of {effect['month']}"
    empty = EmptyState("Not one call of that month would have come to anything else.")
    found: list[Panel] = [TilesPanel(tiles, title=title)] if tiles else []
    return [*found, TablePanel("Where it moves most" if found else title, columns, shown, empty=empty)]


urls: list[URLPattern] = [
    path("tariffs/decks/<uuid:pk>/", DeckDifference.as_view(), name="deck-difference"),
]
