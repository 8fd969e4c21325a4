"""Giving a customer numbers, features and tariffs, one at a time."""

from typing import Any

from django import forms

from billing.book import add_number, assign_tariff, keep
from billing.book_features import start_feature
from billing.models import Contract, FeatureType, Number, Tariff
from billing.web.contracts import ContractFields
from billing.web.customer_changes import CustomerStep
from billing.web.lookups import TariffField
from resellerkpi.core.access import Capability
from resellerkpi.ui.forms import DayInput, Gated, ReferenceField, ScopedChoiceField


class NumberFields(forms.Form):
    """A number and since when the customer has it."""

    number = forms.CharField(max_length=60, help_text="As your call files carry it, such as 01632960001.")
    type = forms.ChoiceField(choices=Number.Type.choices)
    description = forms.CharField(max_length=120, required=False)
    site = forms.CharField(max_length=80, required=False)
    start = forms.DateField(widget=DayInput(), label="From")


class AddNumber(CustomerStep):
    """Add a number to a customer."""

    form_class = NumberFields
    title = "Add a number"
    purpose = "A number that is in the book and free is given to this customer; a new one is added."
    submit = "Add the number"

    def save(self, form: Any) -> str:
        """Add and assign the number."""
        data = form.cleaned_data
        add_number(
            customer=self.customer,
            text=data["number"],
            number_type=data["type"],
            start=data["start"],
            site=data["site"],
            description=data["description"],
        )
        return self.succeed(self.home(), f"{data['number']} belongs to {self.customer}.")


class FeatureFields(Gated, forms.Form):
    """Something of the catalogue, how many, since when, at what price."""

    needs = {
        "price": Capability.VIEW_MONEY,
        "discount_percent": Capability.VIEW_MONEY,
        "cost": Capability.VIEW_WHOLESALE,
        "termination_percent": Capability.VIEW_MONEY,
    }
    feature_type = ScopedChoiceField(
        FeatureType, only={"is_available": True}, label="Feature", empty_label="Choose…"
    )
    number = ReferenceField(
        Number,
        by="number",
        what="number",
        required=False,
        help_text="For features of one line, such as line rental.",
    )
    quantity = forms.IntegerField(min_value=1, max_value=100_000, initial=1)
    start = forms.DateField(widget=DayInput(), label="From")
    price = forms.DecimalField(
        max_digits=18, decimal_places=6, required=False, help_text="Leave empty for the list price."
    )
    discount_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=0, max_value=100, required=False, label="Discount (%)"
    )
    cost = forms.DecimalField(
        max_digits=18, decimal_places=6, required=False, help_text="Leave empty for the supplier's list cost."
    )
    term_months = forms.IntegerField(
        min_value=0,
        max_value=120,
        required=False,
        label="Minimum term (months)",
        help_text="Leave empty for the catalogue’s; 0 for none.",
    )
    termination_percent = forms.DecimalField(
        max_digits=5,
        decimal_places=2,
        min_value=0,
        max_value=100,
        required=False,
        label="Leaving early costs (% of the rest)",
        help_text="Leave empty for the catalogue’s.",
    )


class StartFeature(CustomerStep):
    """Give a customer a feature."""

    form_class = FeatureFields
    title = "Add a feature"
    purpose = "It is charged from this day by its price, part periods by their days."
    submit = "Add the feature"

    def form_kwargs(self) -> dict[str, Any]:
        """Begin with the number of the address, if one led here."""
        super().form_kwargs()
        return {"initial": {"number": self.request.GET.get("number", "").replace("\0", "")}}

    def save(self, form: Any) -> str:
        """Start the feature."""
        data = {k: v for k, v in form.cleaned_data.items() if v is not None}
        feature = start_feature(customer=self.customer, **data)
        return self.succeed(self.home(), f"{feature.feature_type} is added.")


class TariffFields(forms.Form):
    """A tariff, for which calls, since when."""

    tariff = TariffField(only={"kind": Tariff.Kind.RETAIL}, empty_label="Choose…")
    call_class = forms.CharField(
        max_length=30, required=False, label="Class of calls", help_text="Leave empty for all calls."
    )
    start = forms.DateField(widget=DayInput(), label="From")


class AssignTariff(CustomerStep):
    """Put a customer on a tariff."""

    form_class = TariffFields
    title = "Give a tariff"
    purpose = "The tariff before it ends on the same day; calls already billed keep their price."
    submit = "Give the tariff"

    def save(self, form: Any) -> str:
        """Assign the tariff."""
        assign_tariff(customer=self.customer, **form.cleaned_data)
        return self.succeed(
            self.home(), f"{form.cleaned_data['tariff']} prices the calls of {self.customer}."
        )


class AddContract(CustomerStep):
    """Record what a customer has committed to."""

    form_class = ContractFields
    title = "Add a contract"
    purpose = "Ending services before its notice or its term is warned of."
    submit = "Add the contract"

    def form_kwargs(self) -> dict[str, Any]:
        """Bind a new contract of the customer."""
        super().form_kwargs()
        return {"instance": Contract(customer=self.customer)}

    def save(self, form: Any) -> str:
        """Keep it."""
        contract = keep(form.save(commit=False))
        return self.succeed(self.home(), f"Contract {contract} is added.")
