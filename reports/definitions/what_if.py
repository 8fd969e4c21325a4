"""The What-if tariff report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from functools import cached_property
from typing import Any

from django import forms

from billing.models import Carrier, Customer, Tariff
from reports.fields import CodesField, SeveralField
from reports.grouping import customer_dimensions, grouped_rows
from reports.report import Preset, Report, TieOut
from reports.repriced import (
    MARGIN,
    SUMS,
    WOULD,
    RepricedFilters,
    TariffNameField,
    answer_of,
    figures_of,
    notes_of,
    rows_of,
)
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Int, Row, Text
from resellerkpi.ui.forms import DayInput

DESTINATIONS = "destinations"
WHO = {"more": "Pay or cost more", "less": "Pay or cost less", "under": "Under the margin floor"}
NOTHING = (
    "Nothing is proposed yet: choose a retail tariff to see what customers would pay by it, or a wholesale one to see "
    "what calls would cost."
)


class WhatIfFilters(RepricedFilters):
    """What is proposed, for whom, and what to look out for."""

    always = ("proposed", "instead_of", "show")

    proposed = TariffNameField(
        Tariff.Kind.RETAIL, Tariff.Kind.WHOLESALE, label="Proposed tariff", empty="Choose a tariff"
    )
    instead_of = TariffNameField(
        Tariff.Kind.RETAIL,
        label="For all customers on",
        help_text="Empty: all customers asked for would move.",
    )
    percent = forms.DecimalField(
        required=False, min_value=-99, max_value=1000, max_digits=7, decimal_places=3, label="Change of its prices (%)",
        help_text="Nobody moves: who is on the tariff pays its prices changed by so much.",
    )  # fmt: skip
    bought_from = CodesField(
        Carrier, required=False, label="Calls of the supplier",
        help_text="Of a wholesale tariff: whose calls are bought by it; empty is its own supplier.",
    )  # fmt: skip
    prices_on = forms.DateField(
        required=False, widget=DayInput(), label="Prices as they are on", help_text="Empty: today."
    )
    floor = forms.DecimalField(
        required=False,
        min_value=-100,
        max_value=100,
        max_digits=5,
        decimal_places=2,
        label="Margin floor (%)",
    )
    who = SeveralField(required=False, label="Only who would", choices=list(WHO.items()))
    show = forms.ChoiceField(
        required=False, label="One line per", choices=[("", "Customer"), (DESTINATIONS, "Destination")]
    )

    def defaults(self) -> dict[str, list[str]]:
        """Flag margins under a fifth."""
        return super().defaults() | {"floor": ["20"]}

    def clean(self) -> dict[str, Any]:
        """Refuse what contradicts itself, in a sentence."""
        data = super().clean()
        if (
            data.get("proposed")
            and data.get("proposed") == data.get("instead_of")
            and data.get("percent") is None
        ):
            self.add_error(
                "proposed", "Choose another tariff than the one they are on, or change its prices."
            )
        if len(data.get("bought_from") or ()) > 1:
            self.add_error("bought_from", "Choose one supplier.")
        if data.get("show") == DESTINATIONS and data.get("group_by"):
            self.add_error("group_by", "Destinations are not grouped: take the groups away.")
        if data.get("show") == DESTINATIONS and not self.errors and self.of_customers(""):
            if data["instead_of"] or self.buys:
                self.add_error(
                    "show", "Destinations are those of all customers here: take their filters away."
                )
        return data

    @cached_property
    def tariff(self) -> Tariff | None:
        """The proposed tariff."""
        name = self.cleaned_data["proposed"]
        return Tariff.objects.filter(name=name).first() if name else None

    @property
    def buys(self) -> bool:
        """Whether the question is what calls cost us."""
        return self.tariff is not None and self.tariff.kind == Tariff.Kind.WHOLESALE

    @cached_property
    def chosen(self) -> list[int] | None:
        """The customers asked for, None for all."""
        narrowed = self.of_customers("")
        return list(Customer.objects.filter(narrowed).values_list("pk", flat=True)) if narrowed else None

    def question(self, tariff: Tariff) -> dict[str, Any]:
        """Return the question as the what-if pages ask it."""
        asked = self.cleaned_data
        day = asked["prices_on"] or self.as_of
        found: dict[str, Any] = {"tariff_id": tariff.pk, "as_of": day.isoformat()}
        if self.buys:
            carrier = Carrier.objects.filter(code__in=asked["bought_from"]).first() or tariff.carrier
            return {**found, "kind": "wholesale", "carrier_id": carrier and carrier.pk}
        if asked["percent"] is not None:
            changes = [{"match": "", "percent": str(asked["percent"])}]
            return {**found, "kind": "change", "changes": changes, "customer_ids": self.chosen or []}
        if asked["instead_of"]:
            old = Tariff.objects.get(name=asked["instead_of"])
            return {**found, "kind": "move", "instead_of": old.pk}
        everybody = Customer.objects.values_list("pk", flat=True)
        return {**found, "kind": "move", "customer_ids": self.chosen or list(everybody)}

    @cached_property
    def answer(self) -> dict[str, Any]:
        """The answer, asked once; an empty one while nothing is proposed."""
        if self.tariff is None or self.chosen == []:
            why = NOTHING if self.tariff is None else "No customer fits these filters."
            return {"refused": why, "customers": [], "destinations": [], "totals": {}}
        return answer_of(self, self.question(self.tariff))


class WhatIf(Report):
    """Past months at proposed prices: who would win or lose, and what would be left. Nothing is changed by asking.

    A retail tariff says what customers would pay who move to it, or by its prices changed; a wholesale one what calls
    would cost us. It is worked out call by call, with allowances, as on the page “What if”, and takes a moment.
    """

    slug = "what-if"
    name = "What-if tariff"
    family = "Prices"
    needs = MARGIN
    slow = True
    dimensions = customer_dimensions("")
    keys = ("code", "destination", "currency")
    measures = ("difference", "new_retail", "new_cost", "new_margin")
    columns = (
        Text(name="customer_name", label="Customer", url="customer"),
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="destination", label="Destination"),
        Code(name="currency", label="Currency"),
        Int(name="customers", label="Customers", total=SUM, help="Customers whose calls were looked at."),
        Int(name="more", label="Pay more", total=SUM, help="Customers who would pay, or cost, more."),
        Int(name="less", label="Pay less", total=SUM, help="Customers who would pay, or cost, less."),
        *figures_of(),
        Text(
            name="flag",
            label="Floor",
            group=WOULD,
            needs=MARGIN,
            help="Whether the margin is under the floor.",
        ),
    )
    charts = (
        Preset("customers", Bar(x="customer_name", y=("difference",), title="Winners and losers")),
        Preset("destinations", Bar(x="destination", y=("difference",), title="Difference by destination")),
        Preset(
            "margins", Bar(x="customer_name", y=("old_margin", "new_margin"), title="Margin before and then")
        ),
        Preset("by-dealer", Bar(x="by_dealer", y=("difference",), title="Difference by dealer")),
        Preset("by-segment", Bar(x="by_segment", y=("difference",), title="Difference by segment")),
    )

    class Filters(WhatIfFilters):
        """What is proposed, for whom, and what to look out for."""

    def shown(self, f: WhatIfFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns of customers, of destinations or of groups; where calls are bought, the cost's rise."""
        by_destination = f.cleaned_data["show"] == DESTINATIONS
        left_out = {"customer_name", "code"} if by_destination else {"destination"}
        left_out |= {"flag"} if f.groups else {"customers", "more", "less"}
        bought = {c.name: c for c in figures_of(bought=f.buys)}
        return [bought.get(c.name, c) for c in self.columns if c.name not in left_out]

    def rows(self, f: WhatIfFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return those who would pay most more first, or groups of customers."""
        found = [
            row for row in _rows(f) if not f.cleaned_data["who"] or row["says"] & {*f.cleaned_data["who"]}
        ]
        if f.groups:
            return grouped_rows(f.groups, f.tz, found, sums=SUMS)
        return sorted(found, key=lambda r: (r["currency"], -r["difference"], r["code"], r["destination"]))

    def tie_outs(
        self,
        f: WhatIfFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare both sides with the totals of the what-if page, when it shows the same customers."""
        if f.cleaned_data["who"] or (f.chosen is not None and (f.buys or f.cleaned_data["instead_of"])):
            return []
        return [
            TieOut(f"{label}, against the page “What if”", t["currency"], D(t[name]), D(held[name]))
            for t in totals
            if (held := f.answer["totals"].get(t["currency"]))
            for name, label in (("old_retail", "Retail as it was"), ("new_retail", "Retail as it would be"))
        ]

    def notes(self, f: WhatIfFilters) -> list[tuple[str, str, bool]]:  # type: ignore[override]  # this report's form
        """Say what the answer leaves open."""
        return notes_of(f.answer)


def _rows(f: WhatIfFilters) -> Iterator[dict[str, Any]]:
    """Yield the answer's rows of the customers asked for, with the flag and what they can be narrowed by."""
    by_destination = f.cleaned_data["show"] == DESTINATIONS
    floor = f.cleaned_data["floor"] or D(0)
    found = f.answer["destinations" if by_destination else "customers"]
    if f.chosen is not None and not by_destination:
        asked_for = {*f.chosen}
        found = [row for row in found if row["customer_id"] in asked_for]
    for row in rows_of(found, bought=f.buys):
        under = row["new_retail"] > 0 and row["new_margin"] * 100 < floor * row["new_retail"]
        says = {name for name in ("more", "less") if row[name]} | ({"under"} if under else set())
        row |= {"flag": f"Under {floor.normalize():f} %" if under else "", "says": says}
        who = row.get("customer_id") or None
        row |= {"customer_id": who, "customer_name_id": who, "customer_name": row.get("name", "")}
        yield {**row, "code": row.get("code", ""), "destination": row.get("destination", "")}
