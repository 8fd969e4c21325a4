"""Builds the demo: two resellers, 25 months of book, calls, bills and payments, through the product's own parts."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db.models import Sum

from billing.bills import bill
from billing.charging.three_way import match_latest
from billing.demo.carrier_bills import store_carrier_bills
from billing.demo.collect import Collector
from billing.demo.empty import empty
from billing.demo.files import MAPPINGS, SupplierFile, write_month
from billing.demo.frauds import Warned, watch
from billing.demo.leaks import UNCOLLECTED, Planted, plant, summary
from billing.demo.observe import store_observations
from billing.demo.people import make_people
from billing.demo.plan import plan_customers
from billing.demo.rates import store_rates
from billing.demo.refresh import find_leaks, refresh_kpis
from billing.demo.services import plan_services
from billing.demo.shape import Calendar, House, houses
from billing.demo.store_book import set_statuses, store_book, store_dealers
from billing.demo.store_catalogue import Catalogue, store_catalogue
from billing.demo.usage import Usage
from billing.models import Call, Customer, Dealer, Invoice, Number
from billing.pipeline import import_cdrs
from resellerkpi.core.models import AuditEvent, Reseller
from resellerkpi.core.periods import add_months, month_of
from resellerkpi.core.planner import refresh_statistics
from resellerkpi.core.scope import Scope, enter

Say = Callable[[str], None]
BUILT = "demo.built"
#: In how many of the latest months the KPIs were kept as they came; on which day of the next each month closes.
KEPT, CLOSES_ON = 2, 6
#: In how many of them leaks were looked for already.
LOOKED = 6
ACCEPTED = "Demo data: errors are planted and stay to be found."


class DemoRefused(RuntimeError):
    """Raised when the database is not one the demo may write to."""


@dataclass(frozen=True)
class Order:
    """What to build: seed, size, the day it is built for, the folder for its files; now, if that day is today."""

    seed: int
    size: str
    today: date
    folder: Path
    now: datetime | None = None

    def calendar(self, months: int) -> Calendar:
        """Return the demo's time with so many billed months."""
        return Calendar.ending_before(self.today, months, now=self.now)


@dataclass
class Built:
    """One reseller of the demo as built."""

    reseller: Reseller
    dealers: list[Dealer]
    planted: Planted | None
    warned: list[Warned]


def existing() -> dict[str, Any] | None:
    """Return what an earlier build reported, None when there is none; raises DemoRefused in a foreign database."""
    if Reseller.objects.filter(is_demo=False).exists():
        raise DemoRefused("This database holds a reseller that is not the demo's: the demo leaves it alone.")
    for reseller in Reseller.objects.filter(is_demo=True).order_by("pk"):
        with enter(_scope(reseller)):
            event = AuditEvent.objects.filter(action=BUILT).order_by("-pk").first()
            if event is not None:
                return dict(event.details)
    return None


def build(order: Order, say: Say) -> dict[str, Any]:
    """Build the demo and return what it holds; what an interrupted build left is taken away first."""
    built = [_reseller(house, order, order.calendar(house.months), say) for house in houses(order.size)]
    first, second = built
    say("Making the logins")
    hosts = (houses(order.size)[0].mail_host, houses(order.size)[1].mail_host)
    logins = make_people(first.reseller, second.reseller, hosts, first.dealers[0])
    facts = _facts(built, order)
    facts["logins"] = [login.facts() for login in logins]
    assert first.planted
    planted = summary(first.reseller.code, first.planted.findings)
    planted["warnings"] = [asdict(one) for one in first.warned]
    order.folder.mkdir(parents=True, exist_ok=True)
    (order.folder / "planted.json").write_text(json.dumps(planted, indent=2), encoding="utf-8")
    facts["planted"] = planted["total"]
    return facts


def finish(facts: dict[str, Any], now: datetime) -> None:
    """Keep what the build reported, which marks it as whole."""
    reseller = Reseller.objects.get(code=facts["resellers"][0]["code"])
    with enter(_scope(reseller)):
        AuditEvent.objects.create(reseller=reseller, at=now, action=BUILT, subject="Demo", details=facts)


def _scope(reseller: Reseller) -> Scope:
    return Scope.of(reseller.pk, why="command demo")


def _reseller(house: House, order: Order, calendar: Calendar, say: Say) -> Built:
    reseller = _house(house)
    say(f"{house.name}: planning {house.size.customers} customers")
    plans = plan_customers(house, calendar, order.seed)
    stock = plan_services(house, plans, calendar, order.seed)
    planted = plant(plans, stock, calendar) if house.has_leaks else None
    with enter(_scope(reseller)):
        catalogue = store_catalogue(reseller, calendar, has_leaks=house.has_leaks)
        dealers = store_dealers(reseller, house)
        customers = store_book(reseller, house, calendar, plans, dealers, catalogue, planted)
        store_observations(reseller, house, calendar, plans, order.seed)
        rates = store_rates(reseller, calendar)
    refresh_statistics()
    numbers = sum(len(plan.numbers) for plan in plans)
    say(f"{house.name}: {len(customers)} customers, {numbers} numbers in the book")
    say(f"{house.name}: {rates:,} exchange rates")
    collector = Collector(
        reseller, house, calendar, order.seed, {p.code: p for p in plans}, customers,
        planted.never_presented if planted else {},
    )  # fmt: skip
    usage = Usage(house, plans, planted, calendar, order.seed)
    _months(reseller, house, order, calendar, catalogue, usage, collector, say)
    refresh_statistics()
    now = calendar.noon(calendar.today)
    with enter(_scope(reseller)):
        bills = store_carrier_bills(
            reseller, plans, calendar, order.folder / "files" / house.code / "carrier-bills"
        )
        match_latest(reseller, now=now)
        warned = watch(reseller, plans, calendar, has_fraud=planted is not None, now=now)
    say(f"{house.name}: {bills} bills of carriers")
    if planted:
        usage.report()
        _report_uncollected(planted, reseller, calendar)
    return Built(reseller, dealers, planted, warned)


def _house(house: House) -> Reseller:
    """Return the reseller of a house, made, or emptied of what an interrupted build left."""
    reseller, made = Reseller.objects.update_or_create(
        code=house.code,
        defaults={
            "name": house.name,
            "legal_name": house.legal_name,
            "address": house.address,
            "vat_number": house.vat_number,
            "colour": house.colour,
            "from_name": house.name,
            "invoice_prefix": house.invoice_prefix,
            "is_demo": True,
        },
    )
    if not made:
        empty(reseller)
    return reseller


def _months(
    reseller: Reseller,
    house: House,
    order: Order,
    calendar: Calendar,
    catalogue: Catalogue,
    usage: Usage,
    collector: Collector,
    say: Say,
) -> None:
    """Load, bill and collect month by month; rentals in advance of the first month are billed before it."""
    before = add_months(calendar.first, -1)
    _bill(reseller, before, calendar.first, collector)
    for first, traffic, random in usage.months():
        files = write_month(order.folder / "files" / house.code, first, traffic, random)
        rows = _load(reseller, catalogue, files, add_months(first, 1), calendar)
        if first < calendar.current:
            invoices = _bill(reseller, first, add_months(first, 1), collector)
            say(f"{house.name}: {first:%b %Y}, {rows:,} calls, {invoices} invoices")
            _keep_figures(reseller, add_months(first, 1), calendar)
        else:
            say(f"{house.name}: {first:%b %Y} so far, {rows:,} calls, not billed yet")
        if first == calendar.first:
            refresh_statistics()
    with enter(_scope(reseller)):
        collector.record_until(order.today)
        set_statuses(reseller, order.today)


def _keep_figures(reseller: Reseller, month: date, calendar: Calendar) -> None:
    """Have leaks looked for in the first days of a late month, and KPIs made, which closes the one before as it was."""
    day = month + timedelta(days=CLOSES_ON - 1)
    if month > calendar.ago(LOOKED) and day <= calendar.today:
        find_leaks([reseller.code], at=calendar.noon(day))
    if month > calendar.ago(KEPT) and day <= calendar.today:
        refresh_kpis([reseller.code], at=calendar.noon(day))


def _load(
    reseller: Reseller, catalogue: Catalogue, files: Iterable[SupplierFile], end: date, calendar: Calendar
) -> int:
    rows = 0
    now = calendar.noon(min(end, calendar.today))
    for file in files:
        mapping = MAPPINGS.get(file.layout)
        with enter(_scope(reseller)):
            result = import_cdrs(
                reseller=reseller,
                carrier=catalogue.carriers[file.carrier],
                path=file.path,
                now=now,
                format_name="" if mapping else file.layout,
                mapping=mapping,
            )
        rows += result["rows"]
    return rows


def _bill(reseller: Reseller, first: date, end: date, collector: Collector) -> int:
    """Bill a month on the first of the next, after what was paid by then is in; plan how the bills are paid."""
    with enter(_scope(reseller)):
        collector.record_until(end - timedelta(days=1))
        set_statuses(reseller, end - timedelta(days=1))
    period = month_of(first, reseller.zone)
    run = bill(
        reseller,
        period,
        until="sent",
        now=collector.calendar.noon(end),
        scope=_scope(reseller),
        accept=ACCEPTED,
    )
    with enter(_scope(reseller)):
        collector.collect(run.pk, first)
        return run.invoices.count()


def _report_uncollected(planted: Planted, reseller: Reseller, calendar: Calendar) -> None:
    """Add the findings of mandates that lapsed: what is overdue, and the last bill."""
    with enter(_scope(reseller)):
        for code, lapsed in planted.never_presented.items():
            invoices = Invoice.objects.filter(customer__code=code, run__period_start__gte=lapsed)
            overdue = invoices.filter(due_date__lt=calendar.today).aggregate(total=Sum("gross"))["total"]
            latest = invoices.order_by("-invoice_date").first()
            why = f"The mandate of {code} ended in {lapsed:%B %Y}; none of its bills since was presented or chased."
            planted.add(
                UNCOLLECTED, code, lapsed, latest.gross if latest else Decimal(0), overdue or Decimal(0), why
            )


def _facts(built: list[Built], order: Order) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "resellers": [],
        "seed": order.seed,
        "size": order.size,
        "today": str(order.today),
    }
    totals = {"customers": 0, "numbers": 0, "calls": 0, "invoices": 0}
    for each in built:
        with enter(_scope(each.reseller)):
            counts = {
                "customers": Customer.objects.count(),
                "numbers": Number.objects.count(),
                "calls": Call.objects.count(),
                "invoices": Invoice.objects.count(),
            }
        facts["resellers"].append({"code": each.reseller.code, "name": each.reseller.name, **counts})
        totals = {key: totals[key] + counts[key] for key in totals}
    return {**facts, **totals, "first_page": "/"}
