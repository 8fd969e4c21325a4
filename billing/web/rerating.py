"""Pricing calls again: which calls, a preview, then doing it; billed calls become charges or credits, one by one."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from billing.charging.corrections import Ticked, raise_corrections
from billing.models import CdrFile, Customer, Tariff
from billing.models.corrected import corrected_before, credited_usage
from billing.models.freshness import fingerprint
from billing.web.frozen import FrozenPage, Row, exact
from billing.web.whatif import recent
from billing.web.whatif_answer import MONEYS, change
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Code, Column, Money, Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.money import places
from resellerkpi.core.periods import add_months
from resellerkpi.ui.forms import DayInput, ReferenceField, ScopedChoiceField
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import EmptyState, Panel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, figure, money
from resellerkpi.ui.tiles import Tile
from resellerkpi.ui.views import FormPage

BILL, MONEY, WHOLESALE, MARGIN = (
    Capability.BILL,
    Capability.VIEW_MONEY,
    Capability.VIEW_WHOLESALE,
    Capability.VIEW_MARGIN,
)


class ChooseForm(forms.Form):
    """Which calls to price again."""

    first = forms.DateField(widget=DayInput(), label="From")
    last = forms.DateField(widget=DayInput(), label="Up to and including")
    tariff = ScopedChoiceField(
        Tariff, required=False, empty_label="Any", help_text="Calls it prices, and calls of customers on it."
    )
    customer = ReferenceField(
        Customer,
        by="code",
        what="customer with account code",
        required=False,
        label="Customer (account code)",
    )
    file = ScopedChoiceField(
        CdrFile, order="-loaded_at", required=False, empty_label="Any", label="Call file"
    )
    place = forms.CharField(
        required=False,
        max_length=60,
        label="Destination",
        help_text="Part of its name, or a prefix such as 4477.",
    )

    def clean(self) -> dict[str, Any]:
        """Ask for days in order, and not for ever."""
        found: dict[str, Any] = super().clean() or {}
        first, last = found.get("first"), found.get("last")
        if first and last and last < first:
            self.add_error("last", "The last day is before the first.")
        elif first and last and last > add_months(first, 25):
            self.add_error("last", "Price at most two years again at once.")
        return found

    def where(self) -> dict[str, Any]:
        """Return the choice as plain values."""
        data = self.cleaned_data
        chosen: dict[str, Any] = {"first": data["first"].isoformat(), "last": data["last"].isoformat()}
        if data["customer"]:
            chosen["customer_ids"] = [data["customer"].pk]
        if data["file"]:
            chosen["file_ids"] = [data["file"].pk]
        if data["tariff"]:
            chosen["tariff_id"] = data["tariff"].pk
        return chosen | ({"place": data["place"]} if data["place"] else {})


class PriceAgain(FormPage):
    """Choose calls to price again and look at what it would do."""

    capability = BILL
    title = "Price calls again"
    purpose = "After prices were corrected: see first what would change. Calls on a bill never change."
    form_class = ChooseForm
    template = "billing/price_again.html"
    submit = "Show what would change"

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the calls."""
        return ("Calls", reverse("call-list"))

    def form_kwargs(self) -> dict[str, Any]:
        """Start with what the address names, else with the calls since the beginning of last month."""
        initial: dict[str, Any] = {"first": add_months(self.today.replace(day=1), -1), "last": self.today}
        for name in ("tariff", "file", "customer", "place", "first", "last"):
            if self.request.GET.get(name):
                initial[name] = self.request.GET[name]
        return {"initial": initial}

    def get_context(self) -> dict[str, Any]:
        """Show the latest previews."""
        return {"recent": recent("usage.preview", "rerate-result", "Latest previews")}

    def save(self, form: Any) -> HttpResponse:
        """Hand the preview to a worker."""
        data = form.cleaned_data
        named = [str(data[name]) for name in ("tariff", "customer", "file", "place") if data[name]]
        title = f"Price again: {', '.join(named) or 'all calls'}, {day(data['first'])} to {day(data['last'])}"
        back = self.request.get_full_path()
        return job_redirect(enqueue("usage.preview", {"where": form.where()}, title=title, back_url=back))


class PriceAgainResult(FrozenPage):
    """What pricing again would do, or has done; from here it is done, and bills are corrected."""

    capability = BILL
    job_kind = "usage.preview"
    template = "billing/price_again_result.html"
    row_url = "customer"
    order = "-difference"

    def columns(self) -> Sequence[Column]:
        """Return what customers pay and calls cost, before and after, over the months touched."""
        return (
            Text(name="name", label="Customer"),
            Code(name="code", label="Account", hidden=True),
            Code(name="currency"),
            Money(name="old_retail", label="Retail", total=SUM, group="Now", needs=MONEY),
            Money(name="old_cost", label="Cost", total=SUM, group="Now", needs=WHOLESALE),
            Money(name="old_margin", label="Margin", total=SUM, group="Now", needs=MARGIN),
            Money(name="new_retail", label="Retail", total=SUM, group="Priced again", needs=MONEY),
            Money(name="new_cost", label="Cost", total=SUM, group="Priced again", needs=WHOLESALE),
            Money(name="new_margin", label="Margin", total=SUM, group="Priced again", needs=MARGIN),
            Money(name="difference", label="Pays more by", total=SUM, needs=MONEY),
        )

    def rows(self) -> list[Row]:
        """Return the customers whose usage changes."""
        found: list[Row] = []
        for row in self.found["rows"]:
            shown = exact(row, MONEYS)
            shown["old_margin"] = shown["old_retail"] - shown["old_cost"]
            shown["new_margin"] = shown["new_retail"] - shown["new_cost"]
            shown["difference"] = shown["new_retail"] - shown["old_retail"]
            found.append({**shown, "pk": row["customer_id"] or None})
        return found

    @property
    def empty(self) -> EmptyState:  # type: ignore[override]
        """Say why no customer is listed."""
        if self.found["changed"]:
            return EmptyState("Calls would be matched differently, but nobody’s money moves.")
        return EmptyState("No call that is not billed would come out differently.")

    @property
    def applied(self) -> bool:
        """Whether it has been done."""
        return bool(self.job.result.get("applied"))

    @property
    def is_stale(self) -> bool:
        """Whether prices or calls have changed since the preview, other than by doing it."""
        seen = self.job.result.get("after" if self.applied else "fingerprint")
        return seen != fingerprint(self.reseller.pk)

    def get_context(self) -> dict[str, Any]:
        """Return the counts, the sums and the bills to correct."""
        self.title = self.job.title
        self.purpose = f"A preview of {day(self.job.finished_at)}: what calls cost now and what they would."
        rows, corrections = self.rows(), self.corrections()
        panels: list[Panel] = [TilesPanel(self.counts())]
        panels += [sums(rows, currency) for currency in sorted({str(row["currency"]) for row in rows})]
        return {
            "panels": panels,
            "notes": self.notes(),
            "back": ("Price calls again", reverse("price-again")),
            "list_title": "By customer, over the months touched",
            "found": self.found,
            "corrections": corrections,
            "some_credited": any(row["credited"] and row["amount"] for row in corrections),
            "may_apply": not self.applied and not self.is_stale and bool(self.found["changed"]),
            "retry": self.job.back_url or reverse("price-again"),
        }

    def counts(self) -> list[Tile]:
        """Return how many calls were looked at, change, and are billed."""
        labels = (
            ("looked_at", "Looked at"),
            ("changed", "Changed" if self.applied else "Would change"),
            ("billed", "Billed: stay"),
        )
        return [Tile(label=label, value=figure(self.found[name]), unit="calls") for name, label in labels]

    def notes(self) -> list[tuple[str, str]]:
        """Return whether it was done, and whether the preview is out of date."""
        said = []
        if self.applied:
            count = self.job.result["applied"]["changed"]
            said.append(("success", f"Done: {count:,} calls were priced again."))
        elif self.is_stale:
            said.append(
                (
                    "warning",
                    "Prices or calls have changed since this preview. Look at a new one before going on.",
                )
            )
        if self.found["drafts"]:
            said.append(
                ("", f"{self.found['drafts']:,} bills are drafts still: undo their run and produce it again.")
            )
        if self.found["left"]:
            words = "billed calls have no price any more, or belong to somebody else now: they are left as billed."
            said.append(("warning", f"{self.found['left']:,} {words}"))
        return said

    def corrections(self) -> list[dict[str, Any]]:
        """Return the bills that should have been different, with what has been corrected since."""
        rows = [exact(row, ("billed", "right", "before", "amount")) for row in self.found["corrections"]]
        ids = [row["invoice_id"] for row in rows]
        raised, credited = corrected_before(ids), credited_usage(ids)
        for row in rows:
            row["before"] = raised.get(row["invoice_id"], Decimal(0))
            row["amount"] = row["right"] - row["billed"] - row["before"]
            row["credited"] = credited.get(row["invoice_id"], Decimal(0))
            row["what"] = "Credit" if row["amount"] < 0 else "Charge"
            row["owed"] = abs(row["amount"])
        return sorted(rows, key=lambda row: (-row["owed"], row["name"]))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Price the calls again, or raise the charges and credits ticked."""
        self.load(kwargs["pk"])
        here = reverse("rerate-result", args=[self.job.pk])
        if request.POST.get("do") == "apply" and not self.applied:
            params = {"preview": str(self.job.pk)}
            return job_redirect(enqueue("usage.rerate", params, title=self.job.title, back_url=here))
        if request.POST.get("do") == "raise":
            self.raise_ticked(set(request.POST.getlist("invoice")))
        return HttpResponseRedirect(here)

    def raise_ticked(self, chosen: set[str]) -> None:
        """Make the charges and credits of the bills ticked; those made already are not made again."""
        rows = [row for row in self.found["corrections"] if str(row["invoice_id"]) in chosen]
        if not rows:
            messages.error(self.request, "Tick the bills to correct first.")
            return
        if self.is_stale:
            messages.error(
                self.request, "Prices or calls have changed since this preview; look at a new one first."
            )
            return
        ticked = [Ticked(row["invoice_id"], Decimal(row["right"]), row["calls"]) for row in rows]
        made = raise_corrections(self.reseller, ticked, on=self.today)
        total = ", ".join(
            money(sum(c.amount for c in made if c.currency == code), code)
            for code in sorted({c.currency for c in made})
        )
        words = (
            f"{len(made)} made, {total} in all; they go on the next bills."
            if made
            else "They had been made already."
        )
        messages.success(self.request, f"Charges and credits: {words}")


def sums(rows: list[Row], currency: str) -> TilesPanel:
    """Return what a currency comes to, now and priced again."""
    mine = [row for row in rows if row["currency"] == currency]
    shown = []
    for name, label in (("retail", "Customers pay"), ("cost", "Calls cost us"), ("margin", "Margin")):
        old, new = (sum((row[f"{when}_{name}"] for row in mine), Decimal(0)) for when in ("old", "new"))
        moved = change(old, new, currency, bad_up=name == "cost")
        shown.append(Tile(label=label, value=figure(new, places(currency)), unit=currency, change=moved))
    return TilesPanel(shown)


urls: list[URLPattern] = [
    path("usage/price-again/", PriceAgain.as_view(), name="price-again"),
    path("usage/price-again/<uuid:pk>/", PriceAgainResult.as_view(), name="rerate-result"),
]
