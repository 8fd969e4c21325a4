"""What was invoiced."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi
from kpis.sources import BOOK, MONEY, MONEY_COUNT


@kpi(
    name="Total invoiced",
    family=Family.INVOICES,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=2,
    by=BOOK,
    sources="SAFE",
    overview=True,
)
def total_invoiced() -> Shape:
    """Σ net of the invoices dated in the month, excluding VAT, before credit notes.

    Drafts do not count; an invoice cancelled later stays in its month, its credit note counts in its own. Zero and
    negative invoices keep their value. Opening invoices brought in from another system count by their own date.
    """
    return flow(Part(MONEY, "r.net"))


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
