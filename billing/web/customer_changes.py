"""Changing a customer by hand: its details, its status, its notes."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from billing.book import add_customer, add_note, change_status
from billing.book_features import ending_costs
from billing.models import Customer, CustomerEvent, Feature
from billing.web.confirm import ConfirmedForm
from billing.web.contracts import notice_words
from billing.web.editing import BookForm, RecordForm, find
from resellerkpi.core.access import Capability
from resellerkpi.ui.forms import DayInput, Gated, house_field
from resellerkpi.ui.templatetags.ui import money

PEOPLE, MONEY = Capability.VIEW_PEOPLE, Capability.VIEW_MONEY


class CustomerFields(Gated, forms.ModelForm):
    """The details of a customer."""

    needs = {
        "email": PEOPLE,
        "phone": PEOPLE,
        "address": PEOPLE,
        "minimum_invoice": MONEY,
        "credit_limit": MONEY,
    }
    groups = (
        ("Account", ("code", "name", "client_type", "status", "since", "dealer", "segment", "campaign")),
        ("Contact", ("email", "phone", "address", "postcode", "vat_number")),
        (
            "Billing",
            (
                "currency",
                "vat_rate",
                "payment_method",
                "terms_days",
                "billing_day",
                "minimum_invoice",
                "credit_limit",
                "on_hold",
                "contract_end",
                "renewal_date",
            ),
        ),
    )
    since = forms.DateField(
        widget=DayInput(), label="Status holds from", help_text="The first day of this status."
    )

    class Meta:
        model = Customer
        formfield_callback = house_field
        fields = (
            "code",
            "name",
            "client_type",
            "status",
            "dealer",
            "segment",
            "campaign",
            "email",
            "phone",
            "address",
            "postcode",
            "vat_number",
            "vat_rate",
            "currency",
            "payment_method",
            "terms_days",
            "billing_day",
            "minimum_invoice",
            "credit_limit",
            "on_hold",
            "contract_end",
            "renewal_date",
        )
        labels = {
            "code": "Account code",
            "client_type": "Type",
            "email": "E-mail",
            "vat_number": "VAT number",
            "vat_rate": "VAT rate (%)",
            "payment_method": "Pays by",
            "terms_days": "Terms (days)",
            "on_hold": "On hold: nothing is billed",
        }
        help_texts = {
            "code": "How your own list names the account.",
            "currency": "Three letters, such as GBP.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["since"], self.fields["status"]

    def clean_currency(self) -> str:
        """Return the currency in capitals."""
        return str(self.cleaned_data["currency"]).upper()


class CustomerForm(RecordForm):
    """Add or change a customer."""

    model, form_class, what = Customer, CustomerFields, "a customer"
    list_url, detail_url = "customer-list", "customer"

    def save(self, form: Any) -> str:
        """Add a new customer with its first status; keep a changed one."""
        if "pk" in self.kwargs:
            return super().save(form)
        row = add_customer(form.save(commit=False), since=form.cleaned_data["since"])
        return self.succeed(self.url_of(row), f"{row} is added.")


class CustomerStep(BookForm):
    """A form about one customer; leads back to it."""

    def form_kwargs(self) -> dict[str, Any]:
        """Find the customer of the address."""
        self.customer = find(Customer, self.kwargs["pk"])
        self.cancel_url = self.home()
        self.back = (str(self.customer), self.home())
        return {}

    def home(self) -> str:
        """Return the address of the customer's page."""
        return reverse("customer", args=[self.customer.pk])


class StatusFields(forms.Form):
    """A new status and, when the customer leaves, why."""

    status = forms.ChoiceField(choices=Customer.Status.choices, label="New status")
    on = forms.DateField(widget=DayInput(), label="From", help_text="The first day of the new status.")
    reason = forms.ChoiceField(
        choices=[("", "–"), *CustomerEvent.Reason.choices],
        required=False,
        help_text="Asked when a customer leaves or is suspended; churn is told by these reasons.",
    )
    notice_date = forms.DateField(
        widget=DayInput(),
        required=False,
        label="Notice given on",
        help_text="When a customer leaves: the day it said so. Churn can be counted by it.",
    )
    competitor = forms.CharField(max_length=80, required=False, help_text="Who they went to, if they said.")
    words = forms.CharField(widget=forms.Textarea(), required=False, label="In their words")
    end_services = forms.BooleanField(
        required=False, label="When ceased: end its numbers, features and tariffs on the same day"
    )
    waive = forms.CharField(
        max_length=200,
        required=False,
        label="Charge nothing for leaving early, because",
        help_text="Only where early-termination charges are due; the reason is kept.",
    )


class ChangeStatus(CustomerStep, ConfirmedForm):
    """Suspend, cease or reactivate a customer; leaving inside a term or before notice is confirmed first."""

    form_class = StatusFields
    title = "Change status"
    purpose = "The change is dated, so that customer counts and churn of any month stay right."
    submit = "Change the status"

    def consequences(self, form: Any) -> tuple[()]:
        """Say what leaving costs and whose notice it cuts short."""
        chosen = form.cleaned_data
        self.danger = ""
        if chosen["status"] == Customer.Status.CEASED:
            words = notice_words(self.customer, on=chosen["on"], today=self.today)
            if chosen["end_services"]:
                words = [*self.costs(chosen["on"], bool(chosen["waive"])), *words]
            self.danger = " ".join(words)
        return ()

    def costs(self, on: date, waived: bool) -> list[str]:
        """Return what ending every feature inside its term costs, in words."""
        running = Q(end_date__isnull=True) | Q(end_date__gt=on)
        mine = Feature.objects.filter(
            running, customer=self.customer, start_date__lt=on, termination_percent__gt=0
        )
        features = {feature.pk: feature for feature in mine.select_related("feature_type")}
        sums: dict[str, Decimal] = {}
        for pk, cost in ending_costs(list(features.values()), on=on).items():
            currency = features[pk].feature_type.currency
            sums[currency] = sums.get(currency, Decimal(0)) + cost
        shown = ", ".join(money(cost, currency) for currency, cost in sorted(sums.items()) if cost)
        if not shown:
            return []
        amount = shown if self.scope.can(MONEY) else "a charge"
        goes = "is waived" if waived else "goes on the next bill"
        return [f"Features end inside their minimum term: {amount} before VAT {goes}."]

    def save(self, form: Any) -> str:
        """Add the dated change."""
        event = change_status(customer=self.customer, today=self.today, **form.cleaned_data)
        return self.succeed(self.home(), f"{self.customer} is {event.get_status_display().lower()}.")


class NoteFields(forms.Form):
    """What there is to remember."""

    text = forms.CharField(widget=forms.Textarea(), max_length=4_000, label="Note")


class AddNote(CustomerStep):
    """Write a note."""

    form_class = NoteFields
    title = "Add a note"
    submit = "Add the note"

    def save(self, form: Any) -> str:
        """Keep the note."""
        add_note(customer=self.customer, text=form.cleaned_data["text"], now=timezone.now())
        return self.succeed(self.home(), "The note is added.")
