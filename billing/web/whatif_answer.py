"""The answer to a what-if question as a page with its own address: totals, winners and losers, every customer."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.urls import reverse

from billing.web.frozen import FrozenPage, Narrow, Row, exact
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Code, Column, Int, Minutes, Money, Percent, Text
from resellerkpi.core.money import places
from resellerkpi.ui.panels import Action, ChartPanel, EmptyState, Facts, Panel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, figure, money, percent
from resellerkpi.ui.tiles import Change, Tile

MONEY, WHOLESALE, MARGIN = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.VIEW_MARGIN
CHARTED = 10
MONEYS = ("old_retail", "new_retail", "old_cost", "new_cost")


class WhatIfFilters(Narrow):
    """Which rows of the answer to show."""

    by = forms.ChoiceField(
        required=False, label="Show", choices=(("", "Customers"), ("destination", "Destinations"))
    )
    who = forms.ChoiceField(
        required=False, label="Only",
        choices=(("", "All"), ("more", "Pay more"), ("less", "Pay less"), ("floor", "Under the margin floor")),
    )  # fmt: skip
    field_order = ("by", "q", "who")

    def keeps(self, row: Row, chosen: Any) -> bool:
        """Keep who pays more or less, or is under the floor."""
        wanted = {"more": row["difference"] > 0, "less": row["difference"] < 0, "floor": row["flag"] != ""}
        return super().keeps(row, chosen) and wanted.get(chosen.get("who", ""), True)


def figures(row: Row, floor: Decimal, buying: bool) -> dict[str, Any]:
    """Return a row with margins, differences and whether it is under the floor; buying compares costs."""
    found = exact(row, MONEYS)
    found["old_margin"] = found["old_retail"] - found["old_cost"]
    found["new_margin"] = found["new_retail"] - found["new_cost"]
    found["difference"] = (
        found["new_cost"] - found["old_cost"] if buying else found["new_retail"] - found["old_retail"]
    )
    found["margin_change"] = found["new_margin"] - found["old_margin"]
    under = found["new_retail"] > 0 and found["new_margin"] * 100 < floor * found["new_retail"]
    found["flag"] = f"Under {floor.normalize():f} %" if under else ""
    return found


class WhatIfResult(FrozenPage):
    """An answer: totals, winners and losers, and every customer or destination."""

    capability = MARGIN
    job_kind = "prices.what_if"
    form_class = WhatIfFilters
    empty = EmptyState("No call of these months would be priced differently.")

    @property
    def by_destination(self) -> bool:
        """Whether destinations are shown, not customers."""
        return bool(self.filters.chosen.get("by"))

    @property
    def row_url(self) -> str:  # type: ignore[override]
        """Lead to the customer."""
        return "" if self.by_destination else "customer"

    def columns(self) -> Sequence[Column]:
        """Return figures before and after, side by side."""
        named: Column = (
            Text(name="destination") if self.by_destination else Text(name="name", label="Customer")
        )
        buying = self.found["buying"]
        difference = "Cost rises by" if buying else "Pays more by"
        return (
            named,
            *(() if self.by_destination else (Code(name="code", label="Account", hidden=True),)),
            Money(name="difference", label=difference, total=SUM, needs=WHOLESALE if buying else MONEY),
            Code(name="currency"),
            Int(name="calls", total=SUM),
            Minutes(name="seconds", label="Duration", total=SUM, hidden=True),
            Money(name="old_retail", label="Retail", total=SUM, group="As it was", needs=MONEY),
            Money(name="old_cost", label="Cost", total=SUM, group="As it was", needs=WHOLESALE),
            Money(name="old_margin", label="Margin", total=SUM, group="As it was", needs=MARGIN),
            Money(name="new_retail", label="Retail", total=SUM, group="As it would be", needs=MONEY),
            Money(name="new_cost", label="Cost", total=SUM, group="As it would be", needs=WHOLESALE),
            Money(name="new_margin", label="Margin", total=SUM, group="As it would be", needs=MARGIN),
            Percent(name="new_share", label="Margin %", parts=("new_margin", "new_retail"), sortable=True,
                    group="As it would be", needs=MARGIN),
            Text(name="flag", label="Floor", group="As it would be", needs=MARGIN),
        )  # fmt: skip

    @property
    def order(self) -> str:  # type: ignore[override]
        """Begin with those who lose most."""
        return "-difference"

    def rows(self) -> list[Row]:
        """Return the rows of the answer."""
        floor, buying = Decimal(str(self.found["asked"].get("floor") or 0)), self.found["buying"]
        rows = self.found["destinations" if self.by_destination else "customers"]
        return [{**figures(row, floor, buying), "pk": row.get("customer_id") or None} for row in rows]

    def get_context(self) -> dict[str, Any]:
        """Return the tiles, the chart and what to tell customers."""
        self.title = self.job.title
        self.purpose = f"Worked out on {day(self.job.finished_at)}; nothing was changed."
        floor, buying = Decimal(str(self.found["asked"].get("floor") or 0)), self.found["buying"]
        customers = [figures(row, floor, buying) for row in self.found["customers"]]
        panels: list[Panel] = [tiles(self.found, customers, currency) for currency in self.found["totals"]]
        panels += [chart(customers, currency, buying) for currency in self.found["totals"]]
        told = notice(self.found["asked"], customers, self.today)
        return {
            "panels": [*panels, *([told] if told else [])],
            "notes": notes(self.found),
            "back": ("What if", reverse("what-if")),
            "list_title": "Destinations" if self.by_destination else "Customers",
        }

    def actions(self) -> Sequence[Action]:
        """Offer another question of the kind."""
        return (Action("Ask something else", self.job.back_url or reverse("what-if")),)


def tiles(found: dict[str, Any], customers: list[dict[str, Any]], currency: str) -> TilesPanel:
    """Return the totals of a currency before and after."""
    total = exact(found["totals"][currency], MONEYS)
    old = {
        "retail": total["old_retail"],
        "cost": total["old_cost"],
        "margin": total["old_retail"] - total["old_cost"],
    }
    new = {
        "retail": total["new_retail"],
        "cost": total["new_cost"],
        "margin": total["new_retail"] - total["new_cost"],
    }
    labels = {"retail": "Customers pay", "cost": "We pay", "margin": "Margin"}
    shown = [
        Tile(label=label, value=figure(new[name], places(currency)), unit=currency,
             change=change(old[name], new[name], currency, bad_up=name == "cost"))
        for name, label in labels.items()
    ]  # fmt: skip
    mine = [row for row in customers if row["currency"] == currency]
    counts = (
        (
            "Would pay more" if not found["buying"] else "Would cost more",
            sum(row["difference"] > 0 for row in mine),
        ),
        (
            "Would pay less" if not found["buying"] else "Would cost less",
            sum(row["difference"] < 0 for row in mine),
        ),
        ("Under the margin floor", sum(row["flag"] != "" for row in mine)),
    )
    shown += [Tile(label=label, value=figure(count), unit="customers") for label, count in counts]
    return TilesPanel(shown, title="" if len(found["totals"]) == 1 else f"In {currency}")


def change(old: Decimal, new: Decimal, currency: str, *, bad_up: bool) -> Change:
    """Return how a sum moves."""
    moved = new - old
    direction = "up" if moved > 0 else "down" if moved < 0 else "flat"
    meaning = "flat" if not moved else "bad" if (moved > 0) == bad_up else "good"
    share = percent(moved / old) if old else ""
    return Change(
        amount=money(moved, currency), percent=share, direction=direction, meaning=meaning,
        against=f"on {money(old, currency)}",
    )  # fmt: skip


def chart(customers: list[dict[str, Any]], currency: str, buying: bool) -> ChartPanel:
    """Return the customers who win and lose most."""
    mine = sorted(
        (r for r in customers if r["currency"] == currency and r["difference"]),
        key=lambda r: -r["difference"],
    )
    most = mine if len(mine) <= 2 * CHARTED else [*mine[:CHARTED], *mine[-CHARTED:]]
    label = "Costs more by" if buying else "Pays more by"
    columns = (
        Text(name="name", label="Customer"),
        Money(name="difference", label=label, currency=f"={currency}"),
    )
    note = f"The {2 * CHARTED} that move most; below zero they {'cost' if buying else 'pay'} less."
    return ChartPanel(
        "Winners and losers", Bar(x="name", y=("difference",), unit=currency), most, columns, note=note,
        empty=EmptyState("Nobody’s calls would cost anything else."),
    )  # fmt: skip


def notice(asked: dict[str, Any], customers: list[dict[str, Any]], today: date) -> Facts | None:
    """Return when customers must be told of a rise, None when there is none."""
    more = {
        row["customer_id"]
        for row in customers
        if row["new_retail"] > row["old_retail"] and row["customer_id"]
    }
    if not more or asked.get("notice_days") is None or not asked.get("as_of"):
        return None
    begins, days = date.fromisoformat(asked["as_of"]), timedelta(days=int(asked["notice_days"]))
    last = begins - days
    late = last < today
    return Facts(
        "Telling customers of the rise",
        [
            ("Customers who would pay more", figure(len(more))),
            ("Notice they need", f"{days.days} days"),
            ("New prices begin", day(begins)),
            ("Last day to tell them", f"{day(last)}{': too late' if late else ''}"),
            ("Told today, earliest day", day(today + days)),
        ],
        wide=False,
    )


def notes(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a reader must know before trusting the figures."""
    told = (
        (
            "unpriced",
            "calls have no price in what is proposed: they count as nothing, so customers look better off.",
        ),
        ("uncovered", "calls go where the proposed deck has no rate: their cost stays as it is."),
        (
            "stale",
            "calls would be priced differently already by the book as it stands: price them again first.",
        ),
    )
    said = [("warning", f"{found[name]:,} {words}") for name, words in told if found[name]]
    if found["buying"]:
        words = "Costs are worked out by wholesale tariffs on both sides; what carriers reported may differ."
        said.append(("", words))
    return said
