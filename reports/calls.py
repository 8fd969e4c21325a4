"""What every report of calls shares: filters, dimensions, and sums of calls with each cost in its own currency."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal as D
from typing import Any, ClassVar

from django import forms
from django.db.models import CharField, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat, ExtractHour, LPad, NullIf

from billing.models import Call, Carrier, Tariff, TariffRate
from reports.currency import Billed
from reports.customers import CustomerFilters
from reports.fields import CodesField, SeveralField
from reports.filters import ReportFilters
from reports.grouping import customer_dimensions, dimension, time_dimensions
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Row

CALLS = "Calls"
#: The currency of a call's price; of one without a price, the reseller's own.
BILLED = Billed(currency="billed_in", date="started_at", instant=True)
COSTED = Billed(currency="cost_currency", date="started_at", instant=True)
#: The cost of calls: reported, else expected.
COSTS = {"cost": "supplied"}


def _hour(zone: Any) -> Any:
    hour = LPad(Cast(ExtractHour("started_at", tzinfo=zone), CharField()), 2, Value("0"))
    return Concat(hour, Value(":00"), output_field=CharField())


CALL_DIMENSIONS = (
    *time_dimensions("started_at", instant=True),
    dimension("hour", "Hour of the day", _hour, family="Time", help="By the clock in the query's time zone."),
    *customer_dimensions(),
    dimension("class", "Class of call", "call_class", family=CALLS),
    dimension("destination", "Destination", "destination", family=CALLS),
    dimension("service", "Service", "service", choices=TariffRate.Service.choices, family=CALLS),
    dimension("carrier", "Supplier", "carrier__name", needs=Capability.VIEW_WHOLESALE, family=CALLS),
    dimension("state", "State of call", "state", choices=Call.State.choices, family=CALLS),
    dimension("reason", "Reason", "reason", choices=Call.Reason.choices, family=CALLS),
)


class CallFilters(CustomerFilters):
    """Filters of customers, and of calls by supplier, service, class and destination."""

    needs: ClassVar[Mapping[str, Capability]] = {
        **CustomerFilters.needs,
        "carrier": Capability.VIEW_WHOLESALE,
    }

    carrier = CodesField(Carrier, required=False, label="Suppliers")
    service = SeveralField(required=False, label="Services", choices=TariffRate.Service.choices)
    call_class = forms.CharField(required=False, label="Class of call", max_length=30)
    destination = forms.CharField(
        required=False, label="Destination", max_length=120, help_text="Part of its name."
    )

    @property
    def of_calls(self) -> dict[str, Any]:
        """The look-ups of calls that were asked for."""
        asked = self.cleaned_data
        wanted = {
            "carrier__code__in": asked.get("carrier"),
            "service__in": asked["service"],
            "call_class__iexact": asked["call_class"],
            "destination__icontains": asked["destination"],
        }
        return {lookup: value for lookup, value in wanted.items() if value}

    @property
    def narrows(self) -> bool:
        """Whether anything beside the interval says which calls count."""
        return bool(self.of_calls or self.of_customers() or self.cleaned_data.get("state"))


def calls_of(f: CallFilters) -> QuerySet[Any]:
    """Return the calls of a query that started in its interval, with `billed_in` and what they cost us.

    `supplied` is the supplier's cost or, where it reported none, the one its price list says.
    """
    period = f.interval
    rows = Call.objects.filter(
        f.of_customers(), started_at__gte=period.starts_at, started_at__lt=period.ends_at, **f.of_calls
    )
    return rows.annotate(
        billed_in=Coalesce(NullIf("currency", Value("")), Value(f.reseller.currency)),
        supplied=Coalesce("cost", "expected_cost", Value(D(0))),
        supplied_reported=F("cost"),
        supplied_expected=F("expected_cost"),
    )


def summed(
    f: ReportFilters, calls: QuerySet[Any], sums: Mapping[str, Any], costs: Mapping[str, str] = COSTS
) -> Iterable[Row]:
    """Return the groups of calls with `sums`, `retail`, the `costs` by name (`cost` at least) and `margin`.

    A cost in another currency than the price stands in the group of its own currency, never in that of the price.
    """
    at_home = Q(cost_currency="") | Q(cost_currency=F("billed_in"))
    rows = f.grouped(f.priced(calls)).annotate(
        **sums, **_costs(f, costs, filter=at_home), retail=Sum(f.money("retail", places=6))
    )
    rows = rows.annotate(margin=F("retail") - F("cost"))
    if not _several_currencies(f):
        return rows
    abroad = copy(f)
    abroad.asks = replace(f.asks, billed=COSTED)  # type: ignore[misc]  # of this query alone
    others = abroad.grouped(abroad.priced(calls.exclude(at_home))).annotate(**_costs(abroad, costs))
    return _joined(f, rows, others, {**dict.fromkeys(sums, 0), "retail": D(0)}, list(costs))


def _costs(f: ReportFilters, costs: Mapping[str, str], **only: Any) -> dict[str, Any]:
    return {n: Coalesce(Sum(f.money(path, places=6), **only), Value(D(0))) for n, path in costs.items()}


def _several_currencies(f: ReportFilters) -> bool:
    """Say whether any supplier may charge in another currency than its calls are sold in."""
    held = {*Carrier.objects.order_by().values_list("currency", flat=True).distinct()}
    held |= {*Tariff.objects.order_by().values_list("currency", flat=True).distinct()}
    return bool(held - {f.reseller.currency})


def _joined(
    f: ReportFilters,
    rows: QuerySet[Any],
    others: QuerySet[Any],
    none: Mapping[str, Any],
    costs: Sequence[str],
) -> Iterator[Row]:
    names = [*(n for d in f.groups for n in d.lookups), "currency"]
    held = {tuple(row[n] for n in names): row for row in others}
    for row in rows.iterator(chunk_size=2_000):
        other = held.pop(tuple(row[n] for n in names), None)
        yield _added(row, other, costs) if other else row
    for other in held.values():
        yield _added({**dict.fromkeys(other), **none, "fx_missing": 0, "fx_old": 0}, other, costs)


def _added(row: Row, other: Row, costs: Sequence[str]) -> Row:
    """Add the costs of another currency's calls to a group, with what they tell of their rates."""
    found = {**other, **row, **{n: other[n] for n in other if row.get(n) is None}}
    found |= {n: (row.get(n) or 0) + other[n] for n in costs}
    if "fx_missing" in other:
        first, last = ([r[n] for r in (row, other) if r[n]] for n in ("fx_first", "fx_last"))
        found |= {"fx_first": min(first, default=None), "fx_last": max(last, default=None)}
        found |= {n: row[n] + other[n] for n in ("fx_missing", "fx_old")}
    return found | {"margin": (row["retail"] or 0) - found["cost"]}
