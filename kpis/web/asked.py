"""What a page, CSV or JSON of a KPI is asked for in its address: ?from=2025-10&to=2026-10&by=dealer&month=2026-10.

`per=quarter` or `per=year` takes longer periods, `on=2026-10-15` figures as of the end of a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from kpis.facts import months_between
from kpis.kpi import Kpi
from kpis.longer import LENGTHS
from kpis.reading import Reader
from kpis.sources import PEOPLE
from resellerkpi.core.access import Capability
from resellerkpi.core.periods import BadPeriod, add_months, parse_month

MOST = 120
USUAL = 25


@dataclass(frozen=True)
class Query:
    """Months from one to another, both included, the dimension ("" = none) and the month to look into."""

    months: list[date]
    by: str
    month: date | None
    per: str = "month"

    @property
    def until(self) -> date:
        """The first day after the months."""
        return add_months(self.months[-1], 1)


def hidden(reader: Reader) -> tuple[str, ...]:
    """Return the dimensions that are not for who reads."""
    return () if reader.scope.can(Capability.VIEW_PEOPLE) else PEOPLE


def read_query(kpi: Kpi, given: Mapping[str, str], reader: Reader) -> Query:
    """Read the address; raises BadPeriod or UnknownDimension with a sentence."""
    zone = reader.reseller.zone
    today = reader.today.replace(day=1)
    per = given.get("per") or "month"
    if per not in LENGTHS:
        raise BadPeriod(f"“per” is {', '.join(LENGTHS)}.")
    last = parse_month(given["to"], zone).start if given.get("to") else today
    first = parse_month(given["from"], zone).start if given.get("from") else add_months(last, 1 - USUAL)
    if last < first:
        raise BadPeriod("The last month must not be before the first one.")
    if first > today:
        raise BadPeriod("These months are still to come.")
    months = months_between(first, min(last, today))
    if len(months) > MOST:
        raise BadPeriod(f"Ask for {MOST} months or fewer.")
    looked = parse_month(given["month"], zone).start if given.get("month") else None
    by = kpi.dimension(given["by"], but=hidden(reader)) if given.get("by") else ""
    return Query(months, by, looked if looked in months else None, per)
