"""What billing cannot know, for the demo: sales from quote to delivery, surveys, support by channel, stock, costs."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from resellerkpi.core.periods import add_months

Told = tuple[str, date, str, str, Decimal]
#: Products sold by order: name, price, how many of ten orders hold one.
PRODUCTS = (("Hosted lines", 240, 6), ("Broadband", 380, 3), ("Handsets", 130, 4))
#: Channels of support: share of the contacts in per cent, seconds to handle one, seconds to the first response.
CHANNELS = (("phone", 58, 340, 45), ("e-mail", 30, 520, 9800), ("chat", 12, 410, 70))
#: Categories of operating cost: share in per cent.
CATEGORIES = (("Salaries", 62), ("Premises", 12), ("Software", 11), ("Vehicles", 8), ("Professional fees", 7))
#: How often each score is given, of a hundred answers.
CSAT = ((5, 41), (4, 34), (3, 13), (2, 7), (1, 5))
NPS = ((10, 24), (9, 19), (8, 22), (7, 14), (6, 7), (5, 6), (3, 4), (0, 4))


def more(random: Random, index: int, month: date, scale: Decimal, won: Mapping[str, int]) -> Iterator[Told]:
    """Yield the lines of a month in which campaigns won so many customers."""
    yield from _sales(random, month, scale, won)
    yield from _answers(random, month, scale)
    yield from _support(random, month, scale)
    costs = int(scale * random.randint(5200, 6100)) + 400
    for category, share in CATEGORIES:
        yield "operating_cost", month, "category", category, Decimal(costs * share) / 100
    opening, closing = _stock(index, scale), _stock(index + 1, scale)
    sold = opening + int(scale * random.randint(1400, 1900)) + 60 - closing
    yield "stock_opening", month, "", "", Decimal(opening)
    yield "stock_closing", add_months(month, 1) - timedelta(days=1), "", "", Decimal(closing)
    yield "cost_of_goods_sold", month, "", "", Decimal(sold)
    units = max(sold // 45, 2)
    yield "units_shipped", month, "item", "Handsets", Decimal(units)
    yield "units_returned", month, "item", "Handsets", Decimal(units * random.randint(2, 9) // 100)


def order_times(random: Random, month: date, scale: Decimal) -> Iterator[Told]:
    """Yield how long each order of a month took, each port, and how old those still open at its end are."""
    last = add_months(month, 1) - timedelta(days=1)
    for metric, letter, many, least, most in (
        ("provisioning_days", "P", 14, 2, 21), ("port_in_days", "N", 6, 1, 16), ("open_order_days", "O", 5, 1, 45),
    ):  # fmt: skip
        for number in range(1, int(scale * many) + random.randint(2, 4)):
            day = last if metric == "open_order_days" else month + timedelta(days=random.randint(0, 27))
            key = f"{letter}{month:%y%m}-{number:02}"
            yield metric, day, "order", key, Decimal(random.randint(least, most))


def _answers(random: Random, month: date, scale: Decimal) -> Iterator[Told]:
    for metric, spread, size in (("csat_responses", CSAT, 90), ("nps_responses", NPS, 60)):
        for score, share in spread:
            count = int(scale * size * share * random.randint(70, 130) / 10_000) + (share > 20)
            yield metric, month, "score", str(score), Decimal(count)


def _support(random: Random, month: date, scale: Decimal) -> Iterator[Told]:
    contacts = int(scale * random.randint(95, 140)) + 6
    for channel, share, handling, response in CHANNELS:
        many = max(contacts * share // 100, 1)
        yield "support_contacts", month, "channel", channel, Decimal(many)
        yield (
            "handling_seconds",
            month,
            "channel",
            channel,
            Decimal(many * random.randint(handling - 40, handling)),
        )
        yield "first_response_seconds", month, "channel", channel, Decimal(many * response)
        yield "contacts_resolved", month, "channel", channel, Decimal(many - many // 12)
        yield (
            "resolved_first_contact",
            month,
            "channel",
            channel,
            Decimal(many * random.randint(64, 78) // 100),
        )
    yield "faults", month, "", "", Decimal(int(scale * random.randint(12, 25)) + 1)


def _stock(index: int, scale: Decimal) -> int:
    """Return what the stock is worth at the start of a month: it swings over half a year."""
    return int(scale * (3200 + 260 * abs(index % 6 - 3))) + 90


def _sales(random: Random, month: date, scale: Decimal, won: Mapping[str, int]) -> Iterator[Told]:
    """Yield quotes and orders by campaign: who was won ordered, and some who are customers already did."""
    sold = 0
    for campaign in ("", *won):
        own = int(scale * random.randint(8, 16)) + 2 if not campaign else won[campaign]
        place = ("campaign", campaign) if campaign else ("", "")
        sold += own
        yield "orders", month, *place, Decimal(own)
        yield "quotes", month, *place, Decimal(own * 2 + random.randint(0, 1))
    for product, price, often in PRODUCTS:
        many = Decimal(max(sold * often // 13, 1) * price * random.randint(80, 130)) / 100
        yield "order_value", month, "item", product, many
    yield "deals_lost", month, "", "", Decimal(sold * random.randint(6, 11) // 10)
    yield "sales_cycle_days", month, "", "", Decimal(sold * random.randint(14, 24))
    for stage, worth in (("Quoted", 2600), ("Negotiating", 1400)):
        yield (
            "pipeline_value",
            month,
            "stage",
            stage,
            Decimal(int(scale * worth * random.randint(70, 130)) // 100),
        )
    for number in range(1, sold + 1):
        day = month + timedelta(days=1 + number * 26 // (sold + 1))
        yield "delivery_hours", day, "order", f"{month:%y%m}-{number:02}", Decimal(random.randint(40, 260))
    yield "delivered_on_time", month, "", "", Decimal(sold - sold // 8)
