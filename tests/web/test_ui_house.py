"""Signing in, the frame of every page, health."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client

from resellerkpi.core.scope import Scope
from resellerkpi.ui.brand import contrast, legible, rgb
from resellerkpi.ui.middleware import scope_for
from tests.world import CANARY, PASSWORD, make_world

pytestmark = pytest.mark.django_db


def test_a_person_signs_in_and_out(client: Client) -> None:
    make_world()
    page = client.get("/resellers/")
    assert (page.status_code, page["Location"]) == (302, "/login/?next=/resellers/")
    wrong = client.post("/login/", {"username": "ana@alpha.example", "password": "wrong"})
    assert "do not belong together" in wrong.content.decode()
    good = client.post("/login/", {"username": "Ana@Alpha.example", "password": PASSWORD})
    assert good.status_code == 302
    page = client.get("/resellers/")
    assert "Alpha Telecom" in page.content.decode()
    assert CANARY not in page.content.decode()
    assert client.post("/logout/").status_code == 302
    assert client.get("/resellers/").status_code == 302


def test_an_operator_enters_any_reseller_and_others_only_their_own(client: Client) -> None:
    world = make_world()
    client.force_login(world.ana, "django.contrib.auth.backends.ModelBackend")
    refused = client.post("/resellers/", {"reseller": world.beta.reseller.pk})
    assert (refused.status_code, "Choose one of your resellers." in refused.content.decode()) == (422, True)
    client.force_login(world.sam, "django.contrib.auth.backends.ModelBackend")
    assert client.post("/resellers/", {"reseller": world.beta.reseller.pk}).status_code == 302
    world.sam.refresh_from_db()
    assert scope_for(world.sam).reseller_ids == (world.beta.reseller.pk,)


def test_the_theme_is_kept_and_leads_back_into_the_house_only(client: Client) -> None:
    answer = client.post("/theme/", {"theme": "dark", "next": "https://elsewhere.example/"})
    assert (answer["Location"], answer.cookies["theme"].value) == ("/", "dark")
    assert 'data-theme="dark"' in client.get("/login/").content.decode()


def test_health_answers_without_database_work(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").json() == {"database": "ok", "cache": "ok"}


def test_pages_forbid_inline_code(client: Client) -> None:
    policy = client.get("/login/")["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy


@pytest.mark.parametrize("colour", ["#0f5c8c", "#ffe600", "#111111", "#ffffff", "#7fff00"])
def test_an_accent_can_be_read_on_both_grounds(colour: str) -> None:
    for ground in ("#ffffff", "#14181c"):
        assert contrast(legible(rgb(colour), rgb(ground)), rgb(ground)) >= 4.5


def test_the_brand_sheet_is_cached_for_ever(client: Client) -> None:
    answer = client.get("/brand/0f5c8c.css")
    assert answer["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in answer["Cache-Control"]
    assert "--accent:#0f5c8c" in answer.content.decode()
    assert client.get("/brand/zzzzzz.css").status_code == 404


def test_strangers_have_an_empty_scope() -> None:
    assert scope_for(AnonymousUser()) == Scope((), why="stranger")
