"""The leakage register as a clerk works it: given, noted, accepted, got back, looked at again; and its report."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.checks.declare import Found
from billing.checks.register import run
from billing.checks.registry import CHECKS
from billing.checks.thresholds import thresholds
from billing.models import CreditNote, Feature, Finding, FindingEvent, Invoice
from reports.models import Run
from reports.registry import REPORTS
from reports.render import Showing
from reports.run import run as run_report
from resellerkpi.core.scope import enter
from tests.rules.test_access import client_of
from tests.world import World, make_world

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    return make_world()


def leak(world: World, **more: Any) -> Finding:
    """Write a leak of 10 a month and 30 to date into Alpha's register, as if it had been found."""
    stands = 0 if {"state", "family"} & more.keys() else more.get("money_to_date", D(30))
    with enter(world.alpha.scope()):
        found: Finding = Finding.objects.create(
            **{
                "open_money": stands,
                "reseller": world.alpha.reseller, "check_slug": "missing_recurring", "family": "leakage",
                "level": "error", "subject": "A1 REC", "label": "A1 Recording", "period": date(2026, 8, 1),
                "why": "Provided and not charged.", "money_per_month": D(10), "money_to_date": D(30),
                "currency": "GBP", "customer": world.alpha.customers[0], "page": "customer",
                "page_args": [world.alpha.customers[0].pk], "first_seen": NOW, "last_seen": NOW,
            } | more
        )  # fmt: skip
    return found


def text(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def test_an_empty_register_says_when_it_is_looked_over(world: World) -> None:
    page = text(client_of(world.ana), reverse("leakage"))
    assert "No leak is open." in page
    assert "Nothing is open." in page


def test_the_register_shows_what_leaks_and_the_first_page_its_money(world: World) -> None:
    leak(world)
    leak(world, subject="A2", label="A2 Old price", money_per_month=D("2.5"), money_to_date=D(5))
    leak(world, subject="A3", label="A3 Mended", state="fixed", closed_at=NOW)
    ana = client_of(world.ana)
    page = text(ana, reverse("leakage"))
    assert "2 open: 12.50\N{NO-BREAK SPACE}GBP a month, 35.00\N{NO-BREAK SPACE}GBP to date." in page
    assert page.index("A1 Recording") < page.index("A2 Old price")
    assert "A3 Mended" not in page
    assert "A3 Mended" in text(ana, f"{reverse('leakage')}?state=fixed")
    assert "A1 Recording" not in text(ana, f"{reverse('leakage')}?check=stale_pricing")
    assert "A1 Recording" not in text(client_of(world.bo), reverse("leakage"))


def test_a_clerk_takes_a_leak_on_accepts_it_and_gets_the_money_back(world: World) -> None:
    finding, ana = leak(world), client_of(world.ana)
    own = reverse("finding", args=[finding.pk])

    def act(name: str, **form: str) -> Any:
        return ana.post(reverse(f"finding-{name}", args=[finding.pk]), form)

    assert reverse("customer", args=[world.alpha.customers[0].pk]) in text(ana, own)
    assert world.bo.name not in text(ana, reverse("finding-owner", args=[finding.pk]))
    assert act("owner", owner=str(world.bo.pk)).status_code == 422
    assert act("owner", owner=str(world.ana.pk))["Location"] == own
    assert "A1 Recording" in text(ana, f"{reverse('leakage')}?mine=yes")
    assert "A1 Recording" not in text(ana, f"{reverse('leakage')}?mine=no")
    assert act("note", words="Rang the customer.").status_code == 302
    assert "still to come" in act("accept", until="2001-01-01", reason="Trial").content.decode()
    tomorrow = (datetime.now(tz=UTC) + timedelta(days=3)).date()
    assert "ten years at most" in act("accept", until="9999-12-31", reason="Trial").content.decode()
    assert act("accept", until=f"{tomorrow}", reason="Free trial").status_code == 302
    assert "more than 0" in act("recover", amount="-1", words="HT-1").content.decode()
    assert 'value="30.00"' in text(ana, reverse("finding-recover", args=[finding.pk]))
    assert act("recover", amount="30", words="Charged on HT-000640").status_code == 302
    page = text(ana, own)
    for words in ("Ana Alder", "Rang the customer.", "Free trial", "Charged on HT-000640", "Recovered"):
        assert words in page
    with enter(world.alpha.scope()):
        finding.refresh_from_db()
        kinds = list(FindingEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert (finding.state, finding.recovered) == ("recovered", D(30))
    assert kinds == ["owner", "note", "accepted", "recovered"]
    # it is closed: nothing is left to accept
    assert "closed" in act("accept", until=f"{tomorrow}", reason="Again").content.decode()


def test_money_came_back_on_an_invoice_of_the_leaks_own_customer(world: World) -> None:
    """Given an invoice since the leak began, it is offered and linked; older ones and those of others are not."""
    finding, ana = leak(world), client_of(world.ana)
    own, form = reverse("finding", args=[finding.pk]), reverse("finding-recover", args=[finding.pk])
    with enter(world.alpha.scope()):
        given = {"reseller": world.alpha.reseller, "currency": "GBP", "net": D(40), "gross": D(40)}

        def bill(number: str, at: date, whose: int = 0, state: str = "issued") -> Invoice:
            made: Invoice = Invoice.objects.create(
                **given, customer=world.alpha.customers[whose], number=number, state=state,
                invoice_date=at, due_date=at,
            )  # fmt: skip
            return made

        one = bill("HT-000640", date(2026, 10, 1))
        other = bill("HT-000641", date(2026, 10, 1), whose=1)
        bill("HT-000500", date(2026, 7, 31))
        note = CreditNote.objects.create(
            **given, customer=world.alpha.customers[0], number="CN-7", date=date(2026, 9, 2), issued_at=NOW,
            reason="Too much",
        )  # fmt: skip
    offered = text(ana, form)
    assert "Invoice HT-000640, 1 Oct 2026, 40.00\N{NO-BREAK SPACE}GBP" in offered
    assert offered.index("HT-000640") < offered.index("Credit note CN-7, 2 Sep 2026")
    assert "HT-000641" not in offered
    assert "HT-000500" not in offered
    assert ana.post(form, {"amount": "5", "document": f"invoice-{other.pk}"}).status_code == 422
    silent = ana.post(form, {"amount": "5", "words": " "})
    assert (silent.status_code, "Say by what it came back." in silent.content.decode()) == (422, True)
    assert ana.post(form, {"amount": "20", "document": f"invoice-{one.pk}"}).status_code == 302
    assert (
        ana.post(form, {"amount": "2", "document": f"creditnote-{note.pk}", "words": "More"}).status_code
        == 302
    )
    page = text(ana, own)
    for url in (reverse("invoice", args=[one.pk]), reverse("credit-note", args=[note.pk])):
        assert page.count(url) == 2, "in the facts and in the history"
    with enter(world.alpha.scope()):
        made = run_report(
            REPORTS.get("leakage"), {"on_or_after": ["2026-11-01"], "before": ["2026-12-01"]}, now=NOW
        )
        assert [(r["back_on"], r["back_on_url"], r["back_on_id"]) for r in Showing(made).rows()] == [
            ("CN-7", "credit-note", note.pk)
        ]
    nobodys = leak(world, subject="0199", label="0199", customer=None)
    form = reverse("finding-recover", args=[nobodys.pk])
    assert "On which invoice" not in text(ana, form)
    assert ana.post(form, {"amount": "5", "words": "Credited by the carrier"}).status_code == 302


def test_money_that_two_people_note_at_once_is_noted_once_unless_it_is_meant(world: World) -> None:
    """Given the form open twice, the second is told of the first and nothing it holds is lost; sent again it counts."""
    ana, form = client_of(world.ana), reverse("finding-recover", args=[leak(world).pk])
    asked = {
        "amount": "12.50",
        "words": "Paid late",
        "seen": text(ana, form).split('name="seen" value="')[1][:4],
    }
    assert asked["seen"] == "0.00"
    assert ana.post(form, asked).status_code == 302
    told = ana.post(form, asked).content.decode()
    assert "Somebody noted money as got back since you opened this page." in told
    assert all(f'value="{kept}"' in told for kept in ("12.50", "Paid late"))
    with enter(world.alpha.scope()):
        assert Finding.objects.get().recovered == D("12.50")
    assert ana.post(form, asked | {"seen": told.split('name="seen" value="')[1][:5]}).status_code == 302
    with enter(world.alpha.scope()):
        assert Finding.objects.get().recovered == D(25)


def test_what_a_leak_costs_since_it_came_back_and_what_the_month_brought(world: World) -> None:
    """Given a leak of 30 got back whole, when it goes on to 42, then 12 are open and 42 were found this month."""
    found = Found("x", "Recording", date(2026, 8, 1), "x", D(10), D(30), "GBP")
    ana, now = client_of(world.ana), datetime.now(tz=UTC)

    def look(to_date: int) -> Finding:
        check = replace(
            CHECKS.get("missing_recurring"), find=lambda _: [replace(found, money_to_date=D(to_date))]
        )
        with enter(world.alpha.scope()):
            run(world.alpha.reseller, [check], now=now)
            row: Finding = Finding.objects.get()
        return row

    finding = look(30)
    form = reverse("finding-recover", args=[finding.pk])
    assert ana.post(form, {"amount": "30", "words": "x"}).status_code == 302
    assert look(42).state == "open"
    register, gbp = text(ana, reverse("leakage")), "\N{NO-BREAK SPACE}GBP"
    assert f"1 open: 10.00{gbp} a month, 12.00{gbp} to date." in register
    assert f"This month: 42.00{gbp} found and 30.00{gbp} got back." in register
    assert reverse("kpi", args=["leaks_open"]) in register
    assert f"12.00{gbp}" in text(ana, reverse("finding", args=[finding.pk]))
    assert 'value="12.00"' in text(ana, form)


@pytest.mark.parametrize(
    ("family", "words"), [("pre-billing", "For this run: Known"), ("leakage", "Without an end: Known")]
)
def test_an_acceptance_without_an_end_is_told_in_words(world: World, family: str, words: str) -> None:
    finding = leak(
        world, family=family, state="accepted", accepted_until=Finding.FOREVER, accepted_reason="Known"
    )
    page = text(client_of(world.ana), reverse("finding", args=[finding.pk]))
    assert words in page
    assert "9999" not in page
    # only leaks are looked for at any time
    assert (reverse("finding-look", args=[finding.pk]) in page) == (family == "leakage")


def test_looking_again_closes_what_is_mended_and_shows_what_is_behind_the_rest(world: World) -> None:
    """Given a feature marked as not charged, then it is found; charged again, looking again closes it."""
    house, ana = world.alpha, client_of(world.ana)
    with enter(house.scope()):
        feature = house.features[0]
        Feature.objects.filter(pk=feature.pk).update(not_charged=True)
        run(house.reseller, [CHECKS.get("missing_recurring")], now=NOW)
        finding = Finding.objects.get(check_slug="missing_recurring", customer=feature.customer_id)
    look = reverse("finding-look", args=[finding.pk])
    ana.post(look)
    assert "It is still there." in text(ana, reverse("finding", args=[finding.pk]))
    with enter(house.scope()):
        Feature.objects.filter(pk=feature.pk).update(not_charged=False)
    ana.post(look)
    assert "It is not found any more, and closed." in text(ana, reverse("finding", args=[finding.pk]))


def test_only_who_may_see_margins_reads_it_and_only_who_bills_acts(world: World) -> None:
    finding = leak(world)
    page, note = reverse("finding", args=[finding.pk]), reverse("finding-note", args=[finding.pk])
    for person, status in ((world.vic, 403), (world.dee, 403), (world.bo, 404)):
        assert client_of(person).get(page).status_code == status
        assert client_of(person).post(note, {"words": "x"}).status_code == status


def test_limits_are_set_per_reseller_and_the_check_looks_anew(world: World) -> None:
    ana = client_of(world.ana)
    url = reverse("leakage-limits", args=["uncollected"])
    assert "14" in text(ana, reverse("leakage-checks"))
    assert ana.post(url, {"days": "-1"}).status_code == 422
    assert ana.post(url, {"days": "30"})["Location"] == reverse("leakage-checks")
    for house, days in ((world.alpha, 30), (world.beta, 14)):
        with enter(house.scope()):
            assert thresholds([CHECKS.get("uncollected")])["uncollected"]["days"] == days
    assert ana.get(reverse("leakage-limits", args=["unrated_calls"])).status_code == 404


def test_the_report_has_what_stood_in_the_period_and_its_sums(world: World) -> None:
    leak(world)
    leak(world, subject="B", label="B", money_per_month=None, money_to_date=D(7), check_slug="uncollected")
    gone = {"state": "recovered", "recovered": D(3), "first_seen": datetime(2026, 9, 1, tzinfo=UTC)}
    leak(world, subject="C", label="C", closed_at=datetime(2026, 10, 5, tzinfo=UTC), **gone)
    with enter(world.alpha.scope()):

        def rows(first: str, before: str, **more: list[str]) -> list[dict[str, Any]]:
            made = run_report(
                REPORTS.get("leakage"), {"on_or_after": [first], "before": [before], **more}, now=NOW
            )
            assert all(t["ok"] for t in Run.objects.get(pk=made.pk).tie_outs)
            return list(Showing(made).rows())

        november = rows("2026-11-01", "2026-12-01")
        october = rows("2026-10-01", "2026-11-01")
        kinds = rows("2026-09-01", "2026-12-01", group_by=["check"])
    assert [(r["label"], r["money_per_month"], r["since"]) for r in november] == [
        ("A1 Recording", D(10), "August 2026"),
        ("B", None, "August 2026"),
    ]
    assert [(r["label"], r["recovered"], r["state"]) for r in october] == [("C", D(3), "recovered")]
    assert {r["by_check"]: (r["findings"], r["money_to_date"]) for r in kinds} == {
        CHECKS.get("missing_recurring").name: (2, D(60)),
        CHECKS.get("uncollected").name: (1, D(7)),
    }
