"""What customers have committed to: their contracts, and the notice these ask for."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import Q

from billing.models import Contract, Customer
from resellerkpi.core.columns import Column, Date, Int, Text
from resellerkpi.ui.forms import DayInput, house_field
from resellerkpi.ui.panels import EmptyState, TablePanel
from resellerkpi.ui.templatetags.ui import day

CONTRACTS: tuple[Column, ...] = (
    Text(name="reference", label="Contract"),
    Date(name="start_date", label="From"),
    Date(name="minimum_term_end", label="Term until"),
    Int(name="notice_days", label="Notice (days)"),
)


def contract_panel(customer: Customer, actions: Any) -> TablePanel:
    """Return the customer's contracts, the latest first."""
    rows = Contract.objects.filter(customer=customer).order_by("-start_date", "pk")
    empty = EmptyState("No contract is recorded; terms of single features are with each feature.")
    return TablePanel("Contracts", CONTRACTS, rows, actions=actions, empty=empty, wide=False)


def notice_words(customer: Customer, *, on: date, today: date) -> list[str]:
    """Return a sentence for each contract that leaving on a day would break: its notice, its minimum term."""
    words = []
    running = Contract.objects.filter(Q(start_date__lte=on), customer=customer).order_by("start_date", "pk")
    for contract in running:
        earliest = today + timedelta(days=contract.notice_days)
        if on < earliest:
            words.append(
                f"Contract {contract} asks for {contract.notice_days} days’ notice: from today that is {day(earliest)}."
            )
        if contract.minimum_term_end and on < contract.minimum_term_end:
            words.append(f"Contract {contract} runs to {day(contract.minimum_term_end)}.")
    return words


class ContractFields(forms.ModelForm):
    """A contract."""

    class Meta:
        model = Contract
        formfield_callback = house_field
        fields = ("reference", "start_date", "minimum_term_end", "notice_days")
        widgets = {"start_date": DayInput(), "minimum_term_end": DayInput()}
        labels = {
            "start_date": "From",
            "minimum_term_end": "Minimum term until",
            "notice_days": "Notice (days)",
        }
        help_texts = {"minimum_term_end": "The first day on which it may end."}
