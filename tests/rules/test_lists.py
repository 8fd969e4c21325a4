"""Every list sorts by each of its columns and narrows by each of its filters; no page asks more for more rows."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from billing.models import Call, Customer, Invoice, Number, NumberAssignment, Payment
from resellerkpi.core.columns import Column
from resellerkpi.core.scope import enter
from resellerkpi.ui.views import ListPage
from tests.rules.test_access import PAGES, address, client_of, everything
from tests.rules.worked_world import Worked, worked_world

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

COUNTS = Path(__file__).with_name("query_counts.json")
UPDATE = "RESELLERKPI_UPDATE_COUNTS"
#: Text of any kind that people and machines put into addresses.
STRANGE = ("", "Alpha", "%", "'; --", "\x00", "9" * 40, "2026-13", "..", "between")
PERIODS = ("this_month", "last_12_months", "2026-08", "2026-08-01..2026-09-01")
#: The lists that grow with the business, by what makes them longer.
GROWING = ("customer-list", "number-list", "call-list", "invoice-list", "payment-list")


def subclasses(kind: type[ListPage]) -> Iterator[type[ListPage]]:
    """Yield every class below one."""
    below: type[ListPage]
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)


def lists(resolver: URLResolver | None = None) -> Iterator[tuple[str, type[ListPage]]]:
    """Yield each list of the house with the name of its address."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from lists(pattern)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", None)
            if isinstance(view, type) and issubclass(view, ListPage):
                yield str(pattern.name), view


LISTS = dict(lists())


@pytest.fixture
def ana(tmp_path: Path) -> tuple[Client, Worked]:
    """Ana's browser, and Alpha after a month's work."""
    world, alpha, _ = worked_world(tmp_path)
    return client_of(world.ana), alpha


def test_every_list_has_an_address() -> None:
    ours = {kind for kind in subclasses(ListPage) if not kind.__module__.startswith("tests.")}
    assert ours == set(LISTS.values())
    assert len(ours) >= 14


def values(response: Any, column: Column) -> list[Any]:
    """Return a column's values on a page of a list, without empty ones."""
    rows = response.context["table"].page.object_list
    found = [column.value(row.record) for row in rows]
    return [value for value in found if value not in (None, "")]


def test_every_column_orders_both_ways(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    wrong = []
    for name, view in LISTS.items():
        shown = [column.name for column in view.columns]
        for column in (c for c in view.columns if c.sortable):
            up, down = (
                browser.get(address(name, alpha), {"sort": sort, "col": shown})
                for sort in (column.name, f"-{column.name}")
            )
            assert (up.status_code, down.status_code) == (200, 200), (name, column.name)
            rising, falling = values(up, column), values(down, column)
            assert sorted(map(str, rising)) == sorted(map(str, falling)), (name, column.name)
            if column.kind != "text" and rising[::-1] != falling:
                wrong.append((name, column.name, rising, falling))
    assert wrong == []


def test_every_filter_takes_what_it_offers_and_survives_the_rest(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    asked = 0
    for name in LISTS:
        at = address(name, alpha)
        shown = browser.get(at).context["filters"]
        fields = shown.form.fields.items() if shown else ()
        for field, declared in fields:
            with enter(alpha.house.scope()):
                offered = [str(value) for value, _ in getattr(declared, "choices", ()) if value]
            periods = PERIODS if "Period" in type(declared).__name__ else ()
            for value in (*offered[:12], *periods, *STRANGE):
                asked += 1
                answer = browser.get(at, {field: value})
                assert answer.status_code == 200, (name, field, value)
    assert asked > 200


def counted(browser: Client, at: str) -> int:
    """Return how many queries a page takes that was opened before."""
    everything(browser.get(at))
    with CaptureQueriesContext(connection) as queries:
        everything(browser.get(at))
    return len(queries)


def grow(alpha: Worked, count: int) -> None:
    """Give Alpha more customers, numbers, calls, invoices and payments."""
    house = alpha.house
    own: dict[str, Any] = {"reseller": house.reseller}
    day = date(2026, 9, 1)
    with enter(house.scope()):
        made = [
            Customer(**own, code=f"G{n:03}", name=f"Grown {n}", dealer=house.dealers[0]) for n in range(count)
        ]
        customers = Customer.objects.bulk_create(made)
        numbers = Number.objects.bulk_create(Number(**own, number=f"0145{n:07}") for n in range(count))
        NumberAssignment.objects.bulk_create(
            NumberAssignment(**own, number=number, customer=customer, start_date=day)
            for number, customer in zip(numbers, customers, strict=True)
        )
        Invoice.objects.bulk_create(
            Invoice(
                **own, customer=customer, number=f"GROWN-{n}", state="issued", invoice_date=day, due_date=day,
                currency="GBP", net=Decimal(10), vat=Decimal(2), gross=Decimal(12),
                issued_at=datetime(2026, 9, 1, tzinfo=UTC),
            )
            for n, customer in enumerate(customers)
        )  # fmt: skip
        Payment.objects.bulk_create(
            Payment(
                **own, customer=customer, method="card", received_date=day, amount=Decimal(5), currency="GBP",
                reference=f"GROWN-{n}",
            )
            for n, customer in enumerate(customers)
        )  # fmt: skip
        calls: list[Call] = []
        for n, (customer, number) in enumerate(zip(customers, numbers, strict=True)):
            call = Call.objects.get(pk=alpha.call.pk) if n == 0 else calls[0]
            copy = Call(**{f.attname: getattr(call, f.attname) for f in Call._meta.concrete_fields})
            copy.pk, copy.customer, copy.number = None, customer, number
            copy.started_at, copy.dedupe_key = alpha.call.started_at + timedelta(minutes=n + 1), 10_000 + n
            calls.append(copy)
        Call.objects.bulk_create(calls)


def test_the_growing_lists_ask_no_more_for_sixty_rows_than_for_three(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    few = {name: counted(browser, address(name, alpha)) for name in GROWING}
    grow(alpha, 60)
    many = {name: counted(browser, address(name, alpha)) for name in GROWING}
    rows = {
        name: len(browser.get(address(name, alpha)).context["table"].page.object_list) for name in GROWING
    }
    assert rows == dict.fromkeys(GROWING, 50)
    assert many == few


def test_each_page_takes_as_many_queries_as_were_agreed(ana: tuple[Client, Worked]) -> None:
    browser, alpha = ana
    found = {name: counted(browser, address(name, alpha)) for name in sorted(PAGES)}
    if os.environ.get(UPDATE):
        COUNTS.write_text(json.dumps(found, indent=1) + "\n")
    agreed = json.loads(COUNTS.read_text())
    changed = {name: (agreed.get(name), count) for name, count in found.items() if agreed.get(name) != count}
    assert changed == {}, f"(before, now); when it is meant to be so, run this test with {UPDATE}=1"
    assert set(agreed) == set(PAGES)
