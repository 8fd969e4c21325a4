"""What the checks before billing found of a month's bills, as it stood when they were made or looked at last."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, stock
from kpis.sources import Source
from resellerkpi.core.access import Capability

_ROWS = """(SELECT d.month, d.day, f.check_slug AS slug, f.state, f.level, f.currency,
    coalesce(f.money_per_month, f.money_to_date, 0) AS money
    FROM days d JOIN billing_finding f ON f.reseller_id = %(reseller)s AND f.family = 'pre-billing'
        AND {f.period} = d.month AND f.period <= d.day WHERE d.asked)"""
FOUND = Source("prebilling_found", _ROWS, of_customers=False)
FOUND_MONEY = Source(
    "prebilling_money",
    f"(SELECT * FROM {_ROWS} x WHERE x.currency <> '')",  # noqa: S608  our own rows
    currency="r.currency",
    of_customers=False,
)


def _standing(*slugs: str) -> Shape:
    """Return the number of rows of checks that are open or accepted."""
    named = ", ".join(f"'{slug}'" for slug in slugs)
    return stock(Part(FOUND, f"(r.slug IN ({named}) AND r.state IN ('open', 'accepted'))::int"))


@kpi(
    name="Customers without a tariff",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def customers_without_tariff() -> Shape:
    """Customers with numbers or calls in the month whose calls no tariff prices, when its bills were made.

    Not made yet: as last looked at in the pre-billing report. The same of the figures beside it.
    """
    return _standing("customers_without_tariff", "customers_without_tariff_or_calls")


@kpi(
    name="Numbers without a customer",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def numbers_unlinked() -> Shape:
    """Numbers with calls or a supplier's cost in the month that belonged to no customer, when its bills were made."""
    return _standing("numbers_without_customer", "supplied_without_customer")


@kpi(
    name="Tariffs with gaps or overlaps",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def tariffs_with_gaps() -> Shape:
    """Customers, numbers and price lists with days of the month that no tariff or two of them hold for."""
    return _standing("tariff_gaps", "tariff_overlaps")


@kpi(
    name="Direct Debit customers without a mandate",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def mandates_missing() -> Shape:
    """Customers who pay by Direct Debit, have something to pay and no mandate, when the month's bills were made."""
    return _standing("mandates_missing")


@kpi(
    name="Lines and calls at a price of 0",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def zero_rate_lines() -> Shape:
    """Features charged at 0 that have a list price or a cost, and places called at a rate of 0 that cost something."""
    return _standing("zero_rates")


@kpi(
    name="Customers past their contract's end",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    sources="SAFE",
)
def services_past_contract_end() -> Shape:
    """Customers whose contract had ended before the month and whose services went on, when its bills were made."""
    return _standing("past_contract_end")


@kpi(
    name="Prices under their cost",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def negative_margin_rates() -> Shape:
    """Features sold for less than they cost, and places whose calls of the month brought less than they cost."""
    return _standing("negative_margins")


@kpi(
    name="At stake before billing",
    family=Family.RUNS,
    unit=Unit.MONEY,
    good=Good.DOWN,
    rollup=Rollup.LAST,
    version=1,
    needs=Capability.VIEW_MARGIN,
    sources="SAFE",
)
def prebilling_exposure() -> Shape:
    """Money of the errors and warnings that stood, accepted or not: a month's, else that of the month's calls."""
    return stock(
        Part(
            FOUND_MONEY,
            "CASE WHEN r.state IN ('open', 'accepted') AND r.level <> 'information' THEN r.money ELSE 0 END",
        )
    )


@kpi(
    name="Fixed before billing",
    family=Family.RUNS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    sources="SAFE",
)
def prebilling_fixed() -> Shape:
    """Errors and warnings found of the month that were gone when its bills were made."""
    return stock(Part(FOUND, "(r.state = 'fixed' AND r.level <> 'information')::int"))
