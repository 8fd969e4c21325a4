"""The dashboard's figures once more, naively: plain Python over the demo's rows, one customer and one row at a time."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.models import (
    Allocation,
    CreditNote,
    CreditNoteLine,
    Customer,
    Feature,
    FeaturePrice,
    FeatureType,
    Invoice,
    InvoiceLine,
    NumberAssignment,
    Observation,
    Payment,
    PaymentAttempt,
)

D = Decimal
Row = dict[str, Any]
DAYS_OF_A_MONTH = D("30.4375")
MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}
SERVICE = ("recurring", "usage", "carrier", "credit")


def last_day(month: date) -> date:
    """The close of a month."""
    return month.replace(day=monthrange(month.year, month.month)[1])


def ago(month: date, months: int) -> date:
    """The first day of the month so many months before."""
    for _ in range(months):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def on(row: Row, day: date) -> bool:
    """Whether a dated row holds on a day."""
    return bool(row["start_date"] <= day and (row["end_date"] is None or row["end_date"] > day))


def per(top: D, bottom: D | int) -> D | None:
    """A ratio, None without a base."""
    return top / bottom if bottom > 0 else None


class Dashboard:
    """A house's rows, read once, and the figures of a month from them; amounts are in the house's one currency."""

    def __init__(self) -> None:
        self.people = {c["id"]: c for c in Customer.objects.filter(is_test=False).values()}
        self.types = {t["id"]: t for t in FeatureType.objects.values()}
        self.prices = list(FeaturePrice.objects.values())
        self.numbers = self.of(NumberAssignment.objects.values())
        self.features = [
            f
            for f in self.of(Feature.objects.values())
            if self.types[f["feature_type_id"]]["interval"] != "once"
        ]
        self.invoices = self.of(Invoice.objects.exclude(state="draft").values())
        self.lines = list(InvoiceLine.objects.values())
        self.notes = self.of(CreditNote.objects.values())
        self.taken_back = list(CreditNoteLine.objects.values())
        self.payments = self.of(Payment.objects.values())
        self.shares = list(Allocation.objects.values())
        self.attempts = self.of(PaymentAttempt.objects.values())
        self.observed = list(Observation.objects.filter(metric="marketing_spend").values())

    def of(self, rows: Iterable[Row]) -> list[Row]:
        """Rows of customers that count."""
        return [row for row in rows if row["customer_id"] in self.people]

    def services(self, customer: int) -> list[Row]:
        """What makes a customer active."""
        return [s for s in (*self.numbers, *self.features) if s["customer_id"] == customer]

    def active(self, day: date) -> set[int]:
        """Who has a service on a day."""
        return {s["customer_id"] for s in (*self.numbers, *self.features) if on(s, day)}

    def earlier(self, month: date) -> set[int]:
        """Who was active at any close before a month."""
        found: set[int] = set()
        first = min(s["start_date"] for s in (*self.numbers, *self.features)).replace(day=1)
        while first < month:
            found |= self.active(last_day(first))
            first = last_day(first) + timedelta(days=1)
        return found

    def new(self, month: date) -> set[int]:
        """Who is active for the first time, not brought in from elsewhere."""
        came = self.active(last_day(month)) - self.earlier(month)
        return {c for c in came if not self.people[c]["imported"]}

    def lost(self, month: date) -> set[int]:
        """Who was active at the close before and is not now."""
        return self.active(month - timedelta(days=1)) - self.active(last_day(month))

    def back(self, month: date) -> set[int]:
        """Who is active again."""
        was = self.active(month - timedelta(days=1))
        return (self.active(last_day(month)) & self.earlier(month)) - was

    def list_price(self, feature: Row, day: date) -> D:
        """The price of a feature's type on a day."""
        for p in self.prices:
            until = p["valid_to"]
            if p["feature_type_id"] == feature["feature_type_id"] and p["valid_from"] <= day:
                if until is None or until > day:
                    return D(p["price"])
        return D(0)

    def mrr(self, month: date) -> D:
        """What the features bring a month at the close."""
        day, total = last_day(month), D(0)
        for f in self.features:
            if on(f, day) and not f["not_charged"]:
                unit = self.list_price(f, day) if f["price"] is None else f["price"]
                months = MONTHS_OF[self.types[f["feature_type_id"]]["interval"]]
                whole = f["quantity"] * unit * (100 - f["discount_percent"]) / 100 / months
                total += whole.quantize(D("0.000001"), ROUND_HALF_UP)
        return total

    def inside(self, rows: list[Row], name: str, month: date) -> list[Row]:
        """Rows dated in a month."""
        return [r for r in rows if r[name] is not None and month <= r[name] <= last_day(month)]

    def billed(self, month: date) -> list[Row]:
        """The month's invoices."""
        return self.inside(self.invoices, "invoice_date", month)

    def credited(self, month: date) -> list[Row]:
        """The month's credit notes."""
        return self.inside(self.notes, "date", month)

    def service_revenue(self, month: date) -> D:
        """Net of service lines less what credit notes took back of them."""
        kinds = {line["id"]: line["kind"] for line in self.lines}
        mine = {i["id"] for i in self.billed(month)}
        revenue = sum(
            (x["net"] for x in self.lines if x["invoice_id"] in mine and x["kind"] in SERVICE), D(0)
        )
        for note in self.credited(month):
            parts = [k for k in self.taken_back if k["credit_note_id"] == note["id"]]
            for part in parts or [{"net": note["net"], "invoice_line_id": None}]:
                if kinds.get(part["invoice_line_id"], "recurring") in SERVICE:
                    revenue -= part["net"]
        return revenue

    def customers(self, month: date) -> D:
        """The average of the customers at the start and the close."""
        return D(len(self.active(month - timedelta(days=1))) + len(self.active(last_day(month)))) / 2

    def owed(self, month: date) -> list[tuple[D, int]]:
        """What is open of each invoice at the close and how many days it is late."""
        day, found = last_day(month), []
        for i in self.invoices:
            if i["invoice_date"] <= day:
                settled = sum(
                    (
                        a["amount"]
                        for a in self.shares
                        if a["invoice_id"] == i["id"] and a["date"] <= day
                        and (a["ended_date"] is None or a["ended_date"] > day)
                    ),
                    D(0),
                )  # fmt: skip
                found.append((i["gross"] - settled, (day - i["due_date"]).days))
        return found

    def tenure(self, customer: int, day: date) -> D:
        """Months from the first service to the end of the last one that has ended."""
        mine = self.services(customer)
        ends = [s["end_date"] for s in mine if s["end_date"] is not None and s["end_date"] <= day]
        days = (max(ends) - min(s["start_date"] for s in mine)).days
        return (D(days) / DAYS_OF_A_MONTH).quantize(D("0.000001"), ROUND_HALF_UP)

    def held(self, customer: int, day: date) -> int:
        """How many numbers a customer has on a day."""
        return sum(on(n, day) for n in self.numbers if n["customer_id"] == customer)

    def declining(self, month: date) -> int:
        """Who has fewer numbers in two of three months, or a fifth fewer than three months ago."""
        count = 0
        for c in self.active(last_day(month)):
            n = [self.held(c, last_day(ago(month, i))) for i in range(4)]
            fell = sum(n[i] < n[i + 1] for i in range(3))
            count += fell >= 2 or (n[3] > 0 and n[0] <= n[3] * D("0.8"))
        return count

    def lifetime_value(self, month: date) -> D | None:
        """Revenue per customer × months of stay of those lost, both of twelve months."""
        year = [ago(month, i) for i in range(12)]
        stays = [self.tenure(c, last_day(m)) for m in year for c in self.lost(m)]
        revenue = per(
            sum((self.service_revenue(m) for m in year), D(0)), sum(self.customers(m) for m in year)
        )
        return revenue * sum(stays, D(0)) / len(stays) if stays and revenue is not None else None

    def average_invoice(self, month: date) -> D | None:
        """Net of invoices above zero less credit notes, an invoice wholly credited in its month left out."""
        noted: dict[int, D] = {}
        for n in self.credited(month):
            noted[n["invoice_id"]] = noted.get(n["invoice_id"], D(0)) + n["gross"]
        counted = [i for i in self.billed(month) if i["gross"] > 0]
        gone = {i["id"] for i in counted if noted.get(i["id"], D(0)) >= i["gross"]}
        net = sum((i["net"] for i in counted if i["id"] not in gone), D(0))
        net -= sum((n["net"] for n in self.credited(month) if n["invoice_id"] not in gone), D(0))
        return per(net, len(counted) - len(gone))

    def feature_revenue(self, month: date) -> D:
        """Net of lines for features less what was taken back of them."""
        mine = {i["id"] for i in self.billed(month)}
        of_features = {x["id"] for x in self.lines if x["feature_type_id"] is not None}
        lines = sum(
            (x["net"] for x in self.lines if x["invoice_id"] in mine and x["id"] in of_features), D(0)
        )
        notes = {n["id"] for n in self.credited(month)}
        kept = [
            k for k in self.taken_back if k["credit_note_id"] in notes and k["invoice_line_id"] in of_features
        ]
        return lines - sum((k["net"] for k in kept), D(0))

    def with_extra(self, day: date) -> set[int]:
        """Who has a feature or package."""
        kinds = ("feature", "package")
        return {
            f["customer_id"]
            for f in self.features
            if on(f, day) and self.types[f["feature_type_id"]]["kind"] in kinds
        }

    def numbers_on(self, day: date) -> set[tuple[int, int]]:
        """Pairs of customer and number."""
        return {(n["customer_id"], n["number_id"]) for n in self.numbers if on(n, day)}

    def first_tries(self, month: date) -> list[bool]:
        """Whether each first presentation that ended in the month was paid."""
        ended = self.inside(self.attempts, "outcome_date", month)
        return [
            a["outcome"] == "paid"
            for a in ended
            if a["presentation"] == 1 and a["outcome"] in ("paid", "failed")
        ]

    def figures(self, month: date) -> dict[str, D | int | None]:
        """Every figure of the dashboard, by the KPI's slug; None without a base or data."""
        day, before = last_day(month), month - timedelta(days=1)
        now, was, owed = self.active(day), self.active(before), self.owed(month)
        open_ = sum((a for a, _ in owed), D(0))
        sales = sum((i["gross"] for i in self.billed(month)), D(0)) - sum(
            (n["gross"] for n in self.credited(month)), D(0)
        )
        spend = [o["value"] for o in self.inside(self.observed, "date", month)]
        arpu, arpu_before = (per(self.service_revenue(m), self.customers(m)) for m in (month, ago(month, 1)))
        paid = sum((p["amount"] for p in self.inside(self.payments, "received_date", month)), D(0))
        paid -= sum((p["amount"] for p in self.inside(self.payments, "reversed_date", month)), D(0))
        tries, numbers, numbers_before = (
            self.first_tries(month),
            self.numbers_on(day),
            self.numbers_on(before),
        )
        return {
            "mrr": self.mrr(month),
            "churn_customer": per(D(len(self.lost(month))), len(was)),
            "cac": per(sum(spend, D(0)), len(self.new(month))) if spend else None,
            "arpu_growth": (arpu - arpu_before) / arpu_before if arpu and arpu_before else None,
            "clv": self.lifetime_value(month),
            "customers_active": len(now),
            "customers_new": len(self.new(month)),
            "customers_lost": len(self.lost(month)),
            "customers_net": len(self.new(month)) + len(self.back(month)) - len(self.lost(month)),
            "declining_customers": self.declining(month),
            "total_invoiced": sum((i["net"] for i in self.billed(month)), D(0)),
            "credit_notes": sum((n["net"] for n in self.credited(month)), D(0)),
            "invoices_issued": len(self.billed(month)),
            "aiv": self.average_invoice(month),
            "payment_first_time_success": per(D(sum(tries)), len(tries)),
            "outstanding": open_,
            "aged_debt": open_,
            "overdue_share": per(sum((a for a, late in owed if late > 0), D(0)), open_),
            "cash_collected": paid,
            "dso": per(open_ * day.day, sales),
            "numbers_total": len(numbers),
            "numbers_added": len(numbers - numbers_before),
            "numbers_removed": len(numbers_before - numbers),
            "numbers_per_customer": per(D(len(numbers)), len({c for c, _ in numbers})),
            "features_total": sum(f["quantity"] for f in self.features if on(f, day)),
            "feature_take_up": per(D(len(self.with_extra(day))), len(now)),
            "feature_revenue": self.feature_revenue(month),
        }
