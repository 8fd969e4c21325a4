"""The Late payers report."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import Q

from billing.models import Customer
from reports.customers import CustomerAsOfFilters
from reports.filters import ReportFilters
from reports.report import Preset, Report
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar
from resellerkpi.core.columns import SUM, Choice, Code, Decimal, Int, Money, Row, Text
from resellerkpi.core.planner import joined_by_hash
from resellerkpi.core.scope import current

HABIT, DEBT = "How they pay", "Past due"
PROPOSALS = (
    ("debit", "Direct Debit instead"),
    ("terms", "Shorter terms, or paid in advance"),
    ("advance", "Paid in advance, or a deposit"),
    ("refill", "Automatic refill"),
)
SHORT = 14
#: The last six invoices due of each customer with how they were settled by the day, and what is past due by currency.
LATENESS = """
WITH due AS MATERIALIZED (
    SELECT id, customer_id, invoice_date, due_date, gross, due_date > %(day)s - 190 AS recent,
        row_number() OVER (PARTITION BY customer_id ORDER BY due_date DESC, id DESC) AS place
    FROM billing_invoice WHERE reseller_id = ANY (%(resellers)s) AND customer_id = ANY (%(ids)s::bigint[])
        AND state <> 'draft' AND gross > 0 AND due_date < %(day)s AND due_date > %(day)s - 380
), share AS MATERIALIZED (
    SELECT invoice_id, sum(amount) AS amount, max(date) AS last FROM billing_allocation
    WHERE reseller_id = ANY (%(resellers)s) AND date <= %(day)s AND (ended_date IS NULL OR ended_date > %(day)s)
    GROUP BY invoice_id
), paid AS (
    SELECT d.customer_id, d.place, d.recent, s.last IS NULL OR s.amount < d.gross OR s.last > d.due_date AS late,
        CASE WHEN s.amount >= d.gross THEN s.last ELSE %(day)s END - d.invoice_date AS days
    FROM due d LEFT JOIN share s ON s.invoice_id = d.id WHERE d.place <= 6
), habit AS (
    SELECT customer_id, count(*) FILTER (WHERE place <= 3 AND recent) AS invoices,
        count(*) FILTER (WHERE place <= 3 AND recent AND late) AS late,
        avg(days) FILTER (WHERE place <= 3 AND recent) AS days, avg(days) FILTER (WHERE place > 3) AS before
    FROM paid GROUP BY customer_id
), debt AS (
    SELECT i.customer_id, i.currency, sum(i.gross - coalesce(s.amount, 0)) AS overdue, min(i.due_date) AS oldest
    FROM billing_invoice i LEFT JOIN share s ON s.invoice_id = i.id
    WHERE i.reseller_id = ANY (%(resellers)s) AND i.customer_id = ANY (%(ids)s::bigint[]) AND i.state <> 'draft'
        AND i.due_date < %(day)s AND i.gross > coalesce(s.amount, 0)
    GROUP BY 1, 2
)
SELECT h.customer_id, h.invoices, h.late, h.days, h.before, d.currency, coalesce(d.overdue, 0), %(day)s - d.oldest
FROM habit h LEFT JOIN debt d ON d.customer_id = h.customer_id WHERE h.late >= %(late)s
"""


class LatePayers(Report):
    """Who pays late again and again, what is past due, and what to propose: one line per customer.

    An invoice is late when it was settled after its due date, or is not settled and past it. The last three that fell
    due within 190 days count; the three before say whether it gets better. Test accounts are left out.
    """

    slug = "late-payers"
    name = "Late payers"
    family = "Billing and money"
    needs = Capability.VIEW_MONEY
    keys = ("code", "currency")
    columns = (
        Code(name="code", label="Account", help="The customer's account code."),
        Text(name="customer_name", label="Customer", url="customer"),
        Choice(
            name="method", label="Payment method", choices=Customer.Method.choices, help="How they pay today."
        ),
        Int(
            name="terms",
            label="Terms in days",
            help="Days from the invoice to its due date, for new invoices.",
        ),
        Int(name="invoices", label="Looked at", group=HABIT, help="Their last invoices due, three at most."),
        Int(name="late", label="Late", group=HABIT, help="How many of those were late."),
        Decimal(
            name="days",
            label="Days to pay",
            decimals=1,
            group=HABIT,
            help="Mean of days from invoice to settlement of those; what is open counts up to the report's day.",
        ),
        Decimal(
            name="before",
            label="Days to pay before",
            decimals=1,
            group=HABIT,
            help="The same of the three invoices before those.",
        ),
        Decimal(
            name="trend",
            label="Trend",
            decimals=1,
            group=HABIT,
            help="Days to pay less before; plus is slower.",
        ),
        Code(name="currency", label="Currency"),
        Money(
            name="overdue",
            label="Amount",
            total=SUM,
            group=DEBT,
            help="Open on invoices past their due date.",
        ),
        Int(
            name="oldest", label="Oldest in days", group=DEBT, help="Days since the oldest of them fell due."
        ),
        Choice(
            name="proposal",
            label="Proposal",
            choices=PROPOSALS,
            help="By how they pay today: Direct Debit for transfers and cheques, else shorter terms or advance.",
        ),
        Text(name="dealer", label="Dealer", help="The customer's dealer today."),
        Text(
            name="manager",
            label="Account manager",
            needs=Capability.VIEW_PEOPLE,
            help="The customer's account manager today.",
        ),
    )
    charts = (
        Preset("overdue", Bar(x="customer_name", y=("overdue",), title="Past due by customer")),
        Preset("days", Bar(x="customer_name", y=("days", "before"), title="Days to pay, now and before")),
        Preset("methods", Bar(x="method", y=("overdue",), title="Past due by payment method")),
    )

    class Filters(CustomerAsOfFilters):
        """How often is too often, besides the filters of customers."""

        late = forms.IntegerField(required=False, label="Late at least, of three", min_value=1, max_value=3)

        def defaults(self) -> dict[str, list[str]]:
            """Take two of the last three invoices for a habit."""
            return super().defaults() | {"late": ["2"]}

    def rows(self, f: ReportFilters) -> Iterable[Row]:
        """Return the late payers, those with most past due first."""
        people = {person["pk"]: person for person in _people(f)}
        asked: dict[str, Any] = {
            "resellers": list(current().reseller_ids),
            "ids": list(people),
            "day": f.as_of,
        }
        with joined_by_hash() as cursor:
            cursor.execute(LATENESS, asked | {"late": f.cleaned_data["late"]})
            found = [_row(people[pk], *figures) for pk, *figures in cursor.fetchall()]
        return sorted(found, key=lambda row: (-row["overdue"], -row["late"], row["code"]))


def _people(f: ReportFilters) -> Any:
    asked: Q = f.of_customers("")  # type: ignore[attr-defined]  # of CustomerFilters
    names = ("pk", "code", "name", "payment_method", "terms_days", "currency")
    found = Customer.objects.filter(asked, is_test=False)
    return found.values(*names, "dealer__name", "account_manager__name")


def _row(
    person: Row,
    invoices: int,
    late: int,
    days: Any,
    before: Any,
    currency: str | None,
    overdue: Any,
    oldest: Any,
) -> dict[str, Any]:
    return {
        "code": person["code"],
        "customer_name": person["name"],
        "customer_name_id": person["pk"],
        "method": person["payment_method"],
        "terms": person["terms_days"],
        "invoices": invoices,
        "late": late,
        "days": days,
        "before": before,
        "trend": None if before is None else days - before,
        "currency": currency or person["currency"],
        "overdue": overdue,
        "oldest": oldest,
        "proposal": _proposal(person["payment_method"], person["terms_days"]),
        "dealer": person["dealer__name"],
        "manager": person["account_manager__name"],
    }


def _proposal(method: str, terms: int) -> str:
    """Return what to propose to somebody who pays late by a method on terms."""
    if method in (Customer.Method.TRANSFER, Customer.Method.CHEQUE):
        return "debit"
    if method == Customer.Method.PREPAID:
        return "refill"
    return "terms" if terms > SHORT else "advance"
