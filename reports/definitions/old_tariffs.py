"""The Old tariffs report."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal as D
from functools import cached_property
from typing import Any

from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce, NullIf

from billing.models import Call, Customer, NumberAssignment, Tariff, TariffAssignment
from kpis.compute import by_customer
from kpis.kpi import KPIS
from kpis.options import Options
from kpis.reading import Reader
from reports.grouping import customer_dimensions, dimension, grouped_rows
from reports.report import Preset, Report
from reports.repriced import (
    MARGIN,
    MONEYS,
    SUMS,
    RepricedFilters,
    TariffNameField,
    answer_of,
    figures_of,
    notes_of,
    rows_of,
)
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Date, Int, Row, Text
from resellerkpi.core.scope import current

NOBODY = "None named"
UNNAMED = "No successor is named for {}: name it on the tariff’s page, or choose one under “Priced by”."
AFTER = 10
NO_CALLS: dict[str, Any] = dict.fromkeys((*SUMS, *MONEYS), 0)
#: What cannot be told of a customer whose tariff nothing replaces.
THEN = ("new_retail", "new_cost", "new_margin", "difference", "more", "less")


@dataclass
class _Held:
    """What a customer has of old tariffs: those given to it or to numbers it holds."""

    tariffs: dict[int, Tariff] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)


class OldTariffFilters(RepricedFilters):
    """Filters of customers, the old tariff, and what they would be priced by."""

    always = ("priced_by",)

    old = TariffNameField(Tariff.Kind.RETAIL, label="On the old tariff")
    priced_by = TariffNameField(
        Tariff.Kind.RETAIL,
        label="Priced by",
        empty="The named successor",
        help_text="The one named on each old tariff, or another for all.",
    )

    @cached_property
    def tariffs(self) -> dict[int, Tariff]:
        """The retail tariffs by id, each with its successor's id."""
        return {t.pk: t for t in Tariff.objects.filter(kind=Tariff.Kind.RETAIL)}

    def successor(self, old: Tariff) -> Tariff | None:
        """Return what a tariff's customers would be priced by: the one chosen, else the last of those named."""
        if self.cleaned_data["priced_by"]:
            return next(t for t in self.tariffs.values() if t.name == self.cleaned_data["priced_by"])
        found = self.tariffs.get(old.successor_id or 0)
        for _ in range(AFTER):
            after = self.tariffs.get((found and found.successor_id) or 0)
            if (
                found is None
                or after is None
                or found.superseded_on is None
                or found.superseded_on > self.close
            ):
                break
            found = after
        return None if found is None or found.pk == old.pk else found

    @cached_property
    def held(self) -> dict[int, _Held]:
        """The old tariffs that each customer asked for has at the close, of the customers that the KPI counts."""
        found: dict[int, _Held] = defaultdict(_Held)
        counted = _counted(self)
        chosen = self.of_customers("")
        grouped = Options.of(self.reseller).count_by == "group"
        people = Customer.objects.filter(chosen).values_list("pk", "parent_id")
        mine = {pk for pk, parent in people if ((grouped and parent) or pk) in counted}
        for customer, number, tariff in _on_old(self.close):
            old = self.tariffs.get(tariff)
            named = self.cleaned_data["old"]
            if customer in mine and old is not None and (not named or old.name == named):
                found[customer].tariffs[tariff] = old
                found[customer].numbers |= {number} if number else set()
        return dict(found)

    @cached_property
    def answer(self) -> dict[str, Any]:
        """What those with a successor would pay, asked once for all of them."""
        olds = {pk: old for held in self.held.values() for pk, old in held.tariffs.items()}
        moves = {pk: new.pk for pk, old in olds.items() if (new := self.successor(old)) is not None}
        movers = [who for who, held in self.held.items() if {*held.tariffs} & {*moves}]
        if not movers:
            return {"customers": [], "destinations": [], "totals": {}}
        asked = {"kind": "moves", "moves": list(moves.items()), "customer_ids": movers}
        return answer_of(self, {**asked, "as_of": self.as_of.isoformat()})


class OldTariffs(Report):
    """Customers still on superseded tariffs, what they pay now, and what they would pay by the tariff that replaces it.

    Who stands on an old tariff at the close of the period is counted as the KPI “Customers on old tariffs” does. Their
    calls of the period are priced both ways, call by call with allowances, by prices of today; nothing is changed.
    """

    slug = "old-tariffs"
    name = "Old tariffs"
    family = "Prices"
    needs = MARGIN
    slow = True
    keys = ("code", "currency")
    dimensions = (
        dimension("tariff", "Old tariff", "tariff"),
        dimension("successor", "Replaced by", "successor"),
        *customer_dimensions(""),
    )
    columns = (
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="customer_name", label="Customer", url="customer"),
        Text(
            name="tariff",
            label="Old tariff",
            url="tariff",
            help="Superseded tariffs of its own or of its numbers.",
        ),
        Date(name="since", label="Superseded", help="The day from which the oldest of them is superseded."),
        Text(name="successor", label="Replaced by", help="What its calls are priced by in the comparison."),
        Int(name="numbers", label="Numbers", total=SUM, help="Numbers with an old tariff of their own."),
        Code(name="currency", label="Currency"),
        Int(name="customers", label="Customers", total=SUM, help="Customers on an old tariff."),
        Int(name="more", label="Would pay more", total=SUM, help="Customers who would pay more."),
        Int(name="less", label="Would pay less", total=SUM, help="Customers who would pay less."),
        *figures_of(),
    )
    charts = (
        Preset("customers", Bar(x="customer_name", y=("difference",), title="What customers would pay more")),
        Preset("both", Bar(x="customer_name", y=("old_retail", "new_retail"), title="Retail now and then")),
        Preset("tariffs", Bar(x="tariff", y=("difference",), title="What would be paid more, by old tariff")),
        Preset("by-tariff", Bar(x="by_tariff", y=("customers",), title="Customers by old tariff")),
        Preset(
            "by-dealer", Bar(x="by_dealer", y=("difference",), title="What would be paid more, by dealer")
        ),
    )

    class Filters(OldTariffFilters):
        """Filters of customers, the old tariff, and what they would be priced by."""

    def shown(self, f: OldTariffFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns; of groups how many customers they hold."""
        return [c for c in self.columns if f.groups or c.name not in ("customers", "more", "less")]

    def rows(self, f: OldTariffFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return those first whose calls would bring most more, or groups of them."""
        found = _rows(f)
        if f.groups:
            own = ({**r, "by_tariff": r["tariff"], "by_successor": r["successor"]} for r in found)
            return grouped_rows(f.groups, f.tz, own, sums=(*SUMS, "numbers"))
        return sorted(found, key=lambda r: (r["difference"] is None, -(r["difference"] or 0), r["code"]))

    def notes(self, f: OldTariffFilters) -> list[tuple[str, str, bool]]:  # type: ignore[override]  # this report's form
        """Say which old tariffs nothing replaces, and what the answer leaves open."""
        old = {t.name: t for held in f.held.values() for t in held.tariffs.values()}
        bare = sorted(name for name, t in old.items() if f.successor(t) is None)
        unnamed = (
            [("Successor", UNNAMED.format(", ".join(f"“{name}”" for name in bare)), True)] if bare else []
        )
        return [*unnamed, *notes_of(f.answer)]


def _counted(f: OldTariffFilters) -> set[int]:
    """Return the customers that the KPI counts at the close of the period."""
    part = KPIS.get("old_tariff_customers").shape.top
    assert part is not None, "the KPI counts something"
    asked = Reader(f.reseller, current(), f.now).closes_of([f.close.replace(day=1)])
    return {who for who, _, _, value in by_customer(part, asked) if value}


def _on_old(day: date) -> list[tuple[int, int | None, int]]:
    """Return customer, number (None: the customer itself) and superseded tariff of all uses on a day."""
    running = Q(start_date__lte=day) & (Q(end_date__isnull=True) | Q(end_date__gt=day))
    uses = TariffAssignment.objects.filter(running, tariff__superseded_on__lte=day)
    own = uses.filter(customer__isnull=False).values_list("customer_id", "tariff_id")
    numbers = uses.filter(number__isnull=False).values_list("number_id", "tariff_id")
    holders = NumberAssignment.objects.filter(running, number__in=uses.values("number"))
    holder = dict(holders.values_list("number_id", "customer_id"))
    found: list[tuple[int, int | None, int]] = [(who, None, tariff) for who, tariff in own]
    return found + [(holder[number], number, tariff) for number, tariff in numbers if number in holder]


def _figures(f: OldTariffFilters) -> dict[int, list[dict[str, Any]]]:
    """Return the figures of each customer by currency; whose calls no other price touches pays what it pays."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows_of(f.answer["customers"]):
        found[row["customer_id"]].append(row)
    for row in rows_of(_as_they_are(f, [who for who in f.held if who not in found])):
        found[row["customer_id"]].append(row)
    return found


def _as_they_are(f: OldTariffFilters, people: Sequence[int]) -> list[dict[str, Any]]:
    """Return what calls of customers bring and cost, each in its own currency, the same on both sides."""
    period, home = f.interval, Value(f.reseller.currency)
    calls = Call.objects.filter(
        customer__in=people, started_at__gte=period.starts_at, started_at__lt=period.ends_at
    )
    talked = Q(answered=True, service="voice")
    sold = {
        "calls": Count("pk"),
        "seconds": Sum("duration", filter=talked, default=0),
        "retail": Sum("retail", default=D(0)),
    }
    bought = {"cost": Sum(Coalesce("cost", "expected_cost"), default=D(0))}
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for name, sums in (("currency", sold), ("cost_currency", bought)):
        coded = calls.order_by().annotate(coded=Coalesce(NullIf(F(name), Value("")), home))
        for row in coded.values("customer_id", "coded").annotate(**sums):
            key = (row["customer_id"], row.pop("coded"))
            found.setdefault(key, {"calls": 0, "seconds": 0, "retail": D(0), "cost": D(0)}).update(row)
    return [
        {
            **row,
            "currency": currency,
            **{f"{side}_{n}": row[n] for side in ("old", "new") for n in ("retail", "cost")},
        }
        for (_, currency), row in found.items()
        if row["calls"] or row["cost"]
    ]


def _rows(f: OldTariffFilters) -> list[dict[str, Any]]:
    """Return a row per customer and currency of its calls; without a successor, or calls, without their figures."""
    figures = _figures(f)
    people = Customer.objects.filter(pk__in=[*f.held]).order_by("code")
    found = []
    for person in people.values("code", "currency", customer_name=F("name"), customer_name_id=F("pk")):
        held = f.held[person["customer_name_id"]]
        olds = sorted(held.tariffs.values(), key=lambda t: (t.superseded_on or date.max, t.name))
        news = list(dict.fromkeys(new.name if (new := f.successor(t)) else NOBODY for t in olds))
        row = {
            **person,
            "customer_id": person["customer_name_id"],
            "tariff": ", ".join(t.name for t in olds),
            "tariff_id": olds[0].pk if len(olds) == 1 else None,
            "since": olds[0].superseded_on,
            "successor": ", ".join(news),
            "numbers": len(held.numbers),
            "customers": 1,
        }
        for more in figures[person["customer_name_id"]] or [NO_CALLS]:
            left_open = dict.fromkeys(THEN) if news == [NOBODY] or "refused" in f.answer else {}
            found.append({**row, **more, **left_open, "customers": row["customers"], "code": person["code"]})
            row |= {"customers": 0, "numbers": 0}
    return found
