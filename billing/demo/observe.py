"""What billing cannot know, for the demo: marketing spend and response per campaign, visits, leads, support."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from random import Random

from django.apps import apps

from billing.demo.observe_more import Told, more, order_times
from billing.demo.plan import CustomerPlan
from billing.demo.shape import Calendar, House, stream
from billing.demo.words import CAMPAIGNS
from billing.models import Observation
from billing.observed import METRICS
from resellerkpi.core.models import Reseller

SOURCES = (("Organic search", 900), ("Paid search", 260), ("Referral", 90), ("Direct", 510))
#: Where the people of each campaign come from.
COME_FROM = {
    "Web search": "Paid search",
    "Spring mailing": "Post",
    "Trade fair": "Events",
    "Referral scheme": "Referral",
    "Local radio": "Radio",
}
#: Monthly spend per campaign in pounds; those that cost only in some months name them.
SPEND = {
    "Web search": (620, range(1, 13)),
    "Spring mailing": (1450, (3, 4)),
    "Trade fair": (2900, (10,)),
    "Referral scheme": (140, range(1, 13)),
    "Local radio": (980, (1, 2, 9)),
}


#: The rise of consumer prices on a year before, per cent, by month; retail prices rose a little more.
CPI = ("3.0", "2.8", "2.6", "3.5", "3.4", "3.6", "3.8", "3.8", "3.8", "3.6", "3.2", "3.4")


def store_observations(
    reseller: Reseller, house: House, calendar: Calendar, plans: list[CustomerPlan], seed: int
) -> int:
    """Write the observations of every month; return how many."""
    random, others = stream(seed, house.code, "observations"), stream(seed, house.code, "observed too")
    orders = stream(seed, house.code, "order times")
    scale = Decimal(house.size.customers) / 238
    told: list[Told] = []
    for index, month in enumerate(calendar.months):
        told += _month(random, house, index, month, plans)
        told += more(others, index, month, scale, won_by(plans, month))
        told += order_times(orders, month, scale)
    rows = [
        Observation(
            reseller=reseller,
            metric=metric,
            date=day,
            dimension=dimension,
            key=key,
            value=value,
            currency="GBP" if METRICS.get(metric).is_money else "",
        )
        for metric, day, dimension, key, value in told
    ]
    Observation.objects.bulk_create(rows, batch_size=2000)
    campaigns = apps.get_model("kpis", "Campaign")
    campaigns.objects.bulk_create(
        campaigns(reseller_id=reseller.pk, name=name, source=source) for name, source in COME_FROM.items()
    )
    return len(rows)


def won_by(plans: list[CustomerPlan], month: date) -> dict[str, int]:
    """Return how many customers each campaign won in a month."""
    begun = [plan.campaign for plan in plans if plan.start.replace(day=1) == month]
    return {campaign: begun.count(campaign) for campaign in CAMPAIGNS}


def _month(
    random: Random, house: House, index: int, month: date, plans: list[CustomerPlan]
) -> Iterator[tuple[str, date, str, str, Decimal]]:
    scale = Decimal(house.size.customers) / 238
    for campaign, (spend, months) in SPEND.items():
        if month.month in months:
            noise = Decimal(random.randint(88, 115)) / 100
            value = (Decimal(spend) * scale * noise).quantize(Decimal("0.01"))
            yield "marketing_spend", month, "campaign", campaign, value
            yield "impressions", month, "campaign", campaign, Decimal(int(value) * random.randint(35, 60))
            yield "clicks", month, "campaign", campaign, Decimal(int(value) // random.randint(2, 4))
    for source, visits in SOURCES:
        seen = int(scale * visits * (100 + 2 * index) * random.randint(85, 115) / 10_000)
        yield "visits", month, "source", source, Decimal(seen)
    for campaign, mine in won_by(plans, month).items():
        leads = mine * random.randint(3, 6) + random.randint(0, 2)
        if leads:
            yield "leads", month, "campaign", campaign, Decimal(leads)
            yield "leads_won", month, "campaign", campaign, Decimal(mine)
            yield "visits", month, "campaign", campaign, Decimal(leads * random.randint(9, 14))
    yield "cpi", month, "", "", Decimal(CPI[month.month - 1])
    yield "rpi", month, "", "", Decimal(CPI[month.month - 1]) + Decimal("0.7")
