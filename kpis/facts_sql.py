"""Every fact as SQL by name, its columns, and the marks in the texts: buckets of dates, last months, the narrowing.

Parameters of every text: `reseller`, `days` (at most one per bucket), `asked` (those of them that figures are wanted
for), `customers` (only where narrowed) and those of `Options`.
"""

import re

from kpis import facts_book as book
from kpis import facts_money as money

#: How the first day of a date's bucket is told, per grain.
BUCKETS = {
    "day": r"\1",
    "week": r"(date_trunc('week', \1)::date)",
    "month": r"(\1 - extract(day FROM \1)::int + 1)",
    "quarter": r"(date_trunc('quarter', \1)::date)",
    "year": r"(date_trunc('year', \1)::date)",
}
_MINE = "ANY(%(customers)s::bigint[])"
_THEIRS = (
    "AND \\1 = ANY(ARRAY(SELECT id FROM {table} WHERE reseller_id = %(reseller)s AND customer_id = {mine}))"
)
#: What a mark of the narrowing becomes.
NARROWED = {
    "mine": f"AND \\1 = {_MINE}",
    "bill": _THEIRS.format(table="billing_invoice", mine=_MINE),
    "receipt": _THEIRS.format(table="billing_payment", mine=_MINE),
}
#: Each month asked for with each of the last so many months as `at`. Facts are joined to it by equality, which looks
#: into a table of some hundred rows; a range would compare every fact with every month.
LAST = (
    "(SELECT d.month, d.day, p.month AS at FROM days d JOIN days p ON p.month <= d.month"
    r" AND p.month > d.month - make_interval(months => \1) WHERE d.asked)"
)
#: How many of the closes asked for are before a date: the place of the last of them, when they are numbered.
BEFORE = r"width_bucket(\1 - 1, ARRAY(SELECT day FROM days ORDER BY day))"
FACTS = {
    "customerfact": book.CUSTOMERS,
    "numberfact": book.NUMBERS,
    "featurefact": book.FEATURES,
    "movementfact": book.MOVEMENTS,
    "moneyfact": money.MONEY,
    "linefact": money.LINES,
    "dynamicsfact": money.DYNAMICS,
    "usagefact": money.USAGE,
    "trafficfact": money.TRAFFIC,
    "callingfact": money.CALLING,
}
#: Facts that follow from calls, and so from the days billing notes as changed.
OF_CALLS = ("usagefact", "trafficfact", "callingfact")
ACCOUNT_COLUMNS = (
    "holder, status, imported, currency, dealer_id, dealer, segment, client_type, campaign, region, tags, "
    "manager"
)
COLUMNS = {
    "customerfact": "month, day, customer_id, status, active, was_active, seen_before, moved_in, numbers, features, "
    "tenure_months, since, in_period, reason",
    "numberfact": "month, day, customer_id, number_type, held, added, removed",
    "featurefact": "month, day, customer_id, feature_type_id, currency, quantity, quantity_past, mrr, mrr_past, "
    "cost, list_mrr, committed, committed_months, expiring, starting, ending, revenue",
    "movementfact": "month, day, customer_id, currency, mrr_past, mrr, seen_before, home_past, home_same, home",
    "moneyfact": "month, day, customer_id, currency, invoices, net, gross, credited_net, credited_gross, "
    "average_invoices, average_net, service_net, paid, settled_cash, settled_credit, refunded, written_off, "
    "on_account, disputed, not_due, late_30, late_60, late_90, late_more",
    "linefact": "month, day, customer_id, currency, kind, call_class, lines, net, cost, calls, seconds",
    "dynamicsfact": "month, day, customer_id, currency, balance, refills, refilled, activations, activated, renewals, "
    "renewed, charged",
    "usagefact": "month, day, customer_id, carrier_id, service, call_class, currency, calls, seconds, volume, retail, "
    "cost, estimated, losing, lost",
    "callingfact": "month, day, customer_id, number_id, calls, last_day",
    "trafficfact": "month, day, carrier_id, service, destination, state, reason, currency, calls, seconds, retail, "
    "cost",
}
#: What tells the rows of a fact apart, and those of accounts.
KEYS = {
    "account": "customer_id",
    "customerfact": "month, customer_id",
    "numberfact": "month, customer_id, number_type",
    "featurefact": "month, customer_id, feature_type_id, currency",
    "movementfact": "month, customer_id, currency",
    "moneyfact": "month, customer_id, currency",
    "linefact": "month, customer_id, currency, kind, call_class",
    "dynamicsfact": "month, customer_id, currency",
    "usagefact": "month, customer_id, carrier_id, service, call_class, currency",
    "callingfact": "month, customer_id, number_id",
}


def told(text: str, *, suspended: bool) -> str:
    """Return a text for a house whose recurring revenue keeps suspended customers, or leaves them out."""
    return re.sub(r"\[\[(.*?)\]\]", "" if suspended else r"\1", text, flags=re.DOTALL)


def written(text: str, *, grain: str = "month", narrow: bool = False, suspended: bool = True) -> str:
    """Write out the marks of a text: {a.date} as the first day of its bucket, {mine a.id} as the narrowing.

    {bill a.id} and {receipt a.id} narrow to the invoices and payments of those customers; {last 2} is `LAST`,
    {before a.date} is `BEFORE`. Without suspended customers [[what leaves them out]] is written, else nothing of it.
    """
    text = told(text, suspended=suspended)
    text = re.sub(r"\{last ([^}]+)\}", LAST, text)
    text = re.sub(r"\{before ([\w.]+)\}", BEFORE, text)
    for mark, only in NARROWED.items():
        text = re.sub(rf"\{{{mark} ([\w.]+)\}}", only if narrow else "", text)
    return re.sub(r"\{([\w.]+)\}", BUCKETS[grain], text)


def preamble(*, grain: str = "month", narrow: bool = False) -> str:
    """Return the common table expressions `days` and `account`, the latter out of billing's tables."""
    return written(f"{book.DAYS}, account AS ({book.ACCOUNT})", grain=grain, narrow=narrow)
