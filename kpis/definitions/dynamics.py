"""Customer dynamics: clients that used something paid, their balances, refills, packages."""

from kpis.kpi import Family, Good, Part, Rollup, Shape, Unit, flow, kpi, stock
from kpis.sources import ALWAYS, BOOK, DYNAMICS, DYNAMICS_COUNT, USAGE, Source

#: Customers with a call charged or a recurring or one-off charge above zero in a window of months.
_PAID = (
    "SELECT month, customer_id FROM dynamicsfact WHERE charged > 0 UNION ALL"
    " SELECT month, customer_id FROM usagefact WHERE retail > 0"
)
_TABLES = ("dynamicsfact", "usagefact")
_ACTIVE = " ".join(
    [
        "SELECT DISTINCT d.month, d.day, y.customer_id FROM {last %(active_months)s} d JOIN (",
        _PAID,
        ") y ON y.month = d.at",
    ]
)
_OVERALL = " ".join(
    [
        "SELECT d.month, d.day, y.customer_id FROM days d JOIN (SELECT customer_id, min(month) AS month FROM (",
        _PAID,
        ") w GROUP BY 1) y ON y.month <= d.month WHERE d.asked",
    ]
)
#: Every customer in the book by the close: added by then, or with a service, a charge or a call.
_ALL = " ".join(
    [
        "SELECT d.month, d.day, b.id AS customer_id FROM days d JOIN billing_customer b",
        "ON b.reseller_id = %(reseller)s {mine b.id} LEFT JOIN (SELECT customer_id, min(month) AS month FROM (",
        "SELECT customer_id, month FROM customerfact UNION ALL SELECT customer_id, month FROM dynamicsfact",
        "UNION ALL SELECT customer_id, month FROM usagefact) w GROUP BY 1) t ON t.customer_id = b.id",
        "WHERE d.asked AND ((b.created_at AT TIME ZONE %(zone)s)::date <= d.day OR t.month <= d.month)",
    ]
)
_BALANCES = "JOIN dynamicsfact f ON f.customer_id = c.customer_id AND f.month = c.month"


def _counted(name: str, rows: str, window: int | str, *more: str) -> Source:
    return Source(name, f"({rows})", (*_TABLES, *more), window=window)


def _balances(name: str, rows: str, window: int | str, *more: str) -> Source:
    text = ["(SELECT c.*, f.currency, f.balance FROM (", rows, ") c", _BALANCES, ")"]
    return Source(name, " ".join(text), (*_TABLES, *more), "r.currency", window=window)


ACTIVE = _counted("clients_active", _ACTIVE, "active_months")
OVERALL = _counted("clients_overall", _OVERALL, ALWAYS)
EVERYBODY = _counted("clients_all", _ALL, ALWAYS, "customerfact")
ACTIVE_BALANCES = _balances("balances_active", _ACTIVE, "active_months")
OVERALL_BALANCES = _balances("balances_overall", _OVERALL, ALWAYS)
ALL_BALANCES = _balances("balances_all", _ALL, ALWAYS, "customerfact")
ACTIVE_BY_CURRENCY = Source(
    "clients_active_by_currency", ACTIVE.rows, _TABLES, "c.currency", window="active_months"
)
DURATION = ("active_months",)


@kpi(
    name="Clients active",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
    settings=DURATION,
    elsewhere=(("JeraSoft", "Clients Active: the same, with its Active Duration"),),
)
def dynamics_active() -> Shape:
    """Number of customers with a paid call or a recurring or one-off charge in the last months (setting), this one
    included.

    Free use does not count.
    """
    return stock(Part(ACTIVE, "1"))


@kpi(
    name="Clients active: in credit",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
    settings=DURATION,
)
def dynamics_active_positive() -> Shape:
    """Σ balances above zero, at the close, of the clients active."""
    return stock(Part(ACTIVE_BALANCES, "greatest(r.balance, 0)"))


@kpi(
    name="Clients active: owing",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
    settings=DURATION,
)
def dynamics_active_negative() -> Shape:
    """Σ balances below zero, at the close, of the clients active."""
    return stock(Part(ACTIVE_BALANCES, "least(r.balance, 0)"))


@kpi(
    name="Clients active: balance",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
    settings=DURATION,
)
def dynamics_active_balance() -> Shape:
    """Σ balances, at the close, of the clients active.

    The ledger balance as of that day: plus is in credit. In credit + owing = balance.
    """
    return stock(Part(ACTIVE_BALANCES, "r.balance"))


@kpi(
    name="Clients active at any time",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_overall() -> Shape:
    """Number of customers with a paid call or a recurring or one-off charge at any time up to the close."""
    return stock(Part(OVERALL, "1"))


@kpi(
    name="Clients active at any time: in credit",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_overall_positive() -> Shape:
    """Σ balances above zero, at the close, of the clients active at any time."""
    return stock(Part(OVERALL_BALANCES, "greatest(r.balance, 0)"))


@kpi(
    name="Clients active at any time: owing",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_overall_negative() -> Shape:
    """Σ balances below zero, at the close, of the clients active at any time."""
    return stock(Part(OVERALL_BALANCES, "least(r.balance, 0)"))


@kpi(
    name="Clients active at any time: balance",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_overall_balance() -> Shape:
    """Σ balances, at the close, of the clients active at any time.

    The ledger balance as of that day: plus is in credit. In credit + owing = balance.
    """
    return stock(Part(OVERALL_BALANCES, "r.balance"))


@kpi(
    name="All clients",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_all() -> Shape:
    """Number of customers in the book at the close: added by then, or with a service, a charge or a call.

    Test accounts are left out. All ≥ active at any time ≥ active.
    """
    return stock(Part(EVERYBODY, "1"))


@kpi(
    name="All clients: in credit",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_all_positive() -> Shape:
    """Σ balances above zero, at the close, of all clients."""
    return stock(Part(ALL_BALANCES, "greatest(r.balance, 0)"))


@kpi(
    name="All clients: owing",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_all_negative() -> Shape:
    """Σ balances below zero, at the close, of all clients."""
    return stock(Part(ALL_BALANCES, "least(r.balance, 0)"))


@kpi(
    name="All clients: balance",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.WATCH,
    rollup=Rollup.LAST,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_all_balance() -> Shape:
    """Σ balances, at the close, of all clients.

    The ledger balance as of that day: plus is in credit. In credit + owing = balance.
    """
    return stock(Part(ALL_BALANCES, "r.balance"))


@kpi(
    name="Balance refills",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_refills() -> Shape:
    """Number of payments credited to balances in the month; reversals do not lower it."""
    return flow(Part(DYNAMICS_COUNT, "r.refills"))


@kpi(
    name="Balance refills: total",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_refilled() -> Shape:
    """Σ payments credited to balances in the month − Σ payments reversed in it."""
    return flow(Part(DYNAMICS, "r.refilled"))


@kpi(
    name="Balance refills: average",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_refill_average() -> Shape:
    """Total of the balance refills of the month ÷ their number. None: n/a."""
    return flow(Part(DYNAMICS, "r.refilled"), Part(DYNAMICS, "r.refills"))


@kpi(
    name="Pay as you go",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def dynamics_payg() -> Shape:
    """Σ price of the calls of the month outside of package allowances, billed or not."""
    return flow(Part(USAGE, "r.retail"))


@kpi(
    name="Pay as you go per active client",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.RATIO,
    version=1,
    by=BOOK,
    sources="JeraSoft",
    settings=DURATION,
)
def dynamics_payg_average() -> Shape:
    """Pay as you go of the month ÷ clients active, each under the currency it is billed in."""
    return flow(Part(USAGE, "r.retail"), Part(ACTIVE_BY_CURRENCY, "1"))


@kpi(
    name="Package activations",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def package_activations() -> Shape:
    """Number of activations whose charge is dated in the month, free ones too."""
    return flow(Part(DYNAMICS_COUNT, "r.activations"))


@kpi(
    name="Package activations: total",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def package_activated() -> Shape:
    """Σ activation fees of the activations dated in the month."""
    return flow(Part(DYNAMICS, "r.activated"))


@kpi(
    name="Package renewals",
    family=Family.DYNAMICS,
    unit=Unit.COUNT,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def package_renewals() -> Shape:
    """Number of recurring charges of packages that begin in the month, the first one of a package included."""
    return flow(Part(DYNAMICS_COUNT, "r.renewals"))


@kpi(
    name="Package renewals: total",
    family=Family.DYNAMICS,
    unit=Unit.MONEY,
    good=Good.UP,
    rollup=Rollup.SUM,
    version=1,
    by=BOOK,
    sources="JeraSoft",
)
def package_renewed() -> Shape:
    """Σ recurring charges of packages that begin in the month, the first one of a package included."""
    return flow(Part(DYNAMICS, "r.renewed"))
