"""Recurring revenue and revenue per customer."""

from collections.abc import Sequence
from decimal import Decimal

from kpis.kpi import Family, Good, Need, Part, Parts, Rollup, Shape, Unit, derived, flow, kpi, listed, stock
from kpis.sources import (
    BOOK,
    CUSTOMERS_BY_CURRENCY,
    FEATURE_MONEY,
    LISTS,
    MONEY,
    MOVEMENTS,
    NUMBERS_BY_CURRENCY,
    Source,
)


@kpi(
    name="Monthly recurring revenue",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=3,
    by=(*BOOK, "feature", *LISTS),
    sources="BluSynergy, Datagate",
    headline=1,
    elsewhere=(
        ("ChartMogul", "recurring lines; metered ones only when billed so; discounts lower it"),
        ("Stripe", "without usage; lasting coupons lower it, limited ones do not"),
        ("ProfitWell", "recurring metered charges are in; discounts always lower it"),
        ("Recurly", "plan prices; refunds of dated lines lower it"),
        ("Lago", "without usage; a currency at a time"),
    ),
)
def mrr() -> Shape:
    """Σ of quantity × price less discount, per month, of the recurring features active on the last day of the month.

    A quarter's price is divided by 3, a year's by 12. The customer's own price stands before the list price of that
    day. Excluding VAT, usage and one-off charges; features given free count 0. Services of suspended customers stay
    in, unless the setting leaves them out, with what they cost, while the account is suspended at the close. A feature
    that starts in the month counts with its full monthly price. Per currency, never added across.
    """
    return stock(listed(Part(FEATURE_MONEY, "r.mrr")))


@kpi(
    name="Revenue per customer",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=4,
    by=(*BOOK, *LISTS),
    sources="BluSynergy",
    elsewhere=(
        ("Com Hem", "average of the first and the last day's customers, as here"),
        ("ChartMogul, Stripe", "MRR ÷ customers: see recurring revenue per customer"),
    ),
)
def arpu() -> Shape:
    """Service revenue of the month ÷ average of the customers active at its start and at its close.

    Service revenue is the net of recurring, usage, pass-through and credit lines of the invoices dated in the month,
    less what credit notes of the month take back of them; one-off and hand-entered charges are left out. A customer
    counts under the currency it is billed in.
    """
    return flow(
        listed(Part(MONEY, "r.service_net")),
        listed(Part(CUSTOMERS_BY_CURRENCY, "(r.active::int + r.was_active::int) / 2.0")),
    )


def _growth(needed: Sequence[Parts]) -> tuple[Decimal, Decimal, Decimal]:
    """Return (now − before) and before of a ratio given as parts, and the smaller base; no base, no growth."""
    (top, bottom), (top_before, bottom_before) = needed
    if not bottom or not bottom_before or bottom <= 0 or bottom_before <= 0:
        return Decimal(0), Decimal(0), Decimal(0)
    now, before = top / bottom, top_before / bottom_before
    return now - before, before, min(bottom, bottom_before)


@kpi(
    name="Growth in revenue per customer",
    family=Family.GROWTH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=BOOK,
    sources="BluSynergy",
    headline=4,
)
def arpu_growth() -> Shape:
    """(Revenue per customer of the month − that of the month before) ÷ that of the month before.

    n/a when there was no revenue per customer the month before: growth from nothing has no percentage.
    """
    return derived("flow", Need("arpu"), Need("arpu", ago=1), combine=_growth)


@kpi(
    name="Recurring revenue per customer",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    sources="ChartMogul, Stripe",
)
def arpa_mrr() -> Shape:
    """MRR ÷ active customers, both at the close of the month.

    A customer counts under the currency it is billed in.
    """
    return stock(Part(MOVEMENTS, "r.mrr"), Part(CUSTOMERS_BY_CURRENCY, "r.active::int"))


@kpi(
    name="Revenue per number",
    family=Family.GROWTH,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
)
def arpl() -> Shape:
    """Service revenue of the month ÷ average of the numbers held at its start and at its close.

    Service revenue is that of revenue per customer.
    """
    return flow(
        Part(MONEY, "r.service_net"),
        Part(NUMBERS_BY_CURRENCY, "(2 * r.held - r.added + r.removed) / 2.0"),
    )


#: Customers at both closes, with service revenue of this month and of the month before.
STAYED = Source(
    "stayed",
    "(SELECT m.* FROM (SELECT d.month, d.day, y.customer_id, y.currency,"
    " sum(y.service_net) FILTER (WHERE y.month = d.month) AS now,"
    " sum(y.service_net) FILTER (WHERE y.month < d.month) AS before"
    " FROM {last 2} d JOIN moneyfact y ON y.month = d.at"
    " GROUP BY 1, 2, 3, 4) m JOIN customerfact x ON x.month = m.month AND x.customer_id = m.customer_id"
    " AND x.active AND x.was_active)",
    ("customerfact", "moneyfact"),
    "r.currency",
    window=1,
)


@kpi(
    name="Growth in revenue of the same customers",
    family=Family.GROWTH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    small_base=False,
)
def arpu_growth_like() -> Shape:
    """(Service revenue of the month − that of the month before) ÷ that before, of customers active at both closes.

    Who came and who left does not move it, so that a mix of smaller customers does not hide selling more to the old
    ones.
    """
    return flow(
        Part(STAYED, "coalesce(r.now, 0) - coalesce(r.before, 0)"), Part(STAYED, "coalesce(r.before, 0)")
    )
