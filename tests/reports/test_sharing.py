"""Share links: frozen, redacted, logged; a guessed, expired, revoked or rotated one learns nothing."""

import hashlib
import re
from datetime import timedelta
from decimal import Decimal as D
from io import BytesIO
from typing import Any

import openpyxl
import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import reports.run
import reports.sharing
import reports.web.outside
from billing.models import Customer
from reports import sharing
from reports.models import Run, ShareLink, ShareView
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import NotAllowed, forget_expired, run
from resellerkpi.core.access import Role
from resellerkpi.core.models import AuditEvent, User
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.world import World, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
NOVEMBER = {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}
SECRETS = ("Cost", "Margin", "Account manager", "40.12", "39.87", "Ana Alder")


@pytest.fixture
def world() -> World:
    world = make_world()
    three_bills(world.alpha)
    three_bills(world.beta)
    return world


@pytest.fixture
def made(world: World) -> Run:
    with enter(world.alpha.scope()):
        return run(REPORTS.get("invoices"), NOVEMBER, now=timezone.now(), user=world.ana)


def share(made: Run, **options: Any) -> tuple[ShareLink, str]:
    """Make a link as the owner."""
    with enter(Scope.of(made.reseller_id, why="test")):
        return sharing.mint(made, now=options.pop("now", timezone.now()), **options)


def signed_in(user: User) -> Client:
    """Return a browser with somebody signed in."""
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def content(answer: Any) -> bytes:
    """Return the bytes of an answer."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_a_stranger_opens_a_link(made: Run) -> None:
    _, token = share(made)
    answer = Client().get(f"/view?id={token}")
    page = answer.content.decode()
    assert answer.status_code == 200
    for text in ("A-0001", "A-0002", "A-0003", "Alpha Telecom", "280.00", "a snapshot"):
        assert text in page
    for text in (*SECRETS, "/reports/", "/customers/", "rail-nav"):
        assert text not in page
    assert answer["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store, private"


def test_bo_of_the_other_reseller_opens_it_and_keeps_his_own_house(world: World, made: Run) -> None:
    _, token = share(made)
    bo = signed_in(world.bo)
    page = bo.get(f"/view?id={token}").content.decode()
    assert "Alpha Customer 1" in page
    assert "Zeta-Canary" not in page
    assert "Alpha" not in bo.get("/reports/").content.decode()
    with enter(world.alpha.scope()):
        assert ShareView.objects.get().user == world.bo


def test_files_of_a_link_hold_the_same_rows_without_the_secrets(made: Run) -> None:
    _, token = share(made)
    csv = content(Client().get(f"/view?id={token}&as=csv&sort=-unpaid")).decode()
    assert [line.split(",")[0] for line in csv.splitlines()[1:4]] == ["A-0002", "A-0003", "A-0001"]
    book = openpyxl.load_workbook(BytesIO(content(Client().get(f"/view?id={token}&as=xlsx"))))
    cells = [str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row]
    assert "A-0003" in cells
    for text in SECRETS:
        assert text not in csv
        assert not any(text in cell for cell in cells)
    assert Client().get(f"/view?id={token}&as=json").status_code == 404


def test_a_hidden_column_cannot_be_sorted_by(made: Run) -> None:
    _, token = share(made)
    plain, sorted_by_cost = (
        Client().get(f"/view?id={token}{more}").context["table"].paginated_rows
        for more in ("", "&sort=-cost")
    )
    assert [r.record["number"] for r in plain] == [r.record["number"] for r in sorted_by_cost]


def test_the_sharer_may_show_more_or_less_but_only_what_she_sees(world: World, made: Run) -> None:
    link, token = share(made, columns=["number", "cost", "nonsense"])
    assert link.columns == ["number", "cost"]
    page = Client().get(f"/view?id={token}").content.decode()
    assert "Cost" in page
    assert "280.00" not in page
    with pytest.raises(sharing.BadLink):
        share(made, columns=[])
    with enter(Scope.of(made.reseller_id, role=Role.VIEWER)), pytest.raises(NotAllowed):
        sharing.mint(made, now=NOW)


def test_every_way_to_fail_looks_the_same(made: Run) -> None:
    now = timezone.now()
    revoked, dead = share(made)
    _, old = share(made, now=now - timedelta(days=2), days=1)
    rotated, first = share(made)
    _, locked = share(made, password="correct horse")
    with enter(Scope.of(made.reseller_id, why="test")):
        sharing.revoke(revoked, now=now)
        second = sharing.rotate(rotated, now=now)
        with pytest.raises(sharing.BadLink):
            sharing.rotate(revoked, now=now)
    assert Client().get(f"/view?id={second}").status_code == 200
    answers = [Client().get(f"/view?id={t}") for t in (dead, old, first, "guessed", "", "a" * 5000, "%ff%00")]
    answers += [Client().get("/view"), Client().post(f"/view?id={locked}", {"password": "wrong horse"})]
    answers += [Client().get(f"/view?id={second}&as=exe")]
    assert {a.status_code for a in answers} == {404}
    assert len({a.content for a in answers}) == 1
    assert b"Alpha" not in answers[0].content
    assert {a["Referrer-Policy"] for a in answers} == {"no-referrer"}
    with enter(Scope.of(made.reseller_id, why="test")):
        assert list(ShareView.objects.order_by("pk").values_list("what", flat=True)) == ["page", "miss"]


def test_only_a_hash_of_the_token_is_kept(made: Run) -> None:
    link, token = share(made, password="correct horse")
    with enter(Scope.of(made.reseller_id, why="test")):
        assert token not in str(ShareLink.objects.values().get())
        assert "correct horse" not in str(ShareLink.objects.values().get())
        assert not AuditEvent.objects.filter(details__icontains=token).exists()
    assert len(token) >= 43


def test_a_password_is_asked_for_and_remembered_for_that_link_only(made: Run) -> None:
    _, token = share(made, password="correct horse")
    _, other = share(made, password="battery staple")
    stranger = Client(enforce_csrf_checks=True)
    asked = stranger.get(f"/view?id={token}").content.decode()
    assert "asks for a password" in asked
    assert "Alpha" not in asked
    assert stranger.get(f"/view?id={token}&as=csv").content.decode() != ""
    assert "A-0001" not in stranger.get(f"/view?id={token}&as=csv").content.decode()
    answer = stranger.post(f"/view?id={token}", {"password": "correct horse"})
    assert (answer.status_code, answer["Location"]) == (303, f"/view?id={token}")
    assert "A-0001" in stranger.get(f"/view?id={token}").content.decode()
    assert "asks for a password" in stranger.get(f"/view?id={other}").content.decode()


def test_too_many_misses_close_the_door(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.web.outside, "MOST_MISSES", 3)
    _, token = share(made)
    for _ in range(3):
        assert Client().get("/view?id=guess").status_code == 404
    assert Client().get(f"/view?id={token}").status_code == 404
    assert Client(REMOTE_ADDR="203.0.113.9").get(f"/view?id={token}").status_code == 200


def test_each_opening_is_logged_without_the_address(made: Run) -> None:
    link, token = share(made)
    visitor = Client(REMOTE_ADDR="203.0.113.77")
    visitor.get(f"/view?id={token}")
    visitor.get(f"/view?id={token}&as=csv")
    visitor.get(f"/view?id={token}&page=1", headers={"HX-Request": "true", "HX-Target": "list"})
    with enter(Scope.of(made.reseller_id, why="test")):
        views = list(
            ShareView.objects.order_by("pk").values("what", "network", "user_id", "link_id", "visitor")
        )
    assert [(v["what"], v["network"], v["user_id"]) for v in views] == [
        ("page", "203.0.113.0/24", None),
        ("csv", "203.0.113.0/24", None),
    ]
    assert views[0]["visitor"] == views[1]["visitor"] != ""
    assert sharing.network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert sharing.network_of("nonsense") == ""


def test_a_link_stays_as_it_was_when_the_data_change(world: World, made: Run) -> None:
    _, token = share(made)
    before = content(Client().get(f"/view?id={token}&as=csv"))
    with enter(world.alpha.scope()):
        Customer.objects.update(name="Renamed")
    make_bills(world.alpha, Bill("A-0099", world.alpha.customers[0], NOW.date()))
    assert content(Client().get(f"/view?id={token}&as=csv")) == before
    assert "Alpha Customer 1" in Client().get(f"/view?id={token}").content.decode()


def test_a_shared_run_is_kept_as_long_as_its_link(made: Run) -> None:
    link, _ = share(made, days=90)
    with enter(Scope.of(made.reseller_id, why="test")):
        assert Run.objects.get().kept_until == link.expires_at
        assert forget_expired(timezone.now() + timedelta(days=89)) == 0
        assert forget_expired(timezone.now() + timedelta(days=91)) == 1
        assert ShareLink.objects.count() == 0


def test_the_pages_make_rotate_and_revoke_links(world: World, made: Run) -> None:
    ana = signed_in(world.ana)
    place = f"/reports/runs/{made.pk}/share/"
    form = ana.get(place).content.decode()
    assert "only colleagues can see this result" in form
    assert "Cost (hidden by default)" in form
    given = {"label": "The accountant", "days": "14", "columns": ["number", "gross"]}
    first = address_in(ana.post(place, given))
    assert "A-0001" in Client().get(first).content.decode()
    with enter(world.alpha.scope()):
        link = ShareLink.objects.get()
    assert (link.label, link.columns, link.created_by_id) == (
        "The accountant",
        ["number", "gross"],
        world.ana.pk,
    )
    second = address_in(ana.post(f"/reports/links/{link.pk}/rotate/"))
    assert (Client().get(first).status_code, Client().get(second).status_code) == (404, 200)
    page = ana.get(place).content.decode()
    assert "opened 2 times" in page
    assert "Stranger" in page
    assert second.split("=")[1] not in page
    assert ana.post(f"/reports/links/{link.pk}/revoke/")["Location"] == place
    assert Client().get(second).status_code == 404
    assert "Revoked" in ana.get(place).content.decode()
    bo = signed_in(world.bo)
    assert bo.post(f"/reports/links/{link.pk}/rotate/").status_code == 404
    assert signed_in(world.vic).post(f"/reports/links/{link.pk}/revoke/").status_code == 403
    assert ana.post(place, {"days": "0"}).status_code == 422


def test_the_sharer_sees_beforehand_what_the_holder_of_a_link_will(world: World, made: Run) -> None:
    ana = signed_in(world.ana)
    place = f"/reports/runs/{made.pk}/share/"
    usual = ana.get(place)
    preview = usual.context["preview"]
    assert preview["hidden"] == ["Cost", "Margin", "Margin %", "Account manager"]
    # the same rows, columns and totals as behind a link with the usual columns
    behind = Client().get(address_in(ana.post(place, {"days": "14", "columns": usual_columns(usual)})))
    table = behind.context["table"]
    heads = [c.name for c in table.house_columns]
    assert [c.name for c in preview["table"].house_columns] == heads
    assert [r.record for r in preview["table"].paginated_rows] == [r.record for r in table.paginated_rows]
    assert preview["table"].foot == table.foot
    # with other columns ticked it shows those, keeps what was filled in, and makes no link
    with enter(world.alpha.scope()):
        before = ShareLink.objects.count()
    given = {"label": "Bank", "days": "9", "password": "correct horse", "columns": ["number", "cost"]}
    page = ana.post(place, {**given, "preview": "1"})
    assert [c.name for c in page.context["preview"]["table"].house_columns] == ["number", "cost"]
    assert "Cost" not in page.context["preview"]["hidden"]
    assert 'value="correct horse"' in page.content.decode()
    assert 'value="Bank"' in page.content.decode()
    with enter(world.alpha.scope()):
        assert ShareLink.objects.count() == before


def usual_columns(page: Any) -> list[str]:
    """Return the columns that are ticked on the page of links."""
    return list(page.context["form"].fields["columns"].initial)


def address_in(answer: Any) -> str:
    """Return the new link's address, from its path on."""
    found = re.search(r'value="http://[^/]+(/view\?id=[^"]+)"', answer.content.decode())
    assert found
    return found[1]


def test_files_of_a_large_run_are_made_with_the_link(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.sharing, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(reports.web.outside, "MOST_AT_ONCE", 2)
    _, token = share(made)
    assert b"A-0001" in content(Client().get(f"/view?id={token}&as=csv"))
    monkeypatch.setattr(reports.sharing, "MOST_AT_ONCE", 5_000)
    _, unprepared = share(made, columns=["number"])
    answer = Client().get(f"/view?id={unprepared}&as=csv")
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")


def test_looking_a_token_up_leaves_the_scope_as_it_was(world: World, made: Run) -> None:
    _, token = share(made)
    now = timezone.now()
    for scope, seen in ((Scope((), why="stranger"), 0), (Scope.of(world.beta.reseller.pk), 3)):
        with enter(scope), connection.cursor() as cursor:
            assert sharing.reseller_of(token, now=now) == world.alpha.reseller.pk
            assert sharing.reseller_of("guessed", now=now) is None
            assert sharing.reseller_of(token, now=now + timedelta(days=31)) is None
            cursor.execute("SELECT count(*) FROM billing_customer")
            assert cursor.fetchone() == (seen,)
            cursor.execute("SELECT count(*) FROM reports_sharelink")
            assert cursor.fetchone() == (0,)


def test_a_link_shows_what_the_run_shows(made: Run) -> None:
    link, _ = share(made)
    with enter(sharing.outsider_scope(made.reseller_id)):
        rows = list(sharing.showing_of(link).rows())
    with enter(Scope.of(made.reseller_id, why="test")):
        assert rows == list(Showing(made).rows())
    assert rows[0]["gross"] == D("96.00")


def test_a_guess_costs_the_same_work_as_a_link_that_ended(made: Run) -> None:
    now = timezone.now()
    revoked, dead = share(made)
    _, old = share(made, now=now - timedelta(days=2), days=1)
    rotated, first = share(made)
    with enter(Scope.of(made.reseller_id, why="test")):
        sharing.revoke(revoked, now=now)
        sharing.rotate(rotated, now=now)
    work = []
    for token in ("guessed", dead, old, first):
        with CaptureQueriesContext(connection) as queries:
            assert Client().get(f"/view?id={token}").status_code == 404
        work.append([query["sql"].replace(sharing.hash_of(token), "hash") for query in queries])
    plain = [[re.sub(r"'[^']*'::?timestamptz|'20[^']*'", "now", sql) for sql in asked] for asked in work]
    assert plain == [plain[0]] * 4
    assert any("share_reseller" in sql for sql in plain[0])


def test_a_wrong_password_is_told_to_the_owner_and_guessing_ends(
    world: World, made: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports.web.outside, "MOST_MISSES", 3)
    link, token = share(made, password="correct horse")
    for n in range(5):
        stranger = Client(REMOTE_ADDR=f"203.0.113.{n}")
        assert stranger.post(f"/view?id={token}", {"password": f"guess {n}"}).status_code == 404
    late = Client(REMOTE_ADDR="198.51.100.9")
    assert late.post(f"/view?id={token}", {"password": "correct horse"}).status_code == 404
    with enter(world.alpha.scope()):
        assert list(ShareView.objects.values_list("what", flat=True)) == ["miss"] * 3
    page = signed_in(world.ana).get(f"/reports/runs/{made.pk}/share/").content.decode()
    assert "3 wrong passwords" in page
    assert "opened 0 times" in page
    assert Client().get(f"/view?id={token}&as=miss").status_code == 200
    open_link, second = share(made)
    assert Client().get(f"/view?id={second}&as=miss").status_code == 404


def test_the_age_stands_on_the_page(world: World, made: Run) -> None:
    _, token = share(made)
    assert "Generated today" in Client().get(f"/view?id={token}").content.decode()
    with time_machine.travel(timezone.now() + timedelta(days=12)):
        page = Client().get(f"/view?id={token}").content.decode()
    assert "<strong>Generated 12 days ago</strong>" in page


def test_a_downloaded_file_can_be_checked_by_its_hash(world: World, made: Run) -> None:
    _, token = share(made)
    _, other = share(made, columns=["number"])
    file = content(Client().get(f"/view?id={token}&as=csv&sort=-unpaid"))
    whole, changed = (hashlib.sha256(data).hexdigest() for data in (file, file + b" "))
    right = "It is the CSV file made of this result: whole and unchanged."
    wrong = "No file of this result has it"
    for place, sha, words in (
        (f"/view?id={token}", whole.upper(), right),
        (f"/view?id={token}", changed, wrong),
        (f"/view?id={other}", whole, wrong),
        (f"/view?id={token}", "%00", wrong),
    ):
        assert words in Client().get(f"{place}&sha={sha}").content.decode()
    ana = signed_in(world.ana)
    assert right in ana.get(f"/reports/runs/{made.pk}/?sha={whole}").content.decode()
    assert wrong in ana.get(f"/reports/runs/{made.pk}/?sha={changed}").content.decode()
    plain = content(Client().get(f"/view?id={token}&as=csv"))
    assert hashlib.sha256(plain).hexdigest() in Client().get(f"/view?id={token}").content.decode()


def test_rotation_keeps_the_log_and_the_columns(made: Run) -> None:
    link, token = share(made, columns=["number", "gross"])
    Client().get(f"/view?id={token}")
    with enter(Scope.of(made.reseller_id, why="test")):
        second = sharing.rotate(link, now=timezone.now())
    Client().get(f"/view?id={second}")
    with enter(Scope.of(made.reseller_id, why="test")):
        assert list(ShareView.objects.values_list("link_id", "what")) == [(link.pk, "page")] * 2
        assert ShareLink.objects.get().columns == ["number", "gross"]
