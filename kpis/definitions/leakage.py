"""Revenue that leaks: calls without a price, calls under their cost, old tariffs, debt written off; and usage files."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, flow, kpi, stock
from kpis.sources import BOOK, TRAFFIC_COUNT, Source
from resellerkpi.core.access import Capability

FAILED = "CASE WHEN r.state = 'error' THEN {} ELSE 0 END"
#: Calls without a price, at the mean price of their destination in the month, else of their service; calls that lost;
#: what the register says is provided and not billed, a month, from its first month up to the day it was closed.
LEAKED = Source(
    "leaked",
    " ".join(
        [
            "(SELECT u.month, u.day, 'unrated' AS cause, %(home)s::text AS currency,",
            "round(u.units * coalesce(p.retail / nullif(p.units, 0), q.retail / nullif(q.units, 0), 0), 6) AS amount",
            "FROM (SELECT month, day, service, destination,",
            "sum(CASE service WHEN 'voice' THEN seconds ELSE calls END) AS units FROM trafficfact",
            "WHERE state = 'error' GROUP BY 1, 2, 3, 4) u LEFT JOIN (SELECT month, service, destination,",
            "sum(retail) AS retail, sum(CASE service WHEN 'voice' THEN seconds ELSE calls END) AS units",
            "FROM trafficfact WHERE state = 'rated' AND destination <> '' AND currency = %(home)s GROUP BY 1, 2, 3) p",
            "ON p.month = u.month AND p.service = u.service AND p.destination = u.destination LEFT JOIN (",
            "SELECT month, service, sum(retail) AS retail,",
            "sum(CASE service WHEN 'voice' THEN seconds ELSE calls END) AS units FROM trafficfact",
            "WHERE state = 'rated' AND currency = %(home)s GROUP BY 1, 2) q",
            "ON q.month = u.month AND q.service = u.service",
            "UNION ALL SELECT month, day, 'under_price', currency, lost FROM usagefact WHERE lost <> 0",
            "UNION ALL SELECT d.month, d.day, 'unbilled', f.currency, f.money_per_month FROM days d",
            "JOIN billing_finding f ON f.reseller_id = %(reseller)s AND f.family = 'leakage'",
            "AND f.check_slug IN ('missing_recurring', 'free_by_mistake') AND f.money_per_month > 0",
            "AND f.period <= d.day AND (f.closed_at IS NULL OR (f.closed_at AT TIME ZONE %(zone)s)::date > d.day)",
            "WHERE d.asked UNION ALL SELECT month, day, 'written_off', currency, written_off FROM moneyfact",
            "WHERE %(leakage_write_offs)s AND written_off <> 0)",
        ]
    ),
    ("trafficfact", "usagefact", "moneyfact"),
    "r.currency",
    {"cause": "r.cause"},
    of_customers=False,
)
#: Usage files loaded in the month; made anew with the facts of calls, as a file brings them.
FILES = Source(
    "usage_files",
    "(SELECT d.month, d.day, v.code AS carrier, f.rows, f.duplicates, f.rejects,"
    " round((extract(epoch FROM f.loaded_at - f.last_call_at) / 86400)::numeric, 6) AS waited,"
    " (f.last_call_at IS NOT NULL)::int AS timed FROM days d"
    " JOIN (SELECT *, (loaded_at AT TIME ZONE %(zone)s)::date AS loaded FROM billing_cdrfile"
    " WHERE reseller_id = %(reseller)s AND state = 'loaded') f ON {f.loaded} = d.month AND f.loaded <= d.day"
    " JOIN billing_carrier v ON v.id = f.carrier_id AND v.reseller_id = %(reseller)s WHERE d.asked)",
    ("trafficfact",),
    own={"carrier": "r.carrier"},
    of_customers=False,
)
#: Days on which a carrier that has to be heard of before a bill run sent no call, once its delay is over.
SILENT = Source(
    "silent_days",
    "(SELECT d.month, d.day, v.code AS carrier FROM days d JOIN billing_carrier v ON v.reseller_id = %(reseller)s"
    " AND v.required_for_run JOIN (SELECT f.carrier_id, min(k.day::date) AS first FROM billing_cdrfile f"
    " CROSS JOIN LATERAL jsonb_object_keys(f.days) k (day) WHERE f.reseller_id = %(reseller)s"
    " AND f.state = 'loaded' GROUP BY 1) b ON b.carrier_id = v.id"
    " CROSS JOIN LATERAL generate_series(greatest(d.month, b.first), d.day - v.cdr_delay_days, '1 day') s (at)"
    " WHERE d.asked AND NOT EXISTS (SELECT 1 FROM billing_cdrfile f WHERE f.reseller_id = %(reseller)s"
    " AND f.carrier_id = v.id AND f.state = 'loaded' AND f.days ? s.at::date::text))",
    ("trafficfact",),
    own={"carrier": "r.carrier"},
    of_customers=False,
)
#: Active customers of which some calls are priced by a tariff that another has replaced.
OUTDATED = Source(
    "outdated",
    "(SELECT DISTINCT d.month, d.day, x.customer_id FROM days d JOIN billing_tariffassignment s"
    " ON s.reseller_id = %(reseller)s AND s.start_date <= d.day AND (s.end_date IS NULL OR s.end_date > d.day)"
    " JOIN billing_tariff t ON t.reseller_id = %(reseller)s AND t.id = s.tariff_id AND t.superseded_on <= d.day"
    " LEFT JOIN billing_numberassignment n ON n.reseller_id = %(reseller)s AND n.number_id = s.number_id"
    " AND n.start_date <= d.day AND (n.end_date IS NULL OR n.end_date > d.day)"
    " JOIN account a ON a.id = coalesce(s.customer_id, n.customer_id)"
    " JOIN customerfact x ON x.month = d.month AND x.customer_id = a.holder AND x.active WHERE d.asked)",
    ("customerfact",),
)


@kpi(
    name="Calls without a price",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("error", "carrier", "service"),
    sources="SAFE",
)
def unrated_calls() -> Shape:
    """Number of calls of the month that could not be priced, by what was missing."""
    return flow(Part(TRAFFIC_COUNT, FAILED.format("r.calls")))


@kpi(
    name="Share of calls without a price",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier", "service"),
    sources="SAFE",
)
def cdr_error_rate() -> Shape:
    """Calls of the month that could not be priced ÷ all calls of the month, whosever they are."""
    return flow(Part(TRAFFIC_COUNT, FAILED.format("r.calls")), Part(TRAFFIC_COUNT, "r.calls"))


@kpi(
    name="Share of seconds without a price",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier", "service"),
    small_base=False,
)
def unrated_rate() -> Shape:
    """Seconds of the month's calls that could not be priced ÷ seconds of all of them.

    A priced call counts its billed seconds, any other its duration.
    """
    return flow(Part(TRAFFIC_COUNT, FAILED.format("r.seconds")), Part(TRAFFIC_COUNT, "r.seconds"))


@kpi(
    name="Share of duplicate records",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier",),
)
def duplicate_rate() -> Shape:
    """Records that were there already ÷ all records, of the usage files loaded in the month."""
    return flow(Part(FILES, "r.duplicates"), Part(FILES, "r.rows"))


@kpi(
    name="Share of records that cannot be read",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier",),
)
def reject_rate() -> Shape:
    """Records refused as they cannot be read ÷ all records, of the usage files loaded in the month."""
    return flow(Part(FILES, "r.rejects"), Part(FILES, "r.rows"))


@kpi(
    name="Age of usage when it is priced",
    family=Family.MARGIN,
    unit=Unit.DAYS,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=("carrier",),
)
def rating_latency() -> Shape:
    """Mean days from the last call in a usage file to the time the file was loaded, over files loaded in the month."""
    return flow(
        Part(FILES, "CASE WHEN r.timed = 1 THEN r.waited ELSE 0 END"),
        Part(FILES, "r.timed"),
    )


@kpi(
    name="Days without usage of a carrier",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("carrier",),
    sources="SAFE",
)
def missing_files() -> Shape:
    """Number of days of the month for which a carrier that bills have to wait for has sent no call.

    From its first day of usage on, and only days older than the delay its files have.
    """
    return flow(Part(SILENT, "1"))


@kpi(
    name="Customers on old tariffs",
    family=Family.MARGIN,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="SAFE",
)
def old_tariff_customers() -> Shape:
    """Active customers at the close with a tariff, of their own or of a number they hold, that another has replaced."""
    return stock(Part(OUTDATED, "1"))


@kpi(
    name="Revenue leaked",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=2,
    by=("cause",),
    estimate=True,
    settings=("leakage_write_offs",),
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def leakage_total() -> Shape:
    """Calls without a price, at what their destination brought + calls’ loss under cost + services not billed.

    The first is estimated: seconds (messages, sessions) × mean price of the priced calls of that destination in the
    month, of the service where none was priced; a call is in one of the first two only. Services that are provided and
    not billed, or free by mistake, count a month’s price each from the month in which it began, as long as the register
    has not closed them by the month’s end; one found later counts in the months before, too. Debt written off in the
    month is added where the setting says so.
    """
    return flow(Part(LEAKED, "r.amount"))


def _leaked(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, None]:
    """Return what leaked over what should have been billed."""
    (leaked, _), (billed, _) = needed
    return leaked, billed + leaked, None


@kpi(
    name="Share of revenue leaked",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
    small_base=False,
    estimate=True,
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
    published=("Telephone companies without checks: 1 to 5 % of revenue",),
)
def leakage_pct() -> Shape:
    """Revenue leaked ÷ (net invoiced in the month + revenue leaked): of what should have been billed."""
    return derived("flow", Need("leakage_total"), Need("net_invoiced"), combine=_leaked)


def _over(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, None]:
    """Return the first over the second."""
    (top, _), (bottom, _) = needed
    return top, bottom, None


@kpi(
    name="Share of invoices written off",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def write_off_rate() -> Shape:
    """Written off in the last twelve months ÷ invoiced with VAT in them."""
    return derived(
        "flow", Need("write_offs", months=12), Need("total_invoiced_gross", months=12), combine=_over
    )
