"""What moved recurring revenue between two closes: won, back, more, less, gone, and the rates of exchange."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, movement, stock
from kpis.sources import BOOK, MOVEMENTS, MOVEMENTS_HOME

NEW = "CASE WHEN r.mrr_past = 0 AND NOT r.seen_before THEN r.mrr ELSE 0 END"
BACK = "CASE WHEN r.mrr_past = 0 AND r.seen_before THEN r.mrr ELSE 0 END"
MORE = "CASE WHEN r.mrr_past > 0 THEN greatest(r.mrr - r.mrr_past, 0) ELSE 0 END"
LESS = "CASE WHEN r.mrr > 0 THEN greatest(r.mrr_past - r.mrr, 0) ELSE 0 END"
GONE = "CASE WHEN r.mrr = 0 THEN r.mrr_past ELSE 0 END"
PAST = Part(MOVEMENTS, "r.mrr_past")


@kpi(
    name="New recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul, Recurly",
)
def mrr_new() -> Shape:
    """Σ MRR at the close of customers that had none at the close before nor at any earlier close.

    One movement per customer and currency between two closes: what starts and ends between them does not move.
    """
    return movement(Part(MOVEMENTS, NEW))


@kpi(
    name="Recurring revenue of customers who came back",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul",
)
def mrr_reactivation() -> Shape:
    """Σ MRR at the close of customers that had none at the close before, but had some at an earlier close."""
    return movement(Part(MOVEMENTS, BACK))


@kpi(
    name="Expansion of recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul, Recurly",
    elsewhere=(
        ("Recurly", "one difference per customer, as here"),
        ("ChartMogul", "each change by itself; the net is the same"),
    ),
)
def mrr_expansion() -> Shape:
    """Σ of what the MRR of a customer at the close is above that at the close before, where it had some then.

    More features, a higher price or a discount that ended alike. What a customer adds and drops is one difference.
    """
    return movement(Part(MOVEMENTS, MORE))


@kpi(
    name="Contraction of recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul, Recurly",
    elsewhere=(
        ("ChartMogul, Stripe, ProfitWell", "one of several subscriptions cancelled is contraction, as here"),
        ("Baremetrics, Kill Bill", "each cancelled subscription is churn"),
    ),
)
def mrr_contraction() -> Shape:
    """Σ of what the MRR of a customer at the close is below that at the close before, where some is left.

    A customer that ends all services but one has contracted.
    """
    return movement(Part(MOVEMENTS, LESS))


@kpi(
    name="Recurring revenue lost",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul",
)
def mrr_churn() -> Shape:
    """Σ MRR at the close before of customers that have none at the close."""
    return movement(Part(MOVEMENTS, GONE))


@kpi(
    name="Net new recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul",
)
def net_new_mrr() -> Shape:
    """New + came back + expansion − contraction − lost: MRR at the close − MRR at the close before.

    Per currency, so that rates of exchange do not move it.
    """
    return movement(Part(MOVEMENTS, "r.mrr - r.mrr_past"))


@kpi(
    name="Growth in recurring revenue",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def mrr_growth() -> Shape:
    """(MRR at the close − MRR at the close before) ÷ MRR at the close before; from nothing, n/a."""
    return movement(Part(MOVEMENTS, "r.mrr - r.mrr_past"), PAST)


@kpi(
    name="Recurring revenue in own currency",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
)
def mrr_home() -> Shape:
    """Σ MRR at the close of all currencies, in the house's own, at the rates of that day.

    MRR in a currency without a rate is left out.
    """
    return stock(Part(MOVEMENTS_HOME, "coalesce(r.home, 0)"))


@kpi(
    name="Net new recurring revenue in own currency",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
)
def net_new_mrr_home() -> Shape:
    """Net new MRR of all currencies in the house's own: what was won at the rate of the close, what grew, shrank or
    ended at the rate of the close before.

    A customer whose services do not change adds nothing, whatever the rates do. A currency without a rate is left
    out.
    """
    return movement(
        Part(MOVEMENTS_HOME, "CASE WHEN r.mrr_past = 0 THEN r.home ELSE r.home_same - r.home_past END")
    )


@kpi(
    name="Impact of rates of exchange on recurring revenue",
    family=Family.RECURRING,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.DISTINCT,
    version=1,
    by=BOOK,
    sources="ChartMogul, Stripe",
    elsewhere=(
        ("ChartMogul", "a row of its own, as here"),
        ("Stripe", "taken out of growth"),
        ("Kill Bill", "one reference rate a month"),
        ("Lago", "never converted"),
    ),
)
def mrr_fx() -> Shape:
    """Σ MRR at the close of customers that had some at the close before: at the rate of the close − at the rate of
    the close before.

    Recurring revenue in own currency = that of the close before + net new + this.
    """
    return movement(Part(MOVEMENTS_HOME, "CASE WHEN r.mrr_past > 0 THEN r.home - r.home_same ELSE 0 END"))


@kpi(
    name="Recurring revenue churn, gross",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="ChartMogul",
    elsewhere=(
        ("ChartMogul", "lost + contraction ÷ MRR at the start, as here"),
        ("Kill Bill", "of plans billed on the first; a month without losses is missing"),
    ),
)
def churn_mrr_gross() -> Shape:
    """(Lost + contraction) ÷ MRR at the close before."""
    return movement(Part(MOVEMENTS, f"{LESS} + {GONE}"), PAST)


@kpi(
    name="Recurring revenue churn, net",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="ChartMogul",
    elsewhere=(
        ("ChartMogul", "takes off customers who came back, as here"),
        ("Baremetrics", "leaves them out"),
    ),
)
def churn_mrr_net() -> Shape:
    """(Lost + contraction − expansion − came back) ÷ MRR at the close before; below zero the rest grew by more.

    It takes off customers who came back, net revenue retention does not: the two are no complements then.
    """
    return movement(Part(MOVEMENTS, f"{LESS} + {GONE} - {MORE} - {BACK}"), PAST)


@kpi(
    name="Gross revenue retention",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="ChartMogul",
    published=("Median 91 %",),
)
def grr() -> Shape:
    """(MRR at the close before − lost − contraction) ÷ MRR at the close before: at most 100 %."""
    return movement(Part(MOVEMENTS, "least(r.mrr, r.mrr_past)"), PAST)


@kpi(
    name="Net revenue retention",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    settings=("nrr_reactivation",),
    sources="ChartMogul, Stripe, Baremetrics",
    elsewhere=(
        ("ChartMogul", "without customers who came back, as here"),
        ("Baremetrics", "100 % − (churn − expansion) ÷ MRR at the start"),
        ("ProfitWell", "customers who came back count as kept: a setting here"),
    ),
)
def nrr() -> Shape:
    """(MRR at the close before + expansion − contraction − lost) ÷ MRR at the close before.

    Neither new customers nor, unless the setting says so, customers who came back are in it.
    """
    back = f"CASE WHEN %(nrr_reactivation)s THEN {BACK} ELSE 0 END"
    return movement(Part(MOVEMENTS, f"CASE WHEN r.mrr_past > 0 THEN r.mrr ELSE 0 END + {back}"), PAST)


@kpi(
    name="Quick ratio",
    family=Family.RECURRING,
    unit=Unit.RATIO,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    settings=("quick_ratio_reactivation",),
    sources="Baremetrics, GrowPanel",
    elsewhere=(("Baremetrics, GrowPanel", "without customers who came back, as here"),),
    published=("Baremetrics: 4 or more is strong, under 1 the book shrinks",),
)
def quick_ratio() -> Shape:
    """(New + expansion) ÷ (contraction + lost); four is strong, under one the book shrinks.

    Customers who came back are added when the setting says so. No losses: n/a.
    """
    back = f"CASE WHEN %(quick_ratio_reactivation)s THEN {BACK} ELSE 0 END"
    return movement(Part(MOVEMENTS, f"{NEW} + {MORE} + {back}"), Part(MOVEMENTS, f"{LESS} + {GONE}"))


@kpi(
    name="Share of expansion in revenue won",
    family=Family.RECURRING,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def expansion_share() -> Shape:
    """Expansion ÷ (new + expansion): how much of the growth comes from customers that were already there."""
    return movement(Part(MOVEMENTS, MORE), Part(MOVEMENTS, f"{NEW} + {MORE}"))
