"""Campaigns over some months: what each cost, what came of it, and how many went each step to the first invoice."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from kpis.kpi import KPIS
from kpis.models import Campaign
from kpis.reading import Reader
from kpis.series import Point

ZERO = Decimal(0)
#: The steps from a visit to the first invoice: KPI and what it is called.
STEPS = (
    ("web_traffic", "Visits"),
    ("leads", "Leads"),
    ("quotes", "Quotes"),
    ("orders", "Orders"),
    ("first_invoices", "First invoices"),
)
COUNTS = ("impressions", "clicks", "leads", "orders", "accounts_won")
AMOUNTS = ("campaign_spend", "campaign_revenue", "campaign_profit")
#: KPIs of customers: their source is that of the campaign they name.
OF_CUSTOMERS = ("first_invoices",)


def _over(top: Decimal | None, bottom: Decimal | None) -> Decimal | None:
    return top / bottom if top is not None and bottom is not None and bottom > 0 else None


@dataclass
class Tally:
    """What a campaign came to in one currency; a figure that was never entered is None."""

    name: str
    currency: str
    sums: dict[str, Decimal] = field(default_factory=dict)

    def row(self, source: str) -> dict[str, Decimal | str | None]:
        """Return the figures as a table row, ratios of sums."""
        s = {name: self.sums.get(name) for name in (*COUNTS, *AMOUNTS)}
        cost, profit, revenue = s["campaign_spend"], s["campaign_profit"], s["campaign_revenue"]
        return {
            "name": self.name,
            "label": self.name or "No campaign",
            "source": source,
            "currency": self.currency,
            **s,
            "ctr": _over(s["clicks"], s["impressions"]),
            "conversion": _over(s["accounts_won"], s["leads"]),
            "cac": _over(cost, s["accounts_won"]),
            "roi": _over((profit or ZERO) - (cost or ZERO), cost),
            "roi_revenue": _over((revenue or ZERO) - (cost or ZERO), cost),
        }


def sources() -> dict[str, str]:
    """Return the source of each campaign that has one."""
    return dict(Campaign.objects.exclude(source="").values_list("name", "source"))


def points_by(
    reader: Reader, slugs: Iterable[str], months: Sequence[date], by: str
) -> dict[str, list[Point]]:
    """Return the points of the KPIs the reader may see, by a dimension."""
    seen = reader.visible([KPIS.get(slug) for slug in slugs])
    return {slug: found.get(by, []) for slug, found in reader.points(seen, months, [by]).items()}


def tallies(reader: Reader, months: Sequence[date]) -> list[Tally]:
    """Return what each campaign came to in some months, the dearest first; a row per currency, counts in the first."""
    found = points_by(reader, (*AMOUNTS, *COUNTS), months, "campaign")
    home = reader.reseller.currency
    sums: defaultdict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    for slug, points in found.items():
        for p in points:
            if p.numerator is not None and p.key:
                into = sums[p.key, p.currency or home]
                into[slug] = into.get(slug, ZERO) + p.numerator
    made = [Tally(name, currency, told) for (name, currency), told in sums.items() if any(told.values())]
    return sorted(made, key=lambda t: (-t.sums.get("campaign_spend", ZERO), t.name, t.currency != home))


def funnel(reader: Reader, months: Sequence[date], by: str) -> dict[str, dict[str, Decimal | None]]:
    """Return for each source or campaign ("" for none) how many went each step; None where a step was not entered."""
    names = sources() if by == "source" else {}
    found: dict[str, dict[str, Decimal | None]] = {}
    for slug, _ in STEPS:
        own = "campaign" if slug in OF_CUSTOMERS else by
        for p in points_by(reader, [slug], months, own).get(slug, []):
            key = names.get(p.key, "") if own != by else p.key
            if p.numerator is not None:
                row = found.setdefault(key, {})
                row[slug] = (row.get(slug) or ZERO) + p.numerator
    return dict(sorted(found.items(), key=lambda item: (not item[0], item[0])))


def totals(rows: Mapping[str, Mapping[str, Decimal | None]]) -> list[tuple[str, Decimal | None]]:
    """Return the sum of every step, None for one nobody entered."""
    found: list[tuple[str, Decimal | None]] = []
    for slug, label in STEPS:
        told = [x for row in rows.values() if (x := row.get(slug)) is not None]
        found.append((label, sum(told, ZERO) if told else None))
    return found
