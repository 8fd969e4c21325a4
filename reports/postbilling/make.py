"""Works the post-billing report of a run out of the books, once, after its bills were produced."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db.models import Count, F, Sum

from billing.models import (
    BillingRun,
    Call,
    CreditNote,
    Customer,
    Invoice,
    InvoiceLine,
    InvoiceVat,
    NotProduced,
)
from billing.receivables.forecast import Expected, Forecast
from billing.receivables.forecast_facts import expect
from kpis.options import Options
from reports.models import PostBilling
from reports.postbilling.bills import UNPAID, Bill, bills
from resellerkpi.core.periods import Period, add_months, local_day

BILLED = (BillingRun.State.BILLED, BillingRun.State.CONFIRMED, BillingRun.State.SENT)
CENT, ZERO = Decimal("0.01"), Decimal(0)
#: Bills of each sort that the page names; the report has all of them.
NAMED = 20
Sums = Mapping[tuple[str, str], Mapping[int, Decimal]]


def make(run: BillingRun, *, now: datetime) -> PostBilling:
    """Work the report of a billed run out and keep it; an earlier one of the run is replaced.

    What is unpaid, and the forecast, are as of the local day on which the bills were produced, whenever this is done.
    """
    today = local_day(run.billed_at or now, run.reseller.zone)
    earlier = Earlier(run)
    figures = {
        "runs": earlier.names(),
        "totals": list(earlier.table(_totals(earlier.ids))),
        "kinds": list(earlier.table(_kinds(earlier.ids))),
        "vat": list(_vat(run)),
        "credited": list(_credited(run, earlier.previous)),
        "usage": _usage(Period(run.period_start, run.period_end, run.reseller.zone)),
        "not_produced": list(_not_produced(run)),
        **_look(bills(Options.of(run.reseller), day=today, run_id=run.pk)),
        "forecast": _forecast(expect(run.reseller, made_on=today, run=run)),
    }
    kept, _ = PostBilling.objects.update_or_create(
        reseller=run.reseller, run=run, defaults={"made_at": now, "figures": figures}
    )
    return kept


class Earlier:
    """A run among the earlier ones of its cycle: the one before, the three before, the one of a year ago."""

    def __init__(self, run: BillingRun) -> None:
        rows = BillingRun.objects.filter(cycle=run.cycle, state__in=BILLED, period_start__lt=run.period_start)
        before = list(rows.order_by("-period_start")[:3])
        self.run, self.before = run, before
        self.previous: BillingRun | None = before[0] if before else None
        self.year: BillingRun | None = rows.filter(period_start=add_months(run.period_start, -12)).first()
        self.ids = [run.pk, *(r.pk for r in before), *([self.year.pk] if self.year else [])]

    def names(self) -> dict[str, Any]:
        """Return what the columns compare with; the mean needs three runs."""
        return {
            "previous": self.previous.name if self.previous else "",
            "three": [r.name for r in self.before] if len(self.before) == 3 else [],
            "year": self.year.name if self.year else "",
        }

    def table(self, sums: Sums) -> Iterator[dict[str, Any]]:
        """Yield each figure and currency of the run beside the earlier ones; what a run lacks is nought there."""
        for (what, currency), by_run in sums.items():
            three = [by_run.get(r.pk, ZERO) for r in self.before]
            yield {
                "what": what,
                "currency": currency,
                "this": by_run.get(self.run.pk, ZERO),
                "previous": by_run.get(self.previous.pk, ZERO) if self.previous else None,
                "mean": _round(sum(three, ZERO) / 3) if len(three) == 3 else None,
                "year": by_run.get(self.year.pk, ZERO) if self.year else None,
            }


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _totals(ids: Sequence[int]) -> Sums:
    """Return invoices, net, average net, VAT and gross by currency and run."""
    rows = Invoice.objects.filter(run__in=ids).order_by("currency").values("currency", "run_id")
    found: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(dict)
    names = ("invoices", "net", "average", "vat", "gross")
    for row in rows.annotate(invoices=Count("pk"), net=Sum("net"), vat=Sum("vat"), gross=Sum("gross")):
        row["average"] = _round(row["net"] / row["invoices"])
        for name in names:
            found[name, row["currency"]][row["run_id"]] = Decimal(row[name])
    return {key: found[key] for key in sorted(found, key=lambda k: (k[1], names.index(k[0])))}


def _kinds(ids: Sequence[int]) -> Sums:
    """Return net of lines by kind of charge, currency and run."""
    rows = InvoiceLine.objects.filter(invoice__run__in=ids).order_by("invoice__currency", "kind")
    found: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(dict)
    grouped = rows.values("kind", run_id=F("invoice__run_id"), currency=F("invoice__currency"))
    for row in grouped.annotate(sum=Sum("net")):
        found[row["kind"], row["currency"]][row["run_id"]] = row["sum"]
    return found


def _vat(run: BillingRun) -> Iterable[dict[str, Any]]:
    rows = InvoiceVat.objects.filter(invoice__run=run).order_by("invoice__currency", "-rate")
    return rows.values("rate", currency=F("invoice__currency")).annotate(
        net_sum=Sum("net"), vat_sum=Sum("vat")
    )


def _credited(run: BillingRun, previous: BillingRun | None) -> Iterable[dict[str, Any]]:
    """Return the credit notes raised since the run before, up to the day before this one's invoices."""
    since = previous.invoice_date if previous else run.period_start
    rows = CreditNote.objects.filter(date__gte=since, date__lt=run.invoice_date).order_by("currency")
    sums = {"net_sum": -Sum("net"), "vat_sum": -Sum("vat")}
    return rows.values("currency").annotate(notes=Count("pk"), **sums)


def _usage(period: Period) -> dict[str, Any]:
    """Return how many calls of the period there are, and those without a price by reason, with what they cost."""
    calls = Call.objects.filter(started_at__gte=period.starts_at, started_at__lt=period.ends_at).order_by()
    counts = {row["state"]: row["calls"] for row in calls.values("state").annotate(calls=Count("id"))}
    failed = calls.filter(state=Call.State.ERROR).values("reason", "cost_currency")
    order = [reason.value for reason in Call.Reason]
    reasons = sorted(
        failed.annotate(calls=Count("id"), cost_sum=Sum("cost")), key=lambda row: order.index(row["reason"])
    )
    left_out = counts.get(Call.State.EXCLUDED, 0)
    return {
        "calls": sum(counts.values()) - left_out,
        "failed": counts.get(Call.State.ERROR, 0),
        "reasons": reasons,
    }


def _not_produced(run: BillingRun) -> Iterable[dict[str, Any]]:
    rows = NotProduced.objects.filter(run=run).order_by("reason", "currency")
    return rows.values("reason", "currency").annotate(customers=Count("pk"), waiting=Sum("amount"))


def _look(made: Sequence[Bill]) -> dict[str, Any]:
    """Return how many bills need a look, and the largest of each sort by name."""
    sorts = {
        "stands_out": sorted((b for b in made if b.stands_out), key=lambda b: -abs(b.off or ZERO)),
        "unpaid": sorted((b for b in made if b.unpaid > UNPAID), key=lambda b: -b.unpaid),
        "final": sorted((b for b in made if b.is_final), key=lambda b: -b.gross),
    }
    named = {b.customer_id for found in sorts.values() for b in found[:NAMED]}
    people = dict(Customer.objects.filter(pk__in=named).values_list("pk", "name"))
    unpaid: dict[str, Decimal] = defaultdict(Decimal)
    for bill in sorts["unpaid"]:
        unpaid[bill.currency] += bill.unpaid
    return {
        "counts": {sort: len(found) for sort, found in sorts.items()},
        "unpaid_amount": [{"currency": c, "amount": unpaid[c]} for c in sorted(unpaid)],
        **{sort: [_named(b, people[b.customer_id]) for b in found[:NAMED]] for sort, found in sorts.items()},
    }


def _named(bill: Bill, customer: str) -> dict[str, Any]:
    return {
        "pk": bill.invoice_id,
        "customer": customer,
        "number": bill.number,
        "currency": bill.currency,
        "net": bill.net,
        "gross": bill.gross,
        "mean": bill.mean,
        "off": bill.off,
        "spread": bill.spread,
        "unpaid": bill.unpaid,
    }


def _forecast(made: Forecast) -> dict[str, Any]:
    return {
        "made_on": made.made_on,
        "until": made.until,
        "unlearnt": [method for method, _ in made.unlearnt],
        "totals": [_expected(row) for row in made.totals],
        "methods": [_expected(row) for row in made.methods],
        "days": [_expected(row) for row in made.days if row.expected],
        "trials": [
            {"month": made_on, "currency": currency, "expected": expected, "came": came}
            for (made_on, currency), (expected, came) in sorted(_by_month(made).items(), reverse=True)
        ],
    }


def _by_month(made: Forecast) -> dict[tuple[date, str], tuple[Decimal, Decimal]]:
    found: dict[tuple[date, str], tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
    for trial in made.trials:
        expected, came = found[trial.made_on, trial.currency]
        found[trial.made_on, trial.currency] = (expected + trial.expected, came + trial.came)
    return found


def _expected(row: Expected) -> dict[str, Any]:
    return {
        "method": row.method,
        "currency": row.currency,
        "day": row.day,
        "invoices": row.invoices,
        "open": row.open,
        "low": row.low,
        "expected": row.expected,
        "high": row.high,
        "error": row.error,
    }
