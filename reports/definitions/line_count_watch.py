"""The Line-count watch report."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import F, Q

from billing.models import Customer, NumberAssignment
from kpis.asked import Asked
from kpis.compute import by_customer
from kpis.kpi import KPIS, Part
from kpis.reading import Reader
from kpis.sources import USAGE_COUNT
from reports.customers import CustomerAsOfFilters
from reports.fields import SeveralField
from reports.grouping import customer_dimensions, grouped_rows
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Row, Text
from resellerkpi.core.periods import add_months
from resellerkpi.core.scope import current

SPANS = (3, 6, 12)
SIGNALS = {"reducing": "Quietly reducing", "silent": "Silent", "falling": "Usage falling"}
USAGE = "Calls in three months"
#: What the KPIs of the report are, by the name it has here.
KPI_OF = {
    "numbers": "numbers_total",
    "added": "numbers_added",
    "removed": "numbers_removed",
    "reducing": "declining_customers",
    "used": "number_utilisation",
    "mrr": "mrr",
    "at_risk": "at_risk_mrr",
}
CALLS = Part(USAGE_COUNT, "r.calls")
COUNTED = tuple(f"{name}_{span}" for span in SPANS for name in ("added", "removed"))
COUNTS = ("numbers", "numbers_past", *COUNTED, "calls", "calls_past")
SUMS = ("customers", *SIGNALS, *COUNTS, "quiet", "mrr", "at_risk")


def _moves() -> Iterator[Column]:
    for span in SPANS:
        group = f"Last {span} months"
        of = f"the month of the report and the {span - 1} before, each month's by itself"
        yield Int(name=f"added_{span}", label="Added", total=SUM, group=group, help=f"Numbers added in {of}.")
        yield Int(
            name=f"removed_{span}", label="Removed", total=SUM, group=group, help=f"Numbers removed in {of}."
        )


class WatchFilters(CustomerAsOfFilters):
    """Filters of customers, their signals, and how long ago their numbers changed."""

    signal = SeveralField(
        required=False,
        label="Signals",
        choices=list(SIGNALS.items()),
        help_text="Customers with one of them.",
    )
    changed = forms.ChoiceField(
        required=False,
        label="Numbers changed in",
        choices=[("", "Any time, or never"), *((str(n), f"The last {n} months") for n in SPANS)],
    )


class LineCountWatch(Report):
    """Whose numbers grow or shrink over 3, 6 and 12 months, who has fallen silent, and whose usage drifts down.

    Quietly reducing is the KPI: fewer numbers than at the close before in two of the last three months, or a fifth
    fewer than three months ago. Silent: numbers, none of which called in 90 days. Usage falling: in the last three
    whole months a third fewer calls than in the three before.
    """

    slug = "line-count-watch"
    name = "Line-count watch"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    dimensions = customer_dimensions("")
    keys = ("code", "currency")
    compares_rows = True
    measures = ("customers", *SIGNALS, "numbers", "quiet", "mrr", "at_risk")
    columns = (
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="customer_name", label="Customer", url="customer"),
        Text(name="dealer", label="Dealer", help="The customer's dealer today."),
        Text(name="signals", label="Signals", help="What calls for a call to the customer."),
        Int(name="customers", label="Customers", total=SUM),
        *(
            Int(name=name, label=label, total=SUM, help="Customers with the signal.")
            for name, label in SIGNALS.items()
        ),
        Int(
            name="numbers",
            label="Numbers",
            total=SUM,
            help="Numbers held at the end of the day of the report.",
        ),
        *_moves(),
        Int(
            name="numbers_past",
            label="A year ago",
            total=SUM,
            help="Numbers held at the close twelve months before.",
        ),
        Int(
            name="quiet", label="Silent numbers", total=SUM, help="Numbers held that made no call in 90 days."
        ),
        Int(
            name="calls",
            label="Now",
            total=SUM,
            group=USAGE,
            help="Calls, messages and data sessions with a price, or free, of the last three whole months.",
        ),
        Int(
            name="calls_past",
            label="Before",
            total=SUM,
            group=USAGE,
            help="The same of the three months before.",
        ),
        Code(name="currency", label="Currency"),
        Money(name="mrr", label="MRR", total=SUM, help="Monthly recurring revenue at the end of that day."),
        Money(
            name="at_risk", label="MRR at risk", total=SUM, help="MRR of customers that are quietly reducing."
        ),
    )
    charts = (
        Preset("risk", Bar(x="customer_name", y=("at_risk",), title="MRR of customers quietly reducing")),
        Preset("removed", Bar(x="customer_name", y=("removed_12",), title="Numbers removed in 12 months")),
        Preset("added", Bar(x="customer_name", y=("added_12",), title="Numbers added in 12 months")),
        Preset("quiet", Bar(x="customer_name", y=("quiet",), title="Silent numbers")),
        Preset("dealers", Bar(x="by_dealer", y=("at_risk",), title="MRR at risk by dealer")),
        Preset(
            "segments",
            Bar(x="by_segment", y=("removed_12",), title="Numbers removed in 12 months by segment"),
        ),
    )

    class Filters(WatchFilters):
        """Filters of customers, their signals, and how long ago their numbers changed."""

    def shown(self, f: WatchFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns: of groups how many customers, of customers what they are called."""
        counts = ("customers", *SIGNALS)
        return [c for c in self.columns if f.groups or c.name not in counts]

    def rows(self, f: WatchFilters) -> Iterable[Row]:  # type: ignore[override]  # the form is this report's own
        """Return the customers with most signals and MRR first, or groups of them."""
        found = [row for one in _watched(f) for row in one.rows()]
        if f.groups:
            return grouped_rows(f.groups, f.tz, found, sums=SUMS)
        return sorted(
            found, key=lambda r: (not r["signals"], -r["at_risk"], -r["mrr"], r["code"], r["currency"])
        )

    def tie_outs(
        self,
        f: WatchFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare the numbers with the assignments of that day, when no customer is left out for what it does."""
        if f.cleaned_data["signal"] or f.cleaned_data["changed"]:
            return []
        running = Q(end_date__isnull=True) | Q(end_date__gt=f.as_of)
        held = NumberAssignment.objects.filter(running, f.of_customers(), start_date__lte=f.as_of)
        ours = sum(total["numbers"] for total in totals)
        return [
            TieOut("Numbers against the book", "", D(ours), D(held.filter(customer__is_test=False).count()))
        ]


@dataclass
class _Watched:
    """A customer with what the KPIs say of it: counts by name, amounts by name and currency."""

    row: Row
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    amounts: dict[tuple[str, str], D] = field(default_factory=dict)

    @property
    def signals(self) -> list[str]:
        """The signals it gives."""
        now = self.counts
        given = {
            "reducing": now["reducing"] > 0,
            "silent": now["numbers"] > 0 and now["used"] == 0,
            "falling": now["calls_past"] > 0 and now["calls"] * 3 <= now["calls_past"] * 2,
        }
        return [name for name in SIGNALS if given[name]]

    def wanted(self, f: WatchFilters) -> bool:
        """Say whether a query asks for it: it has or had something, and gives a signal that is asked for."""
        asked = f.cleaned_data
        if asked["changed"] and not any(self.counts[f"{n}_{asked['changed']}"] for n in ("added", "removed")):
            return False
        if asked["signal"]:
            return bool({*asked["signal"]} & {*self.signals})
        return any(self.counts.values()) or any(self.amounts.values())

    def rows(self) -> Iterator[Row]:
        """Yield its row, and one more with amounts alone for each further currency it is billed in."""
        home = self.row["currency"]
        abroad = sorted({c for (_, c), amount in self.amounts.items() if amount} - {home})
        counts: dict[str, int | None] = {name: self.counts[name] for name in COUNTS}
        counts |= {"quiet": self.counts["numbers"] - self.counts["used"], "customers": 1}
        counts.update({name: int(name in self.signals) for name in SIGNALS})
        signals = ", ".join(SIGNALS[name] for name in self.signals)
        for currency in (home, *abroad):
            amounts = {n: self.amounts.get((n, currency), D(0)) for n in ("mrr", "at_risk")}
            yield {**self.row, "currency": currency, "signals": signals, **counts, **amounts}
            counts = dict.fromkeys(counts)


def _asked(f: WatchFilters, months: int, *, whole: bool = False) -> Asked:
    """Return the closes to ask for: of the month of the report's day and those before, or of the last `whole` ones."""
    reader, day = Reader(f.reseller, current(), f.now), f.as_of
    ends = (day + timedelta(days=1)).day == 1
    last = day.replace(day=1) if ends or not whole else add_months(day.replace(day=1), -1)
    wanted = [add_months(last, -n) for n in range(months)]
    if ends or whole or day == reader.today:
        return reader.closes_of(wanted)
    scope = current()
    whose = {"dealer_id": scope.dealer_id, "customer_id": scope.customer_id}
    return Asked.months(f.reseller.pk, wanted, day, options=reader.options, **whose)


def _watched(f: WatchFilters) -> list[_Watched]:
    """Return the customers a query asks for: one query per figure, however many they are."""
    names = {"customer_name": F("name"), "customer_name_id": F("pk"), "customer_id": F("pk")}
    people = Customer.objects.filter(f.of_customers(""), is_test=False).order_by("code")
    rows = people.values("code", "currency", **names, of_dealer=F("dealer__name"))
    found = {row["customer_id"]: _Watched({**row, "dealer": row["of_dealer"]}) for row in rows}
    _count_numbers(found, f)
    _count_usage(found, f)
    close = _asked(f, 1)
    for name in ("reducing", "used"):
        for who, _, _, value in by_customer(_part(name), close):
            if who in found:
                found[who].counts[name] += int(value)
    for name in ("mrr", "at_risk"):
        for who, _, currency, value in by_customer(_part(name), close):
            if who in found:
                found[who].amounts[name, currency] = value
    return [one for one in found.values() if one.wanted(f)]


def _part(name: str) -> Part:
    part = KPIS.get(KPI_OF[name]).shape.top
    assert part is not None, "these KPIs count something"
    return part


def _count_numbers(found: Mapping[int, _Watched], f: WatchFilters) -> None:
    """Count numbers held now and a year ago, and those added and removed in each span."""
    asked = _asked(f, SPANS[-1] + 1)
    last = max(asked.days).replace(day=1)
    for name in ("numbers", "added", "removed"):
        for who, month, _, value in by_customer(_part(name), asked):
            ago = (last.year - month.year) * 12 + last.month - month.month
            if who not in found:
                continue
            counts = found[who].counts
            if name == "numbers":
                counts.update(
                    {n: int(value) for n, at in (("numbers", 0), ("numbers_past", 12)) if ago == at}
                )
                continue
            for span in SPANS:
                counts[f"{name}_{span}"] += int(value) if ago < span else 0


def _count_usage(found: Mapping[int, _Watched], f: WatchFilters) -> None:
    """Count calls of the last three whole months and of the three before."""
    asked = _asked(f, 6, whole=True)
    late = add_months(max(asked.days).replace(day=1), -2)
    for who, month, _, value in by_customer(CALLS, asked):
        if who in found:
            found[who].counts["calls" if month >= late else "calls_past"] += int(value)
