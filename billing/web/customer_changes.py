"""Changing a customer by hand: its details, its status, its notes."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils import timezone

from billing.book import add_customer, add_note, change_status
from billing.models import Customer, CustomerEvent
from billing.web.editing import BookForm, RecordForm, find
from resellerkpi.core.access import Capability
from resellerkpi.ui.forms import DayInput, Gated, house_field

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
    competitor = forms.CharField(max_length=80, required=False, help_text="Who they went to, if they said.")
    words = forms.CharField(widget=forms.Textarea(), required=False, label="In their words")
    end_services = forms.BooleanField(
        required=False, label="When ceased: end its numbers, features and tariffs on the same day"
    )


class ChangeStatus(CustomerStep):
    """Suspend, cease or reactivate a customer."""

    form_class = StatusFields
    title = "Change status"
    purpose = "The change is dated, so that customer counts and churn of any month stay right."
    submit = "Change the status"

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
