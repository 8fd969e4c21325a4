"""One feature of a customer: what it is and was, and the steps that change it from a day on."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.urls import URLPattern, path, reverse

from billing.billrun.preview import Line
from billing.book_features import change_feature, end_feature, ending_costs, reopen_feature, take_back_change
from billing.models import Charge, ChargeKind, Feature, FeatureType
from billing.preview import preview_bill
from billing.web.confirm import ConfirmedForm, bill_panels
from billing.web.contracts import notice_words
from billing.web.editing import find
from billing.web.lookups import FEATURES, feature_rows
from billing.web.match_panel import match_panel
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Money, Text
from resellerkpi.ui.forms import DayInput, Gated, ScopedChoiceField
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money, percent
from resellerkpi.ui.views import DetailPage

MONEY = Capability.VIEW_MONEY
CHARGES: tuple[Column, ...] = (
    Text(name="description", label="Charge"),
    Choice(name="kind", choices=ChargeKind.choices),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help="The first day after it."),
    Money(name="amount", label="Before VAT", needs=MONEY),
    Code(name="currency", needs=MONEY),
    Code(name="invoice", source="invoice_line__invoice__number", url="invoice", help="Blank while it waits."),
)


class FeaturePage(DetailPage):
    """One feature of a customer."""

    capability = Capability.VIEW_BOOK
    model = Feature
    related = ("customer", "feature_type", "number", "continues")

    def get_context(self) -> dict[str, Any]:
        """Lead back to the customer."""
        feature = self.object
        self.title = f"{feature.feature_type} of {feature.customer}"
        back = (str(feature.customer), reverse("customer", args=[feature.customer_id]))
        return {
            "back": back,
            "title": self.title,
            "purpose": "What it is, what it was before, what was charged.",
        }

    def actions(self) -> Sequence[Action]:
        """Offer the steps that its dates allow."""
        feature = self.object
        if not self.scope.can(Capability.EDIT_BOOK):
            return ()
        steps = [("Change price or quantity", "feature-change"), ("End it", "feature-end")]
        if feature.end_date is not None and not self.continued:
            steps = [("Let it go on after all", "feature-reopen")]
        elif self.continued:
            steps = []
        if feature.continues_id and not self.continued:
            steps.append(("Take this change back", "feature-change-back"))
        return [
            Action(label, reverse(url, args=[feature.pk]), primary=not n)
            for n, (label, url) in enumerate(steps)
        ]

    @property
    def continued(self) -> bool:
        """Whether it goes on under other terms."""
        return Feature.objects.filter(continues=self.object).exists()

    def panels(self) -> list[Panel]:
        """Return its terms, its history and its charges."""
        feature = self.object
        versions = chain(feature)
        rows = feature_rows(self.today, pk__in=versions).order_by("start_date")
        matched = match_panel(self.scope, self.today, search=feature.customer.code, feature__in=versions)
        panels: list[Panel] = [
            self.terms(),
            *([matched] if matched else []),
            TablePanel("Over time", FEATURES, rows, row_url="feature"),
        ]
        if self.scope.can(MONEY):
            charges = Charge.objects.filter(feature=feature).order_by("-service_start", "-pk")
            empty = EmptyState("Nothing has been charged for it yet.")
            panels.append(TablePanel("Charges", CHARGES, charges, limit=24, empty=empty))
        return panels

    def terms(self) -> Facts:
        """Return number, term and what leaving costs today."""
        feature, kind = self.object, self.object.feature_type
        number = reverse("number", args=[feature.number_id]) if feature.number_id else ""
        items: list[tuple[Any, ...]] = [
            ("Number", feature.number or "", number),
            ("Reference", feature.reference),
            ("Charged", "No, it is marked as not billed" if feature.not_charged else f"{kind.get_interval_display()}, "
             f"{kind.get_timing_display().lower()}"),
            ("Minimum term until", day(feature.minimum_term_end) if feature.minimum_term_end else "None"),
        ]  # fmt: skip
        if self.scope.can(MONEY) and feature.termination_percent:
            share = percent(feature.termination_percent / 100)
            items.append(("Leaving early costs", f"{share} of the rest of the term"))
            if feature.end_date is None and feature.start_date < self.today:
                cost = ending_costs([feature], on=self.today)[feature.pk]
                items.append(("If it ended today", money(cost, kind.currency)))
            if feature.termination_waived:
                items.append(("For this end", "Waived"))
        return Facts("Terms", items)


def chain(feature: Feature) -> list[int]:
    """Return the feature, those it continues and those that continue it."""
    found, link = [feature.pk], feature
    while link.continues is not None:
        link = link.continues
        found.append(link.pk)
    last: int | None = feature.pk
    while last:
        last = Feature.objects.filter(continues=last).values_list("pk", flat=True).first()
        found += [last] if last else []
    return found


class FeatureStep(ConfirmedForm):
    """A form about one feature; leads back to its page."""

    def form_kwargs(self) -> dict[str, Any]:
        """Find the feature of the address."""
        self.feature = find(
            Feature, self.kwargs["pk"], "customer__reseller", "feature_type", "number", "continues"
        )
        self.cancel_url = reverse("feature", args=[self.feature.pk])
        self.back = (f"{self.feature.feature_type} of {self.feature.customer}", self.cancel_url)
        return {}


class ChangeFields(Gated, forms.Form):
    """What is to be from a day on."""

    needs = {"price": MONEY, "discount_percent": MONEY, "cost": Capability.VIEW_WHOLESALE}
    on = forms.DateField(widget=DayInput(), label="From", help_text="The first day with the new terms.")
    quantity = forms.IntegerField(min_value=1, max_value=100_000)
    price = forms.DecimalField(
        max_digits=18, decimal_places=6, min_value=0, required=False, label="Price of one",
        help_text="Leave empty for the list price.",
    )  # fmt: skip
    discount_percent = forms.DecimalField(
        max_digits=5, decimal_places=2, min_value=0, max_value=100, label="Discount (%)"
    )
    cost = forms.DecimalField(
        max_digits=18, decimal_places=6, min_value=0, required=False, label="Cost of one",
        help_text="Leave empty for the supplier’s list cost.",
    )  # fmt: skip
    feature_type = ScopedChoiceField(
        FeatureType,
        only={"is_available": True},
        required=False,
        label="Move to",
        empty_label="The same feature",
    )


class ChangeFeature(FeatureStep):
    """Change price, quantity or kind of a feature from a day on, with a look at the next bill first."""

    form_class = ChangeFields
    title = "Change price or quantity from a date"
    purpose = "What was charged beyond that day is credited and charged anew; the minimum term runs on."
    submit = "Show the next bill with it"
    confirm = "Make the change"

    def form_kwargs(self) -> dict[str, Any]:
        """Start from what it is."""
        super().form_kwargs()
        names = ("quantity", "price", "discount_percent", "cost")
        values = {name: getattr(self.feature, name) for name in names}
        shown = {name: plain(value) for name, value in values.items()}
        return {"initial": {"on": self.today, **shown}}

    def changes(self, form: Any) -> dict[str, Any]:
        """Return what is asked for, without what stays."""
        chosen = dict(form.cleaned_data)
        if chosen.get("feature_type") in (None, self.feature.feature_type):
            chosen.pop("feature_type", None)
        return chosen

    def consequences(self, form: Any) -> Sequence[Panel]:
        """Return the next bill with the change in it."""
        chosen = self.changes(form)
        preview = preview_bill(
            self.feature.customer, today=self.today, change=lambda: change_feature(self.feature, **chosen)
        )
        if not self.scope.can(MONEY):
            return ()
        names = {str(self.feature.feature_type), str(chosen.get("feature_type") or self.feature.feature_type)}
        number = str(self.feature.number or "")

        def of_it(line: Line) -> bool:
            return line.number == number and line.description.removeprefix("Credit: ") in names

        return bill_panels(preview, f"The next bill, {preview.period}, with this change", only=of_it)

    def save(self, form: Any) -> str:
        """Make the change."""
        new = change_feature(self.feature, **self.changes(form))
        return self.succeed(reverse("feature", args=[new.pk]), f"Changed from {day(new.start_date)}.")


def plain(value: Any) -> Any:
    """Return a decimal without trailing zeros, for a form."""
    return f"{value.normalize():f}" if hasattr(value, "normalize") else value


class EndFields(forms.Form):
    """When a feature ends."""

    on = forms.DateField(widget=DayInput(), label="Until", help_text="The first day without it.")
    waive = forms.CharField(
        max_length=200, required=False, label="Charge nothing for leaving early, because",
        help_text="Only where an early-termination charge is due; the reason is kept.",
    )  # fmt: skip


class EndFeature(FeatureStep):
    """End a feature; what was charged beyond that day is credited on the next bill."""

    form_class = EndFields
    submit = "End the feature"

    def form_kwargs(self) -> dict[str, Any]:
        """Start from today."""
        super().form_kwargs()
        self.title = f"End {self.feature.feature_type}"
        self.purpose = "What was charged beyond that day is credited on the next bill."
        return {"initial": {"on": self.today}}

    def consequences(self, form: Any) -> Sequence[Panel]:
        """Say what leaving costs and whose notice is cut short."""
        on, waive = form.cleaned_data["on"], form.cleaned_data["waive"]
        cost = ending_costs([self.feature], on=on)[self.feature.pk]
        words = []
        if cost:
            amount = money(cost, self.feature.feature_type.currency) if self.scope.can(MONEY) else "A charge"
            until = day(self.feature.minimum_term_end)
            words.append(
                f"Its minimum term runs to {until}: the early-termination charge of {amount} before VAT "
                f"{'is waived' if waive else 'goes on the next bill'}."
            )
        words += notice_words(self.feature.customer, on=on, today=self.today)
        self.danger = " ".join(words)
        return ()

    def save(self, form: Any) -> str:
        """End it."""
        chosen = form.cleaned_data
        end_feature(feature=self.feature, on=chosen["on"], waive=chosen["waive"])
        home = reverse("customer", args=[self.feature.customer_id])
        return self.succeed(home, f"{self.feature.feature_type} ends on {day(chosen['on'])}.")


class ReopenFeature(FeatureStep):
    """Let an ended feature go on after all."""

    form_class = forms.Form
    title = "Let it go on after all"
    purpose = (
        "Its end is taken away, and with it the credit and any early-termination charge, on the next bill."
    )
    submit = "Let it go on"

    def save(self, form: Any) -> str:
        """Take the end away."""
        feature = reopen_feature(self.feature)
        return self.succeed(reverse("feature", args=[feature.pk]), f"{feature.feature_type} goes on.")


class TakeBackChange(FeatureStep):
    """Undo the dated change by which a feature came about."""

    form_class = forms.Form
    title = "Take this change back"
    purpose = "It goes on as it was before the change. Only while no bill carries the change."
    submit = "Take it back"

    def save(self, form: Any) -> str:
        """Undo the change."""
        before = take_back_change(self.feature)
        messages.success(self.request, "The change is taken back.")
        return reverse("feature", args=[before.pk])


urls: list[URLPattern] = [
    path("features/<int:pk>/", FeaturePage.as_view(), name="feature"),
    path("features/<int:pk>/change/", ChangeFeature.as_view(), name="feature-change"),
    path("features/<int:pk>/end/", EndFeature.as_view(), name="feature-end"),
    path("features/<int:pk>/go-on/", ReopenFeature.as_view(), name="feature-reopen"),
    path("features/<int:pk>/change/back/", TakeBackChange.as_view(), name="feature-change-back"),
]
