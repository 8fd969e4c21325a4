"""The money of one customer: what it owes, what it was billed, what it has used since."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.safestring import SafeString

from billing.models import Allocation, Customer, Invoice
from billing.models.watermarks import BILLED, JOIN_BILLED, UNBILLED
from billing.preview import waiting
from billing.receivables.ledger import balances
from billing.receivables.mandates import mandate_of, mandate_words
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, Date, Flag, Money
from resellerkpi.core.scope import Scope
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import EmptyState, Facts, Panel, TablePanel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, minutes, money, percent
from resellerkpi.ui.tiles import Tile

MONEY = Capability.VIEW_MONEY
INVOICES: tuple[Column, ...] = (
    Code(name="number", label="Invoice"),
    Date(name="invoice_date", label="Date"),
    Date(name="due_date", label="Due"),
    Choice(name="state", choices=Invoice.State.choices),
    Money(name="net", needs=MONEY),
    Money(name="gross", needs=MONEY),
    Money(name="open", label="Outstanding", source="still_open", needs=MONEY),
    Code(name="currency"),
    Flag(name="is_disputed", label="Disputed"),
)
UNBILLED_SO_FAR = f"""
WITH billed AS ({BILLED})
SELECT coalesce(nullif(call.currency, ''), %s) AS currency, count(*), sum(call.billed_seconds), sum(call.retail)
FROM billing_call call {JOIN_BILLED}
WHERE call.reseller_id = %s AND call.customer_id = %s AND call.state IN ('rated', 'zero') AND {UNBILLED}
  AND call.started_at >= coalesce(
      (SELECT min(usage_before) FROM billed WHERE billed.customer_id = %s) - interval '35 days', '-infinity')
GROUP BY 1 ORDER BY 1
"""  # noqa: S608  joined of constants only


def unbilled(customer: Customer) -> list[tuple[str, int, int, Any]]:
    """Return (currency, calls, billed seconds, retail) of the calls no invoice covers, up to 35 days late."""
    with connection.cursor() as cursor:
        cursor.execute(
            UNBILLED_SO_FAR,
            [customer.reseller_id, customer.currency, customer.reseller_id, customer.pk, customer.pk],
        )
        return cursor.fetchall()


def owed(customer: Customer, today: date) -> str | SafeString:
    """Return the customer's balance in each currency in words."""
    found = balances(today, customer_id=customer.pk)
    return (
        ", ".join(money(amount, currency) for (_, currency), amount in sorted(found.items()))
        or "Nothing owed"
    )


def unbilled_panels(customer: Customer) -> list[Panel]:
    """Return what waits for the next bill as figures: calls used, charges made; nothing when nothing waits."""
    charges, used = waiting(customer), {row[0]: row for row in unbilled(customer)}
    preview = reverse("customer-bill", args=[customer.pk])
    tiles = []
    for currency in sorted(charges.keys() | used.keys()):
        _, calls, seconds, retail = used.get(currency, (currency, 0, 0, Decimal(0)))
        words = [f"{calls:,} calls, {minutes(seconds or 0)}"] if calls else []
        if currency in charges:
            words.append(f"charges {money(charges[currency], currency)}")
        total = money(retail + charges.get(currency, Decimal(0)), currency)
        tiles.append(
            Tile(
                label="Unbilled so far",
                value=total,
                url=preview,
                definition="Calls no bill holds, and charges made and not billed, before VAT; rentals of the next "
                "period are added when the bill is made.",
                marks=words,
            )
        )
    return [TilesPanel(tiles)] if tiles else []


def money_facts(customer: Customer, scope: Scope, today: date) -> Facts:
    """Return how the customer is billed and pays and, for those who may see money, what it owes and has used."""
    items: list[tuple[Any, ...]] = []
    if scope.can(MONEY):
        items.append(("Balance", owed(customer, today)))
        items.append(("Minimum invoice", money(customer.minimum_invoice, customer.currency)))
        if customer.credit_limit is not None:
            items.append(("Credit limit", money(customer.credit_limit, customer.currency)))
    pays: list[tuple[Any, ...]] = [("Pays by", customer.get_payment_method_display())]
    if scope.can(MONEY) and customer.payment_method == Customer.Method.DIRECT_DEBIT:
        record = reverse("customer-mandate", args=[customer.pk]) if scope.can(Capability.COLLECT) else ""
        pays.append(("Mandate", mandate_words(mandate_of(customer, today), today), record))
    return Facts(
        "Billing",
        [
            *items,
            *pays,
            ("Terms", f"{customer.terms_days} days"),
            ("Billed", f"{customer.billing_cycle.capitalize()}, on day {customer.billing_day}"),
            ("VAT", percent(customer.vat_rate / 100)),
            ("On hold", "Yes" if customer.on_hold else "No"),
            ("Contract ends", day(customer.contract_end)),
            ("Renewal", day(customer.renewal_date)),
        ],
    )


def invoice_rows(customer: Customer) -> QuerySet[Any]:
    """Return the customer's issued invoices, newest first, with what is still open of each."""
    paid = (
        Allocation.objects.filter(invoice=OuterRef("pk"), ended_date__isnull=True)
        .order_by()
        .values("invoice")
        .annotate(total=Sum("amount"))
        .values("total")
    )
    return (
        Invoice.objects.filter(customer=customer)
        .filter(~Q(state=Invoice.State.DRAFT))
        .annotate(
            still_open=F("gross") - Coalesce(Subquery(paid), 0, output_field=Invoice._meta.get_field("gross"))
        )
        .order_by("-invoice_date", "-pk")
    )


def invoice_panel(customer: Customer) -> TablePanel:
    """Return the latest twelve invoices."""
    everything = address("invoice-list")
    return TablePanel(
        "Invoices",
        INVOICES,
        invoice_rows(customer),
        row_url="invoice",
        limit=12,
        more_url=f"{everything}?q={customer.code}" if everything else "",
        empty=EmptyState("Nothing has been billed to this customer yet."),
    )
