"""How demo customers pay: collections with their failures and retries, late payers, refills."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from billing.bills import credit
from billing.demo.plan import CustomerPlan
from billing.demo.shape import Calendar, House, stream
from billing.models import ChargeKind, Customer, Invoice, InvoiceLine
from billing.receivables.payments import PaymentRow, record_payments
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months

#: Bacs reason codes of failed Direct Debits and how often they come.
CODES = (("0", 70), ("1", 12), ("B", 8), ("6", 5), ("3", 5))
RETRY_DAYS, RETRY_WORKS = 10, 0.72
FAILS = {"good": 0.018, "shaky": 0.30}
LATE_DAYS = {"good": (-4, 3), "late": (5, 24), "chronic": (22, 55)}
#: A retry would be due so many days later; the transfer comes earlier, before the bill counts as left alone.
SOON = 5
REFILL_STEP = 10


@dataclass(frozen=True)
class _Bill:
    """What a customer is asked to pay: an invoice less what was credited of it."""

    invoice: Invoice
    amount: Decimal


@dataclass
class Collector:
    """Turns each month's invoices into payments, and records them once their day has come."""

    reseller: Reseller
    house: House
    calendar: Calendar
    seed: int
    plans: dict[str, CustomerPlan]
    customers: dict[str, Customer]
    never_presented: dict[str, date]
    waiting: list[PaymentRow] = field(default_factory=list)

    def collect(self, run_id: int, first: date) -> None:
        """Plan the payments of a run's invoices; must run inside the reseller's scope."""
        credited = self._credit_one(run_id, first)
        codes = {customer.pk: code for code, customer in self.customers.items()}
        invoices = Invoice.objects.filter(run_id=run_id, state=Invoice.State.ISSUED).order_by("customer_id")
        for invoice in invoices:
            plan = self.plans[codes[invoice.customer_id]]
            random = stream(self.seed, self.house.code, "pay", plan.code, first)
            amount = invoice.gross - credited.get(invoice.pk, 0)
            if amount > 0:
                self.waiting += self._rows(random, plan, _Bill(invoice, amount), first)

    def _credit_one(self, run_id: int, first: date) -> dict[int, Decimal]:
        """Credit one rental of one invoice every other month or so, before it is due; return what was credited."""
        random = stream(self.seed, self.house.code, "credit", first)
        rows = list(
            InvoiceLine.objects.filter(
                invoice__run_id=run_id, kind=ChargeKind.RECURRING, net__gt=1, position__gt=1
            )
            .exclude(invoice__customer__code__in=self.never_presented)
            .exclude(invoice__customer__payment_method=Customer.Method.PREPAID)
            .order_by("invoice__customer__code", "position")
            .values_list("pk", "invoice_id", "net")
        )
        if not rows or random.random() < 0.5:
            return {}
        line, invoice, net = random.choice(rows)
        on = min(add_months(first, 1) + timedelta(days=random.randint(3, 12)), self.calendar.today)
        now, why = self.calendar.noon(on), "Line out of order for the month"
        note = credit(invoice, reason=why, on=on, now=now, lines={line: net})
        return {invoice: note.gross}

    def record_until(self, day: date) -> None:
        """Record the payments received up to a day; must run inside the reseller's scope."""
        due = [row for row in self.waiting if (row.reversed_date or row.received_date) <= day]
        if due:
            self.waiting = [row for row in self.waiting if (row.reversed_date or row.received_date) > day]
            record_payments(self.reseller, due)

    def _rows(self, random: Random, plan: CustomerPlan, bill: _Bill, first: date) -> Iterator[PaymentRow]:
        invoice, lapsed = bill.invoice, self.never_presented.get(plan.code)
        if lapsed and first >= lapsed:
            return
        if plan.method in ("direct_debit", "card"):
            yield from self._collected(random, plan, bill)
        elif plan.method == "prepaid":
            step = Decimal(REFILL_STEP)
            amount = (invoice.gross // step + 1) * step
            day = invoice.invoice_date - timedelta(days=random.randint(1, 12))
            yield self._row(invoice, day, amount, plan.method, is_refill=True)
        elif not (plan.events[-1].reason == "non_payment" and plan.end and invoice.due_date >= plan.end):
            day = invoice.due_date + timedelta(days=random.randint(*LATE_DAYS[plan.payer]))
            yield self._row(invoice, max(day, invoice.invoice_date), bill.amount, plan.method)

    def _collected(self, random: Random, plan: CustomerPlan, bill: _Bill) -> Iterator[PaymentRow]:
        """Present on the due date; after a failure once more, then the customer pays by transfer within a fortnight."""
        odds = FAILS["shaky" if plan.payer == "shaky" else "good"]
        invoice, day = bill.invoice, bill.invoice.due_date
        for presentation in (1, 2):
            if random.random() >= odds:
                yield self._row(invoice, day, bill.amount, plan.method, presentation=presentation)
                return
            code = random.choices([c for c, _ in CODES], [w for _, w in CODES])[0]
            code = code if plan.method == "direct_debit" else ""
            bounced = plan.method == "direct_debit"
            yield self._row(
                invoice,
                day,
                bill.amount,
                plan.method,
                presentation=presentation,
                outcome="failed",
                reversed_date=day + timedelta(days=2) if bounced else None,
                reversal_code=code,
            )
            day, odds = day + timedelta(days=RETRY_DAYS), 1 - RETRY_WORKS
        paid = day - timedelta(days=random.randint(1, SOON))
        yield self._row(invoice, paid, bill.amount, "transfer")

    @staticmethod
    def _row(invoice: Invoice, day: date, amount: Decimal, method: str, **more: object) -> PaymentRow:
        return PaymentRow(
            customer_id=invoice.customer_id,
            received_date=day,
            amount=amount,
            currency=invoice.currency,
            method=method,
            invoice_number=None if more.get("is_refill") else invoice.number,
            reference=f"{invoice.number}/{more.get('presentation', 1)}",
            **more,  # type: ignore[arg-type]
        )
