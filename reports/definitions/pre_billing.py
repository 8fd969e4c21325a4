"""The Pre-billing report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import Case, Count, F, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, NullIf

from billing.billrun.prebilling import FAMILY, FOREVER, with_acceptance
from billing.checks.registry import of_family
from billing.models import BillingRun, Finding
from reports.currency import Billed
from reports.fields import SeveralField
from reports.filters import ReportFilters
from reports.findings import check_name
from reports.grouping import dimension, time_dimensions
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Stack
from resellerkpi.core.columns import BY_ROW, SUM, Choice, Date, DateTime, Int, Money, Row, Text, Words

WHOLESALE = Capability.VIEW_WHOLESALE
ACCEPTED = "Accepted"
MONEY = ("money_per_month", "money_to_date")
STANDING = [(state.value, state.label) for state in Finding.STANDING]


def _runs() -> list[tuple[str, str]]:
    runs = BillingRun.objects.order_by("-period_start", "name", "pk")
    return [
        ("", "All that begin in the period"),
        *((str(pk), name) for pk, name in runs.values_list("pk", "name")),
    ]


class PreBilling(Report):
    """What the bills of a run depend on: what its checks found by level, with the money at stake, and who let it pass.

    Errors stop a run until they are mended or accepted. Of a run whose bills are made it is what stood then. The page
    of a run looks again whenever something has changed; this report shows what was seen last.
    """

    slug = "pre-billing"
    name = "Pre-billing"
    family = "Billing and money"
    needs = WHOLESALE
    keys = ("period", "check", "subject")
    billed = Billed(currency="in_currency", date="period")
    dimensions = (
        dimension("level", "Level", "level", choices=Finding.Level.choices),
        dimension("check", "Check", lambda _: check_name(FAMILY)),
        dimension("state", "Stands", "state", choices=STANDING),
        *time_dimensions("period", grains=("year", "quarter", "month")),
    )
    measures = ("found", *MONEY)
    columns = (
        Date(name="period", label="Bills from", help="The first day of the run's period."),
        Choice(name="level", label="Level", choices=Finding.Level.choices, help="An error stops the run."),
        Text(name="check", label="Check"),
        Text(name="label", label="What", url=BY_ROW, help="The link leads to the page that repairs it."),
        Text(name="customer_name", label="Customer", url="customer"),
        Words(name="why", label="Why", needs=WHOLESALE),
        Choice(name="state", label="Stands", choices=STANDING),
        Int(name="found", label="Found", total=SUM, help="How many rows the checks found."),
        Int(name="count", label="Items", total=SUM, help="Calls, features, days… that are behind the rows."),
        Money(
            name="money_per_month", label="A month", total=SUM, needs=WHOLESALE,
            help="What is at stake a month: what is not charged, what a carrier asks, what may end.",
        ),
        Money(
            name="money_to_date", label="To date", total=SUM, needs=WHOLESALE,
            help="What is at stake in the period's calls, or is open of a customer's bills.",
        ),
        Text(name="currency", label="Currency"),
        Text(name="accepted_reason", label="Why", group=ACCEPTED),
        Text(name="accepted_name", label="By", group=ACCEPTED),
        DateTime(name="accepted_at", label="On", group=ACCEPTED),
        Date(name="until", label="Until", group=ACCEPTED, help="Empty: for this run only."),
        Text(name="subject", label="Subject", hidden=True),
    )  # fmt: skip
    charts = (
        Preset("checks", Bar(x="by_check", y=("found",), title="Found by check")),
        Preset("levels", Stack(x="by_month", y=("found",), series="by_level", title="Found by level")),
        Preset("money", Bar(x="by_check", y=("money_per_month",), title="At stake a month by check")),
    )

    class Filters(ReportFilters):
        """Which run, and what of its findings."""

        default_period = "last_3_months"
        run = forms.ChoiceField(
            choices=_runs,
            required=False,
            label="Bill run",
            help_text="A run chosen here counts whatever the period.",
        )
        level = SeveralField(required=False, label="Levels", choices=Finding.Level.choices)
        check_name = SeveralField(
            required=False, label="Checks", choices=lambda: [(c.slug, c.name) for c in of_family(FAMILY)]
        )
        state = forms.ChoiceField(required=False, label="Stands", choices=[("", "Any"), *STANDING])

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the findings, errors first, or the sums of each group."""
        priced = f.priced(_narrowed(f, _findings(f)))
        if f.groups:
            sums = {name: Sum(f.money(name)) for name in MONEY}
            return f.grouped(priced).annotate(found=Count("pk"), count=Sum("count"), **sums)
        return _told(with_acceptance(priced), f)

    def tie_outs(self, f: ReportFilters, totals: Sequence[Mapping[str, Any]]) -> list[TieOut]:
        """Compare how many were found, and the money at stake, with the register's own of the same runs."""
        chosen = f.cleaned_data
        if chosen["level"] or chosen["check_name"] or chosen["state"] or f.to_currency:
            return []
        sums = _findings(f).order_by().values("in_currency")
        books = {
            row["in_currency"]: row for row in sums.annotate(found=Count("pk"), money=Sum("money_per_month"))
        }
        ties = [
            TieOut(
                "Found, in the register", "",
                D(sum(total["found"] for total in totals)), D(sum(book["found"] for book in books.values())),
            )
        ]  # fmt: skip
        for total in totals:
            book = books.get(total["currency"], {"found": 0, "money": None})
            ties += [
                TieOut(
                    "At stake a month, in the register", total["currency"],
                    D(total["money_per_month"] or 0), book["money"] or D(0),
                ),
            ]  # fmt: skip
        return ties


def _findings(f: ReportFilters) -> QuerySet[Any]:
    """Return what stands of the findings of the runs asked for, in the currency of their money, else the house's."""
    home = Coalesce(NullIf("currency", Value("")), F("reseller__currency"))
    found = Finding.objects.filter(family=FAMILY, state__in=Finding.STANDING).annotate(in_currency=home)
    if chosen := f.cleaned_data["run"]:
        return found.filter(period__in=BillingRun.objects.filter(pk=chosen).values("period_start"))
    return found.filter(period__gte=f.interval.start, period__lt=f.interval.end)


def _narrowed(f: ReportFilters, found: QuerySet[Any]) -> QuerySet[Any]:
    """Return the findings of the levels, checks and state asked for."""
    chosen = f.cleaned_data
    wanted = {"level__in": chosen["level"], "check_slug__in": chosen["check_name"], "state": chosen["state"]}
    return found.filter(**{lookup: value for lookup, value in wanted.items() if value})


def _told(found: QuerySet[Any], f: ReportFilters) -> Iterator[Row]:
    """Yield the findings as rows: the latest run first, errors before warnings."""
    order = Case(*(When(level=level, then=Value(n)) for n, level in enumerate(Finding.Level.values)))
    names = ("period", "level", "label", "why", "state", "subject", "count", "page", "page_args", "accepted_reason",
             "accepted_until", "accepted_at", "customer_id")  # fmt: skip
    money = {f"shown_{name}": f.money(name) for name in MONEY}
    rows = found.order_by("-period", order, "check_slug", "label", "pk").values(
        *names, *f.rate_fields, **money, check=check_name(FAMILY), shown_in=f.money_currency,
        customer_name=F("customer__name"), accepted_name=F("accepted_by__name"),
    )  # fmt: skip
    for row in rows.iterator():
        until = row.pop("accepted_until")
        yield (
            row
            | {name: row[f"shown_{name}"] for name in MONEY}
            | {
                "found": 1,
                "currency": row["shown_in"],
                "label_url": row["page"],
                "label_id": row["page_args"][0] if row["page_args"] else None,
                "customer_name_id": row["customer_id"],
                "until": None if until == FOREVER else until,
            }
        )
