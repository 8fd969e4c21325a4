"""KPIs of what billing cannot know once more, naively: a list of lines, added one at a time."""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis.worlds import MONTHS, line_cost

D = Decimal
Row = dict[str, Any]
Cells = dict[tuple[str, date, str], tuple[Decimal, Decimal | None]]
#: A line: (metric, day, dimension, key, value, currency).
Line = tuple[str, date, str, str, Decimal, str]
Weight = Callable[[Line], Decimal]


def plain(line: Line) -> Decimal:
    """Return a line's value."""
    return line[4]


def scores(*wanted: int) -> Weight:
    """Return the value of lines of some scores."""
    return lambda line: line[4] if int(line[3]) in wanted else D(0)


def promoters_less(line: Line) -> Decimal:
    """Return plus or minus a hundred answers."""
    sign = 1 if int(line[3]) >= 9 else -1 if int(line[3]) <= 6 else 0
    return 100 * sign * line[4]


def days(line: Line) -> Decimal:
    """Return hours as days to six places."""
    return (line[4] / 24).quantize(D("0.000001"), ROUND_HALF_UP)


def of_order(line: Line) -> Decimal:
    """Return the value of a line that names its order."""
    return line[4] if line[3] else D(0)


def one_order(line: Line) -> Decimal:
    """Count a line that names its order."""
    return D(1) if line[3] else D(0)


def one(line: Line) -> Decimal:
    """Count a line."""
    return D(1)


HUNDRED: Weight = lambda line: 100 * line[4]  # noqa: E731  reads as a table
SCORED: Weight = lambda line: int(line[3]) * line[4]  # noqa: E731  reads as a table
NAMED: Weight = lambda line: line[4] if line[2] == "campaign" else D(0)  # noqa: E731  reads as a table
BOTH = ("source", "campaign")
SOLD = ("item", "source", "campaign")
#: slug: (metric, weight, is money).
SIMPLE: dict[str, tuple[str, Weight, bool]] = {
    "web_traffic": ("visits", plain, False),
    "unique_visitors": ("unique_visitors", plain, False),
    "impressions": ("impressions", plain, False),
    "clicks": ("clicks", plain, False),
    "leads": ("leads", plain, False),
    "quotes": ("quotes", plain, False),
    "orders": ("orders", plain, False),
    "deals_lost": ("deals_lost", plain, False),
    "order_value": ("order_value", plain, True),
    "pipeline_value": ("pipeline_value", plain, True),
    "campaign_spend": ("marketing_spend", NAMED, True),
    "csat_responses": ("csat_responses", plain, False),
    "nps_responses": ("nps_responses", plain, False),
    "support_contacts": ("support_contacts", plain, False),
    "operational_costs": ("operating_cost", plain, True),
    "orders_delivered": ("delivery_hours", one, False),
    "open_orders": ("open_order_days", one_order, False),
    "cost_of_goods_sold": ("cost_of_goods_sold", plain, True),
    "stock_opening": ("stock_opening", plain, True),
    "stock_closing": ("stock_closing", plain, True),
    "units_shipped": ("units_shipped", plain, False),
    "review_minutes": ("review_minutes", plain, False),
}
#: slug: (metric, weight, is money, metric below, weight below, is its money, does the base know dimensions).
RATIOS: dict[str, tuple[str, Weight, bool, str, Weight, bool, bool]] = {
    "traffic_sources": ("visits", plain, False, "visits", plain, False, False),
    "ctr": ("clicks", plain, False, "impressions", plain, False, True),
    "cost_per_click": ("marketing_spend", plain, True, "clicks", plain, False, True),
    "cost_per_lead": ("marketing_spend", plain, True, "leads", plain, False, True),
    "sales_by_product": ("order_value", plain, True, "order_value", plain, True, False),
    "aov": ("order_value", plain, True, "orders", plain, True, True),
    "sales_conversion": ("leads_won", plain, False, "leads", plain, False, True),
    "visit_conversion": ("orders", plain, False, "visits", plain, False, True),
    "quote_to_order": ("orders", plain, False, "quotes", plain, False, True),
    "sales_cycle": ("sales_cycle_days", plain, False, "orders", plain, False, True),
    "csat": ("csat_responses", scores(4, 5), False, "csat_responses", scores(*range(1, 6)), False, True),
    "csat_mean": ("csat_responses", SCORED, False, "csat_responses", plain, False, True),
    "nps": ("nps_responses", promoters_less, False, "nps_responses", plain, False, True),
    "nps_promoters": ("nps_responses", scores(9, 10), False, "nps_responses", plain, False, True),
    "nps_detractors": ("nps_responses", scores(*range(7)), False, "nps_responses", plain, False, True),
    "aht": ("handling_seconds", plain, False, "support_contacts", plain, False, True),
    "first_response_time": ("first_response_seconds", plain, False, "support_contacts", plain, False, True),
    "resolution_rate": ("contacts_resolved", plain, False, "support_contacts", plain, False, True),
    "first_contact_resolution": (
        "resolved_first_contact", plain, False, "support_contacts", plain, False, True,
    ),
    "order_fulfilment_time": ("delivery_hours", days, False, "delivery_hours", one, False, True),
    "provisioning_time": ("provisioning_days", plain, False, "provisioning_days", one, False, True),
    "port_in_time": ("port_in_days", plain, False, "port_in_days", one, False, True),
    "open_orders_age": ("open_order_days", of_order, False, "open_order_days", one_order, False, True),
    "delivered_on_time": ("delivered_on_time", plain, False, "delivery_hours", one, False, True),
    "review_completed": ("review_weeks", plain, False, "review_weeks", one, False, True),
    "return_rate": ("units_returned", plain, False, "units_shipped", plain, False, True),
}  # fmt: skip
#: slug: (metric, weight, is money): over something of the book.
OVER: dict[str, tuple[str, Weight, bool]] = {
    "contacts_per_100_customers": ("support_contacts", HUNDRED, False),
    "operational_cost_per_customer": ("operating_cost", plain, True),
    "opex_ratio": ("operating_cost", plain, True),
    "fault_rate": ("faults", HUNDRED, False),
}
OF_LINES = ("campaign_revenue", "campaign_profit")
OF_CUSTOMERS = ("accounts_won", "first_invoices")
#: slug: (metric, weight).
MEDIANS: dict[str, tuple[str, Weight]] = {
    "order_fulfilment_median": ("delivery_hours", days),
    "provisioning_median": ("provisioning_days", plain),
    "port_in_median": ("port_in_days", plain),
}
SLUGS = {*SIMPLE, *RATIOS, *OVER, *OF_LINES, *OF_CUSTOMERS, *MEDIANS}
LEVELS = {"pipeline_value": max, "open_order_days": max, "stock_opening": min, "stock_closing": max}


def lines(book: Row, metric: str, month: date) -> Iterator[Line]:
    """Yield the lines of a metric in a month; of a level, those of its first or last day."""
    spent = [
        ("marketing_spend", at.replace(day=4), "campaign" if c else "", c, v, "")
        for (at, c), v in book["spend"].items()
    ]
    found = [x for x in [*spent, *book.get("observed", [])] if x[0] == metric and o.inside(x[1], month)]
    if metric in LEVELS and found:
        edge = LEVELS[metric](x[1] for x in found)
        found = [x for x in found if x[1] == edge]
    yield from found


def key_of(line: Line, dimension: str) -> str:
    """Return a line's key: a campaign of these worlds comes from print."""
    metric, _, at, key, _, _ = line
    if dimension == "source" and at == "campaign" and metric not in ("marketing_spend", "clicks"):
        return {"radio": "print"}.get(key, "")
    return key if at == dimension else ""


def added(book: Row, metric: str, weight: Weight, money: bool, dimension: str) -> dict[Any, Decimal]:
    """Add lines by key, month and currency."""
    sums: dict[Any, Decimal] = {}
    for month in MONTHS:
        for line in lines(book, metric, month):
            at = (key_of(line, dimension) if dimension else "", month, (line[5] or "GBP") if money else "")
            sums[at] = sums.get(at, D(0)) + weight(line)
    return sums


def expected(slug: str, book: Row, dimension: str) -> Cells:
    """A KPI's parts by key, month and currency, without zero rows."""
    if slug in SIMPLE:
        return {at: (x, None) for at, x in added(book, *SIMPLE[slug], dimension).items() if x}
    if slug in OF_LINES:
        return _of_lines(slug, book, dimension)
    if slug in OF_CUSTOMERS:
        return _of_customers(slug, book, dimension)
    if slug in MEDIANS:
        return _median(book, *MEDIANS[slug])
    if slug in OVER:
        return _over(slug, book, dimension)
    if slug == "csat" and "csat_scale" in book.get("settings", {}):
        return _ratio(book, "csat_responses", scores(8, 9, 10), plain)
    if slug == "csat_mean" and "csat_scale" not in book.get("settings", {}):
        of_five = scores(1, 2, 3, 4, 5)
        return _ratio(book, "csat_responses", lambda line: int(line[3]) * of_five(line), of_five)
    metric, weight, money, below, weight_below, money_below, same = RATIOS[slug]
    top = added(book, metric, weight, money, dimension)
    base = added(book, below, weight_below, money_below, dimension if same else "")
    cells = set(top) | (set(base) if same and money == money_below else set())
    if not dimension and money == money_below:
        cells |= set(base)
    found: Cells = {}
    for key, month, currency in cells:
        under = base.get((key if same else "", month, currency if money_below else ""), D(0))
        over = top.get((key, month, currency), D(0))
        if over or (under and (same or not dimension)):
            found[key, month, currency] = (over, under)
    return found


def _ratio(book: Row, metric: str, top: Weight, bottom: Weight) -> Cells:
    """Return two weights of the same lines, undivided."""
    above, below = (added(book, metric, weight, False, "") for weight in (top, bottom))
    return {at: (above[at], base) for at, base in below.items() if base}


def _over(slug: str, book: Row, dimension: str) -> Cells:
    metric, weight, money = OVER[slug]
    top = added(book, metric, weight, money, dimension)
    people = [c for c in book["customers"] if not c["is_test"]]
    base: dict[tuple[date, str], Decimal] = {}
    for month in MONTHS:
        for c in people:
            if slug == "opex_ratio":
                for b in o.bills(c):
                    net = b["net"] if o.inside(b["date"], month) else D(0)
                    at = (month, b["currency"])
                    base[at] = base.get(at, D(0)) + net - o._noted(b, month)
            else:
                count = sum(o.on(s, o.close(month)) for _, _, s in c["numbers"])
                many = count if slug == "fault_rate" else int(o.active(c, o.close(month)))
                base[month, ""] = base.get((month, ""), D(0)) + many
    cells = set(top)
    if not dimension and slug != "operational_cost_per_customer":
        cells |= {("", month, currency) for month, currency in base}
    pairs = {
        at: (top.get(at, D(0)), base.get((at[1], at[2] if slug == "opex_ratio" else ""), D(0)))
        for at in cells
    }
    return {at: pair for at, pair in pairs.items() if (pair[0] or pair[1]) and (pair[0] or not dimension)}


def _of_lines(slug: str, book: Row, dimension: str) -> Cells:
    """Return revenue by campaign, less what the lines cost for profit."""
    found: Cells = {}
    for month in MONTHS:
        for c in book["customers"]:
            if c["is_test"] or not c["campaign"]:
                continue
            for b in o.bills(c):
                net = sum((-a if k == "credit" else a for k, _, a in b["lines"]), D(0))
                if slug == "campaign_profit":
                    net -= sum((line_cost(f) for _, f, _ in b["lines"]), D(0))
                net = (net if o.inside(b["date"], month) else D(0)) - o._noted(b, month)
                at = (c["campaign"] if dimension else "", month, b["currency"])
                found[at] = (found.get(at, (D(0), None))[0] + net, None)
    return {at: pair for at, pair in found.items() if pair[0]}


def _of_customers(slug: str, book: Row, dimension: str) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        for c in book["customers"]:
            days = [b["date"] for b in o.bills(c)]
            first = bool(days) and o.inside(min(days), month)
            if not c["is_test"] and (o.moves(c, month)["new"] if slug == "accounts_won" else first):
                at = (c["campaign"] if dimension else "", month, "")
                found[at] = (found.get(at, (D(0), None))[0] + 1, None)
    return found


def _median(book: Row, metric: str, weight: Weight) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        xs = sorted(weight(line) for line in lines(book, metric, month))
        if xs:
            middle = xs[(len(xs) - 1) // 2 : len(xs) // 2 + 1]
            found["", month, ""] = (sum(middle, D(0)), D(len(middle)))
    return found
