"""What reports of other prices share: the what-if question of a query, asked once, and its answer as rows.

Pricing calls both ways is the same path as the what-if pages take; nothing is written. It takes its time: these reports
are slow ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal as D
from importlib import import_module
from typing import Any

from django import forms

from billing.models import Tariff
from reports.customers import CustomerFilters
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Column, Int, Minutes, Money, Percent
from resellerkpi.core.scope import current

MONEY, WHOLESALE, MARGIN = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.VIEW_MARGIN
WAS, WOULD, CHANGE = "As it was", "As it would be", "Difference"
MONEYS = ("old_retail", "new_retail", "old_cost", "new_cost")
SUMS = ("calls", "seconds", *MONEYS, "old_margin", "new_margin", "difference", "customers", "more", "less")
TOLD = (
    (
        "unpriced",
        "calls have no price in what is proposed: they count as nothing, so customers look better off.",
    ),
    ("uncovered", "calls go where the proposed deck has no rate: their cost stays as it is."),
    ("stale", "calls would be priced differently already by the book as it stands: price them again first."),
)


#: What calls bring and cost on both sides: name, heading, group, who may see it, meaning.
_SIDES = (
    ("old_retail", "Retail", WAS, MONEY, "Less allowances, before VAT."),
    ("old_cost", "Cost", WAS, WHOLESALE, "What the calls cost us."),
    ("old_margin", "Margin", WAS, MARGIN, "Retail less cost."),
    ("new_retail", "Retail", WOULD, MONEY, "By the proposed prices, less allowances."),
    ("new_cost", "Cost", WOULD, WHOLESALE, "By the proposed prices, or as it was."),
    ("new_margin", "Margin", WOULD, MARGIN, "Retail less cost."),
)


def figures_of(*, bought: bool = False) -> tuple[Column, ...]:
    """Return the columns of calls priced both ways; where they are bought otherwise, the difference is of cost."""
    what, base = ("Cost rises by", "old_cost") if bought else ("Pays more by", "old_retail")
    told = "Cost then less cost before." if bought else "Retail then less retail before; below zero it saves."
    change: dict[str, Any] = {"group": CHANGE, "needs": WHOLESALE if bought else MONEY}
    share: dict[str, Any] = {"group": WOULD, "needs": MARGIN, "help": "Margin divided by retail."}
    return (
        Int(name="calls", label="Calls", total=SUM, help="Calls, messages and data sessions looked at."),
        Minutes(name="seconds", label="Duration", total=SUM, hidden=True, help="Duration of answered calls."),
        Money(name="difference", label=what, total=SUM, help=told, **change),
        Percent(
            name="difference_percent",
            label="%",
            parts=("difference", base),
            help="The difference divided by what it was.",
            **change,
        ),
        *(
            Money(name=name, label=label, total=SUM, group=group, needs=needs, help=words)
            for name, label, group, needs, words in _SIDES
        ),
        Percent(name="margin_percent", label="Margin %", parts=("new_margin", "new_retail"), **share),
    )


class TariffNameField(forms.ChoiceField):
    """A tariff by its name; wholesale ones only for those who may see them."""

    def __init__(self, *kinds: str, empty: str = "Any", **options: Any) -> None:
        def found() -> list[tuple[str, str]]:
            seen = [k for k in kinds if k == Tariff.Kind.RETAIL or current().can(WHOLESALE)]
            rows = Tariff.objects.filter(kind__in=seen).order_by("kind", "name").values_list("name", "kind")
            return [
                ("", empty),
                *((name, f"{name} (wholesale)" if kind != "retail" else name) for name, kind in rows),
            ]

        super().__init__(required=False, choices=found, **options)


class RepricedFilters(CustomerFilters):
    """Filters of customers over whole months: allowances are given by the month."""

    default_period = "last_month"

    def clean(self) -> dict[str, Any]:
        """Refuse parts of months, and months by another clock than the bills'."""
        data = super().clean()
        if not self.errors:
            if self.interval.start.day != 1 or self.interval.end.day != 1:
                self.add_error("period", "Choose whole months: allowances are given by the month.")
            if data["zone"] != self.reseller.time_zone:
                self.add_error(
                    "zone", f"Bills are made by the clock of {self.reseller.time_zone}; leave it at that."
                )
        return data

    @property
    def months_asked(self) -> dict[str, str]:
        """The months of the question."""
        return {"first": self.interval.start.isoformat(), "end": self.interval.end.isoformat()}

    @property
    def close(self) -> Any:
        """The last day of the months, today while they are not over."""
        return min(self.interval.end - timedelta(days=1), self.as_of)


def answer_of(f: RepricedFilters, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a what-if question of plain values; `refused` says why there is none.

    The price questions are loaded when a report first needs them: columns of calls are no page's business.
    """
    prices = import_module("billing.pipeline_prices")
    try:
        found: dict[str, Any] = prices.what_if(f.reseller, {**f.months_asked, **asked})
    except prices.QuestionRefused as refused:
        return {"refused": str(refused), "customers": [], "destinations": [], "totals": {}}
    return found


def notes_of(answer: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what a reader must know before trusting an answer."""
    if "refused" in answer:
        return [("Not worked out", answer["refused"], True)]
    return [("Calls", f"{answer[name]:,} {words}", True) for name, words in TOLD if answer.get(name)]


def rows_of(found: Sequence[Mapping[str, Any]], *, bought: bool = False) -> Iterator[dict[str, Any]]:
    """Yield rows of an answer with exact amounts, margins and the difference."""
    for plain in found:
        row = {**plain, **{name: D(plain[name]) for name in MONEYS}}
        row |= {f"{side}_margin": row[f"{side}_retail"] - row[f"{side}_cost"] for side in ("old", "new")}
        kind = "cost" if bought else "retail"
        row["difference"] = row[f"new_{kind}"] - row[f"old_{kind}"]
        row |= {"customers": 1, "more": int(row["difference"] > 0), "less": int(row["difference"] < 0)}
        yield row
