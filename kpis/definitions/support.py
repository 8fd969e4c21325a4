"""Support: how much is asked, how fast and how well it is answered."""

from billing.observed import CONTACTS, FAULTS, FIRST_RESPONSE, HANDLING, RESOLVED, RESOLVED_FIRST
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, entered, kpi
from kpis.sources import CUSTOMERS, NUMBERS, observations

HANDLED = Part(observations(CONTACTS), "r.value")
CHANNEL = ("channel",)


@kpi(
    name="Support contacts",
    family=Family.VOICE,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=CHANNEL,
)
def support_contacts() -> Shape:
    """Σ calls, mails and tickets support handled in the month, as entered or uploaded; by channel."""
    return entered(HANDLED)


@kpi(
    name="Support contacts per 100 customers",
    family=Family.VOICE,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=CHANNEL,
)
def contacts_per_100_customers() -> Shape:
    """100 × support contacts of the month ÷ active customers at its close."""
    return entered(Part(observations(CONTACTS), "100 * r.value"), Part(CUSTOMERS, "r.active::int"))


@kpi(
    name="Average handle time",
    family=Family.VOICE,
    unit=Unit.SECONDS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=CHANNEL,
    sources="reseller performance metrics",
)
def aht() -> Shape:
    """Seconds of talk, hold and wrap-up ÷ contacts handled: 965,664 s over 4,311 contacts is 224 s."""
    return entered(Part(observations(HANDLING), "r.value"), HANDLED)


@kpi(
    name="Time to the first response",
    family=Family.VOICE,
    unit=Unit.SECONDS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=CHANNEL,
)
def first_response_time() -> Shape:
    """Seconds until somebody answered, added over the month's contacts, ÷ contacts."""
    return entered(Part(observations(FIRST_RESPONSE), "r.value"), HANDLED)


@kpi(
    name="Contacts resolved",
    family=Family.VOICE,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=CHANNEL,
)
def resolution_rate() -> Shape:
    """Contacts resolved ÷ contacts handled in the month; it exceeds 100 % when a backlog is worked off."""
    return entered(Part(observations(RESOLVED), "r.value"), HANDLED)


@kpi(
    name="Resolved at the first contact",
    family=Family.VOICE,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=CHANNEL,
)
def first_contact_resolution() -> Shape:
    """Contacts resolved at once, without a second one, ÷ contacts handled in the month."""
    return entered(Part(observations(RESOLVED_FIRST), "r.value"), HANDLED)


@kpi(
    name="Faults per 100 numbers",
    family=Family.VOICE,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
)
def fault_rate() -> Shape:
    """100 × faults reported in the month ÷ numbers customers have at its close."""
    return entered(Part(observations(FAULTS), "100 * r.value"), Part(NUMBERS, "r.held"))
