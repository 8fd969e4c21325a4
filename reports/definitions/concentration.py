"""The Revenue concentration report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any

from django import forms
from django.db.models import F, QuerySet, Sum

from billing.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from reports.customers import CustomerFilters
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Curve
from resellerkpi.core.columns import SUM, Code, Decimal, Int, Money, Percent, Text

SHARE, WITHOUT = "Share", "If the customer leaves"
CENT = D("0.000001")
Shares = dict[str, list[dict[str, Any]]]


class Concentration(Report):
    """How revenue is spread over customers: rank, share, running share, the Herfindahl index and what if one leaves.

    Net invoiced less credit notes of the period, per currency; test accounts are left out.
    """

    slug = "concentration"
    name = "Revenue concentration"
    family = "Customers"
    needs = Capability.VIEW_MONEY
    keys = ("code", "currency")
    compares_rows = True
    measures = ("net",)
    columns = (
        Int(name="rank", label="Rank", help="1 is the customer with the most revenue in its currency."),
        Text(name="customer_name", label="Customer", url="customer"),
        Code(name="code", label="Account", help="The customer's account code."),
        Code(name="currency", label="Currency"),
        Money(name="net", label="Revenue", total=SUM, help="Net invoiced less credit notes, before VAT."),
        Percent(name="share", label="Of all", group=SHARE, help="Revenue divided by that of all customers."),
        Percent(
            name="customers",
            label="Customers, running",
            group=SHARE,
            help="This customer and all larger ones, divided by all customers with revenue in the currency.",
        ),
        Percent(
            name="running",
            label="Revenue, running",
            group=SHARE,
            help="Share of this customer and all larger ones together: the Lorenz curve from the top.",
        ),
        Decimal(
            name="hhi",
            label="HHI points",
            decimals=0,
            total=SUM,
            group=SHARE,
            help="The share in per cent, squared. The total is the Herfindahl-Hirschman index, 0 to 10,000; "
            "over 1,800 is called highly concentrated. Customers below zero have none.",
        ),
        Money(
            name="left",
            label="Revenue left",
            group=WITHOUT,
            help="Revenue of all the other customers together.",
        ),
        Decimal(
            name="hhi_left",
            label="HHI then",
            decimals=0,
            group=WITHOUT,
            help="The index of the other customers.",
        ),
    )
    charts = (
        Preset("customers", Bar(x="customer_name", y=("net",), title="Revenue by customer")),
        Preset(
            "running",
            Curve(
                x="customers",
                y=("running",),
                series="currency",
                title="Running share of revenue, the largest customers first",
                even="If all brought the same",
            ),
        ),
    )

    class Filters(CustomerFilters):
        """Filters of customers, and how many of the largest to name."""

        default_period = "last_12_months"
        top = forms.IntegerField(
            required=False,
            label="Name only the largest",
            min_value=1,
            max_value=100_000,
            help_text="So many; all others come together in one row.",
        )

    def rows(self, f: CustomerFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield customers of each currency from the largest to the smallest."""
        for ranked in _shares(f).values():
            yield from _named(ranked, f.cleaned_data["top"])

    def tie_outs(
        self,
        f: CustomerFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Compare revenue with the lines of the same invoices and credit notes."""
        lines = InvoiceLine.objects.filter(invoice__in=_documents(f, Invoice, "invoice_date").values("pk"))
        taken = CreditNoteLine.objects.filter(credit_note__in=_documents(f, CreditNote, "date").values("pk"))
        billed, back = _sums(lines, "invoice__currency"), _sums(taken, "credit_note__currency")
        return [
            TieOut(
                "Revenue against the lines of invoices and credit notes",
                total["currency"],
                D(total["net"]),
                billed.get(total["currency"], D(0)) - back.get(total["currency"], D(0)),
            )
            for total in totals
        ]


def _documents(f: CustomerFilters, model: Any, day: str) -> QuerySet[Any]:
    period = f.interval
    rows = model.objects.filter(f.of_customers(), customer__is_test=False)
    rows = rows.filter(**{f"{day}__gte": period.start, f"{day}__lt": period.end})
    return rows.exclude(state="draft") if model is Invoice else rows


def _sums(rows: QuerySet[Any], currency: str) -> dict[str, D]:
    return {r[currency]: r["sum"] for r in rows.order_by().values(currency).annotate(sum=Sum("net"))}


def _revenue(f: CustomerFilters) -> dict[tuple[int, str], dict[str, Any]]:
    """Return net invoiced less credit notes by customer and currency; who has none is left out."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for model, day, sign in ((Invoice, "invoice_date", 1), (CreditNote, "date", -1)):
        names = {"code": F("customer__code"), "customer_name": F("customer__name")}
        rows = _documents(f, model, day).order_by().values("customer_id", "currency", **names)
        for r in rows.annotate(sum=Sum("net")):
            row = found.setdefault((r["customer_id"], r["currency"]), {**r, "net": D(0)})
            row["net"] += sign * r["sum"]
    return {key: row for key, row in found.items() if row["net"]}


def _shares(f: CustomerFilters) -> Shares:
    """Return the customers of each currency, the largest first, with their shares."""
    found: Shares = {}
    for row in sorted(_revenue(f).values(), key=lambda r: (r["currency"], -r["net"], r["code"])):
        found.setdefault(row["currency"], []).append(row)
    for ranked in found.values():
        whole, above = sum(r["net"] for r in ranked), sum(r["net"] for r in ranked if r["net"] > 0)
        squares, running = sum(r["net"] ** 2 for r in ranked if r["net"] > 0), D(0)
        for rank, row in enumerate(ranked, 1):
            running += row["net"]
            row |= {"rank": rank, "customer_name_id": row["customer_id"], "left": whole - row["net"]}
            row |= {"share": _part(row["net"], whole), "running": _part(running, whole)}
            row["customers"] = _part(D(rank), D(len(ranked)))
            mine = max(row["net"], D(0))
            row["hhi"] = _part(10_000 * mine**2, above**2) or D(0)
            row["hhi_left"] = _part(10_000 * (squares - mine**2), (above - mine) ** 2)
    return found


def _part(top: D, bottom: D) -> D | None:
    """Return a ratio to six places, None of nothing or less."""
    return (top / bottom).quantize(CENT) if bottom > 0 else None


def _named(ranked: Sequence[dict[str, Any]], top: int | None) -> Iterable[dict[str, Any]]:
    """Return the largest customers and the rest as one row, or all when no number is given."""
    named, rest = (ranked[:top], ranked[top:]) if top else (ranked, [])
    if not rest:
        return named
    sums: dict[str, Any] = {n: sum(r[n] or 0 for r in rest) for n in ("net", "share", "hhi")}
    last = {n: rest[-1][n] for n in ("currency", "customers", "running")}
    return [*named, {"customer_name": f"All others ({len(rest):,})", "code": "", **last, **sums}]
