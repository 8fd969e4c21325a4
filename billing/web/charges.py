"""A charge or credit by hand, what waits for the next bill, taking it back, and the next bill as it stands now."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.db.models import Case, F, Max, Q, Value, When
from django.http import Http404
from django.urls import URLPattern, path, reverse

from billing.charging.adjust import ChargeRefused, add_charge, remove_charge
from billing.models import Charge, ChargeKind, Customer, Number
from billing.preview import NOTHING, BusyNow, preview_bill
from billing.web.confirm import bill_panels, digest
from billing.web.editing import find
from billing.web.lookups import current_on
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Money, Text
from resellerkpi.core.scope import Scope
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.views import DetailPage, FormPage

MONEY = Capability.VIEW_MONEY
KINDS = ((ChargeKind.ONE_OFF, "A charge"), (ChargeKind.CREDIT, "A credit"))
SUGGESTED = 12
WAITING: tuple[Column, ...] = (
    Text(name="description", label="Charge"),
    Code(name="number", source="number__number", url="number"),
    Choice(name="kind", choices=ChargeKind.choices),
    Date(name="service_start", label="From"),
    Date(name="bill_date", label="Billed from"),
    Money(name="amount", label="Before VAT", needs=MONEY),
    Code(name="currency", needs=MONEY),
)
TAKE_BACK = Text(name="back", source="back_label", label="Change", url="charge-remove", sortable=False)


def waiting_panel(scope: Scope, **whose: Any) -> TablePanel:
    """Return the charges and credits no bill holds yet; those made by hand lead to taking them back."""
    rows = Charge.objects.filter(invoice_line=None, **whose).exclude(NOTHING)
    columns = WAITING
    if scope.can(Capability.BILL):
        by_hand = Q(source_key__startswith="manual:")
        rows = rows.annotate(
            back_label=Case(When(by_hand, then=Value("Take back"))), back_id=Case(When(by_hand, then=F("pk")))
        )
        columns = (*WAITING, TAKE_BACK)
    empty = EmptyState("No charge waits; what features cost is charged when bills are made.")
    return TablePanel(
        "Waiting for the next bill", columns, rows.order_by("bill_date", "pk"), limit=50, empty=empty
    )


def suggestions() -> list[tuple[str, str]]:
    """Return the latest descriptions used by hand, for the list under the field."""
    mine = Charge.objects.filter(source_key__startswith="manual:").values("description")
    latest = mine.annotate(last=Max("pk")).order_by("-last")[:SUGGESTED]
    return [(row["description"], row["description"]) for row in latest]


class Suggesting(forms.TextInput):
    """A text with suggestions from a list the browser shows."""

    template_name = "billing/_suggesting.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Add what was written lately."""
        context: dict[str, Any] = super().get_context(
            name, value, {**(attrs or {}), "list": f"id_{name}-list"}
        )
        return context | {"suggestions": suggestions()}


class ChargeFields(forms.Form):
    """What to charge or credit."""

    kind = forms.ChoiceField(choices=KINDS, label="What")
    description = forms.CharField(max_length=200, widget=Suggesting(), help_text="Stands on the bill.")
    amount = forms.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal("0.01"), label="Amount before VAT"
    )
    on = forms.DateField(widget=DayInput(), label="For the day")
    number = forms.ChoiceField(required=False)
    vat_rate = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=0, max_value=100, required=False, label="VAT rate (%)",
        help_text="Leave empty for the customer’s.",
    )  # fmt: skip
    once = forms.UUIDField(required=False, widget=forms.HiddenInput())

    def __init__(self, *args: Any, numbers: list[Number], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.numbers = {str(number.pk): number for number in numbers}
        choices = [
            ("", "The account as a whole"),
            *[(pk, str(number)) for pk, number in self.numbers.items()],
        ]
        self.fields["number"].choices = choices  # type: ignore[attr-defined]

    def clean_number(self) -> Number | None:
        """Return the number chosen."""
        return self.numbers.get(self.cleaned_data["number"])


class AddCharge(FormPage):
    """A charge or credit once, for the customer's next bill."""

    capability = Capability.BILL
    title = "Charge or credit"
    form_class = ChargeFields
    submit = "Add it to the next bill"
    refusals = (ChargeRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the customer and its numbers; start from today and the number of the address."""
        self.customer = find(Customer, self.kwargs["pk"], "reseller")
        self.cancel_url = reverse("customer", args=[self.customer.pk])
        self.back = (str(self.customer), self.cancel_url)
        self.purpose = f"Waits for the next bill of {self.customer}; in {self.customer.currency}."
        held = Number.objects.filter(
            pk__in=self.customer.assignments.filter(current_on(self.today)).values("number")
        )
        initial = {"on": self.today, "number": self.request.GET.get("number", ""), "once": uuid4()}
        return {"initial": initial, "numbers": list(held.order_by("number")[:1_000])}

    def save(self, form: Any) -> str:
        """Add the charge; the same answers sent twice from one page add it once."""
        chosen = dict(form.cleaned_data)
        once = chosen.pop("once")
        chosen["key"] = f"{once}:{digest(form)}" if once else ""
        charge = add_charge(self.customer, **{**chosen, "kind": ChargeKind(chosen["kind"])})
        messages.success(self.request, f"{money(charge.amount, charge.currency)} waits for the next bill.")
        return self.cancel_url


class RemoveCharge(FormPage):
    """Take back a charge or credit that was entered by hand and is on no bill."""

    capability = Capability.BILL
    title = "Take it back"
    form_class = forms.Form
    submit = "Take it back"
    refusals = (ChargeRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the charge and say what goes."""
        self.charge = find(Charge, self.kwargs["pk"], "customer")
        self.cancel_url = reverse("customer", args=[self.charge.customer_id])
        self.back = (str(self.charge.customer), self.cancel_url)
        amount = money(self.charge.amount, self.charge.currency)
        self.danger = (
            f"{self.charge.description}, {amount} of {day(self.charge.bill_date)}, will not be billed."
        )
        return {}

    def save(self, form: Any) -> str:
        """Take it back."""
        try:
            remove_charge(self.charge.pk)
        except Charge.DoesNotExist:
            raise Http404 from None
        messages.success(self.request, f"{self.charge.description} is taken back.")
        return self.cancel_url


class NextBill(DetailPage):
    """The next bill of one customer as it stands now, worked out as a run would and not kept."""

    capability = MONEY
    model = Customer
    related = ("reseller",)

    def get_context(self) -> dict[str, Any]:
        """Lead back to the customer."""
        back = (str(self.object), reverse("customer", args=[self.object.pk]))
        purpose = "What a bill run would put on it if it were made now. Nothing is written by looking."
        return {"back": back, "title": f"Next bill of {self.object}", "purpose": purpose}

    def actions(self) -> list[Action]:
        """Offer to add to it."""
        if not self.scope.can(Capability.BILL):
            return []
        return [Action("Charge or credit", reverse("customer-charge", args=[self.object.pk]), primary=True)]

    def panels(self) -> list[Panel]:
        """Return totals and lines per currency, with the reason where there would be no bill."""
        try:
            preview = preview_bill(self.object, today=self.today)
        except BusyNow as busy:
            return [Facts("Not now", [("Why", str(busy))])]
        month = f"{preview.period} and what is left of earlier months"
        panels: list[Panel] = [
            Facts(
                f"In {bill.currency}",
                [
                    ("For", month),
                    ("Before VAT", money(bill.net, bill.currency)),
                    ("VAT", money(bill.vat, bill.currency)),
                    ("Total", money(bill.gross, bill.currency)),
                    ("There would be no bill", bill.why_not),
                ],
            )
            for bill in preview.bills
        ]
        return [*panels, *bill_panels(preview, "Lines")]


urls: list[URLPattern] = [
    path("customers/<int:pk>/bill/", NextBill.as_view(), name="customer-bill"),
    path("customers/<int:pk>/charge/", AddCharge.as_view(), name="customer-charge"),
    path("charges/<int:pk>/take-back/", RemoveCharge.as_view(), name="charge-remove"),
]
