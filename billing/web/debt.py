"""Aged debt as of any day, by customer, dealer or method of payment."""

from dataclasses import asdict
from datetime import date
from io import StringIO
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from billing.receivables.ageing import BUCKET_LABELS, AgedRow, Basis, By, aged_debt
from resellerkpi.core import audit, sheets
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Text
from resellerkpi.core.columns import day as shown_day
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import EmptyState, HtmlPanel, TablePanel
from resellerkpi.ui.views import Page

BY = (
    (By.CUSTOMER, "Customer"),
    (By.DEALER, "Dealer"),
    (By.METHOD, "Method of payment"),
    (By.NOTHING, "All together"),
)
BASES = ((Basis.DUE, "The due date"), (Basis.INVOICE, "The invoice date"))


class DebtFields(forms.Form):
    """Which day, and how to list and age."""

    as_of = forms.DateField(widget=DayInput(), label="At the end of", required=False)
    by = forms.ChoiceField(choices=BY, label="By", required=False)
    basis = forms.ChoiceField(choices=BASES, label="Days counted from", required=False)


class AgedDebt(Page):
    """Who owes what for how long; the buckets add up to what is outstanding, less credit to the ledger."""

    capability = Capability.VIEW_MONEY
    title = "Aged debt"
    purpose = "What customers owe by how long it is due, at the end of any day."
    template = "ui/detail.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the table, or give it as CSV."""
        data = {"as_of": str(self.today), "by": By.CUSTOMER, "basis": Basis.DUE} | {
            name: value for name, value in request.GET.items() if value
        }
        form = DebtFields(data)
        if not form.is_valid():
            return self.render({"panels": [self.choice(form)]}, status=422)
        chosen = form.cleaned_data
        as_of, by = chosen["as_of"] or self.today, By(chosen["by"])
        rows = [_row(row, by) for row in aged_debt(as_of, basis=Basis(chosen["basis"]), by=by)]
        if request.GET.get("as") == "csv":
            return self.file(rows, columns_of(by), as_of)
        return self.render({"panels": [self.choice(form), table(rows, by, as_of)]})

    def choice(self, form: DebtFields) -> HtmlPanel:
        """Return the form of what to show."""
        context = {"form": form, "may_export": self.scope.can(Capability.RUN_REPORTS)}
        return HtmlPanel("billing/_debt_choice.html", context)

    def file(self, rows: list[dict[str, Any]], columns: list[Column], as_of: date) -> HttpResponse:
        """Return the rows as CSV and note who took them."""
        if not self.scope.can(Capability.RUN_REPORTS):
            raise PermissionDenied
        out = StringIO()
        count = sheets.write_csv(columns, rows, out)
        audit.record("list.exported", "Aged debt", format="csv", rows=count, as_of=as_of)
        response = HttpResponse(out.getvalue(), content_type=sheets.MEDIA["csv"])
        response["Content-Disposition"] = f'attachment; filename="aged-debt-{as_of}.csv"'
        return response


def columns_of(by: By) -> list[Column]:
    """Return the columns: who, the buckets, what they add up to, and credit beside them."""
    buckets = [Money(name=bucket, label=label, total=SUM) for bucket, label in BUCKET_LABELS.items()]
    return [
        Text(name="label", label=dict(BY)[by]),
        Int(name="count", label="Open invoices", total=SUM),
        *buckets,
        Money(name="outstanding", total=SUM),
        Money(name="disputed", total=SUM, help="Of it disputed."),
        Money(name="credit", label="Unallocated credit", total=SUM, help="Paid but not settling an invoice."),
        Money(name="balance", total=SUM, help="Outstanding less unallocated credit: the ledger."),
        Code(name="currency"),
    ]


def table(rows: list[dict[str, Any]], by: By, as_of: date) -> TablePanel:
    """Return the rows as a table; customers lead to their pages."""
    return TablePanel(
        f"At the end of {shown_day(as_of)}",
        columns_of(by),
        rows,
        row_url="customer" if by == By.CUSTOMER else None,
        empty=EmptyState("Nobody owed anything at the end of that day."),
    )


def _row(row: AgedRow, by: By) -> dict[str, Any]:
    """Return a row for columns; credit counts against."""
    shown = asdict(row) | {"outstanding": row.outstanding, "balance": row.balance, "credit": -row.credit}
    return shown | ({"pk": int(row.key)} if by == By.CUSTOMER else {})


urls: list[URLPattern] = [path("payments/aged-debt/", AgedDebt.as_view(), name="aged-debt")]
