"""The pages of calls and billing errors: bounded lists, why a price, redaction, repair in bulk."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.importing import counts
from billing.jobs import repair_usage
from billing.models import Call, CdrFile, Number, NumberAssignment
from billing.web import calls as calls_page
from resellerkpi.core.jobs import Task
from resellerkpi.core.models import AuditEvent, Job, User
from resellerkpi.core.scope import enter
from tests.billing.rating_book import chunk_of, money
from tests.billing.rating_world import World as Rating
from tests.billing.test_redraw import voice
from tests.world import CANARY, World, make_world


@pytest.fixture
def world(db: None) -> World:
    """Alpha and Beta and their people."""
    return make_world()


def as_(client: Client, user: User) -> Client:
    """Sign a person in."""
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def supply(house: Any, *calls: dict[str, Any]) -> CdrFile:
    """Store rated calls in a house as a loaded file."""
    with enter(house.scope()):
        rating = Rating(house.reseller, house.carrier, own={"reseller": house.reseller})
        rating.files = CdrFile.objects.count()
        file = rating.supply(chunk_of(*calls))
        ids = list(Call.objects.filter(file=file).order_by("pk").values_list("pk", "started_at"))
        file.first_call_id, file.last_call_id = ids[0][0], ids[-1][0]
        file.first_call_at = min(started for _, started in ids)
        file.last_call_at = max(started for _, started in ids)
        file.rows = file.unpriced = len(ids)
        file.state = CdrFile.State.LOADED
        file.save()
        counts.recount(house.reseller.pk, [file.pk])
    return file


def known(house: Any, key: int, when: str = "2026-03-10T10:00", **fields: Any) -> dict[str, Any]:
    """Return a call of the house's first number."""
    cost = {"cost": money("0.0171"), "has_cost": True, "cost_currency": "GBP"}
    return {**voice(61, when, key, house.numbers[0].number), "dialled": "+447700900123", **cost, **fields}


def unknown(key: int, party: str = "+441200009999") -> dict[str, Any]:
    """Return a call of a line nobody knows."""
    cost = {"cost": money("0.02"), "has_cost": True, "cost_currency": "GBP"}
    return {**voice(61, "2026-03-11T10:00", key, party), "dialled": "+447700900123", **cost}


def call_of(house: Any) -> Call:
    """Return the first call of a house."""
    with enter(house.scope()):
        return Call.objects.order_by("pk")[0]


def test_the_list_shows_the_latest_month_and_never_the_other_reseller(client: Client, world: World) -> None:
    supply(world.alpha, known(world.alpha, 1), known(world.alpha, 2, "2026-02-10T10:00"))
    supply(world.beta, known(world.beta, 3))
    page = as_(client, world.ana).get(reverse("call-list")).content.decode()
    assert "March 2026" in page
    assert "10 Mar 2026 10:00:00" in page
    assert "10 Feb 2026" not in page
    assert CANARY not in page
    other = client.get(reverse("call-list"), {"period": "2026-02"}).content.decode()
    assert "10 Feb 2026" in other
    for filters in (
        {"state": "error"},
        {"customer": "nobody"},
        {"dialled": "+33"},
        {"line": "999"},
        {"service": "sms"},
        {"reason": "no_rate"},
        {"call_class": "none of them"},
        {"period": "nonsense"},
    ):
        shown = client.get(reverse("call-list"), {"period": "2026-03", **filters})
        assert shown.status_code == 200
        assert "10 Mar 2026 10:00:00" not in shown.content.decode(), filters
    mine = client.get(reverse("call-list"), {"period": "2026-03", "customer": world.alpha.customers[0].code})
    assert "10 Mar 2026 10:00:00" in mine.content.decode()


def test_the_list_counts_no_further_than_people_page(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply(world.alpha, *(known(world.alpha, n) for n in range(60)))
    monkeypatch.setattr(calls_page, "COUNTED", 55)
    page = as_(client, world.ana).get(reverse("call-list"), {"period": "2026-03"}).content.decode()
    assert "1–50 of 55" in page
    assert "2" in client.get(reverse("call-list"), {"period": "2026-03", "page": "2"}).content.decode()


def test_the_list_takes_as_many_queries_for_many_calls_as_for_few(client: Client, world: World) -> None:
    supply(world.alpha, known(world.alpha, 1), known(world.alpha, 2))
    as_(client, world.ana)
    taken = []
    for turn in (1, 2):
        with CaptureQueriesContext(connection) as few:
            client.get(reverse("call-list"), {"period": "2026-03"})
        taken.append(len(few))
        supply(world.alpha, *(known(world.alpha, n) for n in range(40 * turn, 40 * turn + 30)))
    assert taken[0] == taken[1]


def test_a_call_says_why_it_costs_what_it_does(client: Client, world: World) -> None:
    supply(world.alpha, known(world.alpha, 1))
    address = reverse("call", args=[call_of(world.alpha).pk])
    page = as_(client, world.ana).get(address).content.decode()
    assert "Why this price?" in page
    assert "61 s billed as" in page
    assert "What the supplier charges" in page
    assert "0.0171" in page
    assert as_(client, world.bo).get(address).status_code == 404


def test_wholesale_and_money_are_for_those_who_may_see_them(client: Client, world: World) -> None:
    supply(world.alpha, known(world.alpha, 1))
    address = reverse("call", args=[call_of(world.alpha).pk])
    dealer = as_(client, world.dee)
    page = dealer.get(address).content.decode()
    assert "Why this price?" in page
    assert "0.0171" not in page
    listed = dealer.get(reverse("call-list"), {"as": "csv", "col": ["started_at", "cost", "retail"]})
    assert "cost" not in listed.content.decode().lower()
    assert dealer.get(reverse("billing-errors")).status_code == 403
    assert as_(client, world.vic).get(address).status_code == 403


def test_errors_come_in_repair_order_with_cost_and_a_hint(client: Client, world: World) -> None:
    near = world.alpha.numbers[0].number[:-1] + "~"
    supply(
        world.alpha,
        unknown(1, near),
        unknown(2, near),
        known(world.alpha, 3, dialled="+99912345"),
        known(world.alpha, 4, "2025-03-01T10:00"),
    )
    page = as_(client, world.ana).get(reverse("billing-errors")).content.decode()
    order = [
        page.index(label) for label in ("Unknown number", "Number not active", "No rate for the destination")
    ]
    assert order == sorted(order)
    assert "2 calls, 1 cause to repair, cost at least 0.04" in page
    assert "Alpha Customer" in page
    assert CANARY not in page


def test_no_errors_say_so(client: Client, world: World) -> None:
    page = as_(client, world.ana).get(reverse("billing-errors")).content.decode()
    assert "Every call has its price" in page


def test_unknown_lines_become_numbers_and_their_calls_are_priced(client: Client, world: World) -> None:
    house, customer = world.alpha, world.alpha.customers[0]
    supply(house, unknown(1), unknown(2, "TRUNK-7"), unknown(3, "+441200008888"))
    as_(client, world.ana)
    chosen = {"identities": ["+441200009999", "TRUNK-7"], "customer": customer.code, "start": "2026-03-01"}
    wrong = client.post(reverse("billing-errors"), {**chosen, "customer": "nobody"})
    assert wrong.status_code == 422
    assert "There is no customer with account code “nobody”." in wrong.content.decode()
    strange = client.post(reverse("billing-errors"), {**chosen, "identities": ["not on the page"]})
    assert strange.status_code == 422
    with enter(house.scope()):
        assert not Number.objects.filter(number="+441200009999").exists()
    sent = client.post(reverse("billing-errors"), chosen)
    assert sent.status_code == 302
    with enter(house.scope()):
        job = Job.objects.get(kind="usage.repair")
        assert sent["Location"] == reverse("job", args=[job.pk])
        assert job.params == {"reasons": ["unknown_cli"], "identities": chosen["identities"]}
        assert set(
            NumberAssignment.objects.filter(number__number__in=chosen["identities"]).values_list(
                "customer_id"
            )
        ) == {(customer.pk,)}
        result = repair_usage(Task(job_id=str(job.pk), stored_scope=house.scope()), **job.params)
        assert result["changed"] == 2
        states = dict(Call.objects.values_list("billed_party", "state"))
        assert states == {"+441200009999": "rated", "TRUNK-7": "rated", "+441200008888": "error"}
        assert Call.objects.filter(customer=customer, retail__gt=0).count() == 2
        file = CdrFile.objects.get()
        assert (file.rated, file.unpriced) == (2, 1)
        assert AuditEvent.objects.filter(action="usage.numbers_added").count() == 1


def test_a_line_of_another_customer_is_not_taken(client: Client, world: World) -> None:
    house = world.alpha
    early = {**known(house, 1, "2025-12-01T10:00")}
    supply(house, unknown(1, "TRUNK-7"), early)
    with enter(house.scope()):
        trunk = Number.objects.create(reseller=house.reseller, number="TRUNK-7")
        NumberAssignment.objects.create(
            reseller=house.reseller, number=trunk, customer=house.customers[1], start_date="2026-03-20"
        )
    as_(client, world.ana)
    chosen = {"identities": ["TRUNK-7"], "customer": house.customers[0].code, "start": "2026-03-01"}
    refused = client.post(reverse("billing-errors"), chosen)
    assert refused.status_code == 422
    assert f"TRUNK-7 belongs to {house.customers[1].name} on 20 Mar 2026 already." in refused.content.decode()


def test_a_group_can_be_rated_again(client: Client, world: World) -> None:
    supply(world.alpha, known(world.alpha, 3, dialled="+99912345"))
    sent = as_(client, world.ana).post(reverse("billing-errors"), {"again": "no_rate"})
    assert sent.status_code == 302
    with enter(world.alpha.scope()):
        assert Job.objects.get().params == {"reasons": ["no_rate"], "identities": None}
