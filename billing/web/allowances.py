"""What came of allowances: the list of a month, and what a customer or a package has."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any, ClassVar

from django.db.models import Exists, F, Max, OuterRef, QuerySet, Value
from django.db.models.functions import NullIf
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.models import AllowanceUse, Bundle, Customer, FeatureType
from billing.rating.allowance_words import bundle_words, dates_words
from billing.rating.unused import with_unused
from billing.web.lookups import EDIT, MONEY
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import DASH, SUM, Code, Column, Date, Int, Money, Percent, Text, figure
from resellerkpi.core.periods import Period, month_of
from resellerkpi.core.scope import Scope
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedChoiceFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import Action, EmptyState, HtmlPanel, TablePanel
from resellerkpi.ui.views import ListPage

#: Unit as stored -> as shown, and how many stored ones one shown is.
SHOWN: dict[str, tuple[str, int]] = {
    "seconds": ("minutes", 60),
    "calls": ("calls", 1),
    "sms": ("texts", 1),
    "data": ("MB", 1),
    "money": ("money", 1),
}
STATES = (
    ("over", "Beyond the allowance"),
    ("half", "More than half unused"),
    ("untouched", "Nothing used"),
    ("carried", "Something carried over"),
)


@dataclass(frozen=True, kw_only=True)
class Units(Money):
    """An amount in the unit of its row (`unit`), seconds shown and exported as minutes."""

    currency: str = "unit"
    kind: ClassVar[str] = "decimal"

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Return the amount in the unit shown."""
        value = self.value(row)
        return None if value is None else (D(value) / SHOWN[row["unit"]][1]).quantize(D("0.01"))

    def display(self, row: Mapping[str, Any]) -> str:
        """Return the amount in the unit shown, with decimals where it has any."""
        value = self.value(row)
        if value is None:
            return DASH
        shown = D(value) / SHOWN[row["unit"]][1]
        return figure(shown, 2 if row["unit"] == "money" or shown % 1 else 0)


class Counted(Code):
    """The unit of a row as people say it."""

    def display(self, row: Mapping[str, Any]) -> str:
        """Return minutes, calls, texts, MB or money."""
        return SHOWN[row[self.name]][0]

    def cell(self, row: Mapping[str, Any]) -> Any:
        """Return the word for a cell."""
        return self.display(row)


FIGURES: tuple[Column, ...] = (
    Text(name="package", source="bundle__feature_type__name", label="Package"),
    Code(name="number", source="number__number", url="number", help="Blank: shared by all numbers."),
    Counted(name="unit", label="Counts", sortable=False),
    Units(name="granted"),
    Units(name="carried_in", label="Carried in", help="Unused in the months before and still good."),
    Units(name="used"),
    Percent(name="used_share", label="Used %", decimals=0, help="Used of what was granted and carried in."),
    Units(name="unused"),
    Units(
        name="carried_out",
        label="Rolls over",
        hidden=True,
        help="Of what is unused: what the next month may use.",
    ),
    Units(
        name="expired",
        label="Lapses",
        hidden=True,
        help="Of what is unused: what is lost at the month's end.",
    ),
    Units(name="overflow", label="Beyond", help="What calls needed and no allowance covered."),
    Int(name="overflow_calls", label="Calls beyond", hidden=True),
    Money(name="overflow_charge", label="Charged beyond", needs=MONEY, total=SUM),
    Code(name="currency", needs=MONEY),
)


class UseFilters(ScopedFilterSet):
    """Which allowances to list; the month is always one."""

    period = PeriodFilter("month", label="Month", required=True)
    customer = SearchFilter("customer__code", "customer__name", label="Customer")
    feature_type = ScopedChoiceFilter(
        FeatureType, "bundle__feature_type", label="Package", only={"kind": FeatureType.Kind.PACKAGE}
    )
    unit = OneOf(
        "unit",
        tuple((code, words[:1].upper() + words[1:]) for code, (words, _) in SHOWN.items()),
        label="Counts",
    )
    state = OneOf("used", STATES, label="Show", method="by_state")

    def by_state(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Narrow to what went beyond, or was left."""
        return {
            "over": rows.filter(overflow__gt=0),
            "half": rows.filter(used_share__lt=D("0.5")),
            "untouched": rows.filter(used=0, available__gt=0),
            "carried": rows.filter(carried_in__gt=0),
        }[value]


class AllowanceList(ListPage):
    """What came of every customer's allowances in a month."""

    capability = Capability.VIEW_BOOK
    title = "Allowances"
    purpose = "What each package gave in a month, what was used of it, what is left and what went beyond."
    filterset = UseFilters
    order = ("-overflow_calls", "customer__name", "bundle__priority")
    columns = (
        Text(name="customer", source="customer__name", url="customer"),
        *FIGURES,
        Date(name="month", hidden=True),
    )
    empty = EmptyState(
        "No allowance was drawn in this month. Packages are listed here once calls are supplied, or overnight."
    )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the latest month that was drawn unless the address says another."""
        if not request.GET.get("period"):
            query = request.GET.copy()
            query["period"] = f"{self.latest().start:%Y-%m}"
            request.GET = query  # type: ignore[assignment]
        return super().get(request, *args, **kwargs)

    def latest(self) -> Period:
        """Return the latest month drawn, this month when there is none."""
        last = AllowanceUse.objects.filter(month__lte=self.today).aggregate(last=Max("month"))["last"]
        return month_of(last or self.today, self.reseller.zone)

    def queryset(self) -> QuerySet[Any]:
        """Return the allowances of the scope with what is left of them."""
        return use_rows(self.scope)


def use_rows(scope: Scope, **which: Any) -> QuerySet[Any]:
    """Return what came of allowances, with their unit and the share used; of money only for those who may see it."""
    rows = with_unused(AllowanceUse.objects.filter(**which))
    if not scope.can(MONEY):
        rows = rows.exclude(bundle__unit=Bundle.Unit.MONEY)
    return rows.annotate(
        unit=F("bundle__unit"),
        used_share=F("used") / NullIf(F("available"), Value(D(0))),
    )


def customer_allowances(customer: Customer, month: Period, scope: Scope) -> TablePanel | None:
    """Return a customer's allowances of a month, None for one without any."""
    rows = use_rows(scope, customer=customer, month=month.start)
    if not rows.exists():
        return None
    rows = rows.order_by("bundle__priority", "bundle", "number__number")
    more = f"{reverse('allowance-list')}?customer={customer.code}&period={month.start:%Y-%m}"
    return TablePanel(f"Allowances in {month}", FIGURES, rows, more_url=more)


def package_allowances(kind: FeatureType, scope: Scope) -> HtmlPanel:
    """Return what a package includes, in words, with what may be changed."""
    drawn = AllowanceUse.objects.filter(bundle=OuterRef("pk"), used__gt=0)
    bundles = Bundle.objects.filter(feature_type=kind).annotate(was_drawn=Exists(drawn))
    if not scope.can(MONEY):
        bundles = bundles.exclude(unit=Bundle.Unit.MONEY)
    may = scope.can(EDIT)
    rows = [
        {
            "words": bundle_words(bundle, kind.currency),
            "dates": dates_words(bundle),
            "priority": bundle.priority,
            "links": _links(bundle) if may else (),
        }
        for bundle in bundles.order_by("priority", F("valid_from").asc(nulls_first=True), "pk")
    ]
    add = Action("Add an allowance", reverse("allowance-add", args=[kind.pk]))
    context = {"rows": rows, "may": may}
    return HtmlPanel("billing/_allowances.html", context, "Allowances", actions=(add,) if may else ())


def _links(bundle: Any) -> list[tuple[str, str]]:
    found = [("Change", "allowance-change"), ("End", "allowance-end")]
    if not bundle.was_drawn:
        found.append(("Remove", "allowance-remove"))
    return [(label, reverse(name, args=[bundle.pk])) for label, name in found]


urls: list[URLPattern] = [path("allowances/", AllowanceList.as_view(), name="allowance-list")]
