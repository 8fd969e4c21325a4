"""The pages of reports: catalogue, form, result, files; jobs for what is large."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

import reports.run
import reports.web.result
from billing.models import LedgerEntry
from reports.models import Export, Run
from reports.registry import REPORTS
from reports.render import Showing, export
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.jobs import JobCancelled
from resellerkpi.core.models import Job, User
from resellerkpi.core.scope import Scope, enter
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.world import CANARY, World, make_user, make_world

pytestmark = pytest.mark.usefixtures("committed_db")
ADDRESS = "/reports/invoices/?period=dates&on_or_after=2026-11-01&before=2026-12-01"


@pytest.fixture
def world() -> World:
    world = make_world()
    three_bills(world.alpha)
    three_bills(world.beta)
    return world


def signed_in(user: User) -> Client:
    """Return a browser with somebody signed in."""
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def submit(client: Client, address: str = ADDRESS) -> str:
    """Run the query and return the address of the result."""
    answer = client.get(f"{address}&output=web")
    assert answer.status_code == 302
    return str(answer["Location"])


def content(answer: Any) -> bytes:
    """Return the bytes of a file."""
    return b"".join(answer.streaming_content)


def test_the_catalogue_lists_reports_and_results(world: World) -> None:
    ana = signed_in(world.ana)
    page = ana.get("/reports/").content.decode()
    assert "What was invoiced, to whom, and what of it is settled" in page
    assert "Nobody has run a report yet" in page
    submit(ana)
    page = ana.get("/reports/").content.decode()
    assert "Invoices: November 2026" in page
    assert CANARY not in page


def test_the_form_holds_the_query_of_the_address(world: World) -> None:
    page = signed_in(world.ana).get(f"{ADDRESS}&dealer=D2&unpaid=10&view=breakdown").content.decode()
    assert '<option value="D2" selected>Alpha Dealer 2 (D2)</option>' in page
    assert 'value="2026-11-01"' in page
    assert '<option value="breakdown" selected>' in page
    assert 'name="unpaid" value="10"' in page


def test_a_wrong_query_says_what_is_wrong(world: World) -> None:
    answer = signed_in(world.ana).get("/reports/invoices/?unpaid=lots&output=web")
    assert answer.status_code == 422
    assert "Unpaid amount at least: Enter a number." in answer.content.decode()


def test_a_result_shows_rows_totals_tie_outs_and_who(world: World) -> None:
    ana = signed_in(world.ana)
    page = ana.get(submit(ana)).content.decode()
    for text in (
        "A-0001",
        "A-0002",
        "A-0003",
        "280.00",
        "Agrees",
        "Ana Alder (Owner)",
        "Sum of the lines before VAT.",
    ):
        assert text in page
    assert CANARY not in page
    assert "Differs" not in page


def test_a_bookmark_reproduces_the_query(world: World) -> None:
    ana = signed_in(world.ana)
    place = submit(ana, f"{ADDRESS}&dealer=D1&method=transfer&method=card")
    page = ana.get(place)
    again = ana.get(page.context["again_url"])
    first, second = (Run_of(world, str(at)) for at in (place, again["Location"]))
    assert first.pk != second.pk
    assert (first.params, first.sha256) == (second.params, second.sha256)
    assert parse_qs(urlsplit(page.context["query_url"]).query)["method"] == ["transfer", "card"]


def Run_of(world: World, address: str) -> Run:  # noqa: N802  reads as the thing it returns
    """Return the run of a result's address."""
    with enter(world.alpha.scope()):
        found: Run = Run.objects.get(pk=address.rstrip("/").split("/")[-1])
        return found


def test_pages_and_sorting_read_the_frozen_rows(world: World) -> None:
    make_bills(
        world.alpha, *(Bill(f"B-{n:03}", world.alpha.customers[0], date(2026, 11, 2)) for n in range(60))
    )
    ana = signed_in(world.ana)
    place = submit(ana)
    with enter(world.alpha.scope()):
        LedgerEntry.objects.all().delete()
    answer = ana.get(f"{place}?sort=-unpaid&page=2")
    assert "51–63 of 63" in answer.content.decode()
    assert len(answer.context["table"].paginated_rows) == 13
    part = ana.get(f"{place}?page=2", headers={"HX-Request": "true", "HX-Target": "list"}).content.decode()
    assert part.lstrip().startswith('<section id="list"')
    assert "51–63 of 63" in ana.get(f"{place}?page=99").content.decode()


def test_files_hold_what_is_displayed(world: World) -> None:
    ana = signed_in(world.ana)
    place = submit(ana)
    csv = ana.get(f"{place}export.csv?sort=-unpaid")
    assert csv["Content-Type"] == "text/csv; charset=utf-8"
    assert csv["Content-Disposition"] == 'attachment; filename="invoices-2026-11-01-to-2026-12-01.csv"'
    lines = content(csv).decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:4]] == ["A-0002", "A-0003", "A-0001"]
    data = json.loads(content(ana.get(f"{place}export.json")))
    assert [row["number"] for row in data["rows"]] == ["A-0001", "A-0002", "A-0003"]
    assert ana.get(f"{place}export.pdf").status_code == 404
    assert ana.get(f"{ADDRESS}&output=csv")["Location"].endswith("/export.csv")


@pytest.mark.parametrize(
    ("chart", "words"),
    [
        ("invoiced", ["Invoiced over time", "1 Nov 2026", "10 Nov 2026", "216.00"]),
        ("unpaid", ["Unpaid by customer", "Alpha Customer 2", "120.00"]),
        ("blank&x=method&y=rows&type=stack", ["Rows by payment method", "Bank transfer"]),
        ("blank&x=code&y=gross&series=state", ["Gross by account", "C001", "Issued"]),
        ("blank&x=nonsense&y=nonsense", ["Net by invoice", "A-0001"]),
    ],
)
def test_charts_come_from_the_frozen_rows(world: World, chart: str, words: list[str]) -> None:
    ana = signed_in(world.ana)
    place = submit(ana)
    page = ana.get(f"{place}?chart={chart}").content.decode()
    for text in words:
        assert text in page


def test_amounts_of_two_currencies_are_drawn_apart(world: World) -> None:
    make_bills(world.alpha, Bill("E-1", world.alpha.customers[0], date(2026, 11, 1), currency="EUR"))
    ana = signed_in(world.ana)
    chart = ana.get(f"{submit(ana)}?chart=invoiced").context["chart"]
    assert sorted(trace["name"] for trace in chart.figure["traces"]) == ["EUR", "GBP"]


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reports.run, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(reports.web.result, "MOST_AT_ONCE", 2)
    yield


@pytest.mark.usefixtures("small_limit")
def test_what_is_large_is_made_by_a_job(world: World) -> None:
    ana = signed_in(world.ana)
    place = submit(ana)
    assert place.startswith("/jobs/")
    with enter(world.alpha.scope()):
        job = Job.objects.get()
        assert (job.state, job.done, job.total) == (Job.State.DONE, 3, 3)
        made = Run.objects.get()
        assert (made.state, made.row_count, made.job_id) == (Run.State.READY, 3, job.pk)
        assert len(list(Showing(made).rows())) == 3
    assert job.result_url == f"/reports/runs/{made.pk}/"
    assert "A-0003" in ana.get(job.result_url).content.decode()
    waiting = ana.get(f"{job.result_url}export.csv")
    assert waiting["Location"].startswith("/jobs/")
    assert b"A-0003" in content(ana.get(f"{job.result_url}export.csv"))


@pytest.mark.usefixtures("small_limit")
def test_a_job_leads_on_to_what_was_asked_for(world: World) -> None:
    ana = signed_in(world.ana)
    for asked, wanted in (
        ("output=web&col=net&sort=-net&chart=dealers", "?col=net&sort=-net&chart=dealers"),
        ("output=xls&sort=-net", "export.xls?sort=-net"),
        ("output=csv&send_to=a%40b.example", "mail/?to=a%40b.example&formats=csv"),
    ):
        assert ana.get(f"{ADDRESS}&{asked}")["Location"].startswith("/jobs/")
        with enter(world.alpha.scope()):
            job = Job.objects.order_by("-created_at", "-pk").first()
        assert job.result_url.partition(f"{job.params['run']}/")[2] == wanted
    mail = ana.get(job.result_url)
    assert mail.context["form"].initial["to"] == "a@b.example"


def test_making_a_large_file_tells_how_far_it_is_and_stops_when_asked(world: World) -> None:
    with enter(world.alpha.scope()):
        frozen = run(REPORTS.get("invoices"), {"period": ["this_month"]}, now=NOW)
        seen: list[tuple[int, int]] = []
        export(Showing(frozen, watch=lambda done, total, _: seen.append((done, total))), "xlsx")
        assert seen == [(3, 3)]

        def stop(done: int, total: int, message: str) -> None:
            raise JobCancelled(message)

        for kind in ("csv", "xls"):
            with pytest.raises(JobCancelled, match="3 of 3 rows"):
                export(Showing(frozen, watch=stop), kind)
        assert Export.objects.count() == 1


def test_columns_are_chosen_by_the_address_for_page_and_files(world: World) -> None:
    ana = signed_in(world.ana)
    place = submit(ana)
    page = ana.get(f"{place}?col=net&col=cost&sort=-net")
    shown = ["number", "net", "cost"]
    assert [c.name for c in page.context["table"].house_columns] == shown
    files = dict(page.context["formats"])
    assert files["csv"] == f"{place}export.csv?col=number&col=net&col=cost&sort=-net"
    assert content(ana.get(files["csv"])).decode().splitlines()[:2] == [
        "Invoice,Net,Cost",
        "A-0002,100.00,60.000000",
    ]
    vic = signed_in(world.vic).get(f"{place}?col=net&col=cost")
    assert [c.name for c in vic.context["table"].house_columns] == ["number", "net"]
    nothing = ana.get(f"{place}?col=nonsense")
    assert len(nothing.context["table"].house_columns) == len(ana.get(place).context["table"].house_columns)


def test_a_chip_leads_to_the_query_without_it(world: World) -> None:
    ana = signed_in(world.ana)
    page = ana.get(submit(ana, f"{ADDRESS}&dealer=D1&unpaid=10") + "?sort=-net")
    chips = {label: gone for label, _, gone in page.context["chips"]}
    query = parse_qs(urlsplit(chips["Dealers"]).query)
    assert query["output"] == ["web"]
    assert query["sort"] == ["-net"]
    assert query["unpaid"] == ["10"]
    assert "dealer" not in query
    assert (chips["Period"], chips["Layout"]) == ("", "")
    assert ana.get(chips["Dealers"]).status_code == 302


def test_roles_see_what_is_theirs(world: World) -> None:
    ana, dee, vic = (signed_in(user) for user in (world.ana, world.dee, world.vic))
    place = submit(ana)
    assert "Cost" in ana.get(place).content.decode()
    viewed = vic.get(place).content.decode()
    assert "A-0002" in viewed
    assert "Margin" not in viewed
    assert "Cost" not in viewed
    assert b"Margin" not in content(vic.get(f"{place}export.csv"))
    assert dee.get(place).status_code == 404
    own = dee.get(submit(dee)).content.decode()
    assert "A-0001" in own
    assert "A-0002" not in own
    assert vic.get(f"{place}share/").status_code == 403
    assert vic.get(f"{place}mail/").status_code == 403
    sue = make_user("sue@alpha.example", "Sue", world.alpha, Role.SUPPORT)
    assert signed_in(sue).get("/reports/").status_code == 403
    assert signed_in(sue).get(place).status_code == 403


def test_another_reseller_finds_nothing(world: World) -> None:
    place = submit(signed_in(world.ana))
    bo = signed_in(world.bo)
    for address in (place, f"{place}export.csv", f"{place}share/", f"{place}mail/"):
        assert bo.get(address).status_code == 404
    assert Client().get(place)["Location"].startswith("/login/")


def test_a_viewer_freezes_no_more_than_it_may_see(world: World) -> None:
    with enter(Scope.of(world.alpha.reseller.pk, role=Role.VIEWER)):
        made = run(REPORTS.get("invoices"), {"period": ["this_month"]}, now=NOW)
        assert {"cost", "margin", "manager"} & set(Showing(made).frozen.schema.names) == set()
        assert "cost" not in made.totals[0]
        assert made.totals[0]["net"] == "280.00"
    with enter(world.alpha.scope()):
        assert "cost" not in {c.name for c in Showing(Run.objects.get()).columns}


def test_a_result_asks_the_same_number_of_queries_whatever_its_size(
    world: World, django_assert_num_queries: Any
) -> None:
    ana = signed_in(world.ana)
    few = submit(ana)
    make_bills(
        world.alpha, *(Bill(f"B-{n:03}", world.alpha.customers[0], date(2026, 11, 2)) for n in range(45))
    )
    many = submit(ana)
    for place in (few, many):
        with django_assert_num_queries(QUERIES):
            assert ana.get(place).status_code == 200


QUERIES = 9
