"""The dictionary: every KPI once, with the settings in force and how others count it, as far as a role may see."""

import re
from datetime import date
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from billing.models import Dealer
from billing.observed import METRICS
from kpis.dictionary import described, edges_of, entries, found, markdown, settings_of, tables_of, types_of
from kpis.kpi import KPIS
from kpis.models import KpiSettings
from kpis.options import Options
from kpis.words import SETTINGS
from resellerkpi.core.access import Role
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_pages import account, someone

PAGE = "/kpis/dictionary/"


def alpha() -> Reseller:
    """A reseller of three customers, one of them lost in April; no figures are kept."""
    made = Reseller.objects.create(code="alpha", name="Alpha")
    accounts = [
        account("ann", "D1", date(2025, 12, 5)),
        account("bob", "D2", date(2026, 2, 3)),
        account("cat", "D2", date(2026, 2, 10), date(2026, 4, 20)),
    ]
    with enter(Scope.of(made.pk)):
        worlds.load({"customers": accounts, "spend": {}}, made)
    return made


@pytest.fixture
def _noon() -> Any:
    with time_machine.travel(worlds.NOW, tick=False):
        yield


def entry(page: str, slug: str) -> str:
    """Return an entry's part of the page as words."""
    (part,) = re.findall(rf'<article class="entry" id="{slug}">(.*?)</article>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", part).split())


@pytest.mark.django_db
def test_every_kpi_stands_in_it_once_under_its_family() -> None:
    page = someone(alpha(), Role.OWNER).get(PAGE).content.decode()
    ids = re.findall(r'<article class="entry" id="(\w+)">', page)
    assert sorted(ids) == sorted(KPIS.slugs())
    families = re.findall(r'<h2 id="family-[\w-]+">([^<]+)</h2>', page)
    assert families == list(
        dict.fromkeys(k.family.value for k in sorted(KPIS, key=lambda k: ids.index(k.slug)))
    )


@pytest.mark.django_db
def test_an_entry_says_formula_edges_settings_sources_and_how_others_count() -> None:
    told = entry(someone(alpha(), Role.OWNER).get(PAGE).content.decode(), "churn_customer")
    for words in (
        "Customers lost in the month ÷ customers active at its start",
        "No customer at the start: n/a.",
        "Nothing to divide by, or a base below zero: n/a, never 0.",
        "Customer churn is divided by Customers at the start of the period (usual) Change",
        "A base is small under 20 (usual)",
        "Stripe lost ÷ (active 30 days before + joined since)",
        "Unit Per cent",
        "Direction Down is good",
        "Broken down by status, dealer, client type, segment, region, campaign",
        "Reads customer events, customers,",
        "For machines /backend/kpi/churn_customer/",
        f"Version {KPIS.get('churn_customer').version}",
    ):
        assert words in told, words


@pytest.mark.django_db
def test_the_setting_in_force_stands_beside_the_usual_one_and_only_who_manages_may_change_it() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        KpiSettings.objects.create(reseller=made, churn_base="average", small_base=7)
    owner = someone(made, Role.OWNER).get(PAGE).content.decode()
    told = entry(owner, "churn_customer")
    assert "Average of the customers at its start and its close (usual: Customers at the start" in told
    assert "A base is small under 7 (usual: 20)" in told
    assert 'href="/kpis/settings/#id_churn_base"' in owner
    settings = someone(made, Role.OPERATOR).get("/kpis/settings/").content.decode()
    assert 'id="id_churn_base"' in settings
    viewer = someone(made, Role.VIEWER).get(PAGE).content.decode()
    assert "/kpis/settings/" not in viewer
    assert "(usual: Customers at the start" in entry(viewer, "churn_customer")
    assert (
        "(usual: Customers at the start"
        in someone(made, Role.FINANCE).get("/kpis/churn_customer/").content.decode()
    )


@pytest.mark.django_db
def test_a_kpi_of_observations_leads_to_its_form_and_template() -> None:
    page = someone(alpha(), Role.OWNER).get(PAGE).content.decode()
    told = entry(page, "nps")
    assert "Needs data: how many answered each score from 0 to 10" in told
    metric = METRICS.get("nps_responses")
    assert f'href="{reverse("observation-template", args=[metric.slug])}"' in page
    assert "A month without its data has no figure and says what to enter, never 0." in told


@pytest.mark.django_db
def test_words_family_and_kind_narrow_it_in_the_address() -> None:
    client = someone(alpha(), Role.OWNER)

    def ids(tail: str) -> set[str]:
        page = client.get(PAGE + tail)
        assert page.status_code == 200
        return set(re.findall(r'<article class="entry" id="(\w+)">', page.content.decode()))

    assert ids("?q=net+promoter") == {"nps", "nps_margin"}
    assert ids("?q=churn_mrr") == {"churn_mrr_gross", "churn_mrr_net"}
    assert ids("?family=Bill+runs") == {k.slug for k in KPIS if k.family.value == "Bill runs"}
    assert ids("?only=needs") == {k.slug for k in KPIS if k.shape.observed}
    assert ids("?only=estimate") == {k.slug for k in KPIS if k.estimate}
    assert ids("?only=settings&q=lifetime+margin") >= {"clv_margin", "ltv_cac"}
    for strange in ("?q=%00", "?family=Nonsense", "?only=everything", f"?q={'9' * 4000}"):
        assert ids(strange) == set()
    nothing = client.get(f"{PAGE}?q=shoes").content.decode()
    assert "No KPI matches." in nothing
    assert f'href="{PAGE}"' in nothing


@pytest.mark.django_db
@pytest.mark.usefixtures("_noon")
def test_each_kpi_page_leads_to_its_entry_and_says_the_same() -> None:
    client = someone(alpha(), Role.OWNER)
    page = client.get("/kpis/churn_customer/").content.decode()
    assert f'href="{PAGE}#churn_customer"' in page
    for words in ("Settings in force", "Elsewhere", "lost ÷ active 30 days before", "Marks on this page"):
        assert words in page, words


@pytest.mark.django_db
def test_a_dealer_reads_only_of_what_he_may_see() -> None:
    made = alpha()
    with enter(Scope.of(made.pk)):
        dealer = Dealer.objects.get(code="D2")
    client = someone(made, Role.DEALER, dealer_id=dealer.pk)
    page = client.get(PAGE).content.decode()
    assert 'id="customers_active"' in page
    assert 'id="supplier_cost"' not in page
    assert 'id="cac"' not in page
    slugs = {k["slug"] for k in client.get("/kpis/dictionary.json").json()["kpis"]}
    assert slugs == set(re.findall(r'<article class="entry" id="(\w+)">', page))


@pytest.mark.django_db
def test_machines_read_the_same_with_the_settings_in_force() -> None:
    told = {k["slug"]: k for k in someone(alpha(), Role.OWNER).get("/kpis/dictionary.json").json()["kpis"]}
    assert set(told) == set(KPIS.slugs())
    churn = told["churn_customer"]
    assert churn["in_force"]["churn_base"] == "Customers at the start of the period"
    assert {**churn, "in_force": None} == {**described(KPIS.get("churn_customer")), "in_force": None}
    assert told["clv"]["made_of"] == ["arpu", "tenure_lost"]


def test_a_derived_kpi_depends_on_the_settings_of_what_it_is_made_of() -> None:
    assert settings_of(KPIS.get("clv_churn")) == [
        name
        for name in SETTINGS
        if name in ("churn_base", "churn_recognition", "count_in_period", "small_base", "life_cap_months")
    ]
    assert "small_base" not in settings_of(KPIS.get("mrr"))
    assert tables_of(KPIS.get("numbers_unassigned")) == ["number assignments", "numbers"]
    assert edges_of(KPIS.get("mrr")) == ["Amounts of different currencies are never added."]


def test_every_setting_in_words_is_an_option_and_the_other_way() -> None:
    assert set(SETTINGS) == set(Options().parameters()) - {"zone", "home"}


def test_search_finds_words_in_any_order_and_case() -> None:
    assert {k.slug for k in found(KPIS, "SCORE promoter margin")} == {"nps", "nps_margin"}
    assert len(found(KPIS, "")) == len(KPIS)


def test_the_document_has_a_section_for_each_kpi() -> None:
    (one,) = entries([KPIS.get("cei")], Options())
    text = markdown([("Cash", [one])])
    assert "### Collection effectiveness\n\n`cei` · version" in text
    assert "- Published: YayPay: median of all industries about 85 %\n" in text
    assert f"- Endpoint: `/backend/kpi/cei/` ({', '.join(types_of(KPIS.get('cei')))})" in text
