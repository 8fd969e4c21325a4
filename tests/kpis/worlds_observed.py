"""Random observations for the small books: lines of every metric a KPI reads, and a campaign that has a source."""

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from billing.models import Observation
from billing.observed import METRICS, Metric
from kpis.models import Campaign, KpiSettings
from resellerkpi.core.models import Reseller

KEYS = {
    "source": ["search", "print"], "campaign": ["radio", "fair"], "item": ["phone"], "stage": ["offer"],
    "channel": ["mail", "call"], "category": ["rent"], "order": ["A1", "A2", "A3"],
}  # fmt: skip
#: Scores there may be, whatever the scale in force.
SCORES = {"csat_responses": [str(n) for n in range(1, 11)]}
OBSERVED = [m for m in METRICS if m.slug not in ("marketing_spend", "cpi", "rpi")]
DAYS = st.sampled_from(
    [date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 9), date(2026, 5, 20), date(2026, 5, 21)]
)


def places(of: Metric) -> list[tuple[str, str]]:
    """Return where a line of a metric may stand."""
    found = [] if of.split else [("", "")]
    fixed = SCORES.get(of.slug)
    return found + [(name, key) for name in of.by for key in fixed or of.keys.get(name) or KEYS[name]]


@st.composite
def line(draw: Any) -> tuple[Any, ...]:
    """A line: (metric, day, dimension, key, value, currency)."""
    of = draw(st.sampled_from(OBSERVED))
    dimension, key = draw(st.sampled_from(places(of)))
    value = Decimal(draw(st.integers(0, 40)))
    if not of.whole:
        value += Decimal(draw(st.integers(0, 99))) / 100
    currency = draw(st.sampled_from(["", "EUR"])) if of.has_currency else ""
    return of.slug, draw(DAYS), dimension, key, value, currency


#: Lines of different places and days; few, so that months without any are common.
lines = st.lists(line(), max_size=25, unique_by=lambda x: (x[0], x[1], x[2], x[3], x[5]))
#: Settings a house may have chosen; the usual ones are left out.
chosen = st.fixed_dictionaries(
    {}, optional={"csat_scale": st.just("1-10"), "mrr_suspended": st.just("leave_out")}
)


def load(observed: list[tuple[Any, ...]], reseller: Reseller, settings: dict[str, Any]) -> None:
    """Write the lines, the source of the campaign on the radio, and how the house counts."""
    if settings:
        KpiSettings.objects.create(reseller=reseller, **settings)
    Campaign.objects.create(reseller=reseller, name="radio", source="print")
    Observation.objects.bulk_create(
        Observation(
            reseller=reseller,
            metric=metric,
            date=day,
            dimension=dimension,
            key=key,
            value=value,
            currency=currency,
        )
        for metric, day, dimension, key, value, currency in observed
    )
