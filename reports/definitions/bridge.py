"""The Variance bridge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import Any, ClassVar

from django import forms
from django.db.models import F, Sum

from billing.models import CreditNote, InvoiceLine
from reports.comparing import STEPS, earlier
from reports.customers import CustomerFilters
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Percent, Text
from resellerkpi.core.periods import Period

REVENUE, MARGIN = "revenue", "margin"
NOTE = "credit_note"
CENT = D("0.01")
PARTS = {
    "new": ("New customers", "Customers with nothing in the earlier period."),
    "lost": ("Lost customers", "Customers with nothing in the later period."),
    "price": ("Price", "What each unit of the same recurring product costs now, on today's quantity."),
    "quantity": ("Quantity and features", "More or fewer of the same products, products taken or dropped."),
    "volume": ("Usage volume", "More or fewer minutes, messages and data, at the earlier average price."),
    "rate": ("Usage rate and mix", "Dearer or cheaper calls, and calls of other classes, at today's volume."),
    "one_off": ("One-offs", "Activations, hardware and other single charges."),
    "credit": ("Credits", "Credit lines and credit notes."),
    "rest": ("Pass-through and manual", "Suppliers' charges passed on and charges entered by hand."),
}
#: A customer in a currency, and what a line is for: its kind, product or service, and class of call.
Who = tuple[int, str]
What = tuple[str, Any]


@dataclass
class Side:
    """What a customer had in one period: amount and units by what it was for."""

    name: str = ""
    code: str = ""
    sums: dict[What, tuple[D, D]] = field(default_factory=dict)

    @property
    def total(self) -> D:
        """All of it."""
        return sum((amount for amount, _ in self.sums.values()), D(0))


Sides = dict[Who, Side]


class VarianceBridge(Report):
    """Why revenue or margin changed between two periods, in parts that add up to the change exactly.

    Net of invoice lines less credit notes, per currency. Price and quantity are told apart per customer and product,
    usage volume and rate per customer and service. Test accounts are left out.
    """

    slug = "bridge"
    name = "Variance bridge"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    keys = ("part", "code", "currency")
    columns = (
        Text(name="part", label="Part", help="What changed."),
        Text(name="customer_name", label="Customer", url="customer"),
        Code(name="code", label="Account", help="The customer's account code."),
        Code(name="currency", label="Currency"),
        Money(name="before", label="Before", total=SUM, help="The amount of the earlier period."),
        *(
            Money(name=name, label=label, total=SUM, group="Change by part", help=text)
            for name, (label, text) in PARTS.items()
        ),
        Money(name="change", label="Change", total=SUM, help="The later period less the earlier one."),
        Percent(
            name="of_before",
            label="Of before",
            help="The change divided by everything of the earlier period.",
        ),
        Int(name="customers", label="Customers", help="Customers in whom this part is not zero."),
        Money(name="after", label="After", total=SUM, help="The amount of the later period."),
    )
    charts = (
        Preset("parts", Bar(x="part", y=("change",), title="Change by part")),
        Preset("customers", Bar(x="customer_name", y=("change",), title="Change by customer")),
    )

    class Filters(CustomerFilters):
        """What to explain, against which period, and by what."""

        default_period = "last_month"
        needs: ClassVar[Mapping[str, Capability]] = {**CustomerFilters.needs, "what": Capability.VIEW_MARGIN}

        what = forms.ChoiceField(
            required=False,
            label="Explain",
            choices=[(REVENUE, "Revenue"), (MARGIN, "Margin: revenue less cost")],
        )
        against = forms.ChoiceField(required=False, label="Against", choices=list(STEPS.items()))
        view = forms.ChoiceField(
            required=False,
            label="One row per",
            choices=[("part", "Part of the change"), ("customer", "Customer, with the parts as columns")],
        )

        def defaults(self) -> dict[str, list[str]]:
            """Explain revenue against the previous period, in parts."""
            return super().defaults() | {"what": [REVENUE], "against": ["previous"], "view": ["part"]}

    def shown(self, f: CustomerFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns of parts or of customers."""
        by_part = f.cleaned_data["view"] == "part"
        wanted = (
            ("part", "currency", "change", "of_before", "customers")
            if by_part
            else ("customer_name", "code", "currency", "before", *PARTS, "change", "after")
        )
        return [c for c in self.columns if c.name in wanted]

    def rows(self, f: CustomerFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield the parts of each currency, or each customer with its parts, the largest change first."""
        before, after = _sides(f)
        explained = {who: bridge(before.get(who), after.get(who)) for who in sorted({*before, *after})}
        if f.cleaned_data["view"] == "part":
            yield from _by_part(before, explained)
            return
        found = []
        for who, parts in explained.items():
            side, was = after.get(who) or before[who], before.get(who, Side()).total
            change = sum(parts.values(), D(0))
            told: dict[str, Any] = {
                "customer_name": side.name,
                "customer_name_id": who[0],
                "code": side.code,
                "currency": who[1],
            }
            found.append({**told, "before": was, **parts, "change": change, "after": was + change})
        yield from sorted(found, key=lambda r: (r["currency"], -abs(r["change"]), r["code"]))

    def tie_outs(
        self,
        f: CustomerFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Check that the earlier period and the parts lead to the later one, as its lines and notes have it."""
        before, now = _plain(f, _against(f)), _plain(f, f.interval)
        return [
            TieOut(
                "The earlier period and the parts against the later period",
                total["currency"],
                before.get(total["currency"], D(0)) + D(total["change"]),
                now.get(total["currency"], D(0)),
            )
            for total in totals
        ]


def bridge(before: Side | None, after: Side | None) -> dict[str, D]:
    """Return the parts of a customer's change; they add up to it to the last digit."""
    parts = dict.fromkeys(PARTS, D(0))
    if before is None or after is None:
        parts["lost" if after is None else "new"] = (after or Side()).total - (before or Side()).total
        return parts
    for what in {*before.sums, *after.sums}:
        (was, had), (now, has) = before.sums.get(what, (D(0), D(0))), after.sums.get(what, (D(0), D(0)))
        kind, change = what[0], now - was
        if kind in ("recurring", "usage"):
            more, dearer = ("quantity", "price") if kind == "recurring" else ("volume", "rate")
            moved = (was * has / had - was).quantize(CENT) if had > 0 and has > 0 else change
            parts[more] += moved
            parts[dearer] += change - moved
        else:
            parts[{"one_off": "one_off", "credit": "credit", NOTE: "credit"}.get(kind, "rest")] += change
    return parts


def _by_part(before: Sides, explained: Mapping[Who, Mapping[str, D]]) -> Iterator[dict[str, Any]]:
    """Yield one row per currency and part."""
    for currency in sorted({currency for _, currency in explained}):
        mine = [parts for (_, code), parts in explained.items() if code == currency]
        whole = sum((side.total for (_, code), side in before.items() if code == currency), D(0))
        for name, (label, _) in PARTS.items():
            change = sum((parts[name] for parts in mine), D(0))
            share = (change / whole).quantize(D("0.000001")) if whole > 0 else None
            count = sum(1 for parts in mine if parts[name])
            yield {
                "part": label,
                "currency": currency,
                "change": change,
                "of_before": share,
                "customers": count,
            }


def _against(f: CustomerFilters) -> Period:
    return earlier(f.interval, f.cleaned_data["against"])


def _sides(f: CustomerFilters) -> tuple[Sides, Sides]:
    return _side(f, _against(f)), _side(f, f.interval)


def _value(f: CustomerFilters) -> Any:
    return F("net") - F("cost") if f.cleaned_data.get("what") == MARGIN else F("net")


def _lines(f: CustomerFilters, period: Period) -> Any:
    found = InvoiceLine.objects.filter(f.of_customers("invoice__customer"), invoice__customer__is_test=False)
    dated = found.filter(invoice__invoice_date__gte=period.start, invoice__invoice_date__lt=period.end)
    return dated.exclude(invoice__state="draft").order_by()


def _notes(f: CustomerFilters, period: Period) -> Any:
    found = CreditNote.objects.filter(f.of_customers(), customer__is_test=False)
    return found.filter(date__gte=period.start, date__lt=period.end).order_by()


def _side(f: CustomerFilters, period: Period) -> Sides:
    """Return what each customer had in a period: one query of lines, one of credit notes, summed in SQL."""
    found: Sides = {}
    names = {
        "who": F("invoice__customer_id"),
        "money": F("invoice__currency"),
        "name": F("invoice__customer__name"),
        "code": F("invoice__customer__code"),
    }
    lines = _lines(f, period).values("kind", "feature_type_id", "service", **names)
    sums = {
        "amount": Sum(_value(f)),
        "pieces": Sum("quantity"),
        "time": Sum("seconds"),
        "events": Sum("calls"),
    }
    for r in lines.annotate(**sums):
        side = found.setdefault((r["who"], r["money"]), Side(r["name"], r["code"]))
        of, units = r["feature_type_id"], r["pieces"]
        if r["kind"] == "usage":
            of, units = r["service"], r["time"] if r["service"] == "voice" else r["events"]
        amount, had = side.sums.get((r["kind"], of), (D(0), D(0)))
        side.sums[r["kind"], of] = (amount + r["amount"], had + units)
    names = {
        "who": F("customer_id"),
        "money": F("currency"),
        "name": F("customer__name"),
        "code": F("customer__code"),
    }
    for r in _notes(f, period).values(**names).annotate(amount=Sum("net")):
        side = found.setdefault((r["who"], r["money"]), Side(r["name"], r["code"]))
        side.sums[NOTE, None] = (-r["amount"], D(0))
    return found


def _plain(f: CustomerFilters, period: Period) -> dict[str, D]:
    """Return the amount of a period by currency, straight from lines and notes."""
    found = {
        r["invoice__currency"]: r["amount"]
        for r in _lines(f, period).values("invoice__currency").annotate(amount=Sum(_value(f)))
    }
    for r in _notes(f, period).values("currency").annotate(amount=Sum("net")):
        found[r["currency"]] = found.get(r["currency"], D(0)) - r["amount"]
    return found
