"""The endpoints for machines: who may ask, for what, in which form; and the keys."""

import csv
import io
import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from billing.models import Customer, Dealer
from kpis.dictionary import types_of
from kpis.kpi import KPIS
from kpis.labels import labels
from kpis.web import backend
from kpis.web.standing import STANDINGS
from resellerkpi.core import keys
from resellerkpi.core.access import Capability, Role
from resellerkpi.core.logs import without_secrets
from resellerkpi.core.models import ApiKey, AuditEvent, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import account, alpha, house, someone

pytestmark = pytest.mark.django_db
MONEY = [Capability.VIEW_MONEY.value]


@pytest.fixture(autouse=True)
def _noon() -> Any:
    cache.clear()
    with time_machine.travel(worlds.NOW, tick=False):
        yield


def key_for(made: Reseller, **more: Any) -> str:
    """Make a key of a reseller's owner and return its token."""
    with enter(Scope.of(made.pk)):
        options: dict[str, Any] = {"sees": MONEY, "now": worlds.NOW} | more
        return keys.mint("Test", **options)[1]


def ask(token: str, address: str, **headers: str) -> Any:
    """Ask an endpoint with a bearer key."""
    return Client().get(f"/backend/kpi/{address}", headers={"Authorization": f"Bearer {token}", **headers})


def test_customers_by_status_add_up_to_the_customers() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        Customer.objects.filter(code="bob").update(status="suspended")
        Customer.objects.filter(code="cat").update(status="ceased")
    token = key_for(made)
    assert ask(token, "customers/").json() == [{"customer_count": 3}]
    assert ask(token, "customers/byStatus/").json() == [
        {"customer_status": "active", "customer_count": 1},
        {"customer_status": "ceased", "customer_count": 1},
        {"customer_status": "suspended", "customer_count": 1},
    ]
    assert ask(token, "customers/byDealer/").json() == [
        {"customer_dealer": "D1", "customer_count": 1},
        {"customer_dealer": "D2", "customer_count": 2},
    ]


def test_invoices_have_a_row_per_currency_with_three_decimals() -> None:
    bill = account("eve", "D1", date(2026, 1, 5))
    bill["invoices"][0]["currency"] = "EUR"
    bill["currency"] = "EUR"
    made = house("gamma", account("ann", "D1", date(2026, 1, 5)), bill)
    found = ask(key_for(made), "invoices/")
    assert '"invoice_amount": 50.000' in found.content.decode()
    assert [(r["invoice_currency"], r["invoice_count"], r["invoice_outstanding"]) for r in found.json()] == [
        ("EUR", 1, 50.0),
        ("GBP", 1, 50.0),
    ]
    months = ask(key_for(made), "invoices/byMonth/").json()
    assert {r["invoice_month"] for r in months} == {"2026-02"}
    assert sum(r["invoice_amount"] for r in months) == 100
    lines = ask(key_for(made), "invoices/breakdown/").json()
    assert [(r["invoice_currency"], r["invoice_line_kind"], r["invoice_line_amount"]) for r in lines] == [
        ("EUR", "recurring", 50.0),
        ("GBP", "recurring", 50.0),
    ]


def test_numbers_and_features_are_those_of_today() -> None:
    token = key_for(alpha())
    assert ask(token, "numbers/").json() == [{"number_count": 2}]
    assert ask(token, "numbers/byType/").json() == [{"number_type": "mobile", "number_count": 2}]
    assert ask(token, "features/byType/").json() == [{"feature_type": "line", "feature_count": 4}]
    assert ask(token, "features/charges/").json() == [
        {"feature_currency": "GBP", "feature_type": "line", "feature_count": 4, "feature_amount": 52.0}
    ]


@pytest.mark.parametrize("mode", ["json", "csv", "html"])
def test_every_answer_of_the_index_answers_in_every_mode(mode: str) -> None:
    token = key_for(alpha(), sees=[c.value for c in keys.MAY_SEE])
    index = ask(token, "").json()
    assert {r["category"] for r in index} == {*STANDINGS, *(k.slug for k in KPIS)}
    cache.clear()
    backend_limit, backend.MOST_A_MINUTE = backend.MOST_A_MINUTE, 10_000
    every = index if mode == "json" else [row for row in index if row["type"] in ("summary", "byStatus")]
    try:
        for row in every:
            found = Client().get(
                f"{row['address']}?outputMode={mode}", headers={"Authorization": f"Bearer {token}"}
            )
            assert found.status_code == 200, row["address"]
            assert found["Cache-Control"] == "private, no-cache"
            assert found["Referrer-Policy"] == "no-referrer"
    finally:
        backend.MOST_A_MINUTE = backend_limit


def test_a_kpi_says_the_same_as_its_page() -> None:
    made = alpha()
    page = someone(made, Role.OWNER).get("/kpis/mrr.json?from=2026-02&to=2026-05").json()["rows"]
    rows = ask(key_for(made), "mrr/byMonth/?from=2026-02&to=2026-05").json()
    assert [(r["month"], r["mrr_currency"], f"{r['mrr']:.2f}") for r in rows] == [
        (r["month"], r["currency"], r["value"]) for r in page
    ]
    by_dealer = ask(key_for(made), "mrr/byDealer/?from=2026-03&to=2026-03").json()
    assert [(r["dealer"], r["dealer_name"], r["mrr"]) for r in by_dealer] == [
        ("D1", "D1", 26.0),
        ("D2", "D2", 52.0),
    ]
    table = csv.DictReader(
        io.StringIO(
            ask(key_for(made), "mrr/byDealer/?from=2026-03&to=2026-03&outputMode=csv").content.decode()
        )
    )
    assert [r["mrr"] for r in table] == ["26.000", "52.000"]


def test_a_key_of_a_dealer_knows_only_its_customers() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        dealer = Dealer.objects.get(code="D1")
    token = key_for(made, dealer_id=dealer.pk)
    assert ask(token, "customers/").json() == [{"customer_count": 1}]
    assert [r["mrr"] for r in ask(token, "mrr/?from=2026-03&to=2026-03").json()] == [26.0]
    assert ask(token, "marketing_spend/").status_code == 404


def test_a_key_sees_no_more_than_it_was_made_for() -> None:
    token = key_for(alpha(), sees=[])
    assert ask(token, "invoices/").status_code == 404
    assert ask(token, "mrr/").status_code == 404
    assert ask(token, "customers_active/").status_code == 200
    assert "mrr" not in {r["category"] for r in ask(token, "").json()}


def test_one_house_never_sees_another() -> None:
    house("beta", account("zoe", "D9", date(2026, 1, 5)))
    assert ask(key_for(alpha()), "customers/byDealer/").json() == [
        {"customer_dealer": "D1", "customer_count": 1},
        {"customer_dealer": "D2", "customer_count": 2},
    ]


def test_wrong_ended_and_revoked_keys_get_the_same_answer() -> None:
    made = alpha()
    ended, revoked = key_for(made, days=1), key_for(made)
    with enter(Scope.of(made.pk)):
        keys.revoke(ApiKey.objects.get(token_hash=keys.hash_of(revoked)), now=worlds.NOW)
    with time_machine.travel(worlds.NOW + timedelta(days=2), tick=False):
        answers = [ask(token, "customers/") for token in ("rk_wrong", ended, revoked)]
    assert {a.status_code for a in answers} == {401}
    assert len({a.content for a in answers}) == 1
    assert answers[0]["WWW-Authenticate"] == 'Bearer realm="KPIs"'
    assert Client().get("/backend/kpi/customers/").status_code == 401


def test_a_signed_in_person_needs_a_key_too() -> None:
    assert someone(alpha(), Role.OWNER).get("/backend/kpi/customers/").status_code == 401


def test_only_a_key_made_for_it_stands_in_an_address_and_opens_a_page_only() -> None:
    made = alpha()
    plain, made_for_it = key_for(made), key_for(made, in_address=True)
    assert Client().get(f"/backend/kpi/customers/?key={plain}").status_code == 403
    page = Client().get(f"/backend/kpi/customers/?key={made_for_it}")
    assert page.status_code == 200
    assert "<h1>Customers: summary</h1>" in page.content.decode()
    assert made_for_it not in page.content.decode()
    as_json = Client().get(f"/backend/kpi/customers/?key={made_for_it}&outputMode=json")
    assert as_json.status_code == 403
    assert ask(made_for_it, "customers/").json() == [{"customer_count": 3}]


def test_the_key_of_an_address_reaches_no_log() -> None:
    event = {"request": "GET /backend/kpi/invoices/byMonth/?key=rk_secret", "event": "request_started"}
    assert without_secrets(None, "info", event)["request"] == "GET /backend/kpi/invoices/byMonth/"


def test_what_has_not_changed_is_not_sent_again() -> None:
    made = alpha()
    token = key_for(made)
    first = ask(token, "customers/")
    again = ask(token, "customers/", **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    weak = ask(token, "customers/", **{"If-None-Match": f'"other", W/{first["ETag"]}'})
    assert weak.status_code == 304, "a proxy that packs answers makes tags weak"
    with enter(Scope.of(made.pk)):
        Customer.objects.filter(code="ann").update(is_test=True)
    changed = ask(token, "customers/", **{"If-None-Match": first["ETag"]})
    assert changed.json() == [{"customer_count": 2}]


def test_a_key_that_asks_too_often_waits() -> None:
    made = alpha()
    token, other = key_for(made), key_for(made)
    for _ in range(backend.MOST_A_MINUTE):
        assert ask(token, "customers/", **{"If-None-Match": "*"}).status_code in (200, 304)
    refused = ask(token, "customers/")
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert ask(other, "customers/").status_code == 200


def test_who_guesses_keys_waits() -> None:
    token = key_for(alpha())
    for i in range(backend.MOST_MISSES):
        assert ask(f"rk_{i}", "customers/").status_code == 401
    assert ask(token, "customers/").status_code == 429


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("nothing/", 404, "There is no KPI “nothing” for this key."),
        ("customers/byMoon/", 404, "“customers” has no type “byMoon” for this key."),
        ("mrr/byMoon/", 404, "“mrr” has no type “byMoon”."),
        ("mrr/byMonth/?from=soon", 400, "soon"),
        ("mrr/byMonth/?from=2026-05&to=2026-01", 400, "The last month must not be before the first one."),
        ("mrr/?outputMode=pdf", 400, "outputMode is json, csv or html."),
        ("mrr/?form=2026-01", 400, "“form” means nothing here. Known: outputMode, key, from, to"),
        ("customers/?from=2026-01", 400, "“from” means nothing here. Known: outputMode, key."),
        ("?by=dealer", 400, "“by” means nothing here."),
    ],
)
def test_what_makes_no_sense_is_said(address: str, status: int, words: str) -> None:
    found = ask(key_for(alpha()), address)
    assert found.status_code == status
    assert words in found.json()["error"]


def test_who_writes_is_told_that_endpoints_are_read_only() -> None:
    token = key_for(alpha())
    posted = Client(enforce_csrf_checks=True).post(
        "/backend/kpi/mrr/", headers={"Authorization": f"Bearer {token}"}
    )
    assert (posted.status_code, posted["Allow"]) == (405, "GET, HEAD")
    assert posted.json() == {"error": "Endpoints are read only: ask with GET."}


def test_types_do_not_mind_their_case() -> None:
    assert ask(key_for(alpha()), "customers/bystatus/").status_code == 200


def test_the_description_names_every_field_that_is_answered() -> None:
    token = key_for(alpha(), sees=[c.value for c in keys.MAY_SEE])
    described = json.loads(Client().get("/backend/kpi/openapi.json").content)
    assert described["openapi"] == "3.1.0"
    paths = described["paths"]
    assert set(paths) == {
        "/backend/kpi/",
        *(f"/backend/kpi/{c}/{t}/" for c, types in STANDINGS.items() for t in types),
        *(f"/backend/kpi/{k.slug}/{t}/" for k in KPIS for t in types_of(k)),
    }
    for address in ("invoices/byMonth/", "features/charges/", "mrr/byDealer/", "churn_customer/summary/"):
        described_path = paths[f"/backend/kpi/{address}"]["get"]
        months = "?from=2026-03&to=2026-03" if len(described_path["parameters"]) > 1 else ""
        good = described_path["responses"]["200"]
        fields = good["content"]["application/json"]["schema"]["items"]["properties"]
        rows = ask(token, f"{address}{months}").json()
        assert rows
        assert all(list(row) == list(fields) for row in rows)
        for row in rows:
            for name, value in row.items():
                kinds = fields[name]["type"]
                assert isinstance(value, str) == (kinds == "string"), name


def test_only_who_manages_makes_keys_and_none_sees_more_than_its_maker() -> None:
    made = alpha()
    posted = {"name": "Grafana", "sees": MONEY, "days": "30"}
    finance = someone(made, Role.FINANCE)
    assert finance.post("/kpis/connect/", posted).status_code == 403
    assert "Ask whoever manages Alpha for a key." in finance.get("/kpis/connect/").content.decode()
    owner = someone(made, Role.OWNER)
    page = owner.post("/kpis/connect/", posted).content.decode()
    token = page.split('id="new-key" type="text" readonly value="')[1].split('"')[0]
    assert ask(token, "customers/").json() == [{"customer_count": 3}]
    with enter(Scope.of(made.pk)):
        key = ApiKey.objects.get()
        assert key.token_hash != token
        assert key.last_used_at == worlds.NOW
        assert key.expires_at == worlds.NOW + timedelta(days=30)
        assert AuditEvent.objects.filter(action="Key made").count() == 1
    assert token not in owner.get("/kpis/connect/").content.decode()
    owner.post(f"/kpis/keys/{key.pk}/revoke/")
    assert ask(token, "customers/").status_code == 401
    with enter(Scope.of(made.pk, role=Role.VIEWER)), pytest.raises(keys.BadKey, match="cannot see more"):
        keys.mint("Mine", sees=MONEY, now=worlds.NOW)


def test_a_key_of_another_house_cannot_be_revoked() -> None:
    made, other = alpha(), house("beta", account("zoe", "D9", date(2026, 1, 5)))
    token = key_for(other)
    with enter(Scope.of(other.pk)):
        pk = ApiKey.objects.get().pk
    assert someone(made, Role.OWNER).post(f"/kpis/keys/{pk}/revoke/").status_code == 404
    assert ask(token, "customers/").status_code == 200


def test_account_managers_are_for_people_who_may_see_people_and_for_no_key() -> None:
    made = alpha()
    assert ask(key_for(made), "customers_active/byManager/").status_code == 404
    owner = someone(made, Role.OWNER).get("/kpis/customers_active/?by=manager").content.decode()
    assert "Bea Boss" in owner
    assert labels("manager", {"99999999", ""}) == {"99999999": "Somebody who left", "": "Nobody"}
    refused = someone(made, Role.VIEWER).get("/kpis/customers_active/?by=manager")
    assert refused.status_code == 400
    assert "cannot be broken down by manager" in refused.content.decode()
    assert not {"Bea Boss", "Account manager"} & set(
        re.findall(r"Bea Boss|Account manager", refused.content.decode())
    )
