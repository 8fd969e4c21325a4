"""What suppliers are paid, how much hangs on one of them, and what of it is nobody's."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, distribution, flow, kpi
from kpis.measures import HHI, top_share
from kpis.sources import CARRIER_CHARGES, Source
from resellerkpi.core.access import Capability

WHOLESALE = Capability.VIEW_WHOLESALE
#: Cost of all calls, and carriers' bills but for usage, which the calls stand for.
PAID = Source(
    "supplier_paid",
    " ".join(
        [
            "(SELECT u.month, u.day, u.currency, v.code AS carrier, 'usage' AS kind, u.cost FROM trafficfact u",
            "JOIN billing_carrier v ON v.id = u.carrier_id AND v.reseller_id = %(reseller)s UNION ALL",
            "SELECT y.month, y.day, y.currency, y.carrier, y.kind, y.amount FROM",
            CARRIER_CHARGES.rows,
            "y WHERE y.kind <> 'usage')",
        ]
    ),
    ("trafficfact",),
    "r.currency",
    {"carrier": "r.carrier", "kind": "r.kind"},
    of_customers=False,
    item="r.carrier",
)


@kpi(
    name="Cost of suppliers",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("carrier", "kind"),
    needs=WHOLESALE,
)
def supplier_cost() -> Shape:
    """Cost of the calls of the month + rentals, one-off charges and credits of the carriers' bills dated in it.

    Usage lines of a bill are left out: the calls stand for them.
    """
    return flow(Part(PAID, "r.cost"))


@kpi(
    name="Share of the largest supplier",
    family=Family.MARGIN,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=WHOLESALE,
)
def supplier_concentration() -> Shape:
    """Cost of the largest supplier of the month ÷ cost of all suppliers."""
    return distribution(Part(PAID, "r.cost"), top_share(1))


@kpi(
    name="Concentration of suppliers (HHI)",
    family=Family.MARGIN,
    unit=Unit.RATIO,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=1,
    small_base=False,
    needs=WHOLESALE,
)
def supplier_hhi() -> Shape:
    """Σ (share of a supplier in per cent)² of the cost of the month's suppliers: 10,000 is one supplier for all.

    The Herfindahl-Hirschman index; a supplier whose credits are above its charges stays out.
    """
    return distribution(Part(PAID, "r.cost"), HHI)


@kpi(
    name="Supplier cost nobody has",
    family=Family.MARGIN,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.SUM,
    version=1,
    by=("carrier", "kind", "product"),
    needs=WHOLESALE,
    sources="SAFE",
)
def supplier_cost_unallocated() -> Shape:
    """Σ of the charges on carriers' bills dated in the month that are not allocated yet, nor left out by hand.

    They are in no customer's margin.
    """
    return flow(Part(CARRIER_CHARGES, "CASE WHEN r.state = 'open' THEN r.amount ELSE 0 END"))
