"""Megaline: 500 users, 318,611 calls, messages and sessions of 2018, two plans with allowances, in US dollars.

Taken through twice: with the churn dates left out, and with the churn date as the last day of service.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection

from billing.real.workbench import Workbench, inside, rows_of
from resellerkpi.core.models import Reseller

PLANS = ("surf", "ultimate")
MONTHS = [f"2018-{month:02d}" for month in range(1, 13)]
DATES = "%m/%d/%Y"
ZONE = "America/New_York"

USERS: dict[str, dict[str, Any]] = {
    "customers": {
        "columns": {
            "code": "user_id",
            "name": ["first_name", "last_name"],
            "active_from": "reg_date",
            "segment": "plan",
        },
        "date_format": DATES,
    },
    "numbers": {
        "columns": {
            "number": "user_id",
            "customer": "user_id",
            "start_date": "reg_date",
            "type": {"value": "other"},
        },
        "date_format": DATES,
    },
    "features": {
        "columns": {"customer": "user_id", "feature_type": "plan", "start_date": "reg_date"},
        "date_format": DATES,
    },
    "tariff-assignments": {
        "columns": {"customer": "user_id", "tariff": "plan", "start_date": "reg_date"},
        "date_format": DATES,
    },
}  # fmt: skip
#: The whole fee of every month served, after the month, so that a bill holds one month's fee and usage.
PLAN_TYPES = {
    "columns": {
        "code": "plan_name",
        "name": "plan_name",
        "price": "usd_monthly_pay",
        "included_minutes": "minutes_included",
        "included_sms": "messages_included",
        "included_mb": "mb_per_month_included",
        "timing": {"value": "arrears"},
        "prorate": {"value": "none"},
    },
}
CALLS = {
    "service": "voice",
    "zone": ZONE,
    "time_format": DATES,
    "duration_unit": "minutes",
    "columns": {"uid": "id", "identity": "user_id", "started_at": "call_date", "duration": "duration"},
}
MESSAGES = {
    "service": "sms",
    "zone": ZONE,
    "time_format": DATES,
    "columns": {"uid": "id", "identity": "user_id", "started_at": "message_date"},
}
SESSIONS = {
    "service": "data",
    "zone": ZONE,
    "time_format": DATES,
    "volume_unit": "mb",
    "columns": {"uid": "id", "identity": "user_id", "started_at": "session_date", "volume": "mb_used"},
}
USAGE = (("calls", CALLS), ("messages", MESSAGES), ("internet", SESSIONS))


def prices(plan: str) -> dict[str, Any]:
    """Return the mapping that reads a plan's prices: whole minutes per call, whole gigabytes per month."""
    return {
        "columns": {"prefix": {"value": "any"}, "destination": {"value": plan}},
        "only": {"plan_name": [plan]},
        "prices": [
            {"price": "usd_per_minute", "service": "voice"},
            {"price": "usd_per_message", "service": "sms"},
            {"price": "usd_per_gb", "service": "data"},
        ],
        "defaults": {"initial_increment": 60, "next_increment": 60},
        "tariff": {"time_zone": ZONE, "holidays": "", "data_unit_mb": 1024, "data_per_period": True},
    }


def run(bench: Workbench) -> dict[str, Any]:
    """Take the set through both ways and return the control totals of each."""
    return {
        "churn_dates_left_out": _once(bench, "megaline", honours_churn=False),
        "churn_dates_honoured": _once(bench, "megaline-churn", honours_churn=True),
    }


def _once(bench: Workbench, name: str, *, honours_churn: bool) -> dict[str, Any]:
    reseller = bench.reseller(name, country="US", time_zone=ZONE, currency="USD", vat_rate=0)
    _book(bench, reseller, name, honours_churn)
    files = {}
    for what, mapping in USAGE:
        files[what] = bench.command(
            reseller,
            "import_cdrs",
            bench.source("customers", "megaline", f"megaline_{what}.csv"),
            carrier="MEGALINE",
            mapping=bench.mapping(f"usage-{what}", mapping),
        )
    bills = {month: bench.command(reseller, "bill", period=month, until="confirmed") for month in MONTHS}
    return {"files": files, "bills": bills, "months": _by_plan_and_month(reseller)}


def _book(bench: Workbench, reseller: Reseller, name: str, honours_churn: bool) -> None:
    carriers = bench.table("carriers.csv", ("code", "name", "country", "time_zone", "currency"),
                           [("MEGALINE", "Megaline", "US", ZONE, "USD")])  # fmt: skip
    bench.command(reseller, "import_book", "carriers", carriers)
    plans = bench.source("customers", "megaline", "megaline_plans.csv")
    bench.command(
        reseller, "import_book", "feature-types", plans, mapping=bench.mapping("plan-types", PLAN_TYPES)
    )
    for plan in PLANS:
        mapping = bench.mapping(f"prices-{plan}", prices(plan))
        bench.command(reseller, "import_tariff", plans, tariff=plan, mapping=mapping)
    users = _users(bench, name, honours_churn)
    for kind, spec in USERS.items():
        columns = {**spec["columns"]}
        if honours_churn and kind != "tariff-assignments":
            columns["last_day"] = "churn_date"
        file = bench.mapping(f"{name}-{kind}", {**spec, "columns": columns})
        bench.command(reseller, "import_book", kind, users, mapping=file)


def _users(bench: Workbench, name: str, honours_churn: bool) -> Path:
    """Write the users as they are, without their churn dates when these are left out."""
    rows = rows_of(bench.source("customers", "megaline", "megaline_users.csv"))
    heads = [head for head in rows[0] if honours_churn or head != "churn_date"]
    return bench.table(f"{name}-users.csv", heads, ([row[head] for head in heads] for row in rows))


#: What the customers who used anything in a month were billed for it, by plan. An event in error is no usage.
BILLED = """
WITH used AS MATERIALIZED (
    SELECT DISTINCT customer_id, date_trunc('month', started_at AT TIME ZONE %(zone)s)::date AS month
    FROM billing_call WHERE reseller_id = %(reseller)s AND state <> 'error'
)
SELECT to_char(run.period_start, 'YYYY-MM'), customer.segment, count(*), sum(invoice.net)
FROM billing_invoice invoice
JOIN billing_billingrun run ON run.id = invoice.run_id
JOIN billing_customer customer ON customer.id = invoice.customer_id
JOIN used ON used.customer_id = invoice.customer_id AND used.month = run.period_start
WHERE invoice.reseller_id = %(reseller)s AND invoice.state <> 'draft'
GROUP BY 1, 2 ORDER BY 1, 2
"""


def _by_plan_and_month(reseller: Reseller) -> dict[str, dict[str, dict[str, object]]]:
    months: dict[str, dict[str, dict[str, object]]] = {}
    with inside(reseller), connection.cursor() as cursor:
        cursor.execute(BILLED, {"reseller": reseller.pk, "zone": ZONE})
        for month, plan, users, net in cursor.fetchall():
            months.setdefault(month, {})[plan] = {"users": users, "net": str(Decimal(net)), "currency": "USD"}
    return months
