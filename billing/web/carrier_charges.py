"""One line of a carrier's bill: what it is for, said by hand, left out, or opened again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.urls import URLPattern, path, reverse

from billing.charging.allocation import Candidate, candidates
from billing.charging.allocation_hand import (
    Target,
    alike,
    allocate_by_hand,
    feature_of,
    leave_out,
    open_again,
)
from billing.models import CarrierCharge, Customer, Feature, FeatureType, Number
from billing.phones import to_e164
from billing.web.carrier_bills import CostForm
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Code, Column, Date, Text
from resellerkpi.ui.forms import ReferenceField
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, figure, money
from resellerkpi.ui.views import DetailPage

State = CarrierCharge.State
RELATED = (
    "invoice",
    "invoice__carrier",
    "customer",
    "number",
    "feature__feature_type",
    "charge__invoice_line__invoice",
)


def named(found: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return candidates with their names, one query for each kind of thing."""
    customers = Customer.objects.in_bulk([c.customer_id for c in found if c.customer_id])
    numbers = Number.objects.in_bulk([c.number_id for c in found if c.number_id])
    features = Feature.objects.select_related("feature_type").in_bulk(
        [c.feature_id for c in found if c.feature_id]
    )
    return [
        {
            "customer": customers[c.customer_id].name if c.customer_id else "Nobody then",
            "customer_id": c.customer_id,
            "number": numbers[c.number_id].number if c.number_id else None,
            "number_id": c.number_id,
            "feature": features[c.feature_id].feature_type.name if c.feature_id else None,
            "start": features[c.feature_id].start_date if c.feature_id else None,
            "key": ":".join(str(value or 0) for value in c),
        }
        for c in found
    ]


CANDIDATES: tuple[Column, ...] = (
    Text(name="customer", url="customer"),
    Code(name="number", url="number"),
    Text(name="feature"),
    Date(name="start", label="Feature since"),
)


class ChargePage(DetailPage):
    """One line of a carrier's bill."""

    capability = Capability.VIEW_WHOLESALE
    model = CarrierCharge
    related = RELATED

    def get_context(self) -> dict[str, Any]:
        """Lead back to the bill."""
        bill = self.object.invoice
        return {
            "back": (f"Bill {bill.number}", reverse("carrier-bill", args=[bill.pk])),
            "purpose": f"Line {self.object.line} of bill {bill.number} of {bill.carrier.name}.",
        }

    def actions(self) -> Sequence[Action]:
        """Offer what can be done with the line as it stands."""
        row: CarrierCharge = self.object
        may_edit, may_bill = self.scope.can(Capability.EDIT_BOOK), self.scope.can(Capability.BILL)
        if row.charge is not None:
            waits = row.charge.invoice_line_id is None
            return [_action("Take back", "take-back", row)] if may_bill and waits else []
        found = []
        if may_edit and row.state != State.OPEN:
            found.append(_action("Open it again", "open", row))
        if may_edit and row.state != State.IGNORED:
            found.append(_action("Leave it out", "leave-out", row))
            found.append(_action("Say what it is for", "allocate", row, primary=row.state == State.OPEN))
        if may_bill and row.customer_id:
            url = f"{reverse('carrier-bill-pass', args=[row.invoice_id])}?line={row.pk}"
            found.append(Action("Pass it on", url, primary=True))
        return found

    def panels(self) -> list[Panel]:
        """Return what the carrier says, what we say, and what else it may be for."""
        row: CarrierCharge = self.object
        panels: list[Panel] = [_said_by_carrier(row), _said_by_us(row)]
        if row.state == State.OPEN:
            empty = EmptyState("Nothing in service in these days has its reference.")
            panels.append(TablePanel("What it may be for", CANDIDATES, named(candidates(row)), empty=empty))
        return panels


def _action(label: str, step: str, row: CarrierCharge, *, primary: bool = False) -> Action:
    return Action(label, reverse(f"carrier-charge-{step}", args=[row.pk]), primary=primary)


def _said_by_carrier(row: CarrierCharge) -> Facts:
    currency = row.invoice.currency
    return Facts(
        "The carrier's line",
        [
            ("Carrier", row.invoice.carrier, reverse("carrier", args=[row.invoice.carrier_id])),
            ("Reference", row.reference),
            ("Product", row.product),
            ("Kind", row.get_kind_display()),
            ("From", day(row.service_start)),
            ("Until", f"before {day(row.service_end)}"),
            ("Quantity", figure(row.quantity, 0 if row.quantity == int(row.quantity) else 3)),
            ("Cost before VAT", money(row.amount, currency)),
            ("Suggested price", money(row.retail, currency) if row.retail is not None else None),
            ("File", row.invoice.file_name),
        ],
    )


def _said_by_us(row: CarrierCharge) -> Facts:
    customer = reverse("customer", args=[row.customer_id]) if row.customer_id else ""
    number = reverse("number", args=[row.number_id]) if row.number_id else ""
    nobody = "Nobody had the number in these days" if row.state == State.ALLOCATED else None
    items: list[tuple[Any, ...]] = [
        ("State", row.get_state_display()),
        ("Customer", row.customer or nobody, customer),
        ("Number", row.number, number),
        ("Feature", row.feature.feature_type.name if row.feature else None),
        ("Allocated", row.get_found_display() if row.found else None),
        ("Why", row.reason),
    ]
    if row.charge is not None:
        bill = row.charge.invoice_line.invoice if row.charge.invoice_line else None
        items += [
            ("Passed on at", money(row.charge.amount, row.charge.currency)),
            ("On", bill or "the next bill", reverse("invoice", args=[bill.pk]) if bill else ""),
        ]
    return Facts("What it is for", items)


class NumberField(ReferenceField):
    """A number of the book in any usual spelling."""

    country = "GB"

    def clean(self, value: Any) -> Any:
        """Return the number, None when left empty; raises a sentence when there is none."""
        text = str(value or "").strip()
        known = not text or ("\x00" not in text and Number.objects.filter(number=text).exists())
        return super().clean(text if known else to_e164(text, self.country))


class AlikeFields(forms.Form):
    """Whether what is said of a line holds for the open ones with its reference."""

    all_alike = forms.BooleanField(required=False)

    def __init__(self, *args: Any, charge: CarrierCharge, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = alike(charge).count() - 1
        if others:
            lines = "1 other open line" if others == 1 else f"{others:,} other open lines"
            self.fields["all_alike"].label = f"Also for the {lines} with the reference {charge.reference}"
            self.fields["all_alike"].initial = True
        else:
            del self.fields["all_alike"]


class AllocateFields(AlikeFields):
    """What a line is for."""

    candidate = forms.ChoiceField(required=False, widget=forms.RadioSelect, label="It may be for")
    number = NumberField(
        Number,
        by="number",
        what="number",
        required=False,
        help_text="Whoever had it in those days is the customer.",
    )
    customer = ReferenceField(
        Customer, by="code", what="customer with the account code", required=False, label="Account code",
        help_text="Needed without a number, or when the number changed hands in those days.",
    )  # fmt: skip
    feature_type = ReferenceField(
        FeatureType, by="code", what="feature type with the code", required=False, label="Code of the feature type",
        help_text="When it is for a feature of that number or customer.",
    )  # fmt: skip
    remember = forms.BooleanField(
        required=False, label="Remember the reference, so that the next bill finds it by itself"
    )
    field_order = ("candidate", "number", "customer", "feature_type", "all_alike", "remember")

    def __init__(self, *args: Any, charge: CarrierCharge, country: str, **kwargs: Any) -> None:
        super().__init__(*args, charge=charge, **kwargs)
        self.fields["number"].country = country  # type: ignore[attr-defined]
        found = named(candidates(charge))
        if found:
            offered = [(row["key"], _sentence(row)) for row in found]
            self.fields["candidate"].choices = [*offered, ("", "Something else, named below")]  # type: ignore[attr-defined]
        else:
            del self.fields["candidate"]
        if not charge.reference:
            del self.fields["remember"]

    def clean(self) -> dict[str, Any]:
        """Ask for one thing at least."""
        chosen = super().clean() or {}
        if not self.errors and not any(chosen.get(n) for n in ("candidate", "number", "customer")):
            self.add_error(None, "Say what it is for: a number, or a customer.")
        return chosen


def _sentence(row: dict[str, Any]) -> str:
    parts = [f"{row['feature']} since {day(row['start'])}" if row["feature"] else "", row["number"] or ""]
    what = ", ".join(part for part in parts if part)
    return f"{what}: {row['customer']}" if what else str(row["customer"])


class LineForm(CostForm):
    """A form about one line of a bill, for it alone or for those with its reference too."""

    form_class: Any = AlikeFields

    def form_kwargs(self) -> dict[str, Any]:
        """Find the line and say which it is."""
        self.charge = find(CarrierCharge, self.kwargs["pk"], *RELATED)
        row, bill = self.charge, self.charge.invoice
        self.cancel_url = reverse("carrier-charge", args=[row.pk])
        self.back = (str(row), self.cancel_url)
        reference = f", reference {row.reference}" if row.reference else ""
        self.purpose = (
            f"{row.description}{reference}, {money(row.amount, bill.currency)}, {day(row.service_start)} to "
            f"{day(row.service_end - timedelta(days=1))}; line {row.line} of bill {bill.number} of {bill.carrier.name}."
        )
        return {"charge": row}

    def ids(self, chosen: dict[str, Any]) -> list[int]:
        """Return the lines that are meant."""
        return [row.pk for row in alike(self.charge)] if chosen.get("all_alike") else [self.charge.pk]

    def finish(self, done: int, words: str) -> str:
        """Say what was done and go back: to the line, or to what is still open on the bill."""
        lines = "1 line" if done == 1 else f"{done:,} lines"
        messages.success(self.request, f"{lines} {words}.")
        return self.cancel_url


class AllocateCharge(LineForm):
    """Say what a line is for."""

    title = "Say what it is for"
    form_class = AllocateFields
    submit = "Allocate"

    def form_kwargs(self) -> dict[str, Any]:
        """Read national numbers as the house does."""
        return {**super().form_kwargs(), "country": self.reseller.country}

    def save(self, form: Any) -> str:
        """Allocate."""
        chosen = form.cleaned_data
        target = self.target(chosen)
        done = allocate_by_hand(
            self.reseller, self.ids(chosen), target, remember=bool(chosen.get("remember"))
        )
        return self.finish(done, f"allocated to {target.feature or target.number or target.customer}")

    def target(self, chosen: dict[str, Any]) -> Target:
        """Return what was chosen: a candidate, else what was named."""
        row = self.charge
        if chosen.get("candidate"):
            customer, number, feature = (int(part) for part in chosen["candidate"].split(":"))
            return Target(
                customer=Customer.objects.filter(pk=customer).first(),
                number=Number.objects.filter(pk=number).first(),
                feature=Feature.objects.filter(pk=feature).first(),
            )
        named_by = {"customer": chosen["customer"], "number": chosen["number"]}
        if chosen["feature_type"]:
            days = {"first": row.service_start, "until": row.service_end}
            return Target(feature=feature_of(feature_type=chosen["feature_type"], **named_by, **days))
        return Target(**named_by)


class LeaveOutFields(AlikeFields):
    """Why a line is for no customer."""

    reason = forms.CharField(max_length=200, help_text="Our own office line, disputed with the carrier…")
    field_order = ("reason", "all_alike")


class LeaveOutCharge(LineForm):
    """Leave a line out."""

    title = "Leave it out"
    form_class = LeaveOutFields
    submit = "Leave it out"

    def save(self, form: Any) -> str:
        """Leave it out."""
        chosen = form.cleaned_data
        done = leave_out(self.reseller, self.ids(chosen), reason=chosen["reason"])
        return self.finish(done, "left out")


class OpenCharge(LineForm):
    """Open a line again."""

    title = "Open it again"
    submit = "Open it again"
    danger = "What it was for is forgotten; the next allocation by reference looks at it again."

    def form_kwargs(self) -> dict[str, Any]:
        """Ask for nothing."""
        super().form_kwargs()
        return {}

    form_class: Any = forms.Form

    def save(self, form: Any) -> str:
        """Open it."""
        return self.finish(open_again(self.reseller, [self.charge.pk]), "open again")


urls: list[URLPattern] = [
    path("carriers/bills/lines/<int:pk>/", ChargePage.as_view(), name="carrier-charge"),
    path("carriers/bills/lines/<int:pk>/allocate/", AllocateCharge.as_view(), name="carrier-charge-allocate"),
    path(
        "carriers/bills/lines/<int:pk>/leave-out/", LeaveOutCharge.as_view(), name="carrier-charge-leave-out"
    ),
    path("carriers/bills/lines/<int:pk>/open/", OpenCharge.as_view(), name="carrier-charge-open"),
]
