"""The Variance bridge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum, Value

from billing.models import CreditNote, Invoice, InvoiceLine
from kpis.models import FeatureFact, MovementFact
from reports.bridging import (
    NOTE,
    OF_AVERAGE,
    OF_MRR,
    PARTS,
    Pair,
    Side,
    average,
    bridge,
    bridge_of_average,
)
from reports.comparing import STEPS, earlier
from reports.customers import CustomerFilters
from reports.report import Preset, Report, TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Int, Money, Percent, Text, day, figure
from resellerkpi.core.periods import Period
from resellerkpi.core.scope import current

REVENUE, MARGIN, MRR, AVERAGE = "revenue", "margin", "mrr", "average"
PARTS_OF = {REVENUE: PARTS, MARGIN: PARTS, MRR: OF_MRR, AVERAGE: OF_AVERAGE}
#: A customer in a currency.
Who = tuple[int, str]
Sides = dict[Who, Side]


class BridgeFilters(CustomerFilters):
    """What to explain, against which period, and by what."""

    default_period = "last_month"
    needs: ClassVar[Mapping[str, Capability]] = CustomerFilters.needs

    what = forms.ChoiceField(
        required=False,
        label="Explain",
        choices=[
            (REVENUE, "Revenue"),
            (MRR, "Monthly recurring revenue"),
            (AVERAGE, "Average invoice"),
            (MARGIN, "Margin: revenue less cost"),
        ],
    )
    against = forms.ChoiceField(required=False, label="Against", choices=list(STEPS.items()))
    view = forms.ChoiceField(
        required=False,
        label="One row per",
        choices=[("part", "Part of the change"), ("customer", "Customer, with the parts as columns")],
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.may_see_margin:
            field: Any = self.fields["what"]
            field.choices = [(value, label) for value, label in field.choices if value != MARGIN]

    @property
    def may_see_margin(self) -> bool:
        """Whether the reader may have the margin explained."""
        return current().can(Capability.VIEW_MARGIN)

    def defaults(self) -> dict[str, list[str]]:
        """Explain revenue against the previous period, in parts."""
        return super().defaults() | {"what": [REVENUE], "against": ["previous"], "view": ["part"]}

    def clean(self) -> dict[str, Any]:
        """Refuse what cannot be explained: an average customer by customer, recurring revenue within one month."""
        data = super().clean()
        if data.get("what") == AVERAGE and data.get("view") == "customer":
            self.add_error("view", "An average is explained in parts; customers do not add up to it.")
        if data.get("what") == MRR and not self.errors and _month(self.earlier) == _month(self.interval):
            self.add_error("what", "Recurring revenue is that of the end of a month: choose whole months.")
        return data

    @property
    def explained(self) -> str:
        """What is explained: one of the choices of “what”."""
        return str(self.cleaned_data["what"])

    @property
    def parts(self) -> Mapping[str, tuple[str, str]]:
        """The parts that can move it."""
        return PARTS_OF[self.explained]

    @property
    def earlier(self) -> Period:
        """The period it is explained against."""
        return earlier(self.interval, self.cleaned_data["against"])

    @cached_property
    def sides(self) -> tuple[Sides, Sides]:
        """What each customer had in the earlier and in the later period."""
        return _side(self, self.earlier), _side(self, self.interval)

    @property
    def pairs(self) -> dict[Who, Pair]:
        """Each customer before and after, in order."""
        before, after = self.sides
        return {who: (before.get(who), after.get(who)) for who in sorted({*before, *after})}

    @property
    def ends(self) -> dict[str, tuple[D, D]]:
        """The figure of the earlier and of the later period by currency."""
        before, after = (_figures(self, sides) for sides in self.sides)
        return {code: (before.get(code, D(0)), after.get(code, D(0))) for code in sorted({*before, *after})}

    def named(self, period: Period) -> str:
        """Return a period as people read it; recurring revenue is that of a day."""
        return day(_close(self, period)) if self.explained == MRR else str(period)


class VarianceBridge(Report):
    """Why revenue, recurring revenue, the average invoice or margin changed, in parts that add up to it exactly.

    Revenue and margin are net of invoice lines less credit notes; the average invoice and the recurring revenue at the
    end of a month are those of the KPIs. All per currency. Price and quantity are told apart per customer and product,
    usage volume and rate per customer and service. Test accounts are left out.
    """

    slug = "bridge"
    name = "Variance bridge"
    version = 2
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
        Money(
            name="reach",
            label="Leads to",
            level=True,
            help="The earlier period's figure with this and all parts above it; the last is the later period's.",
        ),
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

    class Filters(BridgeFilters):
        """What to explain, against which period, and by what."""

    def shown(self, f: BridgeFilters) -> Sequence[Column]:  # type: ignore[override]  # the form is this report's own
        """Return the columns of parts or of customers."""
        by_part = f.cleaned_data["view"] == "part"
        wanted = (
            ("part", "currency", "change", "reach", "of_before", "customers")
            if by_part
            else ("customer_name", "code", "currency", "before", *f.parts, "change", "after")
        )
        shown = [c for c in self.columns if c.name in wanted]
        if f.explained != MARGIN:
            return shown
        return [
            replace(c, needs=Capability.VIEW_MARGIN) if isinstance(c, Money | Percent) else c for c in shown
        ]

    def rows(self, f: BridgeFilters) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # this report's form
        """Yield the parts of each currency, or each customer with its parts, the largest change first."""
        if f.cleaned_data["view"] == "part":
            yield from _by_part(f)
            return
        found = []
        for who, (was, now) in f.pairs.items():
            side, parts = now or was or Side(), bridge(was, now)
            before, change = (was or Side()).total, sum(parts.values(), D(0))
            told: dict[str, Any] = {
                "customer_name": side.name,
                "customer_name_id": who[0],
                "code": side.code,
                "currency": who[1],
            }
            found.append({**told, "before": before, **parts, "change": change, "after": before + change})
        yield from sorted(found, key=lambda r: (r["currency"], -abs(r["change"]), r["code"]))

    def tie_outs(
        self,
        f: BridgeFilters,  # type: ignore[override]  # the form is this report's own
        totals: Sequence[Mapping[str, Any]],
    ) -> list[TieOut]:
        """Check that the earlier period and the parts lead to the later one, as its lines, notes or facts have it."""
        before, now = _plain(f, f.earlier), _plain(f, f.interval)
        return [
            TieOut(
                "The earlier period and the parts against the later period",
                total["currency"],
                before.get(total["currency"], D(0)) + D(total["change"]),
                now.get(total["currency"], D(0)),
            )
            for total in totals
        ]

    def notes(self, f: BridgeFilters) -> list[tuple[str, str, bool]]:  # type: ignore[override]  # this report's form
        """Name both ends: which days they are of, and what they come to."""
        label = dict(f.fields["what"].choices)[f.explained].partition(":")[0]  # type: ignore[attr-defined]  # a choice
        found = [(label, f"{f.named(f.interval)} against {f.named(f.earlier)}", False)]
        for code, (was, now) in f.ends.items() if f.explained != MARGIN else ():
            found.append((f"From, in {code}", f"{figure(was, 2)} ({f.named(f.earlier)})", False))
            found.append((f"To, in {code}", f"{figure(now, 2)} ({f.named(f.interval)})", False))
        return found


def _by_part(f: BridgeFilters) -> Iterator[dict[str, Any]]:
    """Yield one row per currency and part."""
    for currency, (whole, _) in f.ends.items():
        pairs = [pair for (_, code), pair in f.pairs.items() if code == currency]
        each = [bridge(*pair) for pair in pairs]
        sums = {name: sum((parts[name] for parts in each), D(0)) for name in PARTS}
        changes = bridge_of_average(pairs) if f.explained == AVERAGE else sums
        reach = whole
        for name, (label, _) in f.parts.items():
            reach += changes[name]
            yield {
                "part": label,
                "currency": currency,
                "change": changes[name],
                "reach": reach,
                "of_before": (changes[name] / whole).quantize(D("0.000001")) if whole > 0 else None,
                "customers": _moved(pairs) if name not in PARTS else sum(1 for parts in each if parts[name]),
            }


def _moved(pairs: Sequence[Pair]) -> int:
    """Return how many customers of both periods have another number of invoices."""
    return sum(1 for was, now in pairs if was and now and was.invoices != now.invoices)


def _figures(f: BridgeFilters, sides: Sides) -> dict[str, D]:
    """Return what a period comes to, by currency."""
    amounts: dict[str, D] = {}
    invoices: dict[str, int] = {}
    for (_, code), side in sides.items():
        amounts[code] = amounts.get(code, D(0)) + side.total
        invoices[code] = invoices.get(code, 0) + side.invoices
    if f.explained != AVERAGE:
        return amounts
    return {code: average(amount, invoices[code]) for code, amount in amounts.items()}


def _close(f: BridgeFilters, period: Period) -> date:
    """Return the last day of a period, today when it is not over."""
    return min(period.end - timedelta(days=1), f.as_of)


def _month(period: Period) -> date:
    return (period.end - timedelta(days=1)).replace(day=1)


def _value(f: BridgeFilters) -> Any:
    return F("net") - F("cost") if f.explained == MARGIN else F("net")


def _gone(period: Period) -> Q:
    """Return the condition on invoices that credit notes of the same period took back whole."""
    notes = CreditNote.objects.filter(
        invoice=OuterRef("pk"), date__gte=period.start, date__lt=period.end
    ).order_by()
    back = notes.values("invoice").annotate(sum=Sum("gross")).values("sum")[:1]
    return Q(gross__gt=0, gross__lte=Subquery(back))


def _invoices(f: BridgeFilters, period: Period) -> QuerySet[Any]:
    """Return the invoices of a period that count: of an average those above nought that were not taken back whole."""
    found = Invoice.objects.filter(f.of_customers(), customer__is_test=False)
    found = found.filter(invoice_date__gte=period.start, invoice_date__lt=period.end).exclude(state="draft")
    if f.explained == AVERAGE:
        whole = Invoice.objects.filter(_gone(period), pk=OuterRef("pk"))
        found = found.filter(~Exists(whole), gross__gt=0)
    return found.order_by()


def _lines(f: BridgeFilters, period: Period) -> QuerySet[Any]:
    return InvoiceLine.objects.filter(invoice__in=_invoices(f, period).values("pk")).order_by()


def _notes(f: BridgeFilters, period: Period) -> QuerySet[Any]:
    found = CreditNote.objects.filter(f.of_customers(), customer__is_test=False)
    found = found.filter(date__gte=period.start, date__lt=period.end)
    if f.explained == AVERAGE:
        dated = Q(invoice_date__gte=period.start, invoice_date__lt=period.end)
        whole = Invoice.objects.filter(_gone(period), dated, pk=OuterRef("invoice_id"))
        found = found.filter(~Exists(whole))
    return found.order_by()


def _side(f: BridgeFilters, period: Period) -> Sides:
    """Return what each customer had in a period, summed in SQL: of recurring revenue at the end of its last month."""
    if f.explained == MRR:
        return _recurring(f, period)
    found: Sides = {}
    names = _names("invoice__customer", "invoice__currency")
    lines = _lines(f, period).values("kind", "feature_type_id", "service", **names)
    sums = {
        "amount": Sum(_value(f)),
        "pieces": Sum("quantity"),
        "time": Sum("seconds"),
        "events": Sum("calls"),
    }
    for r in lines.annotate(**sums):
        of, units = r["feature_type_id"], r["pieces"]
        if r["kind"] == "usage":
            of, units = r["service"], r["time"] if r["service"] == "voice" else r["events"]
        _add(found, r, (r["kind"], of), r["amount"], units)
    for r in _notes(f, period).values(**_names("customer", "currency")).annotate(amount=Sum("net")):
        _add(found, r, (NOTE, None), -r["amount"], D(0))
    if f.explained == AVERAGE:
        counted = _invoices(f, period).values(**_names("customer", "currency"))
        for r in counted.annotate(n=Count("pk")):
            _of(found, r).invoices = r["n"]
    return found


def _recurring(f: BridgeFilters, period: Period) -> Sides:
    """Return the recurring revenue of each customer and product at the close of a period's last month."""
    found: Sides = {}
    held = FeatureFact.objects.filter(f.of_customers(), month=_month(period)).exclude(quantity=0, mrr=0)
    rows = held.order_by().values("feature_type_id", **_names("customer", "currency"))
    for r in rows.annotate(amount=Sum("mrr"), units=Sum("quantity")):
        _add(found, r, ("recurring", r["feature_type_id"]), r["amount"], D(r["units"]))
    return found


def _names(customer: str, currency: str) -> dict[str, Any]:
    """Return what tells rows of customers apart."""
    return {
        "who": F(f"{customer}_id"),
        "money": F(currency),
        "name": F(f"{customer}__name"),
        "code": F(f"{customer}__code"),
    }


def _of(found: Sides, r: Mapping[str, Any]) -> Side:
    return found.setdefault((r["who"], r["money"]), Side(r["name"], r["code"]))


def _add(found: Sides, r: Mapping[str, Any], what: tuple[str, Any], amount: D, units: D) -> None:
    side = _of(found, r)
    had = side.sums.get(what, (D(0), D(0)))
    side.sums[what] = (had[0] + amount, had[1] + units)


def _plain(f: BridgeFilters, period: Period) -> dict[str, D]:
    """Return the figure of a period by currency, straight from invoices or their lines, notes, or facts of MRR."""
    if f.explained == MRR:
        facts = MovementFact.objects.filter(f.of_customers(), month=_month(period)).order_by()
        return {r["currency"]: r["sum"] for r in facts.values("currency").annotate(sum=Sum("mrr"))}
    if f.explained == AVERAGE:
        rows = _invoices(f, period).values("currency").annotate(sum=Sum("net"), n=Count("pk"))
    else:
        rows = _lines(f, period).values(currency=F("invoice__currency"))
        rows = rows.annotate(sum=Sum(_value(f)), n=Value(1))
    found = {r["currency"]: (r["sum"], r["n"]) for r in rows}
    for r in _notes(f, period).values("currency").annotate(sum=Sum("net")):
        amount, n = found.get(r["currency"], (D(0), 0))
        found[r["currency"]] = (amount - r["sum"], n)
    plain = f.explained != AVERAGE
    return {code: amount if plain else average(amount, n) for code, (amount, n) in found.items()}
