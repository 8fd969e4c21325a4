"""One price rise: what it does, or did, and the steps to put it in force and to take it back."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.urls import URLPattern, path, reverse

from billing.charging.uplift import UpliftRefused, describe, take_back_uplift
from billing.charging.uplift_plan import UpliftPlan, UpliftScope, notice_by, plan_uplift
from billing.models import Customer, FeatureType, PriceUplift
from billing.web.editing import find
from billing.web.uplifts import AddIndex, PrepareUplift, UpliftList
from resellerkpi.core import audit
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Code, Column, Int, Money, Percent, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, money
from resellerkpi.ui.views import DetailPage, FormPage

MONEY, BILL = Capability.VIEW_MONEY, Capability.BILL
SUMS: tuple[Column, ...] = (
    Int(name="features", total="sum"),
    Money(name="before", label="A month now", total="sum"),
    Money(name="after", label="A month then", total="sum"),
    Money(name="difference", total="sum"),
    Percent(name="rise", decimals=2),
    Money(name="year", label="A year more", total="sum"),
    Code(name="currency"),
)
PRICES: tuple[Column, ...] = (
    Text(name="name", label="Feature type", url="feature-type"),
    Money(name="old", label="List price now"),
    Money(name="new", label="List price then"),
    Percent(name="rise", decimals=2),
)
MOST = 250


class UpliftPage(DetailPage):
    """One price rise."""

    capability = MONEY
    model = PriceUplift
    related = ("applied_by",)

    def get_context(self) -> dict[str, Any]:
        """Say where it stands."""
        uplift = self.object
        state = (
            f"In force since {day(uplift.applied_at)}"
            if uplift.applied_at
            else "A draft: nothing is changed yet"
        )
        return {"back": ("Price rises", reverse("uplift-list")), "purpose": f"{describe(uplift)}. {state}."}

    def actions(self) -> Sequence[Action]:
        """Offer the step it can take."""
        pk = self.object.pk
        if not self.scope.can(BILL):
            return ()
        if self.object.applied_at:
            return (Action("Take it back", reverse("uplift-take-back", args=[pk])),)
        discard = Action("Discard", reverse("uplift-discard", args=[pk]))
        return (discard, Action("Put it in force", reverse("uplift-apply", args=[pk]), primary=True))

    def panels(self) -> list[Panel]:
        """Return the rise in sum, by feature type, by customer, and who is left out."""
        summary = self.object.summary if self.object.applied_at else _planned(plan_uplift(self.object))
        types = sorted(summary["types"], key=lambda row: row["name"])
        names = dict(
            Customer.objects.filter(pk__in=[row["id"] for row in summary["customers"]]).values_list(
                "pk", "name"
            )
        )
        customers = [_row(row | {"name": names.get(row["id"], "")}) for row in summary["customers"]]
        customers.sort(key=lambda row: (-row["difference"], row["name"]))
        by = (Text(name="name", label="Customer", url="customer"), *SUMS)
        none = EmptyState("No running feature changes its price.")
        note = "" if len(customers) <= MOST else f", the {MOST} that pay most more of {len(customers):,}"
        return [
            self.terms(summary),
            *_left_out(summary["left_out"]),
            TablePanel("List prices", PRICES, [_price(row) for row in summary["prices"]],
                       empty=EmptyState("No list price changes.")),
            TablePanel("By feature type", (Text(name="name", label="Feature type", url="feature-type"), *SUMS),
                       [_row(row) for row in types], empty=none),
            TablePanel(f"By customer{note}", by, customers[:MOST], empty=none),
        ]  # fmt: skip

    def terms(self, summary: dict[str, Any]) -> Facts:
        """Return the rise in sum and whose prices it is for."""
        uplift, scope = self.object, UpliftScope.of(self.object.scope)
        kinds = FeatureType.objects.filter(pk__in=scope.types).order_by("name").values_list("name", flat=True)
        items: list[tuple[Any, ...]] = [
            ("From", day(uplift.effective_date)),
            ("Tell customers by", day(notice_by(uplift))),
            ("New prices in steps of", f"{uplift.round_to.normalize():f}"),
            ("Feature types", ", ".join(kinds) or "All"),
            ("Customers", scope.segment or "All"),
            ("Own prices", "Rise too" if scope.own_prices else "Stay"),
            ("In a minimum term", "Rise too" if scope.in_term else "Keep today’s price"),
        ]
        totals: dict[str, Decimal] = {}
        for row in summary["types"]:
            totals[row["currency"]] = totals.get(row["currency"], Decimal(0)) + Decimal(row["difference"])
        for currency, more in sorted(totals.items()):
            items += [
                ("A month more", money(more, currency)),
                ("A year more", money(more * 12, currency)),
            ]
        return Facts("The rise", items)


def _planned(plan: UpliftPlan) -> dict[str, Any]:
    prices = [{"id": new.type_id, "name": new.name, "old": new.old, "new": new.new} for new in plan.prices]
    return {
        "types": plan.sums("type"),
        "customers": plan.sums("customer"),
        "left_out": plan.left_out,
        "prices": prices,
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sum as a table's row, its figures read from JSON where they come from there."""
    before, after = Decimal(row["before"]), Decimal(row["after"])
    more = after - before
    return row | {
        "pk": row["id"], "name_id": row["id"], "before": before, "after": after, "difference": more,
        "rise": more / before if before else None, "year": more * 12,
    }  # fmt: skip


def _price(row: dict[str, Any]) -> dict[str, Any]:
    old, new = Decimal(row["old"]), Decimal(row["new"])
    rise = (new - old) / old if old else None
    return {"pk": row["id"], "name_id": row["id"], "name": row["name"], "old": old, "new": new, "rise": rise}


def _left_out(counts: dict[str, int]) -> list[Panel]:
    items = [(f"{count:,} features", why) for why, count in sorted(counts.items())]
    return [Facts("Left as they are", items)] if items else []


class UpliftStep(FormPage):
    """A step of a price rise; leads back to it."""

    capability = BILL
    form_class: Any = forms.Form
    refusals = (UpliftRefused,)

    def form_kwargs(self) -> dict[str, Any]:
        """Find the price rise and say what the step does."""
        self.uplift = find(PriceUplift, self.kwargs["pk"])
        self.cancel_url = reverse("uplift", args=[self.uplift.pk])
        self.back = (self.uplift.name, self.cancel_url)
        self.danger = self.consequence()
        return {}

    def consequence(self) -> str:
        """Return in words and numbers what the step does."""
        return ""


class ApplyUplift(UpliftStep):
    """Put a price rise in force."""

    title = "Put it in force"
    submit = "Put it in force"

    def consequence(self) -> str:
        """Say how many prices change."""
        plan = plan_uplift(self.uplift)
        on = day(self.uplift.effective_date)
        return (
            f"{len(plan.prices):,} list prices and {len(plan.own_prices):,} prices of customers change from {on}. "
            "It can be taken back until a bill carries it."
        )

    def save(self, form: Any) -> HttpResponse:
        """Hand it to a worker."""
        if self.uplift.applied_at is not None:
            raise UpliftRefused("It is in force already.")
        title = f"Price rise {self.uplift.name}"
        return job_redirect(
            enqueue("prices.uplift", {"uplift_id": self.uplift.pk}, title=title, back_url=self.cancel_url)
        )


class TakeBackUplift(UpliftStep):
    """Take a price rise back."""

    title = "Take it back"
    purpose = "Prices go on as they were. Only while no bill carries the new ones."
    submit = "Take it back"

    def consequence(self) -> str:
        """Say what goes back."""
        done = self.uplift.summary
        features = len(done.get("feature_ids", ()))
        return f"{len(done.get('price_ids', ())):,} list prices and {features:,} prices of customers go back."

    def save(self, form: Any) -> str:
        """Undo it."""
        take_back_uplift(self.uplift.pk)
        messages.success(self.request, f"{self.uplift} is taken back.")
        return self.cancel_url


class DiscardUplift(UpliftStep):
    """Discard a draft."""

    title = "Discard this price rise"
    purpose = "The draft is deleted; no price was changed by it."
    submit = "Discard"

    def save(self, form: Any) -> str:
        """Delete the draft."""
        gone, _ = PriceUplift.objects.filter(pk=self.uplift.pk, applied_at=None).delete()
        if not gone:
            raise UpliftRefused("It is in force; take it back first.")
        audit.record("uplift.discarded", self.uplift)
        return reverse("uplift-list")


urls: list[URLPattern] = [
    path("price-rises/", UpliftList.as_view(), name="uplift-list"),
    path("price-rises/add/", PrepareUplift.as_view(), name="uplift-add"),
    path("price-rises/index/", AddIndex.as_view(), name="uplift-index"),
    path("price-rises/<int:pk>/", UpliftPage.as_view(), name="uplift"),
    path("price-rises/<int:pk>/apply/", ApplyUplift.as_view(), name="uplift-apply"),
    path("price-rises/<int:pk>/take-back/", TakeBackUplift.as_view(), name="uplift-take-back"),
    path("price-rises/<int:pk>/discard/", DiscardUplift.as_view(), name="uplift-discard"),
]
