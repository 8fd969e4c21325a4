"""Passing a carrier's charges on to customers: what comes of it first, then the act; taking it back."""

from collections import Counter
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from billing.charging.passing import PassingRefused, Proposal, Terms, pass_on, proposals, take_back
from billing.models import CarrierCharge, CarrierInvoice
from billing.web.carrier_bills import CostForm
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Text
from resellerkpi.ui.panels import EmptyState, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money

SHOWN = 200
HOW = (("suggested", "The price the carrier suggests"), ("cost", "Its cost and a percentage"))
NO_PRODUCT = "-"

PASSES: tuple[Column, ...] = (
    Text(name="description", label="Line", url="carrier-charge"),
    Text(name="customer", url="customer"),
    Code(name="number"),
    Money(name="cost", total=SUM, decimals=2),
    Money(name="amount", label="Customer pays", total=SUM),
    Money(name="margin", total=SUM, decimals=2, needs=Capability.VIEW_MARGIN),
    Code(name="currency"),
    Text(name="note", label="Note"),
)
STAYS: tuple[Column, ...] = (
    Text(name="problem", label="Why it stays"),
    Int(name="lines", total=SUM),
    Money(name="cost", total=SUM, decimals=2),
    Code(name="currency"),
)


class PassFields(forms.Form):
    """Which charges are passed on, and at what price."""

    product = forms.ChoiceField(required=False, label="Product")
    how = forms.ChoiceField(choices=HOW, label="The customer pays")
    percent = forms.DecimalField(
        required=False, min_value=Decimal(-100), max_value=Decimal(1000), decimal_places=2, max_digits=7,
        label="Percentage on top of cost", help_text="0 passes it on at cost.",
    )  # fmt: skip
    doubles = forms.BooleanField(
        required=False, label="Also what a feature's own price or a call file bills already"
    )

    def __init__(self, *args: Any, products: list[str], line: CarrierCharge | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [(product or NO_PRODUCT, product or "Lines without a product") for product in products]
        self.fields["product"].choices = [("", "Every product"), *offered]  # type: ignore[attr-defined]
        if line is not None:
            del self.fields["product"]

    def clean(self) -> dict[str, Any]:
        """Ask for a percentage where it counts."""
        chosen = super().clean() or {}
        if chosen.get("how") == "cost" and chosen.get("percent") is None and "percent" not in self.errors:
            self.add_error("percent", "Say how much is put on top of the cost; 0 is nothing.")
        return chosen


class PassOn(CostForm):
    """Pass charges of a bill on to customers."""

    template = "billing/carrier_pass.html"
    form_class = PassFields
    refusals = (PassingRefused,)
    also = Capability.BILL
    submit = "Pass on"

    def form_kwargs(self) -> dict[str, Any]:
        """Find the bill, what of it is not passed on yet, and the one line when it is about one."""
        self.bill = find(CarrierInvoice, self.kwargs["pk"], "carrier")
        waiting = CarrierCharge.objects.filter(invoice=self.bill, charge__isnull=True)
        asked = self.request.GET.get("line", "")
        self.line = (
            find(CarrierCharge, int(asked))
            if asked.isascii() and asked.isdigit() and len(asked) < 19
            else None
        )
        self.waiting = waiting.filter(pk=self.line.pk) if self.line else waiting
        self.title = "Pass it on" if self.line else f"Pass on charges of bill {self.bill.number}"
        self.cancel_url = reverse("carrier-bill", args=[self.bill.pk])
        if self.line:
            self.cancel_url = reverse("carrier-charge", args=[self.line.pk])
        self.back = (str(self.line) if self.line else f"Bill {self.bill.number}", self.cancel_url)
        self.purpose = (
            "Each becomes a charge on the customer's next bill; what is passed on already stays as it is."
        )
        products = sorted(set(self.waiting.order_by().values_list("product", flat=True)))
        suggests = self.waiting.filter(retail__isnull=False).exists()
        initial = {"how": "suggested" if suggests else "cost", "percent": Decimal(0)}
        return {"products": products, "line": self.line, "initial": initial}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what comes of the usual terms."""
        form = self.form_class(**self.form_kwargs())
        return self.preview(form, dict(form.initial))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what comes of other terms, or pass on."""
        form = self.form_class(request.POST, **self.form_kwargs())
        if not form.is_valid():
            return self.preview(form, None, status=422)
        if request.POST.get("do") != "pass":
            return self.preview(form, form.cleaned_data)
        done = pass_on(self.reseller, self.ids(form.cleaned_data), terms_of(form.cleaned_data))
        stayed = f" {done.stayed:,} stayed." if done.stayed else ""
        messages.success(
            request, f"{done.passed:,} passed on; they wait for the customers' next bills.{stayed}"
        )
        return HttpResponseRedirect(self.cancel_url)

    def ids(self, chosen: dict[str, Any]) -> list[int]:
        """Return the charges that are meant."""
        product = chosen.get("product")
        rows = (
            self.waiting.filter(product="" if product == NO_PRODUCT else product) if product else self.waiting
        )
        return list(rows.values_list("pk", flat=True))

    def preview(self, form: Any, chosen: dict[str, Any] | None, *, status: int = 200) -> HttpResponse:
        """Render the form with what comes of the terms."""
        found = proposals(self.ids(chosen), terms_of(chosen)) if chosen is not None else []
        passes = [p for p in found if p.passes]
        context = {
            "form": form,
            "cancel_url": self.cancel_url,
            "passes": len(passes),
            "panels": _panels(found, passes) if chosen is not None else [],
        }
        return self.render(context, status=status)


def terms_of(chosen: dict[str, Any]) -> Terms:
    """Return the terms of the form's values."""
    return Terms(
        suggested=chosen.get("how") == "suggested",
        percent=chosen.get("percent") or Decimal(0),
        doubles=bool(chosen.get("doubles")),
    )


def _panels(found: list[Proposal], passes: list[Proposal]) -> list[Panel]:
    more = f" (the first {SHOWN} of {len(passes):,})" if len(passes) > SHOWN else ""
    empty = EmptyState("Nothing is passed on with these terms.")
    panels: list[Panel] = [
        TablePanel(f"Is passed on{more}", PASSES, [_row(p) for p in passes[:SHOWN]], empty=empty)
    ]
    reasons: Counter[tuple[str, str]] = Counter()
    costs: Counter[tuple[str, str]] = Counter()
    for proposal in found:
        if not proposal.passes:
            key = (proposal.problem, proposal.row.invoice.currency)
            reasons[key] += 1
            costs[key] += proposal.row.amount  # type: ignore[assignment]
    if reasons:
        rows = [
            {"problem": why, "currency": currency, "lines": count, "cost": costs[why, currency]}
            for (why, currency), count in reasons.most_common()
        ]
        panels.append(TablePanel("Stays", STAYS, rows, wide=False))
    return panels


def _row(proposal: Proposal) -> dict[str, Any]:
    row, quote = proposal.row, proposal.quote
    rate = ""
    if quote:
        rate = f"{money(row.amount, row.invoice.currency)} at {quote.factor:.6f} of {day(quote.day)}"
    return {
        "description": row.description,
        "description_id": row.pk,
        "customer": row.customer.name if row.customer else "",
        "customer_id": row.customer_id,
        "number": row.number.number if row.number else "",
        "cost": proposal.cost,
        "amount": proposal.amount,
        "margin": proposal.amount - proposal.cost,
        "currency": proposal.currency,
        "note": ". ".join(part for part in (rate, proposal.warning.rstrip(".")) if part),
    }


class TakeBack(CostForm):
    """Take back what was passed on and is on no bill yet."""

    title = "Take back"
    form_class = forms.Form
    submit = "Take back"
    refusals = (PassingRefused,)
    also = Capability.BILL

    def form_kwargs(self) -> dict[str, Any]:
        """Find what was passed on and say what follows."""
        rows = self.rows().filter(charge__isnull=False).select_related("charge")
        waiting = [row for row in rows if row.charge.invoice_line_id is None]
        sums: Counter[str] = Counter()
        for row in waiting:
            sums[row.charge.currency] += row.charge.amount
        amounts = (
            " and ".join(money(amount, currency) for currency, amount in sorted(sums.items())) or "nothing"
        )
        billed = len(rows) - len(waiting)
        kept = f" {billed:,} on bills already stay." if billed else ""
        what = "One charge" if len(waiting) == 1 else f"{len(waiting):,} charges"
        verb = "is" if len(waiting) == 1 else "are"
        self.danger = f"{what} over {amounts} {verb} taken off the customers' next bills.{kept}"
        self.chosen = [row.pk for row in waiting]
        return {}

    def rows(self) -> Any:
        """Return the charges of the bill."""
        bill = find(CarrierInvoice, self.kwargs["pk"])
        self.cancel_url = reverse("carrier-bill", args=[bill.pk])
        self.back = (f"Bill {bill.number}", self.cancel_url)
        return CarrierCharge.objects.filter(invoice=bill)

    def save(self, form: Any) -> str:
        """Take them back."""
        done = take_back(self.reseller, self.chosen)
        messages.success(self.request, f"{done:,} taken back.")
        return self.cancel_url


class TakeBackLine(TakeBack):
    """Take back one line."""

    def rows(self) -> Any:
        """Return the line."""
        row = find(CarrierCharge, self.kwargs["pk"])
        self.cancel_url = reverse("carrier-charge", args=[row.pk])
        self.back = (str(row), self.cancel_url)
        return CarrierCharge.objects.filter(pk=row.pk)


urls: list[URLPattern] = [
    path("carriers/bills/<int:pk>/pass-on/", PassOn.as_view(), name="carrier-bill-pass"),
    path("carriers/bills/<int:pk>/take-back/", TakeBack.as_view(), name="carrier-bill-take-back"),
    path("carriers/bills/lines/<int:pk>/take-back/", TakeBackLine.as_view(), name="carrier-charge-take-back"),
]
