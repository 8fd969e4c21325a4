"""Overview, list and detail pages, CSV and JSON: figures, queries, and who sees whose."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from billing.models import Dealer
from kpis.kpi import KPIS, UnknownDimension
from kpis.snapshots import refresh
from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(worlds.NOW, tick=False):
        yield


def account(code: str, dealer: str, start: date, end: date | None = None) -> dict[str, Any]:
    """Describe a customer with one line and one invoice a month after it came."""
    bill = {
        "date": start + timedelta(days=30), "terms": 14, "currency": "GBP", "draft": False, "credit": None, "paid": [],
        "lines": [("recurring", "line", D("50.00"))], "net": D("50.00"),
    }  # fmt: skip
    return {
        "code": code, "dealer": dealer, "client_type": "client", "segment": "", "campaign": "", "currency": "GBP",
        "status": "active", "imported": False, "is_test": False, "events": {}, "attempts": [], "invoices": [bill],
        "numbers": [(f"N{code}", "mobile", (start, end))], "features": [("line", (start, end), 2, None, 0, False)],
    }  # fmt: skip


def house(code: str, *accounts: dict[str, Any]) -> Reseller:
    """Make a reseller with snapshots."""
    made = Reseller.objects.create(code=code, name=code.title())
    with enter(Scope.of(made.pk)):
        worlds.load({"customers": list(accounts), "spend": {}}, made)
        refresh(made, now=worlds.NOW)
    return made


def someone(made: Reseller, role: Role, **more: Any) -> Client:
    """Sign somebody in."""
    user = User.objects.create(email=f"{role}-{made.code}@example.com", current_reseller=made)
    with enter(Scope.of(made.pk)):
        Membership.objects.create(user=user, reseller=made, role=role, **more)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def alpha() -> Reseller:
    """A reseller of three customers, one of them lost in April."""
    return house(
        "alpha",
        account("ann", "D1", date(2025, 12, 5)),
        account("bob", "D2", date(2026, 2, 3)),
        account("cat", "D2", date(2026, 2, 10), date(2026, 4, 20)),
    )


def test_the_overview_shows_the_five_first_and_the_families() -> None:
    page = someone(alpha(), Role.OWNER).get("/")
    text = page.content.decode()
    assert page.status_code == 200
    five = [k.name for k in sorted((k for k in KPIS if k.headline), key=lambda k: k.headline)]
    places = [text.index(f">{name}<") for name in five]
    assert places == sorted(places)
    assert "£52.00" in text
    assert "In April 2026 recurring revenue fell by £26.00, no customers joined and 1 customer left." in text
    assert "Needs data: enter or upload what sales and marketing cost" in text


def test_an_empty_book_says_what_to_do() -> None:
    page = someone(house("empty"), Role.OWNER).get("/")
    assert "There are no figures yet" in page.content.decode()


def test_the_overview_asks_the_same_few_questions_whatever_the_rows(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    small, big = (
        someone(alpha(), Role.OWNER),
        someone(
            house("big", *[account(f"c{i}", "D1", date(2026, 1, 1 + i % 20)) for i in range(30)]), Role.OWNER
        ),
    )
    for client in (small, big):
        with django_assert_max_num_queries(18):
            assert client.get("/").status_code == 200


@pytest.mark.parametrize("part", range(4))
def test_every_kpi_has_a_page_csv_and_json_by_every_dimension(part: int) -> None:
    client = someone(alpha(), Role.OWNER)
    for declared in list(KPIS)[part::4]:
        for by in ("", *declared.by):
            tail = f"?from=2026-01&to=2026-05&by={by}"
            page = client.get(f"/kpis/{declared.slug}/{tail}")
            assert page.status_code == 200, (declared.slug, by)
            if by not in ("", *declared.by[:1]):
                continue
            same_as_its_files(declared, client, tail, page.content.decode())


def same_as_its_files(declared: Any, client: Client, tail: str, page: str) -> None:
    """Check that a page states its formula and that CSV and JSON have the same rows."""
    assert declared.formula.split("\n\n")[0].split("÷")[0][:20].split("'")[0] in page, declared.slug
    rows = list(csv.DictReader(io.StringIO(client.get(f"/kpis/{declared.slug}.csv{tail}").content.decode())))
    data = client.get(f"/kpis/{declared.slug}.json{tail}").json()
    assert len(rows) == len(data["rows"]), declared.slug
    assert {r["month"] for r in data["rows"]} <= {f"2026-0{m}" for m in range(1, 6)}
    assert data["until"] == "2026-06-01"


def test_the_page_shows_the_customers_behind_the_figure() -> None:
    client = someone(alpha(), Role.OWNER)
    text = client.get("/kpis/customers_lost/?month=2026-04").content.decode()
    assert "Customers behind it, Apr 2026" in text
    assert ">cat<" in text
    assert ">bob<" not in text


def test_figures_are_exact_in_json() -> None:
    data = someone(alpha(), Role.OWNER).get("/kpis/churn_customer.json?from=2026-04&to=2026-05").json()
    assert data["rows"] == [
        {
            "month": "2026-04", "key": "", "currency": "", "value": "0.333333", "numerator": "1", "denominator": "3",
            "marks": ["small_base"],
        },
        {
            "month": "2026-05", "key": "", "currency": "", "value": "0", "numerator": "0", "denominator": "2",
            "marks": ["small_base", "open"],
        },
    ]  # fmt: skip


def test_a_question_that_makes_no_sense_is_answered_in_words() -> None:
    client = someone(alpha(), Role.OWNER)
    assert client.get("/kpis/nothing/").status_code == 404
    for tail, words in (
        ("?from=2026-13", "is not a month"),
        (
            "?by=shoe",
            "cannot be broken down by shoe. It can be broken down by status, dealer, client_type, segment",
        ),
        ("?from=2026-05&to=2026-01", "must not be before"),
        ("?from=2040-01&to=2040-02", "still to come"),
        ("?from=1991-01", "120 months or fewer"),
    ):
        for form in ("/kpis/customers_active/", "/kpis/customers_active.json", "/kpis/customers_active.csv"):
            answer = client.get(form + tail)
            assert answer.status_code == 400
            assert words in answer.content.decode()


def test_a_kpi_without_a_breakdown_says_so() -> None:
    with pytest.raises(UnknownDimension, match=r"cannot be broken down by dealer. It has no breakdown.$"):
        KPIS.get("open_orders").dimension("dealer")


def test_a_figure_that_was_0_in_every_month_is_a_figure() -> None:
    made = house("steady", account("stays", "D1", date(2026, 1, 3)))
    client = someone(made, Role.OWNER)
    for tail in ("", "?per=quarter"):
        page = client.get(f"/kpis/churn_customer/{tail}").content.decode()
        assert "There is nothing to count" not in page
        assert "0.0\N{NO-BREAK SPACE}%" in page


def test_nobody_sees_another_resellers_figures_or_names() -> None:
    alpha()
    beta = house("beta", account("canary", "D1", date(2026, 1, 3)))
    other = someone(Reseller.objects.get(code="alpha"), Role.OWNER)
    mine = someone(beta, Role.OWNER)
    for path in ("/", "/kpis/", *[f"/kpis/{k.slug}/?month=2026-04" for k in KPIS]):
        assert "canary" not in other.get(path).content.decode()
    assert "canary" in mine.get("/kpis/customers_active/").content.decode()


def test_a_dealer_sees_the_figures_of_his_customers_only() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        dealer = Dealer.objects.get(code="D2")
    client = someone(made, Role.DEALER, dealer_id=dealer.pk)
    rows = client.get("/kpis/customers_active.json?from=2026-03&to=2026-04").json()["rows"]
    assert [r["value"] for r in rows] == [2, 1]
    text = client.get("/kpis/customers_active/?month=2026-03").content.decode()
    assert ">bob<" in text
    assert ">ann<" not in text
    assert client.get("/kpis/cac/").status_code == 404
    assert client.get("/").status_code == 200


def test_a_role_without_kpis_is_refused() -> None:
    client = someone(alpha(), Role.SUPPORT)
    assert client.get("/").status_code == 403
    assert client.get("/kpis/mrr.json").status_code == 403


def test_strangers_sign_in_first() -> None:
    assert Client().get("/kpis/").status_code == 302


def test_figures_say_when_they_were_taken() -> None:
    data = someone(alpha(), Role.OWNER).get("/kpis/mrr.json").json()
    assert datetime.fromisoformat(data["as_of"]) == worlds.NOW.astimezone(UTC)
