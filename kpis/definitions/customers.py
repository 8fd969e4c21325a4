"""Customers: how many there are, who came, who left."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, kpi, listed, movement, stock
from kpis.sources import BOOK, CUSTOMERS, LISTS

SPLITS = (*BOOK, "campaign", "manager")
#: Joined and left inside the month: on both sides when the reseller counts them (setting), else on none.
PASSING = "(r.in_period AND %(count_in_period)s)::int"
NEW = Part(
    CUSTOMERS,
    f"(r.active AND NOT r.was_active AND NOT r.seen_before AND NOT r.moved_in)::int + {PASSING}",
)
REACTIVATED = "(r.active AND NOT r.was_active AND r.seen_before)::int"
LOST = f"(r.was_active AND NOT r.active)::int + {PASSING}"
#: What churn is divided by (setting): customers at the start, or the mean of start and close.
CHURN_BASE = (
    "CASE WHEN %(churn_base)s = 'average' THEN (r.was_active::int + r.active::int) / 2.0"
    " ELSE r.was_active::int END"
)
REGAINED = ("reactivation_window_days",)


@kpi(
    name="Active customers",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=5,
    by=(*SPLITS, "numbers", *LISTS),
    sources="SAFE, JeraSoft",
    settings=("count_by", "churn_recognition"),
    overview=True,
    elsewhere=(
        ("SAFE", "accounts by their status"),
        ("JeraSoft", "clients that used something paid in the last months: see clients active"),
        ("Lago", "subscriptions, not customers"),
    ),
)
def customers_active() -> Shape:
    """Customers with at least one live number or active recurring feature on the last day of the month.

    A customer is the account that pays. Suspended customers count and form a slice of their own; accounts whose first
    service has not started, and test accounts, do not count. A service counts from its start date up to, not
    including, its end date. Status is the one of that day; dealer, segment and type are those of today.
    """
    return stock(listed(Part(CUSTOMERS, "r.active::int")))


@kpi(
    name="New customers",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=5,
    by=(*SPLITS, "tag"),
    sources="SAFE",
    overview=True,
    settings=("count_in_period", "reactivation_window_days", "count_by"),
)
def customers_new() -> Shape:
    """Customers active at the close of the month that were active at no earlier close.

    Customers moved in from another system (marked imported) are not new: see customers moved in. Joined and left
    inside one month is neither new nor lost, unless the setting says to count both. With a reactivation window, a
    customer that was away longer is new again.
    """
    return movement(listed(NEW, "tag"))


@kpi(
    name="Customers moved in",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.WATCH,
    rollup=Rollup.DISTINCT,
    version=4,
    by=SPLITS,
)
def customers_moved_in() -> Shape:
    """Imported customers in the first month they are active here: open + new + reactivated + moved in − lost = close.

    They were customers before they were in this system, so they are kept out of growth.
    """
    return movement(Part(CUSTOMERS, "r.moved_in::int"))


@kpi(
    name="Reactivated customers",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=4,
    by=SPLITS,
    settings=REGAINED,
    elsewhere=(
        ("ProfitWell", "back after any time away"),
        ("Recurly", "back after a month or more"),
        ("Maxio", "new again after more than 90 days away"),
    ),
)
def customers_reactivated() -> Shape:
    """Customers active at the close of the month, not at the close before, but at some earlier close.

    Any gap counts, however long, unless a window is set: who was away longer is new.
    """
    return movement(Part(CUSTOMERS, REACTIVATED))


@kpi(
    name="Customers lost",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=5,
    by=(*SPLITS, "reason", "tag"),
    sources="SAFE",
    overview=True,
    settings=("churn_recognition", "count_in_period", "count_by"),
    elsewhere=(
        ("Recurly, Stripe", "when the last subscription has ended"),
        ("ProfitWell", "at the end of the time paid for"),
        ("Maxio", "on the day of cancellation"),
        ("Baremetrics", "also after 30 days unpaid"),
    ),
)
def customers_lost() -> Shape:
    """Customers active at the close before and not at the close of the month.

    The date that counts is the end of the last service, unless the setting says the day notice was given. A customer
    who ceases some of its services has contracted, not left; a suspended one has not left.
    """
    return movement(listed(Part(CUSTOMERS, LOST), "tag"))


@kpi(
    name="Net change in customers",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.DISTINCT,
    version=4,
    by=SPLITS,
    sources="SAFE",
    overview=True,
)
def customers_net() -> Shape:
    """New + reactivated − lost customers of the month; customers moved in from another system are kept out.

    Close = open + net change + moved in.
    """
    return movement(Part(CUSTOMERS, "r.active::int - r.was_active::int - r.moved_in::int"))


@kpi(
    name="Customer churn",
    family=Family.GROWTH,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=5,
    by=(*SPLITS, "tag"),
    sources="SAFE, BluSynergy",
    headline=2,
    settings=("churn_base", "churn_recognition", "count_in_period"),
    elsewhere=(
        ("ChartMogul, Recurly", "lost ÷ customers at the start of the month"),
        ("Stripe", "lost ÷ (active 30 days before + joined since)"),
        ("Baremetrics", "lost ÷ active 30 days before"),
        ("Vodafone, Com Hem", "lost ÷ average of the customers at the start and the close: a setting here"),
    ),
)
def churn_customer() -> Shape:
    """Customers lost in the month ÷ customers active at its start (or the average base, if so set).

    No customer at the start: n/a. Joined and left inside the month is left out, unless so set. A quarter is counted
    on its
    own sets, not added up from months; five per cent a month is 46 per cent a year, not sixty.
    """
    return movement(listed(Part(CUSTOMERS, LOST), "tag"), listed(Part(CUSTOMERS, CHURN_BASE), "tag"))


@kpi(
    name="Customer retention",
    family=Family.CUSTOMERS,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    sources="reseller performance metrics",
)
def retention_customer() -> Shape:
    """Customers active at the start and still active at the close ÷ customers active at the start of the month.

    New and reactivated customers are not in it, so it is 1 − churn on the start of the period, whatever the settings.
    """
    return movement(Part(CUSTOMERS, "(r.was_active AND r.active)::int"), Part(CUSTOMERS, "r.was_active::int"))


@kpi(
    name="Joined and left within the month",
    family=Family.CUSTOMERS,
    unit=Unit.COUNT,
    good=Good.DOWN,
    rollup=Rollup.DISTINCT,
    version=2,
    by=SPLITS,
    elsewhere=(
        ("ChartMogul", "left out of churn, as here"),
        ("ProfitWell", "ignored"),
        ("Stripe, Baremetrics", "counted as new and as lost: a setting here"),
    ),
)
def in_period_churn() -> Shape:
    """Customers whose first and last service both lie between two closes: they never stood in the book at a close."""
    return movement(Part(CUSTOMERS, "r.in_period::int"))


@kpi(
    name="Customer churn for non-payment",
    family=Family.CUSTOMERS,
    unit=Unit.PERCENT,
    good=Good.DOWN,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    settings=("churn_base", "churn_recognition", "count_in_period"),
)
def churn_involuntary() -> Shape:
    """Customers lost in the month who were ceased because they did not pay ÷ customers active at its start (or the
    average base, if so set).

    What is usually called involuntary churn; the rest of customer churn is voluntary, by whatever reason was given.
    """
    return movement(
        Part(CUSTOMERS, f"CASE WHEN r.reason = 'non_payment' THEN {LOST} ELSE 0 END"),
        Part(CUSTOMERS, CHURN_BASE),
    )


@kpi(
    name="Acquisition rate",
    family=Family.GROWTH,
    unit=Unit.PERCENT,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=2,
    by=SPLITS,
    settings=("count_in_period", *REGAINED),
)
def acquisition_rate() -> Shape:
    """(New + reactivated customers of the month) ÷ customers active at its start.

    What churn has to be set against. No customer at the start: n/a.
    """
    return movement(
        Part(CUSTOMERS, f"{NEW.value} + {REACTIVATED}"),
        Part(CUSTOMERS, "r.was_active::int"),
    )
