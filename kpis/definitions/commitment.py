"""How firm recurring revenue is: a year of it, what is signed, what is under contract, whose customers they are."""

from kpis.facts_book import FEATURE_MRR, IS_SUSPENDED, SUSPENDED
from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import BOOK, FEATURE_MONEY, LINES, Source

SPLITS = (*BOOK, "feature")
MRR = Part(FEATURE_MONEY, "r.mrr")
#: MRR whose minimum term ends within 90 days, by when it does.
EXPIRING = Source(
    "expiring",
    " ".join(
        [
            "(",
            f"[[WITH {SUSPENDED}]]",
            "SELECT d.month, d.day, f.customer_id, t.currency, t.code AS feature,",
            "CASE WHEN f.minimum_term_end <= d.day + 30 THEN 'days_1_30'",
            "WHEN f.minimum_term_end <= d.day + 60 THEN 'days_31_60' ELSE 'days_61_90' END AS within,",
            FEATURE_MRR.replace("{price}", "p.price"),
            "AS mrr FROM days d JOIN billing_feature f ON f.reseller_id = %(reseller)s AND f.start_date <= d.day",
            "AND (f.end_date IS NULL OR f.end_date > d.day) AND f.minimum_term_end > d.day",
            "AND f.minimum_term_end <= d.day + 90 {mine f.customer_id}",
            "JOIN billing_featuretype t ON t.reseller_id = %(reseller)s AND t.id = f.feature_type_id",
            "AND t.interval <> 'once'",
            "JOIN (VALUES ('month', 1), ('quarter', 3), ('year', 12)) i (interval, months)",
            "ON i.interval = t.interval LEFT JOIN billing_featureprice p ON p.reseller_id = %(reseller)s",
            "AND p.feature_type_id = f.feature_type_id AND p.valid_from <= d.day",
            "AND (p.valid_to IS NULL OR p.valid_to > d.day)",
            f"[[{IS_SUSPENDED.format(s='s', day='d.day')}]]",
            "WHERE d.asked [[AND s.customer_id IS NULL]])",
        ]
    ),
    (),
    "r.currency",
    {"feature": "r.feature", "within": "r.within"},
)
#: A third of the usage lines of the last three full months.
RUN_RATE = Source(
    "run_rate",
    "(SELECT d.month, d.day, x.customer_id, x.currency, round(sum(x.net) / 3, 6) AS net FROM days d"
    " CROSS JOIN generate_series(1, 3) ago JOIN linefact x ON x.kind = 'usage'"
    " AND x.month = (date_trunc('month', d.day + 1) - make_interval(months => ago))::date"
    " WHERE d.asked GROUP BY 1, 2, 3, 4)",
    ("linefact",),
    "r.currency",
    window=3,
)


@kpi(
    name="Annual recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=SPLITS,
)
def arr() -> Shape:
    """MRR at the close × 12: what a year brings when nothing changes."""
    return stock(Part(FEATURE_MONEY, "r.mrr * 12"))


@kpi(
    name="Recurring revenue signed for",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=SPLITS,
)
def cmrr() -> Shape:
    """MRR at the close + MRR of features that start in the next 90 days − MRR of those whose end in the next 90 days is
    known.
    """
    return stock(Part(FEATURE_MONEY, "r.mrr + r.starting - r.ending"))


@kpi(
    name="Share of recurring charges in revenue",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="BluSynergy, Datagate",
)
def recurring_share() -> Shape:
    """Net of the recurring lines of the month ÷ net of all its lines less its credit notes."""
    return flow(Part(LINES, "CASE WHEN r.kind = 'recurring' THEN r.net ELSE 0 END"), Part(LINES, "r.net"))


@kpi(
    name="Usage revenue run rate",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=2,
    by=BOOK,
    elsewhere=(
        ("ProfitWell", "recurring metered charges are part of MRR"),
        ("Stripe, Recurly, Lago", "usage is no part of MRR; no run rate"),
    ),
)
def usage_run_rate() -> Shape:
    """Mean per month of the usage invoiced (net) in the last three full months: usage is not in MRR.

    For the open month they are the three before it.
    """
    return flow(Part(RUN_RATE, "r.net"))


@kpi(
    name="One-off revenue",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def one_off_revenue() -> Shape:
    """Σ net of the one-off and hand-entered lines of invoices dated in the month; credit notes are not taken off."""
    return flow(Part(LINES, "CASE WHEN r.kind IN ('one_off', 'manual') THEN r.net ELSE 0 END"))


@kpi(
    name="Recurring revenue under contract",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=SPLITS,
    sources="Datagate",
)
def contracted_mrr() -> Shape:
    """MRR at the close of the features whose minimum term ends later than that day."""
    return stock(Part(FEATURE_MONEY, "r.committed"))


@kpi(
    name="Share of recurring revenue under contract",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    small_base=False,
    sources="Datagate",
)
def contracted_share() -> Shape:
    """MRR of the features inside a minimum term ÷ MRR, at the close."""
    return stock(Part(FEATURE_MONEY, "r.committed"), MRR)


@kpi(
    name="Months left under contract",
    family=Family.RECURRING,
    unit=Unit.MONTHS,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    small_base=False,
    sources="Datagate",
)
def contracted_months() -> Shape:
    """Mean months left of the minimum terms that run at the close, weighted by MRR; a month is 30.4375 days."""
    return stock(Part(FEATURE_MONEY, "r.committed_months"), Part(FEATURE_MONEY, "r.committed"))


@kpi(
    name="Recurring revenue whose contract ends soon",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    by=("within", *SPLITS),
    sources="Datagate",
)
def contracted_expiring() -> Shape:
    """MRR at the close of the features whose minimum term ends in the next 90 days, by 1–30, 31–60 and 61–90 days."""
    return stock(Part(EXPIRING, "r.mrr"))


@kpi(
    name="Share of revenue whose relationship is ours",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    small_base=False,
    sources="Datagate",
)
def relationship_owned_share() -> Shape:
    """MRR of the products that carry our name, stand on our bill and are supported by us ÷ MRR, at the close.

    The catalogue says so per product; where the vendor bills, the customer is the vendor's.
    """
    return stock(Part(FEATURE_MONEY, "CASE WHEN r.owned THEN r.mrr ELSE 0 END"), MRR)
