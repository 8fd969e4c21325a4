"""Dimensions: what a report's rows can be grouped by, in SQL; ready ones for time and for customers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import CharField, F, Func, Value
from django.db.models.functions import (
    TruncDate,
    TruncMonth,
    TruncQuarter,
    TruncWeek,
    TruncYear,
)

from billing.models import Customer
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Bucket, Choice, Code, Column, Row, Text

#: A path of the query, or what makes its expression in a time zone.
Lookup = str | Callable[[ZoneInfo], Any]
TRUNCATE = {"year": TruncYear, "quarter": TruncQuarter, "month": TruncMonth, "week": TruncWeek}
CUSTOMERS = "Customers"
GRAINS = {"year": "Year", "quarter": "Quarter", "month": "Month", "week": "Week", "day": "Day"}


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing to group by: its columns, and the lookup of each field they read; `needs` hides it from roles."""

    slug: str
    label: str
    columns: tuple[Column, ...]
    lookups: Mapping[str, Lookup] = field(hash=False)
    family: str = "Other"
    needs: Capability | None = None

    @property
    def grain(self) -> str:
        """The grain of a time bucket, "" for anything else."""
        return next((c.grain for c in self.columns if isinstance(c, Bucket)), "")

    def expressions(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return row field -> query expression."""
        return {
            name: F(lookup) if isinstance(lookup, str) else lookup(zone)
            for name, lookup in self.lookups.items()
        }


def dimension(
    slug: str,
    label: str,
    lookup: Lookup,
    *,
    choices: Sequence[tuple[Any, str]] = (),
    help: str = "",
    family: str = "Other",
    needs: Capability | None = None,
) -> Dimension:
    """Return a dimension of one column `by_<slug>`: words, or codes shown by the labels of `choices`."""
    name = f"by_{slug}"
    column: Column = Text(name=name, label=label, help=help, needs=needs)
    if choices:
        column = Choice(name=name, label=label, help=help, choices=tuple(choices), needs=needs)
    return Dimension(
        slug=slug, label=label, columns=(column,), lookups={name: lookup}, family=family, needs=needs
    )


def time_dimensions(
    path: str, *, instant: bool = False, grains: Sequence[str] = tuple(GRAINS)
) -> tuple[Dimension, ...]:
    """Return year to day of a date; of an `instant`, as the clock stands in the query's zone."""
    return tuple(_time(path, grain, instant) for grain in grains)


def _time(path: str, grain: str, instant: bool) -> Dimension:
    name = f"by_{grain}"

    def lookup(zone: ZoneInfo) -> Any:
        found: Any = TruncDate(path, tzinfo=zone) if instant else F(path)
        return TRUNCATE[grain](found) if grain in TRUNCATE else found

    return Dimension(
        slug=grain,
        label=GRAINS[grain],
        columns=(Bucket(name=name, label=GRAINS[grain], grain=grain),),
        lookups={name: lookup},
        family="Time",
    )


def customer_dimensions(path: str = "customer") -> tuple[Dimension, ...]:
    """Return what customers are grouped by; `path` leads from a row to its customer, "" for customers themselves."""
    lead = f"{path}__" if path else ""
    customer = Dimension(
        slug="customer",
        label="Customer",
        columns=(
            Text(name="by_customer", label="Customer", url="customer"),
            Code(name="by_account", label="Account", help="The customer's account code."),
        ),
        lookups={
            "by_customer": f"{lead}name",
            "by_customer_id": f"{path}_id" if path else "pk",
            "by_account": f"{lead}code",
        },
        family=CUSTOMERS,
    )

    def of(slug: str, label: str, lookup: Lookup, **options: Any) -> Dimension:
        return dimension(slug, label, lookup, family=CUSTOMERS, **options)

    people = {"needs": Capability.VIEW_PEOPLE, "help": "The customer's account manager today."}
    return (
        customer,
        of("client_type", "Client type", f"{lead}client_type", choices=Customer.ClientType.choices),
        of("dealer", "Dealer", f"{lead}dealer__name", help="The customer's dealer today."),
        of("account_manager", "Account manager", f"{lead}account_manager__name", **people),
        of("segment", "Segment", f"{lead}segment"),
        of("tags", "Tags", lambda _: _tags(f"{lead}tags"), help="The customer's tags, together."),
        of("campaign", "Campaign", f"{lead}campaign", help="The campaign that brought the customer."),
        of("company", "Company", f"{lead}reseller__name", help="The reseller."),
    )


def _tags(path: str) -> Func:
    """Return a customer's tags as one text: a customer with two tags is counted once."""
    return Func(F(path), Value(", "), function="array_to_string", output_field=CharField())


def grouped_rows(
    groups: Sequence[Dimension],
    zone: ZoneInfo,
    rows: Iterable[Row],
    *,
    sums: Sequence[str],
    by: Sequence[str] = ("currency",),
    least: Sequence[str] = (),
    most: Sequence[str] = (),
) -> Iterator[Row]:
    """Yield rows that no single query makes, put together by groups and the fields in `by`, in order.

    What a customer is grouped by is asked once for all `customer_id` of the rows; other dimensions read the row's own
    fields. `sums` are added, of `least` and `most` the smallest and largest are kept; empty values do not count.
    """
    rows = list(rows)
    people = {n: e for d in groups if d.family == CUSTOMERS for n, e in d.expressions(zone).items()}
    asked = (
        Customer.objects.filter(pk__in={r["customer_id"] for r in rows if r["customer_id"]})
        if people
        else None
    )
    known = {r["pk"]: r for r in asked.values("pk", **people)} if asked is not None else {}
    names = [n for d in groups for n in d.lookups]
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        whole = {**row, **dict.fromkeys(people), **known.get(row["customer_id"], {})}
        key = tuple(whole[n] for n in (*names, *by))
        held = found.setdefault(key, {n: whole[n] for n in (*names, *by)})
        for name in sums:
            if row.get(name) is not None:
                held[name] = row[name] + (held.get(name) or 0)
        for pick, fields in ((min, least), (max, most)):
            for name in fields:
                held[name] = pick((v for v in (held.get(name), row.get(name)) if v is not None), default=None)
    order = sorted(found, key=lambda key: [(v is None, "" if v is None else v) for v in key])
    yield from (found[key] for key in order)
