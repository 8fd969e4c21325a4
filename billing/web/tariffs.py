"""Tariffs to read: the list, and one tariff with where its rates come from, its bands, markups, rates and users."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse

from billing.models import Number, Tariff, TariffAssignment, TariffMarkup, TariffRate
from billing.tariffs import line_of, still_on
from billing.web.editing import list_actions
from billing.web.lookups import TARIFF_STATES, find_tariff, open_tariffs, running, tariff_state
from billing.web.tariff_bands import band_panel
from billing.web.tariff_forms import regions
from billing.web.tariff_rates import RATES, rate_rows, telling
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Flag, Int, Percent, Text
from resellerkpi.core.scope import Scope
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, percent
from resellerkpi.ui.views import DetailPage, ListPage

MONEY, WHOLESALE, EDIT = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.EDIT_BOOK
MARGIN = Capability.VIEW_MARGIN


class TariffFilters(ScopedFilterSet):
    """Which tariffs to list."""

    q = SearchFilter("name", label="Name")
    kind = OneOf("kind", Tariff.Kind.choices, label="Kind")
    age = OneOf("superseded_on", (("now", "In use"), ("old", "Superseded")), label="State", method="by_age")

    def by_age(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to tariffs in use, or superseded."""
        return rows.filter(tariff_state="current" if value == "now" else "superseded")


class TariffList(ListPage):
    """All tariffs the person may know of."""

    capability = Capability.VIEW_BOOK
    title = "Tariffs"
    purpose = "Price lists: what customers pay for calls and what carriers charge for them."
    filterset = TariffFilters
    row_url = "tariff"
    order = ("kind", "name")
    columns = (
        Text(name="name", label="Tariff"),
        Choice(name="state", source="tariff_state", choices=TARIFF_STATES),
        Choice(name="kind", choices=(("retail", "Retail"), ("wholesale", "Wholesale"))),
        Code(name="currency"),
        Int(name="rates", source="n_rates", help="Rates of its own; others are found in its parent."),
        Int(name="customers", source="n_customers", help="Customers priced by it today."),
        Text(name="parent", source="parent__name", url="tariff", label="Looks further in"),
        Text(name="carrier", source="carrier__name", url="carrier", needs=WHOLESALE),
        Flag(name="is_default", label="Default"),
        Date(name="superseded_on", label="Superseded", hidden=True),
    )
    empty = EmptyState("There are no tariffs yet. Add one, then import its rates from a spreadsheet.")

    def queryset(self) -> QuerySet[Any]:
        """Return the tariffs with their counts."""
        rates = TariffRate.objects.filter(tariff=OuterRef("pk")).order_by().values("tariff")
        return open_tariffs(self.scope).annotate(
            tariff_state=tariff_state(self.today),
            n_rates=Coalesce(Subquery(rates.annotate(n=Count("pk")).values("n")), 0),
            n_customers=running(TariffAssignment, self.today, "tariff"),
        )

    def actions(self) -> Sequence[Action]:
        """Offer comparing, import and adding."""
        compare = Action("Compare", reverse("tariff-compare"))
        deck = (
            [Action("Load a deck", reverse("import-start", args=["tariff"]))]
            if self.scope.can(Capability.IMPORT)
            else []
        )
        return [
            compare,
            *deck,
            *list_actions(self.scope, "tariff-assignments", add_label="Add a tariff", add_url="tariff-add"),
        ]


USERS: tuple[Column, ...] = (
    Text(name="customer", source="customer__name", url="customer"),
    Code(name="number", source="number__number", url="number"),
    Text(name="call_class", label="Class of calls", help="Blank: every class of call."),
    Date(name="start_date", label="From"),
    Date(name="end_date", label="Until", help="The first day without it."),
)
MARKUPS: tuple[Column, ...] = (
    Text(name="call_class", label="Class of calls"),
    Percent(name="share", label="Cost plus", needs=MARGIN, decimals=2),
    Text(name="change", source="change_label", label="Change", url="markup-edit", needs=EDIT, sortable=False),
)


class TariffPage(DetailPage):
    """One tariff."""

    capability = Capability.VIEW_BOOK

    def get_object(self) -> Tariff:
        """Return the tariff of the address if the person may know of it."""
        return find_tariff(self.scope, self.kwargs["pk"])

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list."""
        return {"back": ("Tariffs", reverse("tariff-list")), "purpose": self.object.get_kind_display()}

    def actions(self) -> Sequence[Action]:
        """Offer comparing, and the changes by hand."""
        pk = self.object.pk
        compare = Action("Compare", f"{reverse('tariff-compare')}?left={pk}")
        if not self.scope.can(EDIT):
            return (compare,)
        return (
            compare,
            Action("Copy", reverse("tariff-copy", args=[pk])),
            Action("Mark as superseded", reverse("tariff-supersede", args=[pk])),
            Action("Change details", reverse("tariff-edit", args=[pk])),
            *self.questions(),
        )

    def questions(self) -> list[Action]:
        """Offer asking what other prices would do, and pricing calls again."""
        tariff, found = self.object, []
        if self.scope.can(Capability.VIEW_MARGIN):
            kind = "wholesale" if tariff.kind == Tariff.Kind.WHOLESALE else "change"
            carrier = f"&carrier={tariff.carrier_id}" if tariff.carrier_id else ""
            found.append(Action("What if", f"{reverse('what-if')}?kind={kind}&tariff={tariff.pk}{carrier}"))
        if self.scope.can(Capability.BILL):
            found.append(Action("Price calls again", f"{reverse('price-again')}?tariff={tariff.pk}"))
        return found

    def panels(self) -> list[Panel]:
        """Return how it prices, where its rates come from, bands, markups, first rates and who is on it."""
        tariff, line = self.object, line_of(self.object)
        users = TariffAssignment.objects.filter(tariff=tariff).order_by(
            F("end_date").desc(nulls_first=True), "pk"
        )
        empty = EmptyState("No customer or number is on this tariff.")
        panels: list[Panel] = [Facts("Pricing", pricing(tariff, line, self.scope))]
        if chain := self.chain(line):
            panels.append(chain)
        panels.append(band_panel(tariff, line, self.offer("Add a time band", "band-add")))
        if self.scope.can(MARGIN):
            panels.append(self.markups())
        if tariff.superseded_on and tariff.superseded_on <= self.today:
            panels.insert(0, self.superseded())
        return [*panels, self.rates(), TablePanel("Who is on it", USERS, users, limit=25, empty=empty)]

    def offer(self, label: str, url: str) -> Sequence[Action]:
        """Return one button for those who may change the book."""
        return (Action(label, reverse(url, args=[self.object.pk])),) if self.scope.can(EDIT) else ()

    def superseded(self) -> HtmlPanel:
        """Say that the tariff is old, and how many are still priced by it."""
        users = still_on(self.object, self.today).count()
        context = {"since": self.object.superseded_on, "users": users, "may_move": self.scope.can(EDIT)}
        return HtmlPanel("billing/_superseded.html", context | {"pk": self.object.pk})

    def chain(self, line: list[Tariff]) -> HtmlPanel | None:
        """Return the tariffs in which a rate is looked for, in order, and those that look in this one."""
        children = list(open_tariffs(self.scope).filter(parent=self.object).order_by("name")[:50])
        if len(line) == 1 and not children:
            return None
        shown = [t for t in line if t.kind == Tariff.Kind.RETAIL or self.scope.can(WHOLESALE)]
        context = {"line": shown, "children": children, "today": self.today}
        return HtmlPanel("billing/_tariff_chain.html", context, "Where its rates come from", wide=False)

    def markups(self) -> TablePanel:
        """Return what is put on the cost of calls without a rate, by class."""
        rows = TariffMarkup.objects.filter(tariff=self.object).order_by("call_class").annotate(
            share=F("percent") / 100, change_label=Value("Change"), change_id=F("pk")
        )  # fmt: skip
        empty = EmptyState(
            "None: calls without a rate are priced as “Without a rate” says above, whatever their class."
        )
        actions = self.offer("Add a markup", "markup-add")
        return TablePanel(
            "Markup over cost by class, where there is no rate",
            MARKUPS,
            rows,
            empty=empty,
            actions=actions,
            wide=False,
        )

    def rates(self) -> TablePanel:
        """Return its first rates."""
        rows = rate_rows(self.object).order_by("destination", "key", "band", "valid_from")
        return TablePanel(
            "Rates",
            telling(RATES, rows),
            rows,
            limit=20,
            more_url=reverse("tariff-rates", args=[self.object.pk]),
            empty=EmptyState("It has no rates yet. Add one, or import a deck from a spreadsheet."),
            actions=self.offer("Add a rate", "rate-add"),
        )


def pricing(tariff: Tariff, line: list[Tariff], scope: Scope) -> list[tuple[Any, ...]]:
    """Return how a tariff prices, as labels and values; carrier and markup only for those who may see them."""
    return [
        ("Currency", tariff.currency),
        ("Default", default_words(tariff, scope)),
        ("Carrier", (tariff.carrier or "") if scope.can(WHOLESALE) else ""),
        ("Access charge", access_words(tariff, line) if scope.can(MONEY) else ""),
        ("Price of a call", f"{tariff.places} places, rounded {tariff.get_rounding_display().lower()}"),
        ("Crossing a band", tariff.get_band_rule_display()),
        ("Time zone", tariff.time_zone),
        ("Bank holidays", dict(regions()).get(tariff.holidays, tariff.holidays)),
        ("Unanswered calls", "Connection fee charged" if tariff.charge_unanswered else "Free"),
        ("Inside an allowance", "Connection fee charged" if tariff.fee_inside_allowance else "Free"),
        ("Data", data_words(tariff)),
        ("Without a rate", markup_words(line, scope)),
        ("Superseded", day(tariff.superseded_on) if tariff.superseded_on else ""),
        ("Replaced by", (tariff.successor or "None named") if tariff.superseded_on else ""),
    ]


def default_words(tariff: Tariff, scope: Scope) -> str:
    """Return whose calls a default tariff prices."""
    if not tariff.is_default:
        return "No"
    kind = dict(Number.Type.choices).get(tariff.default_number_type, "")
    carrier = f"of {tariff.carrier}" if tariff.carrier and scope.can(WHOLESALE) else ""
    which = " ".join(
        part for part in (f"{kind[:1].lower()}{kind[1:]} numbers" if kind else "", carrier) if part
    )
    return f"Yes, for {which}" if which else "Yes"


def access_words(tariff: Tariff, line: list[Tariff]) -> str:
    """Return what a minute of a service charge costs on top, and which tariff says so."""
    if tariff.kind == Tariff.Kind.WHOLESALE:
        return ""
    owner = next((t for t in line if t.access_charge is not None), None)
    if owner is None or owner.access_charge is None:
        return "None"
    words = f"{owner.access_charge.normalize():f} {tariff.currency} a minute"
    return words if owner == tariff else f"{words}, from {owner}"


def data_words(tariff: Tariff) -> str:
    """Return how data is counted."""
    how = "summed per month" if tariff.data_per_period else "each session"
    return f"Per {tariff.data_unit_mb.normalize():f} MB, {how}"


def markup_words(line: list[Tariff], scope: Scope) -> str:
    """Return how a call without a rate is priced."""
    owner = next((t for t in line if t.markup_percent is not None), None)
    if owner is None or owner.markup_percent is None:
        return "An error to repair"
    if not scope.can(MARGIN):
        return "Cost plus a markup"
    words = f"Cost plus {percent(owner.markup_percent / 100, 2)}"
    return words if owner == line[0] else f"{words}, from {owner}"


urls: list[URLPattern] = [
    path("tariffs/", TariffList.as_view(), name="tariff-list"),
    path("tariffs/<int:pk>/", TariffPage.as_view(), name="tariff"),
]
