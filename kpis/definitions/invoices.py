"""What was invoiced."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import (
    Family,
    Good,
    Need,
    Part,
    Parts,
    Rollup,
    Shape,
    Unit,
    derived,
    distribution,
    flow,
    kpi,
    listed,
)
from kpis.measures import MEDIAN
from kpis.sources import BOOK, INVOICES, LINES, MONEY, MONEY_COUNT, Source


@kpi(
    name="Total invoiced",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=3,
    by=(*BOOK, "tag"),
    sources="SAFE",
    overview=True,
)
def total_invoiced() -> Shape:
    """Σ net of the invoices dated in the month, excluding VAT, before credit notes.

    Drafts do not count; an invoice cancelled later stays in its month, its credit note counts in its own. Zero and
    negative invoices keep their value. Opening invoices brought in from another system count by their own date.
    """
    return flow(listed(Part(MONEY, "r.net"), "tag"))


@kpi(
    name="Total invoiced with VAT",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=2,
    by=BOOK,
    sources="SAFE",
)
def total_invoiced_gross() -> Shape:
    """Σ gross of the invoices dated in the month, including VAT, before credit notes."""
    return flow(Part(MONEY, "r.gross"))


@kpi(
    name="Credit notes",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=2,
    by=BOOK,
    overview=True,
)
def credit_notes() -> Shape:
    """Σ net of the credit notes dated in the month, whatever invoice they correct."""
    return flow(Part(MONEY, "r.credited_net"))


@kpi(
    name="Invoices issued",
    family=Family.INVOICES,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=2,
    by=BOOK,
    sources="SAFE",
    overview=True,
)
def invoices_issued() -> Shape:
    """Number of invoices dated in the month; drafts do not count."""
    return flow(Part(MONEY_COUNT, "r.invoices"))


@kpi(
    name="Average invoice value",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
    sources="SAFE",
    overview=True,
)
def aiv() -> Shape:
    """(Σ net of the month's invoices above zero − Σ net of the month's credit notes) ÷ number of those invoices.

    An invoice wholly credited in its own month is left out on both sides; a later credit note lowers the value of its
    own month. Zero and negative invoices are not counted here but stay in total invoiced. Excluding VAT.
    """
    return flow(Part(MONEY, "r.average_net"), Part(MONEY, "r.average_invoices"))


@kpi(
    name="Median invoice value",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def aiv_median() -> Shape:
    """The middle net of the month's invoices above zero, excluding VAT; of two in the middle, the mean.

    Credit notes are not looked at.
    """
    return distribution(Part(INVOICES, "CASE WHEN r.gross > 0 THEN r.net ELSE 0 END"), MEDIAN)


#: Per customer and currency: what its invoices were worth this month and the month before, and how much it had.
AIV_STEPS = Source(
    "aiv_steps",
    "(SELECT d.month, d.day, m.customer_id, m.currency,"
    " coalesce(sum(m.average_net) FILTER (WHERE m.month = d.month), 0) AS v1,"
    " coalesce(sum(m.average_net) FILTER (WHERE m.month < d.month), 0) AS v0,"
    " coalesce(sum(m.average_invoices) FILTER (WHERE m.month = d.month), 0) AS n1,"
    " coalesce(sum(m.average_invoices) FILTER (WHERE m.month < d.month), 0) AS n0,"
    " coalesce(max(x.numbers + x.features) FILTER (WHERE x.month = d.month), 0) AS q1,"
    " coalesce(max(x.numbers + x.features) FILTER (WHERE x.month < d.month), 0) AS q0"
    " FROM {last 2} d JOIN moneyfact m ON m.month = d.at"
    " LEFT JOIN customerfact x ON x.customer_id = m.customer_id AND x.month = m.month GROUP BY 1, 2, 3, 4)",
    ("moneyfact", "customerfact"),
    "r.currency",
    window=1,
)
BOTH = "r.n1 > 0 AND r.n0 > 0"
COUNTED = Part(MONEY, "r.average_invoices")


@kpi(
    name="Average invoice of customers billed in both months",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def aiv_like() -> Shape:
    """Average invoice value over the customers that had an invoice in this month and in the month before."""
    return flow(
        Part(AIV_STEPS, f"CASE WHEN {BOTH} THEN r.v1 ELSE 0 END"),
        Part(AIV_STEPS, f"CASE WHEN {BOTH} THEN r.n1 ELSE 0 END"),
    )


@kpi(
    name="Average invoice: effect of prices",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def aiv_price_effect() -> Shape:
    """Change in the invoices of customers billed in both months that have as many lines and features as before ÷
    invoices.

    With the effects of quantity and of mix it adds up to the change of the average invoice.
    """
    return flow(Part(AIV_STEPS, f"CASE WHEN {BOTH} AND r.q1 = r.q0 THEN r.v1 - r.v0 ELSE 0 END"), COUNTED)


@kpi(
    name="Average invoice: effect of quantity",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def aiv_volume_effect() -> Shape:
    """Change in the invoices of customers billed in both months that have more or fewer lines and features ÷
    invoices.
    """
    return flow(Part(AIV_STEPS, f"CASE WHEN {BOTH} AND r.q1 <> r.q0 THEN r.v1 - r.v0 ELSE 0 END"), COUNTED)


def _mix(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return the change of the average invoice less its price and quantity effects, over 1, and the invoices."""
    (now, count), (before, count_before), (price, _), (volume, _) = needed
    if not count or not count_before or count <= 0 or count_before <= 0:
        return Decimal(0), Decimal(0), Decimal(0)
    return (now - price - volume) / count - before / count_before, Decimal(1), count


@kpi(
    name="Average invoice: effect of the mix",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def aiv_mix_effect() -> Shape:
    """Change of the average invoice on the month before − effect of prices − effect of quantity.

    It is what customers billed in one of the two months only do to the average.
    """
    return derived(
        "flow",
        Need("aiv"),
        Need("aiv", ago=1),
        Need("aiv_price_effect"),
        Need("aiv_volume_effect"),
        combine=_mix,
    )


@kpi(
    name="Invoiced less credit notes",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def net_invoiced() -> Shape:
    """Σ net of the invoices dated in the month − Σ net of the credit notes dated in it, excluding VAT."""
    return flow(Part(MONEY, "r.net - r.credited_net"))


@kpi(
    name="VAT invoiced",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
)
def vat_invoiced() -> Shape:
    """Σ VAT of the invoices dated in the month − Σ VAT of the credit notes dated in it."""
    return flow(Part(MONEY, "r.gross - r.net - r.credited_gross + r.credited_net"))


def _change(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return now − before and before of an amount."""
    (now, _), (before, _) = needed
    return now - before, before, before


@kpi(
    name="Growth of the total invoiced",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
    sources="SAFE",
)
def invoiced_growth() -> Shape:
    """(Total invoiced of the month − that of the month before) ÷ that of the month before.

    n/a when nothing was invoiced the month before.
    """
    return derived("flow", Need("total_invoiced"), Need("total_invoiced", ago=1), combine=_change)


@kpi(
    name="Growth of the total invoiced in a year",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def invoiced_growth_year() -> Shape:
    """(Total invoiced of the month − that of the same month a year before) ÷ that of the year before."""
    return derived("flow", Need("total_invoiced"), Need("total_invoiced", ago=12), combine=_change)


@kpi(
    name="Revenue by kind of charge",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.SUM,
    version=1,
    by=("kind", "call_class", *BOOK),
    sources="SAFE",
)
def revenue_breakdown() -> Shape:
    """Σ net of invoice lines of the month by kind (recurring, usage by class of call, one-off, pass-through, manual,
    credit).

    Credit notes of the month are a kind of their own, below zero, so that the kinds add up to invoiced less credit
    notes.
    """
    return flow(Part(LINES, "r.net"))


@kpi(
    name="Share of usage in revenue",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def usage_share() -> Shape:
    """Net of the usage lines of the month ÷ net of all its lines less its credit notes."""
    return flow(
        Part(LINES, "CASE WHEN r.kind IN ('usage') THEN r.net ELSE 0 END"),
        Part(LINES, "r.net"),
    )


@kpi(
    name="Share of one-off charges in revenue",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.WATCH,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def one_off_share() -> Shape:
    """Net of the one-off and hand-entered lines of the month ÷ net of all its lines less its credit notes."""
    return flow(
        Part(LINES, "CASE WHEN r.kind IN ('one_off', 'manual') THEN r.net ELSE 0 END"),
        Part(LINES, "r.net"),
    )


@kpi(
    name="Share of credits in revenue",
    family=Family.INVOICES,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def credit_share() -> Shape:
    """Net of credit lines and credit notes of the month ÷ net of its other invoice lines."""
    return flow(
        Part(LINES, "CASE WHEN r.kind IN ('credit', 'credit_note') THEN -r.net ELSE 0 END"),
        Part(LINES, "CASE WHEN r.kind NOT IN ('credit', 'credit_note') THEN r.net ELSE 0 END"),
    )
