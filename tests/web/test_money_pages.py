"""The pages of bills and money: what each shows, what each step does, and who may take it."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.billrun.runs import prepare_run
from billing.charging.adjust import add_charge
from billing.models import BillingRun, Charge, CreditNote, Invoice, Payment
from resellerkpi.core.models import User
from resellerkpi.core.periods import parse_month
from resellerkpi.core.scope import enter
from tests.billing.money import D
from tests.world import CANARY, House, World, make_world

pytestmark = pytest.mark.django_db

LISTS = ("run-list", "invoice-list", "credit-note-list", "payment-list", "aged-debt")
Commits = Callable[..., Any]


def prepared(house: House) -> BillingRun:
    """Charge the first customer once in January 2026 and prepare that month's run."""
    with enter(house.scope()):
        add_charge(house.customers[0], description="Router", amount=D(100), on=date(2026, 1, 20))
        return prepare_run(house.reseller, parse_month("2026-01", house.reseller.zone))


@pytest.fixture
def world() -> World:
    return make_world()


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(client: Client, name: str, *args: Any, query: str = "") -> str:
    answer = client.get(reverse(name, args=args) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def step(client: Client, name: str, pk: int, **data: Any) -> str:
    """Open a step's page, take it, and say where it leads."""
    url = reverse(name, args=[pk])
    assert client.get(url).status_code == 200
    answer = client.post(url, data)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def billed(world: World, client: Client, commits: Commits) -> Invoice:
    """Take Alpha's January through the steps; return its invoice."""
    run = prepared(world.alpha)
    step(client, "run-check", run.pk)
    with commits(execute=True):
        step(client, "run-produce", run.pk)
    step(client, "run-confirm", run.pk, looked="on")
    with enter(world.alpha.scope()):
        return Invoice.objects.select_related("customer").get(customer=world.alpha.customers[0])


@pytest.mark.parametrize("name", LISTS)
def test_every_list_opens_empty_and_says_what_to_do(world: World, name: str) -> None:
    for user in (world.ana, world.vic, world.dee):
        assert 'class="empty"' in text_of(client_of(user), name)


def test_a_run_is_prepared_on_its_page(world: World) -> None:
    prepared(world.alpha)
    client = client_of(world.ana)
    form = {
        "month": "2026-02-01",
        "invoice_date": "2026-03-02",
        "due_date": "2026-03-16",
        "message": "Thanks",
    }
    answer = client.post(reverse("run-prepare"), form)
    with enter(world.alpha.scope()):
        run = BillingRun.objects.get(name="February 2026")
        assert (run.invoice_date, run.due_date, run.message) == (
            date(2026, 3, 2),
            date(2026, 3, 16),
            "Thanks",
        )
    assert answer["Location"] == reverse("run", args=[run.pk])
    wrong = client.post(reverse("run-prepare"), {**form, "due_date": "2026-03-01"})
    assert wrong.status_code == 422
    assert "due date cannot be before" in wrong.content.decode()


def test_a_month_is_billed_step_by_step(world: World, django_capture_on_commit_callbacks: Commits) -> None:
    client = client_of(world.ana)
    invoice = billed(world, client, django_capture_on_commit_callbacks)
    page = text_of(client, "run", invoice.run_id)
    assert "Mark as sent" in page
    assert invoice.customer.name in page
    assert "3 invoices of" in text_of(client, "run-send", invoice.run_id)
    step(client, "run-send", invoice.run_id)
    assert "The run is finished" in text_of(client, "run", invoice.run_id)
    refused = client.post(reverse("run-undo", args=[invoice.run_id]))
    assert refused.status_code == 422
    assert "would have to be" in refused.content.decode()


def test_an_invoice_shows_its_lines_and_takes_money_and_credit(
    world: World, django_capture_on_commit_callbacks: Commits
) -> None:
    client = client_of(world.ana)
    invoice = billed(world, client, django_capture_on_commit_callbacks)
    page = text_of(client, "invoice", invoice.pk)
    assert "Router" in page
    assert "20.00" in page
    assert "Router" in text_of(client, "invoice-lines", invoice.pk)
    paid = {
        "customer": invoice.customer.code, "amount": "30", "received": "2026-02-05", "method": "card",
        "reference": "R1", "invoice": invoice.number,
    }  # fmt: skip
    assert client.post(reverse("payment-add"), paid).status_code == 302
    assert "recorded already" in client.post(reverse("payment-add"), paid).content.decode()
    with enter(world.alpha.scope()):
        payment, line = Payment.objects.get(), invoice.lines.get(description="Router")
    assert "What it settles" in text_of(client, "payment", payment.pk)
    step(client, "payment-reverse", payment.pk, on="2026-02-07", code="B")
    assert "Account closed" in text_of(client, "payment", payment.pk)
    step(client, "invoice-credit", invoice.pk, line=line.pk, amount="10", on="2026-02-08", reason="Faulty")
    with enter(world.alpha.scope()):
        note = CreditNote.objects.get()
    assert note.gross == D("12.00")
    assert "Faulty" in text_of(client, "credit-note", note.pk)
    for query in ("?paid=unpaid", "?paid=overdue", f"?run={invoice.run_id}", "?q=INV-0", "?state=issued"):
        assert str(invoice.number) in text_of(client, "invoice-list", query=query)
    assert str(invoice.number) not in text_of(client, "invoice-list", query="?paid=paid")


def test_aged_debt_of_any_day_by_anything_and_as_a_file(
    world: World, django_capture_on_commit_callbacks: Commits
) -> None:
    client = client_of(world.ana)
    invoice = billed(world, client, django_capture_on_commit_callbacks)
    name = invoice.customer.name
    assert name in text_of(client, "aged-debt", query="?as_of=2026-02-01")
    assert name not in text_of(client, "aged-debt", query="?as_of=2026-01-31")
    for by in ("dealer", "method", "nothing"):
        assert "Outstanding" in text_of(client, "aged-debt", query=f"?as_of=2026-03-01&by={by}&basis=invoice")
    rows = text_of(client, "aged-debt", query="?as_of=2026-03-01&as=csv").splitlines()
    assert rows[0].startswith("Customer,Open invoices,Not due,1-30 days")
    assert rows[1].startswith(f"{name},1,0,")
    assert client.get(reverse("aged-debt") + "?as_of=never").status_code == 422


def test_a_charge_by_hand_waits_for_the_next_bill(world: World) -> None:
    customer = world.alpha.customers[0]
    form = {"kind": "credit", "description": "Goodwill", "amount": "5", "on": "2026-01-20"}
    step(client_of(world.ana), "customer-charge", customer.pk, **form)
    with enter(world.alpha.scope()):
        assert Charge.objects.get().amount == D("-5.00")


def test_who_may_do_what(world: World, django_capture_on_commit_callbacks: Commits) -> None:
    invoice = billed(world, client_of(world.ana), django_capture_on_commit_callbacks)
    viewer, stranger = client_of(world.vic), client_of(world.bo)
    steps = ("run-check", "run-produce", "run-confirm", "run-send", "run-undo", "run-change")
    for name in (*steps, "invoice-credit"):
        pk = invoice.run_id if name in steps else invoice.pk
        assert viewer.post(reverse(name, args=[pk])).status_code == 403
        assert stranger.post(reverse(name, args=[pk])).status_code == 404
    for name, pk in (("run", invoice.run_id), ("invoice", invoice.pk), ("invoice-lines", invoice.pk)):
        assert viewer.get(reverse(name, args=[pk])).status_code == 200
        assert stranger.get(reverse(name, args=[pk])).status_code == 404
    assert "Supplier cost" not in text_of(viewer, "invoice", invoice.pk)
    assert viewer.get(reverse("payment-add")).status_code == 403
    for name in LISTS:
        assert invoice.customer.name not in text_of(stranger, name)
    prepared(world.beta)
    for name in LISTS:
        assert CANARY not in text_of(client_of(world.ana), name)
