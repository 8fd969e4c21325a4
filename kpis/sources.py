"""What KPIs sum: rows of facts or of dated billing tables, with the dimensions each can be split by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from kpis.facts_sql import FACTS, in_months

#: Dimensions that come from the customer of a row: SQL over the aliases of `compute`.
CUSTOMER_DIMENSIONS = {
    "status": "coalesce(f.status, c.status)",
    "dealer": "coalesce(dealer.code, '')",
    "segment": "c.segment",
    "client_type": "c.client_type",
    "campaign": "c.campaign",
}
BOOK = ("status", "dealer", "client_type", "segment")


@dataclass(frozen=True)
class Source:
    """Rows `r` with month, day and, unless it is not of customers, customer_id; `currency` is SQL, "" for counts."""

    name: str
    rows: str
    tables: tuple[str, ...] = ()
    currency: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    of_customers: bool = True

    def column(self, dimension: str) -> str | None:
        """Return the SQL of a dimension, None when the source cannot be split by it."""
        if dimension in self.own:
            return self.own[dimension]
        return CUSTOMER_DIMENSIONS.get(dimension) if self.of_customers else None

    def fingerprint(self) -> str:
        """Return a hash of the SQL behind the rows."""
        texts = [self.rows, self.currency, repr(sorted(self.own.items())), *(FACTS[t] for t in self.tables)]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


CUSTOMERS = Source("customers", "customerfact", ("customerfact",))
#: The same customers, each counted under its own currency: the base of money per customer.
CUSTOMERS_BY_CURRENCY = Source("customers_by_currency", "customerfact", ("customerfact",), "c.currency")
MONEY = Source("money", "moneyfact", ("moneyfact",), "r.currency")
MONEY_COUNT = Source("money_count", "moneyfact", ("moneyfact",))
DEBT = Source(
    "debt",
    "(SELECT m.month, m.day, m.customer_id, m.currency, b.bucket, b.amount FROM moneyfact m CROSS JOIN LATERAL"
    " (VALUES ('not_due', m.not_due), ('days_1_30', m.late_30), ('days_31_60', m.late_60), ('days_61_90', m.late_90),"
    " ('days_over_90', m.late_more)) b (bucket, amount))",
    ("moneyfact",),
    "r.currency",
    {"bucket": "r.bucket"},
)
NUMBERS = Source("numbers", "numberfact", ("numberfact",), own={"number_type": "r.number_type"})
FEATURES = Source(
    "features",
    "(SELECT x.*, t.code AS feature FROM featurefact x"
    " JOIN billing_featuretype t ON t.id = x.feature_type_id AND t.reseller_id = %(reseller)s)",
    ("featurefact",),
    own={"feature": "r.feature"},
)
FEATURE_MONEY = Source(
    "feature_money", FEATURES.rows, ("featurefact",), "r.currency", {"feature": "r.feature"}
)
_FINAL = in_months(
    "(SELECT d.month, d.day, a.customer_id, a.method, a.currency, a.amount, a.outcome FROM days d"
    " JOIN billing_paymentattempt a ON a.reseller_id = %(reseller)s AND a.presentation = 1"
    " AND a.outcome IN ('paid', 'failed') AND {a.outcome_date} = d.month AND a.outcome_date <= d.day"
    " JOIN account ON account.id = a.customer_id)"
)
ATTEMPTS = Source("attempts", _FINAL, own={"method": "r.method"})
ATTEMPT_MONEY = Source("attempt_money", _FINAL, (), "r.currency", {"method": "r.method"})


def observations(metric: str) -> Source:
    """Return the rows of one observed metric; a blank currency is the reseller's own."""
    rows = [
        "(SELECT d.month, d.day, o.value, CASE WHEN o.dimension = 'campaign' THEN o.key ELSE '' END AS campaign,",
        "coalesce(nullif(o.currency, ''), h.currency) AS currency FROM days d",
        "JOIN billing_observation o ON o.reseller_id = %(reseller)s AND o.date BETWEEN d.month AND d.day",
        f"AND o.metric = '{metric}' JOIN core_reseller h ON h.id = o.reseller_id)",
    ]
    own = {"campaign": "r.campaign"}
    return Source(f"observed_{metric}", " ".join(rows), (), "r.currency", own, of_customers=False)
