"""What billing cannot know, metric by metric: the names under which it is entered or uploaded, how it is split, what
a value may be.

An observation has one dimension at most, and the lines of a metric add up: each thing is counted under one key, or
under none. A line of a campaign counts for the campaign's source too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum

from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months
from resellerkpi.core.registry import Registry

MOST = Decimal(10) ** 12


class Area(StrEnum):
    """Where a metric comes from, as the list of them is grouped."""

    MARKETING = "Marketing"
    WEB = "Web site"
    SALES = "Sales"
    SURVEYS = "Surveys"
    SUPPORT = "Support"
    STOCK = "Stock"
    COSTS = "Costs"
    INDICES = "Indices"
    REVIEW = "Monthly review"


class Take(StrEnum):
    """How a month's lines make the month's figure: added, or those of the first or last day entered."""

    SUM = "sum"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True)
class Metric:
    """An observed quantity: `words` say what to upload ("what marketing cost"), `by` how a row may be split.

    `keys` lists the keys a dimension has when they are fixed; `split` says that a row must name its dimension;
    `each` that a row is one thing (an order), counted as well as added.
    """

    slug: str
    name: str
    words: str
    by: tuple[str, ...] = ()
    is_money: bool = False
    area: Area = Area.COSTS
    whole: bool = False
    per_currency: bool = False
    least: Decimal | None = Decimal(0)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: bool = False
    each: bool = False
    take: Take = Take.SUM

    @property
    def upload(self) -> str:
        """What a KPI without its data says."""
        return f"Needs data: enter or upload {self.words}."

    @property
    def has_currency(self) -> bool:
        """Whether a line may name a currency: money, and counts that money is divided by."""
        return self.is_money or self.per_currency


class NotObserved(ValueError):
    """Raised for a line that cannot be an observation; worded for the user, `field` is the column it is about."""

    def __init__(self, about: str, words: str) -> None:
        super().__init__(words)
        self.field = about


METRICS: Registry[Metric] = Registry("observed metric")
#: Metrics of which a reseller chooses the form, as a scale: whoever keeps the choice says how it is there.
CHOSEN: Registry[Callable[[Reseller], Metric]] = Registry("chosen form of a metric")


def metric(slug: str, name: str, words: str, **more: object) -> Metric:
    """Register an observed metric; its forms, its CSV template and what an import accepts follow from it."""
    return METRICS.add(slug, Metric(slug, name, words, **more))  # type: ignore[arg-type]


def as_chosen(of: Metric, reseller: Reseller) -> Metric:
    """Return a metric as a reseller chose to have it; call inside its scope."""
    return CHOSEN.get(of.slug)(reseller) if of.slug in CHOSEN else of


def find(slug: str) -> Metric:
    """Return a metric by its name; raises NotObserved, which names the nearest."""
    if slug in METRICS:
        return METRICS.get(slug)
    near = get_close_matches(slug.lower().replace(" ", "_"), METRICS.slugs(), n=1, cutoff=0.4)
    named = {m.name.casefold(): m.slug for m in METRICS}
    meant = named.get(slug.casefold()) or (near[0] if near else "")
    hint = f" Did you mean “{meant}”?" if meant else " The page “Observations” lists those there are."
    raise NotObserved("metric", f"There is no metric “{slug}”.{hint}")


def place(of: Metric, dimension: str, key: str) -> tuple[str, str]:
    """Return dimension and key as they are kept; a key alone means the only dimension. Raises NotObserved."""
    if not dimension and key and len(of.by) == 1:
        dimension = of.by[0]
    if not dimension and not key:
        if of.split:
            raise NotObserved("dimension", f"“{of.slug}” is entered by {of.by[0]}: say which.")
        return "", ""
    if dimension not in of.by:
        known = " or ".join(of.by)
        near = get_close_matches(dimension.lower(), of.by, n=1, cutoff=0.5)
        hint = f" Did you mean “{near[0]}”?" if near else f" It is split by {known}." if known else ""
        asked = f"by “{dimension}”" if dimension else "by a key alone"
        raise NotObserved("dimension", f"“{of.slug}” is not split {asked}.{hint}")
    if not key:
        raise NotObserved("key", f"Say which {dimension} it is, or leave the dimension empty too.")
    allowed = of.keys.get(dimension)
    if allowed and key not in allowed:
        offered = f"{allowed[0]} to {allowed[-1]}" if allowed[-1].isdigit() else ", ".join(allowed)
        raise NotObserved("key", f"“{key}” is none of {offered}.")
    return dimension, key


def check_value(of: Metric, value: Decimal) -> None:
    """Raise NotObserved for a value the metric cannot have."""
    if of.whole and value != value.to_integral_value():
        raise NotObserved("value", f"“{of.slug}” counts things: {value.normalize():f} is not a whole number.")
    if of.least is not None and value < of.least:
        raise NotObserved("value", f"“{of.slug}” is not less than {of.least:f}.")
    if abs(value) >= MOST:
        raise NotObserved("value", "The value is too large.")


def check_currency(of: Metric, currency: str) -> None:
    """Raise NotObserved for a currency beside what is no money."""
    if currency and not of.has_currency:
        raise NotObserved("currency", f"“{of.slug}” is not money: leave the currency empty.")


def check_day(day: date, today: date) -> None:
    """Raise NotObserved for a day after the month that is open."""
    if day >= add_months(today.replace(day=1), 1):
        raise NotObserved("date", f"{day} lies in the future.")


_COUNT = {"whole": True}
_SALES = ("item", "source", "campaign")
_CHANNEL = ("channel",)
_COME_BY = ("source", "campaign")
_SURVEY = {"area": Area.SURVEYS, "by": ("score",), "split": True, **_COUNT}

MARKETING_SPEND = metric(
    "marketing_spend",
    "Sales and marketing cost",
    "what sales and marketing cost",
    by=("campaign",),
    is_money=True,
    area=Area.MARKETING,
    least=None,
)
IMPRESSIONS = metric(
    "impressions", "Impressions", "how often advertisements were seen",
    by=("campaign",), area=Area.MARKETING, **_COUNT,
)  # fmt: skip
CLICKS = metric(
    "clicks", "Clicks", "how often advertisements were clicked",
    by=("campaign",), area=Area.MARKETING, **_COUNT,
)  # fmt: skip
LEADS = metric(
    "leads", "Leads", "how many people asked for an offer, by the day they asked",
    by=_COME_BY, area=Area.MARKETING, **_COUNT,
)  # fmt: skip
LEADS_WON = metric(
    "leads_won", "Leads won", "how many leads have bought, by the day the lead came in",
    by=_COME_BY, area=Area.MARKETING, **_COUNT,
)  # fmt: skip
VISITS = metric(
    "visits", "Visits", "visits to the web site, from your web statistics",
    by=_COME_BY, area=Area.WEB, **_COUNT,
)  # fmt: skip
UNIQUE_VISITORS = metric(
    "unique_visitors", "Visitors", "different visitors of the web site, from your web statistics",
    by=_COME_BY, area=Area.WEB, **_COUNT,
)  # fmt: skip
QUOTES = metric(
    "quotes", "Quotes", "how many quotes were sent", by=_COME_BY, area=Area.SALES, **_COUNT
)  # fmt: skip
ORDERS = metric(
    "orders", "Orders won", "how many orders were won",
    by=_SALES, area=Area.SALES, per_currency=True, **_COUNT,
)  # fmt: skip
ORDER_VALUE = metric(
    "order_value", "Value of orders won", "what the orders won are worth, without VAT",
    by=_SALES, is_money=True, area=Area.SALES, least=None,
)  # fmt: skip
DEALS_LOST = metric(
    "deals_lost", "Deals lost", "how many offers were turned down", by=_COME_BY, area=Area.SALES, **_COUNT
)
CYCLE_DAYS = metric(
    "sales_cycle_days", "Days from first contact to order",
    "the days from first contact to order, added over the orders won", by=_COME_BY, area=Area.SALES,
)  # fmt: skip
PIPELINE = metric(
    "pipeline_value", "Value of open offers", "what the offers open on a day are worth, by stage",
    by=("stage",), is_money=True, area=Area.SALES, take=Take.LAST,
)  # fmt: skip
DELIVERY_HOURS = metric(
    "delivery_hours", "Hours from order to delivery",
    "the hours from order to delivery, a line for each order delivered (key: the order's number)",
    by=("order",), split=True, each=True, area=Area.SALES,
)  # fmt: skip
DELIVERED_ON_TIME = metric(
    "delivered_on_time", "Orders delivered on time", "how many of the orders delivered came by the day promised",
    area=Area.SALES, **_COUNT,
)  # fmt: skip
PROVISIONING_DAYS = metric(
    "provisioning_days", "Days of provisioning",
    "the days from order to service working, a line for each order provisioned (key: the order's number)",
    by=("order",), split=True, each=True, area=Area.SALES,
)  # fmt: skip
PORT_IN_DAYS = metric(
    "port_in_days", "Days of porting in",
    "the days from the request to the number working here, a line for each port completed (key: the port's order)",
    by=("order",), split=True, each=True, area=Area.SALES,
)  # fmt: skip
OPEN_ORDER_DAYS = metric(
    "open_order_days", "Days orders have been open",
    "the days each order not delivered yet has been open, at the month's end (key: the order's number);"
    " a line of 0 without an order says that none was",
    by=("order",), each=True, area=Area.SALES, take=Take.LAST,
)  # fmt: skip
CSAT = metric(
    "csat_responses", "Answers to “How satisfied are you?”",
    "how many answered each score",
    keys={"score": tuple(str(n) for n in range(1, 6))}, **_SURVEY,
)  # fmt: skip
NPS = metric(
    "nps_responses", "Answers to “Would you recommend us?”",
    "how many answered each score from 0 to 10, each customer's last answer of the month",
    keys={"score": tuple(str(n) for n in range(11))}, **_SURVEY,
)  # fmt: skip
CONTACTS = metric(
    "support_contacts", "Support contacts", "how many calls, mails and tickets support handled",
    by=_CHANNEL, area=Area.SUPPORT, **_COUNT,
)  # fmt: skip
HANDLING = metric(
    "handling_seconds", "Seconds of handling", "the seconds of talk, hold and wrap-up of all support contacts",
    by=_CHANNEL, area=Area.SUPPORT,
)  # fmt: skip
FIRST_RESPONSE = metric(
    "first_response_seconds", "Seconds to the first response",
    "the seconds until somebody answered, added over all support contacts", by=_CHANNEL, area=Area.SUPPORT,
)  # fmt: skip
RESOLVED = metric(
    "contacts_resolved", "Support contacts resolved", "how many of the support contacts were resolved",
    by=_CHANNEL, area=Area.SUPPORT, **_COUNT,
)  # fmt: skip
RESOLVED_FIRST = metric(
    "resolved_first_contact", "Resolved at the first contact",
    "how many of the support contacts were resolved at once", by=_CHANNEL, area=Area.SUPPORT, **_COUNT,
)  # fmt: skip
FAULTS = metric(
    "faults", "Faults reported", "how many faults of lines were reported", area=Area.SUPPORT, **_COUNT
)
STOCK_OPENING = metric(
    "stock_opening", "Stock at the start", "what the stock was worth at the start of the month",
    is_money=True, area=Area.STOCK, take=Take.FIRST,
)  # fmt: skip
STOCK_CLOSING = metric(
    "stock_closing", "Stock at the end", "what the stock was worth at the end of the month",
    is_money=True, area=Area.STOCK, take=Take.LAST,
)  # fmt: skip
COST_OF_GOODS = metric(
    "cost_of_goods_sold", "Cost of goods sold", "what the goods sold had cost",
    is_money=True, area=Area.STOCK, least=None,
)  # fmt: skip
SHIPPED = metric(
    "units_shipped", "Units shipped", "how many units were shipped", by=("item",), area=Area.STOCK, **_COUNT
)
RETURNED = metric(
    "units_returned", "Units returned", "how many of the units shipped came back, by the day they were shipped",
    by=("item",), area=Area.STOCK, **_COUNT,
)  # fmt: skip
OPERATING_COST = metric(
    "operating_cost", "Operating cost", "what running the business cost, by category",
    by=("category",), is_money=True, least=None,
)  # fmt: skip
CPI = metric(
    "cpi", "Consumer prices (CPI)", "the annual rate of the CPI, per cent, as published",
    area=Area.INDICES, least=None, take=Take.LAST,
)  # fmt: skip
RPI = metric(
    "rpi", "Retail prices (RPI)", "the annual rate of the RPI, per cent, as published",
    area=Area.INDICES, least=None, take=Take.LAST,
)  # fmt: skip
#: Written when a week of the monthly review is signed off or goes by; who reviews elsewhere enters them.
_REVIEW = {
    "area": Area.REVIEW,
    "by": ("week",),
    "keys": {"week": ("1", "2", "3", "4")},
    "split": True,
    **_COUNT,
}
REVIEW_WEEKS = metric(
    "review_weeks", "Weeks of the review done on time",
    "a line for each week of the monthly review that is over: 1 done on time, 0 not", each=True, **_REVIEW,
)  # fmt: skip
REVIEW_MINUTES = metric(
    "review_minutes",
    "Minutes spent on the review",
    "the minutes spent on each week of the monthly review",
    **_REVIEW,
)
