"""Compares two tariffs, or one at two dates: what one call costs to each destination, and how many get dearer."""

from decimal import Decimal as D
from typing import Any

import django_filters
import numpy as np
from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.models import Tariff, TimeBand
from billing.rating.compare import OUTCOMES, UNIT, Comparison, Side, compare
from billing.web.lookups import TariffField
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Money, Percent, Text
from resellerkpi.ui.export import answer
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.htmx import is_partial, varies
from resellerkpi.ui.panels import EmptyState
from resellerkpi.ui.tables import HouseTable, make_table
from resellerkpi.ui.views import PAGE_SIZES, ListPage, tidy, whole

MONEY = Capability.VIEW_MONEY
USUAL_SECONDS = 180
LONGEST = 24 * 3600
LABELS = (
    ("dearer", "Dearer"),
    ("cheaper", "Cheaper"),
    ("same", "The same"),
    ("left", "Only in the first"),
    ("right", "Only in the second"),
)


ORDER = ("dearer", "cheaper", "left", "right", "same")


class TariffFilter(django_filters.Filter):
    """A tariff to compare."""

    field_class = TariffField


class SecondsFilter(django_filters.Filter):
    """How long the call lasts."""

    field_class = forms.IntegerField


class CompareFilters(ScopedFilterSet):
    """What to compare, by which call, and which outcomes to show; read by the page, nothing is narrowed in SQL."""

    left = TariffFilter(label="First tariff", empty_label="Choose…")
    left_on = django_filters.DateFilter(label="Its prices on (or today)", widget=DayInput())
    right = TariffFilter(label="Second tariff", empty_label="The same")
    right_on = django_filters.DateFilter(label="Its prices on (or today)", widget=DayInput())
    seconds = SecondsFilter(
        label="Call of (seconds)",
        min_value=1,
        max_value=LONGEST,
        widget=forms.NumberInput(attrs={"placeholder": USUAL_SECONDS}),
    )
    band = OneOf("band", (), label="In band", empty_label="Any time")
    outcome = OneOf("outcome", LABELS, label="Outcome")
    q = SearchFilter("key", label="Destination or prefix")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = {*TimeBand.objects.values_list("code", flat=True).distinct()}
        self.filters["band"].extra["choices"] = [(code, code) for code in sorted(codes)]


class ComparePage(ListPage):
    """What a call costs on one tariff against another."""

    capability = MONEY
    title = "Compare tariffs"
    purpose = "What one call costs to each destination, with rates inherited and access charges added."
    template = "billing/tariff_compare.html"
    filterset = CompareFilters
    back = None
    columns = (
        Text(name="destination"),
        Code(name="key", label="Prefix or code"),
        Text(name="call_class", label="Class"),
        Money(name="left_minute", label="First", group="A minute", decimals=5),
        Money(name="right_minute", label="Second", group="A minute", decimals=5),
        Money(name="left", label="First", group="The call", decimals=4),
        Money(name="right", label="Second", group="The call", decimals=4),
        Money(name="change", label="Difference", decimals=4),
        Percent(name="share", label="Difference %", help="Of the price on the first tariff."),
        Choice(name="outcome", choices=LABELS),
        Code(name="currency", hidden=True, sortable=False),
    )
    max_export = 100_000
    empty = EmptyState("Choose a tariff, and a second one or another day, to see what changes.")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the comparison, only its table when HTMX asks, or export it."""
        self.back = ("Tariffs", reverse("tariff-list"))
        filters = self.filters()
        assert filters is not None
        wanted = filters.form.cleaned_data if filters.is_valid() else {}
        self.refusal = ""
        found = self.compared(wanted)
        shown = Shown(found, self.currency) if found is not None else None
        rows = shown.choose(wanted, request.GET.get("sort", "")) if shown else np.zeros(0, dtype=np.int64)
        if request.GET.get("as") and shown:
            return answer(self, self.shown_columns(), shown.rows(rows))
        context = {
            "filters": filters,
            "table": self.page_of(shown, rows),
            "empty": EmptyState(self.refusal) if self.refusal else self.empty,
            "filtered": shown is not None,
            "counts": shown.counts() if shown else [],
            "all_columns": self.allowed_columns(),
            "shown": {c.name for c in self.shown_columns()},
            "sizes": PAGE_SIZES,
            "may_export": self.scope.can(Capability.RUN_REPORTS) and shown is not None,
        }
        partial = is_partial(request, "list")
        response = varies(self.render(context, template="billing/_tariff_compared.html" if partial else ""))
        if partial:
            response["HX-Push-Url"] = tidy(
                request, [c.name for c in self.allowed_columns()[1:] if not c.hidden]
            )
        return response

    def queryset(self) -> QuerySet[Any]:
        """Return nothing: the rows are worked out, not read; the filters need somewhere to begin."""
        return Tariff.objects.none()

    def compared(self, wanted: dict[str, Any]) -> Comparison | None:
        """Return the comparison that the filters ask for, None while it cannot be made."""
        left: Tariff | None = wanted.get("left")
        self.currency = left.currency if left else ""
        if left:
            self.purpose += f" In {self.currency}, before VAT."
        if left is None:
            return None
        right: Tariff = wanted.get("right") or left
        if left.currency != right.currency:
            self.refusal = (
                f"{left} is in {left.currency} and {right} in {right.currency}; choose two of one currency."
            )
            return None
        return compare(
            self.reseller,
            Side(left, wanted.get("left_on") or self.today),
            Side(right, wanted.get("right_on") or self.today),
            band=wanted.get("band") or "",
            seconds=int(wanted.get("seconds") or USUAL_SECONDS),
        )

    def page_of(self, shown: "Shown | None", rows: Any) -> HouseTable:
        """Return the page of the table that the address asks for, in its order."""
        size = whole(self.request.GET.get("rows"), PAGE_SIZES[0])
        pages = Paginator(range(len(rows)), size if size in PAGE_SIZES else PAGE_SIZES[0])
        page = pages.get_page(whole(self.request.GET.get("page"), 1))
        data = shown.rows(rows[list(page.object_list)]) if shown and len(rows) else []
        table = make_table(
            self.shown_columns(),
            data,
            scope=self.scope,
            order_by=self.request.GET.get("sort"),
            with_totals=False,
        )
        table.data.data = data
        page.object_list = table.rows
        table.paginator, table.page = pages, page
        return table


class Shown:
    """A comparison as rows to show: narrowed, sorted, in currency units."""

    def __init__(self, found: Comparison, currency: str) -> None:
        self.found, self.currency = found, currency
        self.names = np.array(OUTCOMES, dtype=object)

    def counts(self) -> list[tuple[str, str, int]]:
        """Return how many destinations have each outcome: code, label, count."""
        counted = self.found.counts()
        return [(code, label, counted[code]) for code, label in LABELS]

    def choose(self, wanted: dict[str, Any], sort: str) -> Any:
        """Return the positions to show, in order."""
        found = self.found
        rows = np.arange(len(found))
        if outcome := wanted.get("outcome"):
            rows = np.flatnonzero(found.outcome == OUTCOMES.index(outcome))
        for word in str(wanted.get("q") or "").casefold().split():
            word = word.removeprefix("+")
            rows = np.array(
                [
                    at
                    for at in rows.tolist()
                    if found.keys[at].startswith(word) or word in found.destinations[at].casefold()
                ],
                dtype=np.int64,
            )
        return self.sorted(rows, sort)

    def sorted(self, rows: Any, sort: str) -> Any:
        """Return positions by a column, else what changes first; by destination and prefix where they are equal."""
        found = self.found
        rank = [ORDER.index(outcome) if not sort else 0 for outcome in OUTCOMES]
        ranks = [rank[outcome] for outcome in found.outcome.tolist()]
        plain = sorted(rows.tolist(), key=lambda at: (ranks[at], found.destinations[at], found.keys[at]))
        column = self.column(sort.removeprefix("-"))
        if column:
            plain.sort(key=column.__getitem__, reverse=sort.startswith("-"))
        return np.array(plain, dtype=np.int64)

    def column(self, name: str) -> list[Any]:
        """Return the values to sort by, [] for no column."""
        if name == "share":
            return self.shares()
        if name == "change":
            return self.found.change().tolist()
        names = {"destination": "destinations", "key": "keys", "call_class": "classes"}
        known = {*names, "outcome", "left", "right", "left_minute", "right_minute"}
        return list(getattr(self.found, names.get(name, name))) if name in known else []

    def shares(self) -> list[int]:
        """Return the difference over the first price in millionths, only to sort by."""
        pairs = zip(self.found.change().tolist(), self.found.left.tolist(), strict=True)
        return [change * 10**6 // left if left else 0 for change, left in pairs]

    def rows(self, at: Any) -> list[dict[str, Any]]:
        """Return rows of the table."""
        found, change = self.found, self.found.change()
        return [self.row(found, change, position) for position in at.tolist()]

    def row(self, found: Comparison, change: Any, at: int) -> dict[str, Any]:
        """Return one row of the table; a side without a rate has no price."""
        outcome = OUTCOMES[int(found.outcome[at])]
        row: dict[str, Any] = {
            "destination": found.destinations[at],
            "key": found.keys[at],
            "call_class": found.classes[at],
            "outcome": outcome,
            "currency": self.currency,
        }
        for side, missing in (("left", "right"), ("right", "left")):
            known = outcome != missing
            row[side] = D(int(getattr(found, side)[at])) / UNIT if known else None
            row[f"{side}_minute"] = D(int(getattr(found, f"{side}_minute")[at])) / UNIT if known else None
        both = outcome not in ("left", "right")
        row["change"] = D(int(change[at])) / UNIT if both else None
        row["share"] = D(int(change[at])) / D(int(found.left[at])) if both and found.left[at] else None
        return row


urls: list[URLPattern] = [path("tariffs/compare/", ComparePage.as_view(), name="tariff-compare")]
