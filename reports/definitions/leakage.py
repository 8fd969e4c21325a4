"""The Revenue leakage report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from billing.checks.ledger import document_page
from billing.checks.registry import of_family
from billing.models import Finding, FindingEvent
from reports.currency import Billed
from reports.fields import SeveralField
from reports.filters import ReportFilters
from reports.findings import check_name
from reports.grouping import customer_dimensions, dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Stack
from resellerkpi.core.columns import BY_ROW, SUM, Choice, DateTime, Int, Money, Row, Text, Words

FAMILY = Finding.Family.LEAKAGE
AMOUNTS = ("money_per_month", "money_to_date", "recovered")


class Leakage(Report):
    """Where money leaks: what the checks found, what it costs a month and to date, and what came back.

    Findings that stood open, or accepted, on a day of the period at least; money is as last found, at least so much.
    """

    slug = "leakage"
    name = "Revenue leakage"
    family = "Billing and money"
    needs = Capability.VIEW_MARGIN
    keys = ("check", "subject", "since")
    billed = Billed(currency="currency", date="period")
    dimensions = (
        dimension("check", "Kind of leak", lambda _: check_name(FAMILY)),
        dimension("state", "State", "state", choices=Finding.State.choices),
        *time_dimensions("period", grains=("year", "quarter", "month")),
        *customer_dimensions(),
    )
    measures = ("findings", *AMOUNTS)
    columns = (
        Text(name="check", label="Kind of leak"),
        Text(name="label", label="What", url=BY_ROW, help="The link leads to the finding in the register."),
        Text(name="customer_name", label="Customer", url="customer"),
        Text(name="since", label="Since", help="The month in which it began."),
        Int(name="findings", label="Findings", total=SUM),
        Money(name="money_per_month", label="A month", total=SUM, help="What it costs in a month, at least."),
        Money(
            name="money_to_date",
            label="To date",
            total=SUM,
            help="What it has cost since it began, at least.",
        ),
        Money(name="recovered", label="Got back", total=SUM, help="Money noted as got back."),
        Text(
            name="back_on",
            label="Got back on",
            url=BY_ROW,
            help="The invoice or credit note on which the money came back, the latest of several.",
        ),
        Text(name="currency", label="Currency"),
        Choice(name="state", label="State", choices=Finding.State.choices),
        Text(name="owner_name", label="With", needs=Capability.VIEW_PEOPLE, help="Who deals with it."),
        Words(name="why", label="Why"),
        DateTime(name="first_seen", label="First found"),
        DateTime(name="closed_at", label="Closed"),
        Text(name="subject", label="Subject", hidden=True),
    )
    charts = (
        Preset("leaks", Bar(x="label", y=("money_per_month",), title="A month, by leak")),
        Preset("checks", Bar(x="by_check", y=("money_per_month",), title="A month, by kind of leak")),
        Preset("to_date", Bar(x="by_check", y=("money_to_date", "recovered"), title="To date and got back")),
        Preset(
            "months", Stack(x="by_month", y=("findings",), series="by_check", title="Findings by first month")
        ),
    )

    class Filters(ReportFilters):
        """Which findings."""

        kind = SeveralField(
            required=False,
            label="Kinds of leak",
            choices=lambda: [(c.slug, c.name) for c in of_family(FAMILY)],
        )
        state = SeveralField(required=False, label="States", choices=Finding.State.choices)

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the findings, the dearest first, or the sums of each group."""
        priced = f.priced(_narrowed(f))
        if f.groups:
            sums = {name: Sum(f.money(name)) for name in AMOUNTS}
            return f.grouped(priced).annotate(findings=Count("pk"), **sums)
        return _told(priced, f)

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare the money to date with the register's own of all that stood."""
        if f.cleaned_data["kind"] or f.cleaned_data["state"] or f.to_currency:
            return []
        sums = _standing(f).order_by().values("currency").annotate(money=Sum("money_to_date"))
        books = {row["currency"]: row for row in sums}
        found = []
        for total in totals:
            book = books.get(total["currency"], {"money": None})
            found += [
                TieOut(
                    "To date, in the register",
                    total["currency"],
                    D(total["money_to_date"] or 0),
                    book["money"] or D(0),
                ),
            ]
        return found


def _standing(f: ReportFilters) -> QuerySet[Any]:
    """Return the findings that stood on a day of the interval."""
    open_then = Q(closed_at__isnull=True) | Q(closed_at__gte=f.interval.starts_at)
    return Finding.objects.filter(open_then, family=FAMILY, first_seen__lt=f.interval.ends_at)


def _narrowed(f: ReportFilters) -> QuerySet[Any]:
    wanted = {"check_slug__in": f.cleaned_data["kind"], "state__in": f.cleaned_data["state"]}
    return _standing(f).filter(**{lookup: value for lookup, value in wanted.items() if value})


def _back_on() -> dict[str, Any]:
    """Return the expressions of the document on which a finding's money came back last."""
    named = Q(invoice__isnull=False) | Q(credit_note__isnull=False)
    latest = FindingEvent.objects.filter(named, finding=OuterRef("pk")).order_by("-at", "-pk")
    number = Coalesce("invoice__number", "credit_note__number")
    return {
        "back_on": Subquery(latest.annotate(number=number).values("number")[:1]),
        "back_invoice": Subquery(latest.values("invoice_id")[:1]),
        "back_note": Subquery(latest.values("credit_note_id")[:1]),
    }


def _told(found: QuerySet[Any], f: ReportFilters) -> Iterator[Row]:
    """Yield the findings as rows."""
    money = {f"shown_{name}": f.money(name) for name in AMOUNTS}
    names = ("pk", "label", "period", "state", "why", "first_seen", "closed_at", "subject", "customer_id")
    rows = found.order_by(F("money_per_month").desc(nulls_last=True), "check_slug", "label", "pk").values(
        *names,
        *f.rate_fields,
        **money,
        **_back_on(),
        check=check_name(FAMILY),
        shown_in=f.money_currency,
        customer_name=F("customer__name"),
        owner_name=F("owner__name"),
    )
    for row in rows.iterator():
        yield (
            row
            | {name: row[f"shown_{name}"] for name in AMOUNTS}
            | {
                "findings": 1,
                "currency": row["shown_in"],
                "since": f"{row['period']:%B %Y}",
                "label_url": "finding",
                "label_id": row["pk"],
                "customer_name_id": row["customer_id"],
                "back_on_url": document_page(row["back_invoice"], row["back_note"]),
                "back_on_id": row["back_invoice"] or row["back_note"],
            }
        )
