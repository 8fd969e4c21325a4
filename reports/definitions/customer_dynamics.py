"""The Customer Dynamics report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from typing import Any, NamedTuple

from django import forms
from django.db.models import Q, Sum

from billing.models import Customer, FeatureType, LedgerEntry
from billing.models.exchange import OLD, Quote, dated_quotes
from kpis.facts_clients import MOVES, STOCKS
from kpis.options import Options
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.fields import CodesField
from reports.filters import ReportFilters
from reports.grouping import Dimension, customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Chart, Line
from resellerkpi.core.columns import SUM, Column, Int, Money, Row
from resellerkpi.core.periods import Period, add_months, containing, midnight
from resellerkpi.core.planner import joined_by_hash
from resellerkpi.core.scope import current

GRAINS = ("year", "quarter", "month", "day")
REFILL, PAYG, PACKAGES = "Balance refill", "Pay as you go", "Packages"
OUTSIDE = ("refills", "refilled", "refill_average", "payg", "payg_average")
SETS = {
    "active": ("Clients: active", "that used something paid in the active duration up to the row's end"),
    "overall": ("Clients: overall active", "that used something paid at any time up to the row's end"),
    "every": ("Clients: all", "in the book at the row's end, under the filters"),
}


def _clients(name: str) -> Iterator[Column]:
    group, whose = SETS[name]
    yield Int(name=f"{name}_qty", label="Qty", level=True, group=group, help=f"Customers {whose}.")
    for part, label, words in (
        ("pos", "Balance pos", "balances above zero (in credit)"),
        ("neg", "Balance neg", "balances below zero (owing)"),
        ("balance", "Balance", "balances"),
    ):
        yield Money(
            name=f"{name}_{part}",
            label=label,
            level=True,
            group=group,
            help=f"Sum of the {words}, at the row's end, of customers {whose}.",
        )


FLOWS = (
    Int(name="refills", label="Qty", total=SUM, group=REFILL, help="Payments received; reversals leave it."),
    Money(
        name="refilled",
        label="Total",
        total=SUM,
        group=REFILL,
        help="Payments received less payments reversed, each on its own day.",
    ),
    Money(
        name="refill_average",
        label="Avg",
        parts=("refilled", "refills"),
        group=REFILL,
        help="Total divided by Qty; empty when there was none.",
    ),
    Money(
        name="payg",
        label="Total",
        total=SUM,
        group=PAYG,
        help="Price of the calls outside of package allowances, billed or not.",
    ),
    Money(
        name="payg_average",
        label="Active avg",
        parts=("payg", "payg_clients"),
        group=PAYG,
        help="Total divided by the active clients; in the total row by the active clients of each row together.",
    ),
    Int(
        name="activations",
        label="Activation qty",
        total=SUM,
        group=PACKAGES,
        help="Packages started, free ones too.",
    ),
    Money(
        name="activated", label="Activation total", total=SUM, group=PACKAGES, help="Sum of activation fees."
    ),
    Int(
        name="renewals",
        label="Renew qty",
        total=SUM,
        group=PACKAGES,
        help="Recurring charges of packages, the first one of each included.",
    ),
    Money(
        name="renewed",
        label="Renew total",
        total=SUM,
        group=PACKAGES,
        help="Sum of the recurring charges of packages, the first ones included.",
    ),
)
CHARTS: Mapping[str, tuple[type[Chart], str, str]] = {
    "clients": (Line, "active_qty", "Clients, active: qty"),
    "refills": (Bar, "refilled", "Balance refill: total"),
    "payg": (Bar, "payg", "Pay as you go: total"),
    "renewals": (Bar, "renewed", "Packages: renew total"),
}

STOCK_FIELDS = ("active_pos", "active_neg", "overall_pos", "overall_neg", "every_pos", "every_neg")
MOVED = ("refills", "refilled", "payg", "activations", "activated", "renewals", "renewed")
CENT = D("0.01")
QTY_FIELDS = ("active_qty", "overall_qty", "every_qty")


class Place(NamedTuple):
    """What tells one row from another: its close, package, group of customers and currency."""

    close: date
    package: str
    key: int
    currency: str


class CustomerDynamics(Report):
    """How many clients are active, what their balances are, what they refill, use and renew: one line per month.

    Balances are those of the ledger at the end of each line; plus is in credit. Test accounts are left out. Grouped by
    package, a client counts under each package it holds at the line's end; refills and calls belong to no package.
    """

    slug = "customer-dynamics"
    name = "Customer Dynamics"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    dimensions = (
        *time_dimensions("day", grains=GRAINS),
        dimension("package", "Package name", "package"),
        *customer_dimensions(""),
    )
    default_groups = ("month",)
    billed = Billed(date="day")
    columns = (*(c for name in SETS for c in _clients(name)), *FLOWS)
    charts = tuple(
        Preset(f"{slug}-{grain}", (Line if grain == "day" else kind)(x=f"by_{grain}", y=(y,), title=title))
        for grain in GRAINS
        for slug, (kind, y, title) in CHARTS.items()
    )

    class Filters(CustomerFilters):
        """JeraSoft's filters: client type, tags, company, account manager, package, active duration."""

        default_period = "this_year"
        package = CodesField(
            FeatureType,
            only={"kind": FeatureType.Kind.PACKAGE},
            required=False,
            label="Packages",
            help_text="Clients that hold one of them at the line's end.",
        )
        duration = forms.IntegerField(
            required=False,
            label="Active duration in months",
            min_value=1,
            max_value=120,
            help_text="A client that used something paid in these months is active.",
        )

        def defaults(self) -> dict[str, list[str]]:
            """Take the active duration of the KPI settings."""
            months = Options.of(self.reseller).active_months
            return super().defaults() | {"duration": [str(months)]}

    def shown(self, f: ReportFilters) -> Sequence[Column]:
        """Return the columns; by package without those that belong to no package."""
        by_package = any(d.slug == "package" for d in f.groups)
        return [c for c in self.columns if c.name not in OUTSIDE] if by_package else self.columns

    def rows(self, f: ReportFilters) -> Iterator[Row]:
        """Yield a row per group, in order of the groups."""
        if f.interval.start > f.as_of:
            return
        asked = Question.of(f)
        if not asked.ids:
            return
        sums = _Sums(f)
        sums.add(_fetched(STOCKS, asked.parameters()), _fetched(MOVES, asked.parameters()))
        yield from sorted(sums.rows(asked), key=_order(f))

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare what was refilled with the payments and reversals of the ledger, as billed."""
        if f.to_currency or any("refilled" not in t for t in totals) or f.cleaned_data["package"]:
            return []
        entries = LedgerEntry.objects.filter(
            _people(f, "customer"),
            kind__in=("payment", "refill", "reversal"),
            date__gte=f.interval.start,
            date__lt=f.interval.end,
            date__lte=f.as_of,
        )
        held = {e["currency"]: -e["sum"] for e in entries.values("currency").annotate(sum=Sum("amount"))}
        return [
            TieOut(
                "Balance refill against the ledger",
                t["currency"],
                t["refilled"],
                held.get(t["currency"], D(0)),
            )
            for t in totals
        ]


def _people(f: ReportFilters, path: str = "") -> Q:
    lead = f"{path}__" if path else ""
    return f.of_customers(path) & Q(**{f"{lead}is_test": False})  # type: ignore[attr-defined]  # of CustomerFilters


@dataclass(frozen=True)
class Question:
    """Whom a query is about, in which groups of customers, over which lines; `names` are the groups' fields."""

    f: ReportFilters
    ids: list[int]
    keys: list[int]
    homes: list[str]
    names: list[Row]
    lines: list[Period]

    @classmethod
    def of(cls, f: ReportFilters) -> "Question":
        """Ask for the customers of the scope and the lines begun by today."""
        named = {n: e for d in f.groups if _of_customers(d) for n, e in d.expressions(f.tz).items()}
        people = Customer.objects.filter(_people(f)).order_by("pk").values("pk", "currency", **named)
        found: dict[tuple[Any, ...], int] = {}
        ids, keys, homes = [], [], []
        names: list[Row] = []
        for person in people:
            key = tuple(person[n] for n in named)
            if key not in found:
                found[key] = len(found)
                names.append(dict(zip(named, key, strict=True)))
            ids.append(person["pk"])
            keys.append(found[key])
            homes.append(person["currency"])
        finest = next((g for g in reversed(GRAINS) if any(d.grain == g for d in f.groups)), "")
        lines = list(f.interval.buckets(finest)) if finest else [f.interval]
        return cls(f, ids, keys, homes, names, [line for line in lines if line.start <= f.as_of])

    def close(self, line: Period) -> date:
        """Return the day at whose end a line stands: its last, or the report's day while it is open."""
        return min(line.last_day, self.f.as_of)

    def until(self, line: Period) -> date:
        """Return the day before which a line's active duration ends: its end, of an open one that of the open month."""
        return min(line.end, add_months(self.close(line).replace(day=1), 1))

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements."""
        asked, zone = self.f.cleaned_data, self.f.tz
        sinces = [add_months(self.until(line), -asked["duration"]) for line in self.lines]
        return {
            "resellers": list(current().reseller_ids),
            "ids": self.ids,
            "keys": self.keys,
            "homes": self.homes,
            "firsts": [line.start for line in self.lines],
            "closes": [self.close(line) for line in self.lines],
            "sinces": sinces,
            "packages": asked["package"],
            "by_package": any(d.slug == "package" for d in self.f.groups),
            "zone": str(zone),
            "window": midnight(min(sinces), zone),
            "starts": self.f.interval.starts_at,
            "ends": midnight(self.close(self.lines[-1]) + timedelta(days=1), zone),
        }


def _of_customers(d: Dimension) -> bool:
    return not d.grain and d.slug != "package"


def _fetched(sql: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with joined_by_hash() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


class _Sums:
    """Adds up what the statements found, in the currency asked for at the rate of each amount's own day."""

    def __init__(self, f: ReportFilters) -> None:
        self.f, self.target = f, f.to_currency
        self.sums: dict[Place, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
        self.quotes: dict[tuple[str, date], Quote | None] = {}

    def add(self, stocks: Sequence[tuple[Any, ...]], moves: Sequence[tuple[Any, ...]]) -> None:
        """Take all of it into account."""
        if self.target:
            wanted = {(row[3], row[0]) for row in stocks} | {(row[3], row[4]) for row in moves}
            self.quotes = dated_quotes(wanted, self.target)
        for close, package, key, currency, *figures in stocks:
            place = Place(close, package, key, self.target or currency)
            self._count(place, dict(zip(QTY_FIELDS, figures, strict=False)))
            self._pay(place, currency, close, dict(zip(STOCK_FIELDS, figures[3:], strict=True)))
        for (
            close,
            package,
            key,
            currency,
            day,
            refills,
            refilled,
            payg,
            started,
            fees,
            renewals,
            renewed,
        ) in moves:
            place = Place(close, package, key, self.target or currency)
            self._count(place, {"refills": refills, "activations": started, "renewals": renewals})
            amounts = {"refilled": refilled, "payg": payg, "activated": fees, "renewed": renewed}
            self._pay(place, currency, day, amounts)
            self._cover(place, day)

    def _count(self, place: Place, figures: Mapping[str, int]) -> None:
        for name, value in figures.items():
            self.sums[place][name] += value

    def _pay(self, place: Place, currency: str, day: date, amounts: Mapping[str, D]) -> None:
        """Add amounts of a day; what has no rate is left out and told, what is zero needs none."""
        row, factor = self.sums[place], D(1)
        if self.target and currency != self.target and any(amounts.values()):
            quote = self.quotes[currency, day]
            if quote is None:
                row["fx_missing"] += 1
                return
            factor = quote.factor
            row["fx_old"] += quote.day < day - OLD
            row["fx_first"] = min(row["fx_first"] or quote.day, quote.day)
            row["fx_last"] = max(row["fx_last"] or quote.day, quote.day)
        for name, amount in amounts.items():
            row[name] += amount if factor == 1 else (amount * factor).quantize(CENT, ROUND_HALF_UP)

    def _cover(self, place: Place, day: date) -> None:
        row = self.sums[place]
        row["covers_from"] = min(row["covers_from"] or day, day)
        row["covers_to"] = max(row["covers_to"] or day, day)

    def rows(self, asked: Question) -> Iterator[Row]:
        """Yield the rows with the fields of their groups."""
        starts = {asked.close(line): line.start for line in asked.lines}
        for place, sums in self.sums.items():
            row: dict[str, Any] = dict.fromkeys(
                (*QTY_FIELDS, *STOCK_FIELDS, *MOVED, "fx_missing", "fx_old"), 0
            )
            row |= {"covers_from": None, "covers_to": None, "fx_first": None, "fx_last": None}
            row |= {k: v for k, v in sums.items() if v != 0}
            row |= {f"{n}_balance": row[f"{n}_pos"] + row[f"{n}_neg"] for n in SETS}
            row |= {
                "payg_clients": row["active_qty"],
                "currency": place.currency,
                "by_package": place.package,
            }
            row |= {f"by_{g}": containing(starts[place.close], g, self.f.tz).start for g in GRAINS}
            yield {**row, **asked.names[place.key]}


def _order(f: ReportFilters) -> Callable[[Row], tuple[str, ...]]:
    """Return the order of rows: by the groups as chosen, then by currency."""
    fields = [n for d in f.groups for n in (d.lookups if _of_customers(d) else (f"by_{d.slug}",))]
    return lambda row: tuple(str(row[n] or "") for n in (*fields, "currency"))
