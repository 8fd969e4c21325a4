"""The Post-billing report."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import F, QuerySet, Sum

from billing.models import BillingRun, ChargeKind, Customer, Invoice, NotProduced
from kpis.options import Options
from reports.customers import CustomerFilters
from reports.postbilling.bills import KINDS, Bill, bills
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Flag, Growth, Money, Text

EARLIER, SPLIT, LOOK = "Against earlier bills", "Net by kind of charge", "Needs a look"
PRODUCED, LATEST = "produced", "latest"
OUTCOMES = [(PRODUCED, "Produced"), *((r.value, str(r.label)) for r in NotProduced.Reason)]
BILLED = (BillingRun.State.BILLED, BillingRun.State.CONFIRMED, BillingRun.State.SENT)


def _run_choices() -> list[tuple[str, str]]:
    runs = BillingRun.objects.filter(state__in=BILLED).order_by("-period_start", "cycle", "pk")
    named = [(str(pk), name) for pk, name in runs.values_list("pk", "name")]
    return [("", "All whose invoices are dated in the period"), (LATEST, "The latest run"), *named]


class PostBilling(Report):
    """What a run billed each customer, beside its earlier bills, and who got no bill and why: look before you send.

    One line per bill and per customer without one, of runs whose invoices are dated in the period; drafts are in it.
    """

    slug = "post-billing"
    name = "Post-billing"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    keys = ("run", "code", "currency")
    columns = (
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="customer_name", label="Customer", url="customer"),
        Text(name="run", label="Run", help="The bill run."),
        Code(name="number", label="Invoice", url="invoice", help="The invoice's number; drafts have none."),
        Choice(name="outcome", label="Outcome", choices=OUTCOMES, help="Produced, or why there is no bill."),
        Choice(
            name="method", label="Payment method", choices=Customer.Method.choices, help="How they pay today."
        ),
        Code(name="currency", label="Currency"),
        Money(name="net", label="Net", total=SUM, group="Billed", help="Sum of the lines before VAT."),
        Money(name="vat", label="VAT", total=SUM, group="Billed"),
        Money(name="gross", label="Gross", total=SUM, group="Billed", help="Net plus VAT."),
        Money(
            name="previous",
            label="Run before",
            total=SUM,
            group=EARLIER,
            help="Net of the customer's bill in the run before; empty without one.",
        ),
        Growth(
            name="change",
            label="Change",
            parts=("more", "previous"),
            group=EARLIER,
            help="Net of those who had a bill in the run before, by what that was.",
        ),
        Money(
            name="mean", label="Mean of three", group=EARLIER, help="Of the three runs before, if all billed."
        ),
        Money(name="off", label="Off the mean", group=EARLIER, help="Net less the mean."),
        Money(name="spread", label="Usual spread", group=EARLIER, help="Standard deviation of those three."),
        Flag(
            name="stands_out",
            label="Stands out",
            group=LOOK,
            help="Off the mean by more than the spread, by an amount and by a part of it: see the settings of KPIs.",
        ),
        Money(
            name="unpaid",
            label="Unpaid before",
            total=SUM,
            group=LOOK,
            help="Open on earlier invoices, with VAT.",
        ),
        Flag(
            name="final", label="Final bill", group=LOOK, help="The customer had left by the day of the bill."
        ),
        Money(
            name="waiting",
            label="Waiting",
            total=SUM,
            group=LOOK,
            help="Not billed now; comes with a later bill.",
        ),
        *(
            Money(
                name=f"net_{kind.value}",
                label=str(kind.label),
                total=SUM,
                group=SPLIT,
                help=f"Net of {kind.label.lower()} lines.",
            )
            for kind in ChargeKind
        ),
        Money(name="more", label="Change of those billed before", total=SUM, group=EARLIER, hidden=True),
    )
    charts = (
        Preset(
            "customers",
            Bar(x="customer_name", y=("net", "previous"), title="Billed now and in the run before"),
        ),
        Preset("off", Bar(x="customer_name", y=("off",), title="How far bills are off their mean")),
        Preset("methods", Bar(x="method", y=("gross",), title="Billed by payment method")),
        Preset("unpaid", Bar(x="customer_name", y=("unpaid",), title="Unpaid on earlier invoices")),
    )

    class Filters(CustomerFilters):
        """Which run, and what to leave out, besides the filters of customers."""

        run = forms.ChoiceField(
            choices=_run_choices,
            required=False,
            label="Bill run",
            help_text="A run chosen here counts whatever the period.",
        )
        look = forms.BooleanField(required=False, label="Only what needs a look")

    def rows(self, f: CustomerFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield bills from the farthest off their mean, then customers without one."""
        people = _people(f)
        made = bills(
            Options.of(f.reseller),
            day=f.as_of,
            run_id=_chosen(f),
            dated=f.interval,
            customer_ids=list(people),
        )
        only = f.cleaned_data["look"]
        for bill in sorted(
            made, key=lambda b: (not b.stands_out, -abs(b.off or D(0)), b.customer_id, b.currency)
        ):
            if not only or bill.stands_out or bill.unpaid or bill.is_final:
                yield _row(bill) | people[bill.customer_id]
        for row in _missing(f):
            yield row | people[row["customer_id"]] | {"run": row["run__name"]}

    def tie_outs(
        self,
        f: CustomerFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare what was billed with the invoices of the same runs, and with its own lines."""
        if f.cleaned_data["look"]:
            return []
        sums = _invoices(f).order_by().values("currency").annotate(net=Sum("net"), gross=Sum("gross"))
        books = {row["currency"]: row for row in sums}
        found = []
        for total in totals:
            book = books.get(total["currency"], {"net": D(0), "gross": D(0)})
            lines = sum((D(total[f"net_{kind}"] or 0) for kind in KINDS), D(0))
            found += [
                TieOut("Net against the invoices", total["currency"], D(total["net"] or 0), book["net"]),
                TieOut(
                    "Gross against the invoices", total["currency"], D(total["gross"] or 0), book["gross"]
                ),
                TieOut("Net against its lines by kind", total["currency"], D(total["net"] or 0), lines),
            ]
        return found


def _chosen(f: CustomerFilters) -> int | None:
    """Return the run asked for, None for those of the period; with no run at all, one that is nobody's."""
    asked: str = f.cleaned_data["run"]
    if asked != LATEST:
        return int(asked) if asked else None
    newest = BillingRun.objects.filter(state__in=BILLED).order_by("-period_start", "-pk")
    return newest.values_list("pk", flat=True).first() or 0


def _runs(f: CustomerFilters) -> QuerySet[Any]:
    period, run_id = f.interval, _chosen(f)
    if run_id is not None:
        return BillingRun.objects.filter(pk=run_id)
    return BillingRun.objects.filter(
        state__in=BILLED, invoice_date__gte=period.start, invoice_date__lt=period.end
    )


def _invoices(f: CustomerFilters) -> QuerySet[Any]:
    return Invoice.objects.filter(f.of_customers(), run__in=_runs(f).values("pk"))


def _people(f: CustomerFilters) -> dict[int, dict[str, Any]]:
    found = Customer.objects.filter(f.of_customers("")).values("pk", "code", "name", "payment_method")
    return {
        row["pk"]: {
            "code": row["code"],
            "customer_name": row["name"],
            "customer_name_id": row["pk"],
            "method": row["payment_method"],
        }
        for row in found
    }


def _row(bill: Bill) -> dict[str, Any]:
    return {
        "run": bill.run,
        "number": bill.number or "Draft",
        "number_id": bill.invoice_id,
        "outcome": PRODUCED,
        "currency": bill.currency,
        "net": bill.net,
        "vat": bill.vat,
        "gross": bill.gross,
        "previous": bill.previous,
        "more": bill.net - bill.previous if bill.previous is not None else None,
        "mean": bill.mean,
        "off": bill.off,
        "spread": bill.spread,
        "stands_out": bill.stands_out,
        "unpaid": bill.unpaid,
        "final": bill.is_final,
        **{f"net_{kind}": amount for kind, amount in zip(KINDS, bill.kinds, strict=True)},
    }


def _missing(f: CustomerFilters) -> QuerySet[Any]:
    """Return the customers without a bill, by reason."""
    rows = NotProduced.objects.filter(f.of_customers(), run__in=_runs(f).values("pk"))
    rows = rows.order_by("reason", "customer__name", "pk").annotate(outcome=F("reason"), waiting=F("amount"))
    return rows.values("customer_id", "currency", "outcome", "waiting", "run__name")
