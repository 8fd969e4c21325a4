"""What KPIs sum: rows of facts or of dated billing tables, with the dimensions each can be split by.

The SQL of a source may use `days` (month, day, past, asked), `account`, its fact tables, the settings as parameters,
{a.date} for the first day of a date's bucket, {last 2} for each month asked for with each of the last two months as
`at`, and {mine a.customer_id} for the narrowing to changed customers.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.observed import Metric, Take
from kpis.facts_sql import FACTS

#: Dimensions that come from the customer of a row: SQL over the aliases of `compute`.
CUSTOMER_DIMENSIONS = {
    "status": "coalesce(f.status, c.status)",
    "dealer": "c.dealer",
    "segment": "c.segment",
    "client_type": "c.client_type",
    "campaign": "c.campaign",
    "region": "c.region",
    "manager": "c.manager",
}
BOOK = ("status", "dealer", "client_type", "segment", "region")
#: Dimensions in which a customer may stand under several keys: their rows do not add up to the total.
LISTS = ("tag", "package")
#: Dimensions whose keys are people: for who may see personal details, and for no key of a machine.
PEOPLE = ("manager",)
#: Tables of billing whose changes make everything anew: rows that join only these follow from facts.
CATALOGUE = {"featuretype", "carrier", "customer"}
#: Months that reach back to the beginning of any book.
ALWAYS = 120


@dataclass(frozen=True)
class Source:
    """Rows `r` with month, day and, unless it is not of customers, customer_id; `currency` is SQL, "" for counts.

    `window`: how many months of facts before the one looked at its rows read; a name is a setting of so many months.
    `item`: what a distribution is over; `counts_zero` says that those of value 0 are among them. `ago`: the setting of
    how many months before its observations are read.
    `adds_up` is False when a customer's row depends on other customers, so that a change is not a difference.
    """

    name: str
    rows: str
    tables: tuple[str, ...] = ()
    currency: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    of_customers: bool = True
    window: int | str = 0
    item: str = "r.customer_id"
    counts_zero: bool = False
    metric: str = ""
    ago: str = ""
    adds_up: bool = True

    def column(self, dimension: str) -> str | None:
        """Return the SQL of a dimension, None when the source cannot be split by it."""
        if dimension in self.own:
            return self.own[dimension]
        return CUSTOMER_DIMENSIONS.get(dimension) if self.of_customers else None

    @property
    def is_difference(self) -> bool:
        """Whether what a customer gave before can still be read: its rows are of facts, and each is its own."""
        return (
            self.adds_up and self.of_customers and set(re.findall(r"billing_(\w+)", self.rows)) <= CATALOGUE
        )

    def fingerprint(self) -> str:
        """Return a hash of the SQL behind the rows."""
        own = repr(sorted(self.own.items()))
        texts = [self.rows, self.currency, own, str(self.window), self.item, *(FACTS[t] for t in self.tables)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def trailing(table: str, months: int, columns: str) -> str:
    """Return rows that hold a fact's rows of the last `months` months under the month looked at."""
    of_each = [f"FROM {{last {months}}} d JOIN", table, "x ON x.month = d.at)"]
    return " ".join(["(SELECT d.month, d.day, x.customer_id,", columns, *of_each])


def tagged(source: Source) -> Source:
    """Return a source's rows once under each tag of the customer, under "" where it has none."""
    return Source(
        f"{source.name}_tagged",
        " ".join(
            [
                "(SELECT x.*, coalesce(g.tag, '') AS tag FROM",
                source.rows,
                "x JOIN account ON account.id = x.customer_id LEFT JOIN LATERAL unnest(account.tags) g (tag) ON true)",
            ]
        ),
        source.tables,
        source.currency,
        {"tag": "r.tag"},
        window=source.window,
    )


def packaged(source: Source) -> Source:
    """Return a source's rows once under each package the customer has at the close, under "" where it has none."""
    return Source(
        f"{source.name}_packaged",
        " ".join(
            [
                "(SELECT x.*, coalesce(g.package, '') AS package FROM",
                source.rows,
                "x JOIN account ON account.id = x.customer_id LEFT JOIN (SELECT DISTINCT y.month, a.holder,",
                "t.code AS package FROM featurefact y JOIN account a ON a.id = y.customer_id",
                "JOIN billing_featuretype t ON t.id = y.feature_type_id AND t.reseller_id = %(reseller)s",
                "AND t.kind = 'package' WHERE y.quantity > 0) g ON g.month = x.month AND g.holder = account.holder)",
            ]
        ),
        tuple(dict.fromkeys([*source.tables, "featurefact"])),
        source.currency,
        {"package": "r.package"},
        window=source.window,
    )


def moving(table: str, months: int, value: str, name: str) -> str:
    """Return one row per customer and currency: the sum of a value over the last `months` months, where it has rows.

    Every customer stands in every month, so that the sum moves on from month to month instead of being made anew.
    """
    return " ".join(
        [
            "(SELECT y.month, y.day, y.customer_id, y.currency, y.total AS",
            name,
            "FROM (SELECT w.month, w.day, w.asked, w.customer_id, w.currency,",
            f"sum({value}) OVER past AS total,",
            "count(x.customer_id) OVER past AS held FROM (SELECT d.*, h.customer_id, h.currency FROM days d CROSS JOIN",
            "(SELECT DISTINCT customer_id, currency FROM",
            table,
            ") h) w LEFT JOIN",
            table,
            "x ON x.month = w.month AND x.customer_id = w.customer_id AND x.currency = w.currency",
            "WINDOW past AS (PARTITION BY w.customer_id, w.currency ORDER BY w.month",
            f"RANGE BETWEEN interval '{months} months -1 day' PRECEDING AND CURRENT ROW)) y",
            "WHERE y.asked AND y.held > 0)",
        ]
    )


_BAND = """CASE WHEN r.numbers = 0 THEN '0' WHEN r.numbers = 1 THEN '1' WHEN r.numbers <= 5 THEN '2-5'
    WHEN r.numbers <= 20 THEN '6-20' ELSE '21+' END"""
CUSTOMERS = Source(
    "customers", "customerfact", ("customerfact",), own={"reason": "r.reason", "numbers": _BAND}
)
#: The same customers, each counted under its own currency: the base of money per customer.
CUSTOMERS_BY_CURRENCY = Source("customers_by_currency", "customerfact", ("customerfact",), "c.currency")
#: A customer's numbers now and at the three closes before: null where it was not a customer yet.
FADING = Source(
    "fading",
    "(SELECT d.month, d.day, x.customer_id, bool_or(x.active) FILTER (WHERE ago = 0) AS active,"
    " max(x.numbers) FILTER (WHERE ago = 0) AS n0, coalesce(max(x.numbers) FILTER (WHERE ago = 1), 0) AS n1,"
    " coalesce(max(x.numbers) FILTER (WHERE ago = 2), 0) AS n2,"
    " coalesce(max(x.numbers) FILTER (WHERE ago = 3), 0) AS n3"
    " FROM days d CROSS JOIN generate_series(0, 3) ago"
    " JOIN customerfact x ON x.month = (d.month - make_interval(months => ago))::date"
    " WHERE d.asked GROUP BY 1, 2, 3)",
    ("customerfact",),
    window=3,
)
MONEY = Source("money", "moneyfact", ("moneyfact",), "r.currency")
MONEY_COUNT = Source("money_count", "moneyfact", ("moneyfact",))
#: Money of the last twelve months, the month looked at included.
MONEY_YEAR = Source(
    "money_year",
    moving("moneyfact", 12, "x.net - x.credited_net", "net"),
    ("moneyfact",),
    "r.currency",
    window=11,
)
DEBT = Source(
    "debt",
    "(SELECT m.month, m.day, m.customer_id, m.currency, b.bucket, b.amount FROM moneyfact m CROSS JOIN LATERAL"
    " (VALUES ('not_due', m.not_due), ('days_1_30', m.late_30), ('days_31_60', m.late_60), ('days_61_90', m.late_90),"
    " ('days_over_90', m.late_more)) b (bucket, amount))",
    ("moneyfact",),
    "r.currency",
    {"bucket": "r.bucket"},
)
LINES = Source(
    "lines", "linefact", ("linefact",), "r.currency", {"kind": "r.kind", "call_class": "r.call_class"}
)
#: The same numbers under their customer's currency: the base of money per number.
NUMBERS_BY_CURRENCY = Source("numbers_by_currency", "numberfact", ("numberfact",), "c.currency")
NUMBERS = Source("numbers", "numberfact", ("numberfact",), own={"number_type": "r.number_type"})
FEATURES = Source(
    "features",
    "(SELECT x.*, t.code AS feature, t.kind AS product, t.ladder, t.per_number, t.own_name AND t.own_bill"
    " AND t.own_support AS owned FROM featurefact x"
    " JOIN billing_featuretype t ON t.id = x.feature_type_id AND t.reseller_id = %(reseller)s)",
    ("featurefact",),
    own={"feature": "r.feature", "product": "r.product"},
)
FEATURE_MONEY = Source(
    "feature_money",
    FEATURES.rows,
    ("featurefact",),
    "r.currency",
    {"feature": "r.feature", "product": "r.product"},
)
#: A customer's place on each product ladder at both closes; 0 is none.
LADDERS = Source(
    "ladders",
    "(SELECT x.month, x.day, x.customer_id, t.ladder,"
    " coalesce(max(t.level) FILTER (WHERE x.quantity > 0), 0) AS level,"
    " coalesce(max(t.level) FILTER (WHERE x.quantity_past > 0), 0) AS level_past"
    " FROM featurefact x JOIN billing_featuretype t ON t.id = x.feature_type_id AND t.reseller_id = %(reseller)s"
    " AND t.ladder <> '' AND t.level IS NOT NULL GROUP BY 1, 2, 3, 4)",
    ("featurefact",),
    own={"ladder": "r.ladder"},
)
#: MRR of a customer at both closes, in its currency: mrr_past, mrr, seen_before (paid at an earlier close).
MOVEMENTS = Source("movements", "movementfact", ("movementfact",), "r.currency")
#: The same in the reseller's own currency: home_past, home_same (at the rate of before), home; no rate, no row.
MOVEMENTS_HOME = Source(
    "movements_home",
    "(SELECT m.*, %(home)s::text AS own FROM movementfact m"
    " WHERE (m.mrr_past = 0 OR m.home_past IS NOT NULL) AND (m.mrr = 0 OR m.home IS NOT NULL))",
    ("movementfact",),
    "r.own",
)
#: Collections that ended paid or failed, by the day of the outcome; `presentation` 1 is the first try.
_ENDED = (
    "(SELECT d.month, d.day, a.customer_id, a.method, a.currency, a.amount, a.outcome, a.presentation,"
    " a.reason_code AS failure FROM days d JOIN billing_paymentattempt a ON a.reseller_id = %(reseller)s"
    " AND a.outcome IN ('paid', 'failed') AND {a.outcome_date} = d.month AND a.outcome_date <= d.day"
    " {mine a.customer_id} WHERE d.asked{first})"
)
_FIRST = _ENDED.replace("{first}", " AND a.presentation = 1")
ATTEMPTS = Source("attempts", _FIRST, own={"method": "r.method"})
ATTEMPT_MONEY = Source("attempt_money", _FIRST, (), "r.currency", {"method": "r.method"})
ALL_ATTEMPTS = Source(
    "all_attempts", _ENDED.replace("{first}", ""), own={"method": "r.method", "failure": "r.failure"}
)
#: Invoices of the month one by one, for medians.
INVOICES = Source(
    "invoices",
    "(SELECT d.month, d.day, i.customer_id, i.currency, i.id, i.net, i.gross FROM days d JOIN billing_invoice i"
    " ON i.reseller_id = %(reseller)s AND i.state <> 'draft' AND {i.invoice_date} = d.month"
    " AND i.invoice_date <= d.day {mine i.customer_id} WHERE d.asked)",
    (),
    "r.currency",
    item="r.id",
)
#: Each customer's first invoice, in its month.
FIRST_INVOICES = Source(
    "first_invoices",
    "(SELECT d.month, d.day, i.customer_id FROM days d JOIN (SELECT customer_id, min(invoice_date) AS invoice_date"
    " FROM billing_invoice WHERE reseller_id = %(reseller)s AND state <> 'draft' GROUP BY customer_id) i"
    " ON {i.invoice_date} = d.month AND i.invoice_date <= d.day {mine i.customer_id} WHERE d.asked)",
)
#: Invoices whose last penny was settled by cash in the month: days between due date and that day.
SETTLED = Source(
    "settled",
    "(SELECT d.month, d.day, i.customer_id, i.id, s.last_date - i.due_date AS late,"
    " s.last_date - i.invoice_date AS age FROM days d JOIN ("
    " SELECT a.invoice_id, max(a.date) AS last_date, sum(a.amount) AS amount FROM billing_allocation a"
    " WHERE a.reseller_id = %(reseller)s AND a.ended_date IS NULL GROUP BY a.invoice_id"
    " HAVING count(a.payment_id) > 0) s ON {s.last_date} = d.month AND s.last_date <= d.day"
    " JOIN billing_invoice i ON i.reseller_id = %(reseller)s AND i.id = s.invoice_id AND i.gross = s.amount"
    " AND i.gross > 0 AND i.state <> 'draft' {mine i.customer_id} WHERE d.asked)",
    item="r.id",
    counts_zero=True,
)
USAGE = Source(
    "usage",
    "(SELECT x.*, v.code AS carrier FROM usagefact x LEFT JOIN billing_carrier v"
    " ON v.id = x.carrier_id AND v.reseller_id = %(reseller)s)",
    ("usagefact",),
    "r.currency",
    {"service": "r.service", "call_class": "r.call_class", "carrier": "r.carrier"},
)
USAGE_COUNT = Source("usage_count", USAGE.rows, ("usagefact",), "", USAGE.own)
#: Every call whosever it is: rated, zero, excluded, error; by carrier, destination, state and reason.
TRAFFIC = Source(
    "traffic",
    "(SELECT x.*, v.code AS carrier FROM trafficfact x LEFT JOIN billing_carrier v"
    " ON v.id = x.carrier_id AND v.reseller_id = %(reseller)s)",
    ("trafficfact",),
    "r.currency",
    {
        "carrier": "r.carrier",
        "service": "r.service",
        "destination": "r.destination",
        "state": "r.state",
        "error": "r.reason",
    },
    of_customers=False,
)
TRAFFIC_COUNT = Source("traffic_count", TRAFFIC.rows, ("trafficfact",), "", TRAFFIC.own, of_customers=False)
#: Charges of carriers' bills by the date of the bill, allocated or not; `state` says which.
_CARRIER_CHARGES = (
    "(SELECT d.month, d.day, g.customer_id, b.currency, g.kind, g.state, g.amount, g.product, v.code AS carrier"
    " FROM days d JOIN billing_carrierinvoice b ON b.reseller_id = %(reseller)s AND {b.invoice_date} = d.month"
    " AND b.invoice_date <= d.day JOIN billing_carriercharge g ON g.reseller_id = %(reseller)s"
    " AND g.invoice_id = b.id JOIN billing_carrier v ON v.id = b.carrier_id WHERE d.asked{only})"
)
_CARRIER_OWN = {"carrier": "r.carrier", "kind": "r.kind", "state": "r.state", "product": "r.product"}
CARRIER_CHARGES = Source(
    "carrier_charges",
    _CARRIER_CHARGES.replace("{only}", ""),
    (),
    "r.currency",
    _CARRIER_OWN,
    of_customers=False,
)
#: Those of them that are a customer's.
SUPPLY = Source(
    "supply",
    _CARRIER_CHARGES.replace("{only}", " AND g.customer_id IS NOT NULL AND g.state <> 'ignored'"),
    (),
    "r.currency",
    _CARRIER_OWN,
    adds_up=False,
)
DYNAMICS = Source("dynamics", "dynamicsfact", ("dynamicsfact",), "r.currency")
DYNAMICS_COUNT = Source("dynamics_count", "dynamicsfact", ("dynamicsfact",))


def observations(metric: Metric, *, whole: bool = False, per_currency: bool = False, ago: str = "") -> Source:
    """Return the rows of one observed metric; of money, a blank currency is the reseller's own.

    `whole` leaves out its dimensions, for a base that serves every key; `per_currency` keeps a count by currency.
    `ago` names the setting of how many months before the one looked at is read; with 0 it is the month itself.
    """
    rows = [
        "(SELECT d.month, d.day, o.value,",
        *(["o.id,"] if metric.each else []),
        *[f"{_key(metric, name)} AS {name}," for name in metric.by],
        "coalesce(nullif(o.currency, ''), %(home)s::text) AS currency FROM days d",
        "JOIN billing_observation o ON o.reseller_id = %(reseller)s AND",
        _BEFORE.format(ago=ago) if ago else "o.date BETWEEN d.month AND d.day",
        f"AND o.metric = '{metric.slug}'{_edge(metric)}{_CAMPAIGN if has_source(metric) else ''} WHERE d.asked)",
    ]
    own = {} if whole else {name: f"r.{name}" for name in metric.by}
    currency = "r.currency" if metric.is_money or per_currency else ""
    kinds = {"whole": whole, "by_currency": per_currency, ago: bool(ago)}
    name = "_".join(["observed", metric.slug, *(kind for kind, holds in kinds.items() if holds)])
    return Source(
        name,
        " ".join(rows),
        (),
        currency,
        own,
        of_customers=False,
        item="r.id" if metric.each else "r.customer_id",
        counts_zero=metric.each,
        metric=metric.slug,
        ago=ago,
    )


#: The days of the month so many months before; of none before, up to the day looked at.
_BEFORE = (
    "o.date >= d.month - make_interval(months => %({ago})s)"
    " AND o.date < d.month - make_interval(months => %({ago})s - 1) AND o.date <= d.day"
)
#: A campaign belongs to a source: what came by it came by the source too.
_CAMPAIGN = " LEFT JOIN kpis_campaign p ON p.reseller_id = %(reseller)s AND o.dimension = 'campaign' AND p.name = o.key"


def has_source(metric: Metric) -> bool:
    """Say whether a metric is split by campaign or by source, so that the campaign names the source."""
    return {"campaign", "source"} <= set(metric.by)


def _key(metric: Metric, name: str) -> str:
    if name == "source" and has_source(metric):
        return "CASE o.dimension WHEN 'source' THEN o.key WHEN 'campaign' THEN coalesce(p.source, '') ELSE '' END"
    return f"CASE WHEN o.dimension = '{name}' THEN o.key ELSE '' END"


def _edge(metric: Metric) -> str:
    """Return what narrows a level to the lines of its first or last day in the month."""
    if metric.take is Take.SUM:
        return ""
    edge = "min(x.date)" if metric.take is Take.FIRST else "max(x.date)"
    lines = [
        "FROM billing_observation x WHERE x.reseller_id = %(reseller)s AND x.metric =",
        f"'{metric.slug}'",
    ]
    return " ".join([" AND o.date = (SELECT", edge, *lines, "AND x.date BETWEEN d.month AND d.day)"])
