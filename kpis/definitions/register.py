"""The leakage register month by month: what was found, what came back, what stands open and how long already."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import Source
from resellerkpi.core.access import Capability

#: Every event of a leak that moved something, on its day, with the check and the keys of the customer, if it has one.
_EVENTS = " ".join(
    [
        "(SELECT (e.at AT TIME ZONE %(zone)s)::date AS moved_on, e.kind, e.money_moved, e.count_moved,",
        "coalesce(e.since, (e.at AT TIME ZONE %(zone)s)::date) AS since,",
        "coalesce(e.amount, 0) AS amount, f.check_slug AS leak, f.currency, coalesce(a.dealer, '') AS dealer,",
        "coalesce(a.client_type, '') AS client_type, coalesce(a.segment, '') AS segment,",
        "coalesce(a.region, '') AS region FROM billing_findingevent e JOIN billing_finding f ON f.id = e.finding_id",
        "AND f.reseller_id = %(reseller)s AND f.family = 'leakage' LEFT JOIN account a ON a.id = f.customer_id",
        "WHERE e.reseller_id = %(reseller)s",
        "AND (e.money_moved <> 0 OR e.count_moved <> 0 OR e.kind = 'recovered'))",
    ]
)
_WHOSE = {
    "leak": "r.leak",
    "dealer": "r.dealer",
    "client_type": "r.client_type",
    "segment": "r.segment",
    "region": "r.region",
}
BY = tuple(_WHOSE)
_MOVES = (
    f"(SELECT d.month, d.day, x.* FROM days d JOIN {_EVENTS} x"  # noqa: S608  our own rows
    " ON {x.moved_on} = d.month AND x.moved_on <= d.day WHERE d.asked{paid})"
)
_UP_TO = (
    f"(SELECT d.month, d.day, d.day - x.since AS days, x.* FROM days d JOIN {_EVENTS} x"  # noqa: S608  our own rows
    " ON x.moved_on <= d.day WHERE d.asked{paid})"
)
_PAID = " AND x.currency <> ''"
_AGE = "CASE WHEN r.days <= 30 THEN '0-30' WHEN r.days <= 60 THEN '31-60' WHEN r.days <= 90 THEN '61-90' ELSE '91+' END"
#: What moved in the month; what all events up to the close add up to, which is what stands open then.
MOVES = Source("leak_moves", _MOVES.replace("{paid}", ""), own=_WHOSE, of_customers=False)
MOVES_MONEY = Source(
    "leak_moves_money", _MOVES.replace("{paid}", _PAID), (), "r.currency", _WHOSE, of_customers=False
)
STANDING = Source(
    "leaks_standing", _UP_TO.replace("{paid}", ""), own=_WHOSE | {"open_for": _AGE}, of_customers=False
)
STANDING_MONEY = Source(
    "leaks_standing_money",
    _UP_TO.replace("{paid}", _PAID),
    (),
    "r.currency",
    STANDING.own,
    of_customers=False,
)


@kpi(
    name="Leaks found",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=BY,
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def leaks_found() -> Shape:
    """Money to date of the leaks found in the month, or found again, + what those that stood open grew by in it.

    A leak that had been got back and goes on counts with what it has cost since. An acceptance that ends is no find.
    """
    return flow(
        Part(
            MOVES_MONEY,
            "CASE WHEN r.kind IN ('opened', 'reopened', 'changed') THEN greatest(r.money_moved, 0) ELSE 0 END",
        )
    )


@kpi(
    name="Number of leaks found",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=BY,
    needs=Capability.VIEW_MARGIN,
)
def leaks_found_count() -> Shape:
    """Leaks that the checks found in the month, or found again after they had been closed."""
    return flow(Part(MOVES, "(r.kind IN ('opened', 'reopened'))::int"))


@kpi(
    name="Leaked money got back",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BY,
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def leaks_recovered() -> Shape:
    """Σ money noted in the month as got back of leaks, whenever they were found."""
    return flow(Part(MOVES_MONEY, "CASE WHEN r.kind = 'recovered' THEN r.amount ELSE 0 END"))


@kpi(
    name="Leaks closed otherwise",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=BY,
    needs=Capability.VIEW_MARGIN,
)
def leaks_closed() -> Shape:
    """Open money that went in the month without being got back: open at the start + found − got back − open at the end.

    Leaks that are no longer found, that shrank, or of which less came back than was open; accepted ones, less those
    whose acceptance ended. Money that comes back after its leak was closed is taken off again, so it may be negative.
    """
    return flow(
        Part(
            MOVES_MONEY,
            "CASE r.kind WHEN 'opened' THEN 0 WHEN 'reopened' THEN 0 WHEN 'changed' THEN greatest(-r.money_moved, 0)"
            " WHEN 'recovered' THEN -r.money_moved - r.amount ELSE -r.money_moved END",
        )
    )


@kpi(
    name="Money in open leaks",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=(*BY, "open_for"),
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def leaks_open() -> Shape:
    """What the leaks open at the close have cost to date, at least, without what has come back of them.

    Accepted leaks are not open. As the register stood on that day: what was found later of earlier months counts from
    the day it was found. By age it is told how long ago each was found, this time.
    """
    return stock(Part(STANDING_MONEY, "r.money_moved"))


@kpi(
    name="Open leaks",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=(*BY, "open_for"),
    needs=Capability.VIEW_MARGIN,
)
def leaks_open_count() -> Shape:
    """Number of leaks in the register that are open at the close; accepted ones are not."""
    return stock(Part(STANDING, "r.count_moved"))


@kpi(
    name="Age of open leaks",
    family=Family.MARGIN,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BY,
    small_base=False,
    needs=Capability.VIEW_MARGIN,
)
def leaks_age() -> Shape:
    """Mean days from the day a leak was found, this time, to the close, over the leaks open at the close."""
    return stock(Part(STANDING, "r.count_moved * r.days"), Part(STANDING, "r.count_moved"))
