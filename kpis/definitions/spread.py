"""How revenue is spread over customers: concentration, inequality, tenths."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, distribution, flow, kpi
from kpis.measures import EFFECTIVE, GINI, GINI_FULL, HHI, MEDIAN, share_of_fifth, top_share
from kpis.sources import MONEY_YEAR, Source

REVENUE = Part(MONEY_YEAR, "r.net")
SPLITS = ("segment",)
#: Customers by revenue of twelve months, in ten groups of the same size, the largest first.
TENTHS = Source(
    "tenths",
    " ".join(
        [
            "(SELECT y.*, ntile(10) OVER (PARTITION BY month, currency ORDER BY net DESC, customer_id) AS tenth FROM (",
            "SELECT z.month, z.day, z.customer_id, z.currency, sum(z.net) AS net FROM",
            MONEY_YEAR.rows,
            "z JOIN account ON account.id = z.customer_id GROUP BY 1, 2, 3, 4 HAVING sum(z.net) > 0) y)",
        ]
    ),
    ("moneyfact",),
    "r.currency",
    {"tenth": "lpad(r.tenth::text, 2, '0')"},
    window=11,
    adds_up=False,
)


@kpi(
    name="Share of the largest customer",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    published=("Valuers call 8 %, 10 % or 15 % in one customer high",),
)
def concentration_top1() -> Shape:
    """Net invoiced to the largest customer ÷ net invoiced to all, over the last twelve months, credit notes taken off.

    A customer below zero is in the whole but not among the largest. The base is the number of customers.
    """
    return distribution(REVENUE, top_share(1))


@kpi(
    name="Share of the three largest customers",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def concentration_top3() -> Shape:
    """Net invoiced to the three largest customers ÷ net invoiced to all, over the last twelve months, credit notes
    taken off.

    A customer below zero is in the whole but not among the largest. The base is the number of customers.
    """
    return distribution(REVENUE, top_share(3))


@kpi(
    name="Share of the five largest customers",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    published=("Valuers call 25 % in five customers high",),
)
def concentration_top5() -> Shape:
    """Net invoiced to the five largest customers ÷ net invoiced to all, over the last twelve months, credit notes
    taken off.

    A customer below zero is in the whole but not among the largest. The base is the number of customers.
    """
    return distribution(REVENUE, top_share(5))


@kpi(
    name="Share of the ten largest customers",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def concentration_top10() -> Shape:
    """Net invoiced to the ten largest customers ÷ net invoiced to all, over the last twelve months, credit notes
    taken off.

    A customer below zero is in the whole but not among the largest. The base is the number of customers.
    """
    return distribution(REVENUE, top_share(10))


@kpi(
    name="Share of the twenty largest customers",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def concentration_top20() -> Shape:
    """Net invoiced to the twenty largest customers ÷ net invoiced to all, over the last twelve months, credit notes
    taken off.

    A customer below zero is in the whole but not among the largest. The base is the number of customers.
    """
    return distribution(REVENUE, top_share(20))


@kpi(
    name="Share of the largest fifth of customers",
    family=Family.SPREAD,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def concentration_fifth() -> Shape:
    """Net invoiced to the largest 20 % of customers (rounded up) ÷ net invoiced to all, over the last twelve months."""
    return distribution(REVENUE, share_of_fifth())


@kpi(
    name="Concentration of revenue (HHI)",
    family=Family.SPREAD,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
    published=(
        "US Department of Justice, for markets, since 2023: 1,000 to 1,800 moderate, above 1,800 high",
    ),
)
def hhi() -> Shape:
    """Σ (share of a customer in per cent)² of the net invoiced over the last twelve months: 0 to 10,000.

    The Herfindahl-Hirschman index. The bands known from markets (above 1,800: highly concentrated) are borrowed.
    Customers
    below zero stay out.
    """
    return distribution(REVENUE, HHI)


@kpi(
    name="Effective number of customers",
    family=Family.SPREAD,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def effective_customers() -> Shape:
    """10,000 ÷ HHI: how many customers of one size would be as concentrated."""
    return distribution(REVENUE, EFFECTIVE)


@kpi(
    name="Inequality of revenue (Gini)",
    family=Family.SPREAD,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def gini() -> Shape:
    """Σ (2i − n − 1) x ÷ (n Σ x), customers in rising order of the net invoiced over the last twelve months: 0 to 1
    − 1/n.

    All the same is 0. Amounts below zero count as 0; nothing invoiced is n/a.
    """
    return distribution(REVENUE, GINI)


@kpi(
    name="Inequality of revenue, small books",
    family=Family.SPREAD,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def gini_full() -> Shape:
    """Gini ÷ its largest possible value 1 − 1/n, so that books of few customers compare: 0 to 1."""
    return distribution(REVENUE, GINI_FULL)


@kpi(
    name="Median revenue of a customer in a year",
    family=Family.SPREAD,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=SPLITS,
)
def revenue_per_customer_median() -> Shape:
    """The middle of the net invoiced to each customer over the last twelve months; of two in the middle, the mean."""
    return distribution(REVENUE, MEDIAN)


@kpi(
    name="Revenue by tenth of customers",
    family=Family.SPREAD,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=("tenth",),
)
def revenue_by_tenth() -> Shape:
    """Net invoiced over the last twelve months to customers above zero, by tenth of customers, the largest first."""
    return flow(Part(TENTHS, "r.net"))
