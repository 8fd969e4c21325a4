"""The form of a what-if question: who, at which prices, over which months, and what to look out for."""

from copy import deepcopy
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from billing.models import Carrier, Customer, Tariff
from resellerkpi.ui.forms import DayInput, PeriodField, ScopedChoiceField

CHANGES = 4


class AskForm(forms.Form):
    """What every question has; `kind` adds its own."""

    period = PeriodField(label="Calls of", initial="last_month", any_label="")
    tariff = ScopedChoiceField(Tariff, only={"kind": Tariff.Kind.RETAIL}, label="Proposed tariff")
    instead_of = ScopedChoiceField(
        Tariff, only={"kind": Tariff.Kind.RETAIL}, required=False, label="For all customers on",
        empty_label="The customers named below",
    )  # fmt: skip
    customers = forms.CharField(
        required=False, max_length=2000, label="Customers", help_text="Account codes, separated by commas."
    )
    carrier = ScopedChoiceField(Carrier, label="Carrier")
    as_of = forms.DateField(
        widget=DayInput(), label="Prices as they are on", help_text="The day the new prices would begin."
    )
    places = forms.IntegerField(
        min_value=0, max_value=6, initial=4, label="Round changed prices to", help_text="Decimal places."
    )
    floor = forms.DecimalField(
        min_value=-100, max_value=100, max_digits=5, decimal_places=2, initial=20, label="Margin floor (%)",
        help_text="Customers whose margin would be under it are flagged.",
    )  # fmt: skip
    notice_days = forms.IntegerField(
        min_value=0, max_value=365, initial=30, label="Notice of a rise (days)",
        help_text="How long before a rise customers must be told.",
    )  # fmt: skip

    own = {
        "move": {"tariff", "instead_of", "customers"},
        "change": {"tariff", "customers", "places"},
        "wholesale": {"tariff", "carrier"},
    }

    def __init__(self, *args: Any, kind: str, zone: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind = kind
        for name in {"tariff", "instead_of", "customers", "places", "carrier"} - self.own[kind]:
            del self.fields[name]
        self.fields["period"].zone = zone  # type: ignore[attr-defined]
        if kind == "wholesale":
            decks = ScopedChoiceField(
                Tariff, only={"kind": Tariff.Kind.WHOLESALE}, label="Proposed wholesale tariff"
            )
            self.fields["tariff"] = deepcopy(decks)  # a copy asks for its rows
            del self.fields["notice_days"]
        if kind == "change":
            self.fields["tariff"].label = "Tariff"
            self.fields["customers"].help_text = "Account codes; empty for all customers on it."
            self._add_changes()

    def _add_changes(self) -> None:
        for at in range(CHANGES):
            self.fields[f"match_{at}"] = forms.CharField(
                required=False, max_length=40, label="Prefix, class or destination",
                help_text="Empty: all prices that no line above changes." if at == 0 else "",
            )  # fmt: skip
            self.fields[f"percent_{at}"] = forms.DecimalField(
                required=False,
                min_value=-100,
                max_value=1000,
                max_digits=7,
                decimal_places=3,
                label="Change (%)",
            )
            self.fields[f"price_{at}"] = forms.DecimalField(
                required=False, min_value=0, max_digits=12, decimal_places=6, label="Or new price"
            )

    @property
    def change_rows(self) -> list[list[Any]]:
        """The fields of each change of price."""
        if self.kind != "change":
            return []
        return [[self[f"{name}_{at}"] for name in ("match", "percent", "price")] for at in range(CHANGES)]

    def visible_fields(self) -> list[Any]:
        """Return the fields that stand one below the other: changes of price have a table of their own."""
        apart = {bound.name for row in self.change_rows for bound in row}
        return [bound for bound in super().visible_fields() if bound.name not in apart]

    @property
    def groups(self) -> list[tuple[str, list[str]]]:
        """The headings of the form."""
        shown: list[tuple[str, list[str]]] = [
            ("Proposed", ["carrier", "tariff", "instead_of", "customers", "as_of"]),
            ("Compared with", ["period"]),
            ("What to look out for", ["places", "floor", "notice_days"]),
        ]  # fmt: skip
        return shown

    def clean_period(self) -> Any:
        """Ask for whole months: allowances are given by the month."""
        period = self.cleaned_data["period"]
        if period.start.day != 1 or period.end.day != 1:
            raise ValidationError("Choose whole months: allowances are given by the month.")
        return period

    def clean_customers(self) -> list[int]:
        """Return the customers named by their account codes."""
        codes = [code for code in self.cleaned_data["customers"].replace(",", " ").split() if code]
        known = dict(Customer.objects.filter(code__in=codes).values_list("code", "pk"))
        missing = [code for code in codes if code not in known]
        if missing:
            raise ValidationError(f"There is no customer with account code “{missing[0]}”.")
        return [known[code] for code in dict.fromkeys(codes)]

    def clean(self) -> dict[str, Any]:
        """Ask who would move, and what would change."""
        found: dict[str, Any] = super().clean() or {}
        if self.kind == "move" and not self.errors:
            if not found.get("instead_of") and not found.get("customers"):
                self.add_error(
                    "customers", "Say which customers would move: name them, or the tariff they are on."
                )
            if found.get("instead_of") == found.get("tariff"):
                self.add_error("tariff", "Choose another tariff than the one they are on.")
        if self.kind == "change" and not self.errors and not self.changes():
            self.add_error("percent_0", "Say by how much prices change.")
        return found

    def changes(self) -> list[dict[str, str]]:
        """Return the changes of price filled in."""
        data, found = self.cleaned_data, []
        for at in range(CHANGES if self.kind == "change" else 0):
            percentage, price = data.get(f"percent_{at}"), data.get(f"price_{at}")
            if percentage is not None or price is not None:
                change = {"match": data.get(f"match_{at}") or ""}
                change |= {"price": str(price)} if price is not None else {"percent": str(percentage)}
                found.append(change)
        return found

    def question(self) -> dict[str, Any]:
        """Return the question as plain values."""
        data = self.cleaned_data
        asked: dict[str, Any] = {
            "kind": self.kind,
            "first": data["period"].start.isoformat(),
            "end": data["period"].end.isoformat(),
            "tariff_id": data["tariff"].pk,
            "as_of": data["as_of"].isoformat(),
            "floor": str(data["floor"]),
            "notice_days": data.get("notice_days"),
            "changes": self.changes(),
            "customer_ids": data.get("customers") or [],
        }
        for name in ("instead_of", "carrier"):
            if data.get(name):
                asked["carrier_id" if name == "carrier" else name] = data[name].pk
        return asked | ({"places": data["places"]} if self.kind == "change" else {})
