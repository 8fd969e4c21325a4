"""Writes the book of a demo reseller by bulk inserts: customers, numbers, features, supplies, mandates."""

from datetime import date, timedelta
from typing import Any

from django.db import connection

from billing.demo.catalogue import CARRIERS
from billing.demo.leaks import Planted, number_cost
from billing.demo.plan import CustomerPlan, FeaturePlanned
from billing.demo.shape import Calendar, House, stream
from billing.demo.store_catalogue import Catalogue
from billing.demo.words import DEALERS, TOWNS
from billing.models import (
    Contract,
    Customer,
    CustomerEvent,
    Dealer,
    Feature,
    FeatureType,
    Mandate,
    Number,
    NumberAssignment,
    Supply,
    TariffAssignment,
)
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import add_months

BATCH = 2000
#: How long before it leaves a customer says so.
NOTICE = timedelta(days=30)
#: When a mandate ends, in the month in which the last bill is collected by it: on the 15th, or on the 25th again.
MANDATE_ENDS = 28


def store_dealers(reseller: Reseller, house: House) -> list[Dealer]:
    """Write the dealers with their commission."""
    return Dealer.objects.bulk_create(
        Dealer(
            reseller=reseller,
            code=code,
            name=name,
            email=email,
            commission_recurring=(10, 12, 8, 15, 10)[index],
            commission_usage=(5, 5, 10, 0, 8)[index],
        )
        for index, (code, name, email) in enumerate(DEALERS[: house.size.dealers])
    )


def store_book(
    reseller: Reseller,
    house: House,
    calendar: Calendar,
    plans: list[CustomerPlan],
    dealers: list[Dealer],
    catalogue: Catalogue,
    planted: Planted | None,
) -> dict[str, Customer]:
    """Write the customers and all they have; return the customers by account code."""
    customers = Customer.objects.bulk_create(
        [_customer(reseller, house, plan, dealers) for plan in plans], batch_size=BATCH
    )
    pairs = list(zip(customers, plans, strict=True))
    CustomerEvent.objects.bulk_create(
        (
            CustomerEvent(
                reseller=reseller,
                customer=customer,
                date=event.day,
                status=event.status,
                reason=event.reason,
                words=event.words,
                competitor=event.competitor,
                notice_date=event.day - NOTICE if event.status == Customer.Status.CEASED else None,
            )
            for customer, plan in pairs
            for event in plan.events
        ),
        batch_size=BATCH,
    )
    _tariffs_and_terms(reseller, pairs, catalogue)
    _mandates(reseller, pairs, planted.never_presented if planted else {})
    numbers = _numbers(reseller, pairs, catalogue)
    _mobile_tariffs(reseller, pairs, catalogue, numbers)
    _features(reseller, pairs, catalogue, numbers)
    _prospects(reseller, house, calendar, dealers)
    return {customer.code: customer for customer in customers}


def _customer(reseller: Reseller, house: House, plan: CustomerPlan, dealers: list[Dealer]) -> Customer:
    town, _, postcode = TOWNS[plan.town]
    box = "".join(letter for letter in plan.name.lower() if letter.isalnum())[:24]
    return Customer(
        reseller=reseller,
        code=plan.code,
        name=plan.name,
        legal_class=plan.legal_class,
        dealer=dealers[plan.dealer] if plan.dealer is not None else None,
        segment=plan.segment,
        tags=plan.tags,
        campaign=plan.campaign,
        email=f"accounts@{box}.example",
        phone=plan.numbers[0].number if plan.numbers[0].number.startswith("+") else "",
        address=f"{plan.contact}\n{plan.street}\n{town}",
        postcode=f"{postcode} 0ZZ",
        payment_method=plan.method,
        terms_days=plan.terms,
        itemised_by_email=plan.wanted > 4,
        contract_end=plan.contract_end,
        renewal_date=plan.contract_end,
    )


def _tariffs_and_terms(
    reseller: Reseller, pairs: list[tuple[Customer, CustomerPlan]], catalogue: Catalogue
) -> None:
    TariffAssignment.objects.bulk_create(
        TariffAssignment(
            reseller=reseller,
            customer=customer,
            tariff=catalogue.tariffs[plan.tariff],
            start_date=plan.start,
            end_date=plan.end,
        )
        for customer, plan in pairs
        if plan.tariff
    )
    Contract.objects.bulk_create(
        Contract(
            reseller=reseller,
            customer=customer,
            reference=f"{plan.code}/1",
            start_date=plan.start,
            minimum_term_end=plan.contract_end,
        )
        for customer, plan in pairs
    )


def _mobile_tariffs(
    reseller: Reseller,
    pairs: list[tuple[Customer, CustomerPlan]],
    catalogue: Catalogue,
    numbers: dict[str, Number],
) -> None:
    """Price the mobiles of customers with a tariff of their own by the mobile tariff, as all others are."""
    TariffAssignment.objects.bulk_create(
        TariffAssignment(
            reseller=reseller,
            number=numbers[planned.number],
            tariff=catalogue.tariffs["Mobile UK"],
            start_date=planned.start,
            end_date=planned.end,
        )
        for _, plan in pairs
        if plan.tariff
        for planned in plan.numbers
        if planned.type == "mobile"
    )


def _mandates(
    reseller: Reseller, pairs: list[tuple[Customer, CustomerPlan]], lapsed: dict[str, date]
) -> None:
    Mandate.objects.bulk_create(
        Mandate(
            reseller=reseller,
            customer=customer,
            reference=f"DD{plan.code}",
            start_date=plan.start,
            end_date=_last_collected(plan.end, lapsed.get(plan.code)),
        )
        for customer, plan in pairs
        if plan.method == "direct_debit"
    )


def _last_collected(left: date | None, lapsed: date | None) -> date | None:
    """Return when the mandate ends of who left on a day, or whose bills are not presented from a month on."""
    month = lapsed or (left and add_months(left.replace(day=1), 1))
    return month.replace(day=MANDATE_ENDS) if month else None


def _numbers(
    reseller: Reseller, pairs: list[tuple[Customer, CustomerPlan]], catalogue: Catalogue
) -> dict[str, Number]:
    """Write numbers, who has had them, and who supplies them."""
    rows = [(customer, planned) for customer, plan in pairs for planned in plan.numbers]
    numbers = Number.objects.bulk_create(
        (
            Number(
                reseller=reseller,
                number=planned.number,
                type=planned.type,
                monthly_cost=number_cost(planned.line),
            )
            for _, planned in rows
        ),
        batch_size=BATCH,
    )
    by_number = {row.number: row for row in numbers}
    NumberAssignment.objects.bulk_create(
        (
            NumberAssignment(
                reseller=reseller,
                number=by_number[planned.number],
                customer=customer,
                site=planned.site,
                start_date=planned.start,
                end_date=planned.end,
            )
            for customer, planned in rows
        ),
        batch_size=BATCH,
    )
    Supply.objects.bulk_create(
        (
            Supply(
                reseller=reseller,
                number=by_number[planned.number],
                carrier=catalogue.carriers[planned.carrier],
                reference=f"{CARRIERS[planned.carrier].reference}{by_number[planned.number].number.lstrip('+')}",
                start_date=planned.start,
                end_date=planned.supply_end,
            )
            for _, planned in rows
        ),
        batch_size=BATCH,
    )
    return by_number


def _features(
    reseller: Reseller,
    pairs: list[tuple[Customer, CustomerPlan]],
    catalogue: Catalogue,
    numbers: dict[str, Number],
) -> None:
    Feature.objects.bulk_create(
        (
            Feature(
                reseller=reseller,
                customer=customer,
                number=numbers[plan.numbers[planned.number].number] if planned.number is not None else None,
                feature_type=catalogue.types[planned.code],
                quantity=planned.quantity,
                start_date=planned.start,
                end_date=planned.end,
                price=planned.price,
                discount_percent=planned.discount,
                not_charged=planned.not_charged,
                **_term(planned, catalogue.types[planned.code]),
            )
            for customer, plan in pairs
            for planned in plan.features
        ),
        batch_size=BATCH,
    )


def _term(planned: FeaturePlanned, kind: FeatureType) -> dict[str, Any]:
    """Return the term a running feature was sold with; those that ended left when theirs was over."""
    if planned.end is not None or not kind.minimum_term_months:
        return {}
    until = add_months(planned.start, kind.minimum_term_months)
    return {"minimum_term_end": until, "termination_percent": kind.termination_percent}


def set_statuses(reseller: Reseller, day: date) -> None:
    """Set each customer's status to what it was on a day: what has not begun by then is a prospect."""
    with connection.cursor() as cursor:
        cursor.execute(STATUSES, {"reseller": reseller.pk, "day": day})


STATUSES = """
UPDATE billing_customer customer SET status = found.status
FROM (
    SELECT customer.id, coalesce((SELECT event.status FROM billing_customerevent event
        WHERE event.reseller_id = %(reseller)s AND event.customer_id = customer.id AND event.date <= %(day)s
        ORDER BY event.date DESC LIMIT 1), 'prospect') AS status
    FROM billing_customer customer WHERE customer.reseller_id = %(reseller)s
) found
WHERE customer.id = found.id AND customer.reseller_id = %(reseller)s AND customer.status <> found.status
"""


def _prospects(reseller: Reseller, house: House, calendar: Calendar, dealers: list[Dealer]) -> None:
    """Write a few prospects: asked for a quote, nothing bought yet."""
    random = stream(0, house.code, "prospects")
    count = max(2, house.size.customers // 25)
    rows = Customer.objects.bulk_create(
        Customer(
            reseller=reseller,
            code=f"{house.account_prefix}P{index:03d}",
            name=f"{random.choice(('Saltmarsh', 'Hedgerow', 'Beacon', 'Tarn', 'Weir'))} {name} {index}",
            status=Customer.Status.PROSPECT,
            segment="Professional services",
            dealer=random.choice(dealers),
        )
        for index, name in enumerate(("Studios", "Partners", "Lettings", "Travel", "Joinery") * 4, start=1)
        if index <= count
    )
    CustomerEvent.objects.bulk_create(
        CustomerEvent(
            reseller=reseller, customer=row, date=calendar.ago(random.randint(1, 3)), status=row.status
        )
        for row in rows
    )
