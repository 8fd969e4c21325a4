"""Price rises by CPI, RPI or a fixed per cent: the list, a new one, what it does, applying it and taking it back."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F, QuerySet
from django.urls import reverse

from billing.book import keep
from billing.charging.uplift import INDICES, UpliftRefused, index_figure, refuse_past
from billing.models import Customer, FeatureType, Observation, PriceUplift
from billing.web.editing import BookForm
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Date, DateTime, Percent, Text
from resellerkpi.core.periods import add_months
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import Action, EmptyState
from resellerkpi.ui.views import ListPage

MONEY, BILL = Capability.VIEW_MONEY, Capability.BILL
STEPS = [(step, f"{step}") for step in ("0.01", "0.05", "0.10", "0.50", "1.00")]


class UpliftList(ListPage):
    """All price rises."""

    capability = MONEY
    title = "Price rises"
    purpose = (
        "Rises of rental prices by CPI, RPI or a fixed per cent: planned, in force, and what each came to."
    )
    row_url = "uplift"
    order = ("-effective_date", "-pk")
    columns = (
        Text(name="name", label="Price rise"),
        Date(name="effective_date", label="From"),
        Percent(name="percent", source="percent_share", decimals=2, label="Rise"),
        DateTime(name="applied_at", label="Put in force", help="Blank while it is a draft."),
        Text(name="by", source="applied_by__name", label="By"),
    )
    empty = EmptyState("No price rise has been prepared.")

    def queryset(self) -> QuerySet[Any]:
        """Return the price rises."""
        return PriceUplift.objects.annotate(percent_share=F("percent") / 100)

    def actions(self) -> Sequence[Action]:
        """Offer a new one, and the figures it needs."""
        if not self.scope.can(BILL):
            return ()
        figure = Action("Enter a CPI or RPI figure", reverse("uplift-index"))
        return (figure, Action("Prepare a price rise", reverse("uplift-add"), primary=True))


class IndexFields(forms.Form):
    """A published figure."""

    index = forms.ChoiceField(choices=list(INDICES.items()))
    month = forms.DateField(widget=DayInput(), label="Month", help_text="Any day of the month it is for.")
    value = forms.DecimalField(
        max_digits=6, decimal_places=3, min_value=-50, max_value=100, label="Rise on a year before (%)"
    )


class AddIndex(BookForm):
    """Keep a published figure of CPI or RPI."""

    capability = BILL
    form_class = IndexFields
    title = "Enter a CPI or RPI figure"
    purpose = "The annual rate as published. Many at once are imported as observations, under the metric cpi or rpi."

    def form_kwargs(self) -> dict[str, Any]:
        """Start from last month."""
        self.cancel_url = reverse("uplift-list")
        self.back = ("Price rises", self.cancel_url)
        return {"initial": {"month": add_months(self.today.replace(day=1), -1)}}

    def save(self, form: Any) -> str:
        """Keep the figure, in place of an earlier one for the month."""
        chosen = form.cleaned_data
        about = {
            "metric": chosen["index"],
            "date": chosen["month"].replace(day=1),
            "dimension": "",
            "key": "",
        }
        row = Observation.objects.filter(**about).first() or Observation(**about)
        row.value = chosen["value"]
        keep(row, changed=("value",))
        return self.succeed(
            self.cancel_url, f"{INDICES[chosen['index']]} of {chosen['month']:%B %Y} is kept."
        )


class UpliftFields(forms.Form):
    """By how much, from when, whose prices."""

    groups = (
        ("The rise", ("name", "index", "plus_percent", "effective_date", "round_to")),
        ("Whose prices", ("types", "segment", "own_prices", "in_term", "notice_days")),
    )
    name = forms.CharField(max_length=80, help_text="Such as “April 2027”.")
    index = forms.ChoiceField(required=False, label="Index")
    plus_percent = forms.DecimalField(
        max_digits=6, decimal_places=3, min_value=-50, max_value=100, required=False, label="Plus (%)",
        help_text="On top of the index; the whole rise when there is no index.",
    )  # fmt: skip
    effective_date = forms.DateField(widget=DayInput(), label="From")
    round_to = forms.ChoiceField(choices=STEPS, label="New prices in steps of", help_text="Rounded half up.")
    types: Any = forms.ModelMultipleChoiceField(
        queryset=None, required=False, label="Feature types", help_text="Choose none for all."
    )
    segment = forms.ChoiceField(
        required=False, help_text="For one segment, its customers get prices of their own."
    )
    own_prices = forms.BooleanField(required=False, label="Raise customers’ own prices too")
    in_term = forms.BooleanField(required=False, label="Also for features in their minimum term")
    notice_days = forms.IntegerField(min_value=0, max_value=365, label="Notice to customers (days)")

    def __init__(self, *args: Any, today: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = FeatureType.objects.exclude(interval=FeatureType.Interval.ONCE).order_by("name")
        self.fields["types"].queryset = kinds  # type: ignore[attr-defined]
        segments = Customer.objects.exclude(segment="").order_by("segment").values_list("segment", flat=True)
        named = [(segment, segment) for segment in segments.distinct()]
        self.fields["segment"].choices = [("", "All customers"), *named]  # type: ignore[attr-defined]
        figures = {index: index_figure(index, today) for index in INDICES}
        self.fields["index"].choices = [("", "None: a fixed per cent"), *[  # type: ignore[attr-defined]
            (index, f"{INDICES[index]}: {figure.value.normalize():f} % ({figure.date:%B %Y})")
            for index, figure in figures.items() if figure
        ]]  # fmt: skip
        self.figures, self.today = figures, today

    def clean(self) -> dict[str, Any]:
        """Work out the whole rise."""
        found = super().clean() or {}
        figure = self.figures.get(found.get("index") or "")
        found["index_percent"] = figure.value if figure else Decimal(0)
        found["percent"] = found["index_percent"] + (found.get("plus_percent") or 0)
        if found.get("effective_date"):
            try:
                refuse_past(found["effective_date"], today=self.today)
            except UpliftRefused as refused:
                self.add_error("effective_date", str(refused))
        if not found["percent"] and "plus_percent" not in self.errors:
            self.add_error("plus_percent", "Choose an index or give a per cent.")
        return found


class PrepareUplift(BookForm):
    """Prepare a price rise as a draft."""

    capability = BILL
    form_class = UpliftFields
    title = "Prepare a price rise"
    purpose = "A draft: you see what it does to every feature type and customer before it is put in force."
    submit = "Show what it does"

    def form_kwargs(self) -> dict[str, Any]:
        """Start from the first day two months ahead."""
        self.cancel_url = reverse("uplift-list")
        self.back = ("Price rises", self.cancel_url)
        start = add_months(self.today.replace(day=1), 2)
        initial = {"effective_date": start, "name": f"{start:%B %Y}", "own_prices": True, "notice_days": 30}
        return {"initial": initial, "today": self.today}

    def save(self, form: Any) -> str:
        """Keep the draft."""
        chosen = form.cleaned_data
        scope = {name: chosen[name] for name in ("segment", "own_prices", "in_term", "notice_days")}
        uplift = keep(
            PriceUplift(
                name=chosen["name"],
                index=chosen["index"],
                index_percent=chosen["index_percent"],
                plus_percent=chosen["plus_percent"] or 0,
                percent=chosen["percent"],
                effective_date=chosen["effective_date"],
                round_to=Decimal(chosen["round_to"]),
                scope={**scope, "types": [kind.pk for kind in chosen["types"]]},
            )
        )
        return reverse("uplift", args=[uplift.pk])
