"""The bills of two carriers for the demo's latest months: rentals in advance, a visit, a credit, a few loose ends."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from billing.charging.allocation_hand import leave_out
from billing.charging.passing import Terms, pass_on
from billing.demo.catalogue import BY_CODE, CARRIERS, MOBILE, WHOLESALER, prices_at_rises
from billing.demo.leaks import number_cost
from billing.demo.plan import CustomerPlan, NumberPlan
from billing.demo.shape import Calendar
from billing.importing.tables.mapping import Mapping
from billing.models import CarrierCharge, CarrierInvoice
from billing.pipeline_book import import_book
from resellerkpi.core.models import Reseller
from resellerkpi.core.money import round_half_up
from resellerkpi.core.periods import add_months

D = Decimal
MONTHS, BILL_DAY = 3, 3
HEAD = (
    "carrier", "bill", "bill_date", "from", "until", "reference", "product", "description", "kind", "amount",
    "suggested price", "bill_total",
)  # fmt: skip
OFFICE, OWN_LINE = "Our own office line.", "NGW-OFFICE-1"
#: What the carrier states more than its lines add up to, a month before the latest.
MISSING_LINE = D("18.60")


@dataclass(frozen=True)
class Line:
    """A line of a carrier's bill."""

    start: date
    end: date
    reference: str
    product: str
    description: str
    kind: str
    amount: Decimal
    retail: Decimal | None = None


def store_carrier_bills(
    reseller: Reseller, plans: list[CustomerPlan], calendar: Calendar, folder: Path
) -> int:
    """Write the bills as files, load them, leave out what is ours and pass on the latest visit; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    months = [calendar.ago(ago) for ago in reversed(range(MONTHS))]
    months = [month for month in months if month + timedelta(days=BILL_DAY - 1) <= calendar.today]
    for month in months:
        for carrier, lines in ((WHOLESALER, _wholesaler), (MOBILE, _mobile)):
            found = [*_rentals(plans, carrier, month, calendar), *lines(plans, month, calendar)]
            path = _write(
                folder, carrier, month, found, short=carrier == WHOLESALER and month == calendar.ago(1)
            )
            outcome = import_book(
                "carrier-charges", path, reseller=reseller, mapping=Mapping(), today=calendar.today
            )
            if outcome.problems:
                raise RuntimeError(f"{path.name}: {outcome.problems[0].error}")
    _decide(reseller)
    return CarrierInvoice.objects.count()


def _decide(reseller: Reseller) -> None:
    office = CarrierCharge.objects.filter(reference=OWN_LINE).values_list("pk", flat=True)
    if office:
        leave_out(reseller, list(office), reason=OFFICE)
    latest = CarrierInvoice.objects.filter(carrier__code=CARRIERS[WHOLESALER].code).order_by("-invoice_date")[
        :1
    ]
    visits = CarrierCharge.objects.filter(invoice__in=list(latest), kind=CarrierCharge.Kind.ONE_OFF)
    pass_on(reseller, list(visits.values_list("pk", flat=True)), Terms())


def _rentals(plans: Iterable[CustomerPlan], carrier: int, month: date, calendar: Calendar) -> Iterator[Line]:
    """Yield a rental for each number that the carrier supplies in the month, part months by days."""
    after = add_months(month, 1)
    rises = sum(rise <= month for rise in calendar.price_rises)
    for plan in plans:
        for number in plan.numbers:
            start, end = max(number.start, month), min(number.supply_end or after, after)
            if number.carrier != carrier or start >= end:
                continue
            ceased = number.end is not None and number.end <= month
            cost = number_cost(number.line) if ceased else prices_at_rises(BY_CODE[number.line], rises)[1]
            amount = round_half_up(cost * (end - start).days / (after - month).days, 2)
            product = f"{CARRIERS[carrier].reference}-{number.line}"
            name = BY_CODE[number.line].name
            yield Line(start, end, reference_of(number, carrier), product, name, "rental", amount)


def reference_of(number: NumberPlan, carrier: int) -> str:
    """Return how a carrier's bill names a number: mobiles as dialled at home, the rest by the carrier's reference."""
    if number.type == "mobile":
        return f"0{number.number.removeprefix('+44')}"
    return f"{CARRIERS[carrier].reference}{number.number.lstrip('+')}"


def _wholesaler(plans: list[CustomerPlan], month: date, calendar: Calendar) -> Iterator[Line]:
    after, day = add_months(month, 1), month + timedelta(days=1)
    yield Line(month, after, OWN_LINE, "NGW-LINE", "Line rental, office", "rental", D("10.20"))
    yield Line(month, after, "NGW-ORD-55121", "NGW-ROUTE", "Call routing, order 55121", "rental", D("6.40"))
    lines = [
        n for p in plans for n in p.numbers if n.line == "LINE" and n.carrier == WHOLESALER and n.end is None
    ]
    lines = [n for n in lines if n.start < month]
    if not lines:
        return
    reference = reference_of(lines[month.month % len(lines)], WHOLESALER)
    visit = ("NGW-VISIT", "Engineer visit: faulty socket", "one_off", D("65.00"), D("95.00"))
    yield Line(day, day + timedelta(days=1), reference, *visit)
    if month == calendar.ago(1):
        late = ("NGW-CREDIT", "Credit: repair was late", "credit", D("-12.00"), D("-12.00"))
        yield Line(day, day + timedelta(days=1), reference, *late)


def _mobile(plans: list[CustomerPlan], month: date, calendar: Calendar) -> Iterator[Line]:
    after = add_months(month, 1)
    yield Line(month, after, "07700900999", "MMD-SIM", "Mobile SIM", "rental", D("5.40"))
    if month == calendar.ago(2):
        yield Line(month, month + timedelta(days=1), "", "MMD-ADMIN", "Account fee", "one_off", D("25.00"))


def _write(folder: Path, carrier: int, month: date, lines: list[Line], *, short: bool) -> Path:
    """Write a bill; a short one states more than its lines."""
    plan = CARRIERS[carrier]
    number = f"{plan.reference}-{month:%y%m}"
    total = sum((line.amount for line in lines), D(0)) + (MISSING_LINE if short else 0)
    path = folder / f"{number}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for line in lines:
            writer.writerow(
                [plan.code, number, month + timedelta(days=BILL_DAY - 1), line.start, line.end, line.reference,
                 line.product, line.description, line.kind, line.amount, line.retail, total]
            )  # fmt: skip
    return path
