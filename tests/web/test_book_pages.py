"""The pages of the book: every role sees its own and nothing else, whatever the number of rows."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Customer, CustomerEvent, Feature, Number, NumberAssignment, TariffAssignment
from resellerkpi.core.models import AuditEvent, User
from resellerkpi.core.scope import enter
from tests.world import CANARY, World, make_world

pytestmark = pytest.mark.django_db

LISTS = (
    "customer-list",
    "number-list",
    "feature-list",
    "feature-type-list",
    "dealer-list",
    "carrier-list",
    "tariff-list",
)
FORMS = ("customer-add", "number-add", "feature-type-add", "dealer-add", "carrier-add", "tariff-add")


def as_(client: Client, user: User) -> Client:
    """Sign a person in."""
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def details(world: World, house: Any) -> dict[str, int]:
    """Return url name -> primary key of one of each thing of a house."""
    return {
        "customer": house.customers[0].pk,
        "number": house.numbers[0].pk,
        "feature-type": house.line.pk,
        "dealer": house.dealers[0].pk,
        "carrier": house.carrier.pk,
        "tariff": house.retail.pk,
        "tariff-rates": house.retail.pk,
        "customer-edit": house.customers[0].pk,
        "customer-status": house.customers[0].pk,
        "customer-note": house.customers[0].pk,
        "customer-number": house.customers[0].pk,
        "customer-feature": house.customers[0].pk,
        "customer-tariff": house.customers[0].pk,
        "number-edit": house.numbers[0].pk,
        "number-assign": house.numbers[0].pk,
        "number-end": house.numbers[0].pk,
        "number-supply": house.numbers[0].pk,
        "feature-end": house.features[0].pk,
        "feature-type-edit": house.line.pk,
        "feature-price-add": house.line.pk,
        "dealer-edit": house.dealers[0].pk,
        "carrier-edit": house.carrier.pk,
        "tariff-edit": house.retail.pk,
        "rate-add": house.retail.pk,
    }


def test_the_owner_opens_every_page_and_never_meets_the_other_reseller(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    for name in (*LISTS, *FORMS):
        page = client.get(reverse(name))
        assert page.status_code == 200, name
        assert CANARY not in page.content.decode(), name
    for name, pk in details(world, world.alpha).items():
        page = client.get(reverse(name, args=[pk]))
        assert page.status_code == 200, name
        assert CANARY not in page.content.decode(), name


def test_things_of_another_reseller_are_not_found(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    for name, pk in details(world, world.beta).items():
        assert client.get(reverse(name, args=[pk])).status_code == 404, name
        if not name.startswith("tariff-rates") and "-" in name and name != "feature-type":
            assert client.post(reverse(name, args=[pk]), {}).status_code == 404, name


def test_a_dealer_sees_its_own_customers_and_no_wholesale(client: Client) -> None:
    world = make_world()
    mine, foreign = world.alpha.customers[0], world.alpha.customers[1]
    as_(client, world.dee)
    listed = client.get(reverse("customer-list")).content.decode()
    assert mine.name in listed
    assert foreign.name not in listed
    assert client.get(reverse("customer", args=[foreign.pk])).status_code == 404
    assert client.get(reverse("number", args=[world.alpha.numbers[1].pk])).status_code == 404
    page = client.get(reverse("customer", args=[mine.pk])).content.decode()
    assert mine.email not in page
    catalogue = client.get(reverse("feature-type-list")).content.decode()
    assert "13.50" in catalogue
    assert "8.25" not in catalogue
    assert world.alpha.wholesale is not None
    assert world.alpha.wholesale.name not in client.get(reverse("tariff-list")).content.decode()
    assert client.get(reverse("tariff", args=[world.alpha.wholesale.pk])).status_code == 404
    assert client.get(reverse("carrier-list")).status_code == 403
    exported = client.get(reverse("feature-type-list"), {"as": "csv", "col": ["name", "cost", "price"]})
    assert exported.content.decode().splitlines()[0] == "Feature type,Price"


def test_a_viewer_may_look_but_not_change(client: Client) -> None:
    world = make_world()
    as_(client, world.vic)
    page = client.get(reverse("customer", args=[world.alpha.customers[0].pk]))
    assert page.status_code == 200
    assert "Change status" not in page.content.decode()
    for name in FORMS:
        assert client.get(reverse(name)).status_code == 403, name
    assert client.post(reverse("customer-add"), {"code": "X"}).status_code == 403


def test_lists_filter_sort_and_export_what_they_show(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    address = reverse("customer-list")
    shown = client.get(address, {"status": "suspended"}).content.decode()
    assert "Alpha Customer 3" in shown
    assert "Alpha Customer 1" not in shown
    sheet = client.get(
        address, {"as": "csv", "sort": "-name", "col": ["name", "code", "numbers"]}
    ).content.decode()
    assert sheet.splitlines() == [
        "Customer,Account,Numbers",
        "Alpha Customer 3,C003,1",
        "Alpha Customer 2,C002,1",
        "Alpha Customer 1,C001,1",
    ]
    book = client.get(address, {"as": "xlsx"})
    assert (book.status_code, book.content[:2]) == (200, b"PK")
    part = client.get(address, {"q": "customer 2"}, headers={"HX-Request": "true", "HX-Target": "list"})
    assert part.content.decode().lstrip().startswith("<section")
    assert part["HX-Push-Url"] == f"{address}?q=customer+2"
    with enter(world.alpha.scope()):
        assert AuditEvent.objects.filter(action="list.exported").count() == 2
    for silly in (
        {"page": "999"},
        {"page": "x"},
        {"sort": "password"},
        {"rows": "1"},
        {"status": "nonsense"},
    ):
        assert client.get(address, silly).status_code == 200
    assert client.get(address, {"as": "exe"}).status_code == 404


def count(client: Client, address: str) -> int:
    """Return how many statements a page takes."""
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_the_number_of_statements_does_not_depend_on_the_rows(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    addresses = [reverse(name) for name in LISTS]
    addresses += [reverse("customer", args=[world.alpha.customers[0].pk])]
    before = [count(client, a) for a in addresses]
    house = world.alpha
    own = {"reseller": house.reseller}
    with enter(house.scope()):
        for n in range(30):
            customer = Customer.objects.create(**own, code=f"X{n}", name=f"More {n}", dealer=house.dealers[0])
            number = Number.objects.create(**own, number=f"0777{n:04}")
            for owner in (customer, house.customers[0]):
                Feature.objects.create(
                    **own, customer=owner, feature_type=house.package, start_date=date(2026, 1, 1)
                )
            NumberAssignment.objects.create(
                **own, number=number, customer=house.customers[0], start_date=date(2026, 1, 1)
            )
    assert [count(client, a) for a in addresses] == before
    with CaptureQueriesContext(connection) as found:
        page = client.get(reverse("number-list"), {"rows": "50", "page": "2"})
    assert "Page 1 of 1" not in page.content.decode()
    assert [
        q["sql"].rstrip().endswith("LIMIT 33") for q in found if '"billing_number"."number" AS' in q["sql"]
    ] == [True]


def test_a_customer_is_added_suspended_and_leaves_with_a_reason(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    fields = {
        "code": "NEW1",
        "name": "New & Sons",
        "client_type": "client",
        "status": "active",
        "since": "2026-03-01",
        "vat_rate": "20",
        "currency": "gbp",
        "payment_method": "transfer",
        "terms_days": "14",
        "billing_day": "1",
        "minimum_invoice": "0",
    }
    twice = client.post(reverse("customer-add"), fields | {"code": "C001"})
    assert (twice.status_code, "already a customer with this account code" in twice.content.decode()) == (
        422,
        True,
    )
    assert client.post(reverse("customer-add"), fields).status_code == 302
    with enter(world.alpha.scope()):
        customer = Customer.objects.get(code="NEW1")
        assert (customer.currency, customer.events.get().date) == ("GBP", date(2026, 3, 1))
    status = reverse("customer-status", args=[customer.pk])
    refused = client.post(status, {"status": "ceased", "on": "2026-05-01"})
    assert "Say why the customer leaves." in refused.content.decode()
    leaving = {"status": "ceased", "on": "2026-05-01", "reason": "price"}
    refused = client.post(status, {**leaving, "notice_date": "2026-05-02"})
    assert "Notice is given before a customer leaves, or on the same day." in refused.content.decode()
    assert client.post(status, {**leaving, "notice_date": "2026-04-03"}).status_code == 302
    with enter(world.alpha.scope()):
        assert Customer.objects.get(pk=customer.pk).status == "ceased"
        assert CustomerEvent.objects.get(status="ceased").notice_date == date(2026, 4, 3)
        assert CustomerEvent.objects.filter(customer=customer).count() == 2
        assert AuditEvent.objects.filter(action="customer.status").count() == 1


def test_leaving_can_end_what_the_customer_has(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    customer = world.alpha.customers[0]
    answer = client.post(
        reverse("customer-status", args=[customer.pk]),
        {"status": "ceased", "on": "2026-09-01", "reason": "moved", "end_services": "on"},
    )
    assert answer.status_code == 302
    with enter(world.alpha.scope()):
        for model in (NumberAssignment, Feature, TariffAssignment):
            ends = set(model.objects.filter(customer=customer).values_list("end_date", flat=True))
            assert ends == {date(2026, 9, 1)}


def test_a_number_is_never_given_to_two_customers_at_once(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    taken = world.alpha.numbers[0].number
    other = world.alpha.customers[1]
    fields = {"number": taken, "type": "geographic", "start": "2026-07-01"}
    refused = client.post(reverse("customer-number", args=[other.pk]), fields)
    assert "belongs to a customer on some of those days already" in refused.content.decode()
    moved = client.post(
        reverse("number-assign", args=[world.alpha.numbers[0].pk]), {"customer": "C002", "on": "2026-07-01"}
    )
    assert moved.status_code == 302
    with enter(world.alpha.scope()):
        owners = NumberAssignment.objects.filter(number__number=taken).order_by("start_date")
        assert list(owners.values_list("customer__code", "start_date", "end_date")) == [
            ("C001", date(2026, 1, 1), date(2026, 7, 1)),
            ("C002", date(2026, 7, 1), None),
        ]


def test_features_tariffs_prices_and_rates_are_dated(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    house, customer = world.alpha, world.alpha.customers[0]
    assert house.line
    assert house.package
    assert house.retail
    needs_number = {"feature_type": house.line.pk, "quantity": "1", "start": "2026-02-01"}
    refused = client.post(reverse("customer-feature", args=[customer.pk]), needs_number)
    assert "goes with a number" in refused.content.decode()
    given = {"feature_type": house.package.pk, "quantity": "2", "start": "2026-02-01", "price": "7.50"}
    assert client.post(reverse("customer-feature", args=[customer.pk]), given).status_code == 302
    tariff = {"tariff": house.retail.pk, "start": "2026-05-01"}
    assert client.post(reverse("customer-tariff", args=[customer.pk]), tariff).status_code == 302
    price = {"price": "15", "cost": "9", "valid_from": "2026-08-01"}
    assert client.post(reverse("feature-price-add", args=[house.line.pk]), price).status_code == 302
    rate = {
        "service": "voice",
        "key_kind": "prefix",
        "key": "44",
        "destination": "UK",
        "price": "0.06",
        "connection_fee": "0",
        "minimum_charge": "0",
        "initial_increment": "1",
        "next_increment": "1",
        "free_seconds": "0",
        "valid_from": "2026-08-01",
    }
    assert client.post(reverse("rate-add", args=[house.retail.pk]), rate).status_code == 302
    with enter(house.scope()):
        assert Feature.objects.get(customer=customer, quantity=2).price == D("7.5")
        assert list(
            customer.tariff_assignments.order_by("start_date").values_list("start_date", "end_date")
        ) == [(date(2026, 1, 1), date(2026, 5, 1)), (date(2026, 5, 1), None)]
        assert list(house.line.prices.order_by("valid_from").values_list("price", "valid_to")) == [
            (D("12.5"), date(2026, 4, 1)),
            (D("13.5"), date(2026, 8, 1)),
            (D(15), None),
        ]
        rates = house.retail.rates.filter(key="44").order_by("valid_from")
        assert list(rates.values_list("price", "valid_to")) == [
            (D("0.05"), date(2026, 8, 1)),
            (D("0.06"), None),
        ]


def test_search_finds_customers_and_numbers(client: Client) -> None:
    world = make_world()
    as_(client, world.ana)
    page = client.get(reverse("search"), {"q": "Customer 2"}).content.decode()
    assert "Alpha Customer 2" in page
    assert CANARY not in page
    assert world.alpha.numbers[0].number in client.get(reverse("search"), {"q": "0120000"}).content.decode()


def test_hostile_text_is_shown_as_text(client: Client) -> None:
    world = make_world()
    with enter(world.alpha.scope()):
        Customer.objects.filter(pk=world.alpha.customers[0].pk).update(name="<script>alert(1)</script>=1+1")
    as_(client, world.ana)
    page = client.get(reverse("customer-list")).content.decode()
    assert "<script>alert" not in page
    assert client.get(reverse("customer-list"), {"q": "'; DROP TABLE x; -- \x00"}).status_code == 200
    sheet = client.get(reverse("customer-list"), {"as": "csv", "col": "name"}).content.decode()
    assert "<script>alert(1)</script>=1+1" in sheet
