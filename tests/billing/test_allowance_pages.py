"""Allowances by hand: words, forms, refusals, the job that draws anew, the list, the panels, and the import."""

from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import AllowanceUse, Bundle, Call, FeatureType
from billing.pipeline import draw_standing
from billing.rating.allowance_words import bundle_words, quantity_words
from billing.rating.why import explain
from resellerkpi.core.models import Job
from resellerkpi.core.scope import enter
from tests.rules.worked_world import worked_world

D = Decimal
pytestmark = pytest.mark.usefixtures("committed_db")
FIELDS = {
    "unit": "minutes", "amount": "600", "call_class": "", "prefixes": "441 442 447", "shared": "on",
    "member_cap": "200", "rollover_months": "1", "rollover_cap": "", "priority": "0", "step": "0",
    "start": "2026-08-15",
}  # fmt: skip


@pytest.fixture
def worked(tmp_path, settings):
    settings.VAR_DIR = tmp_path
    world, alpha, _ = worked_world(tmp_path)
    client = Client()
    client.force_login(world.ana, backend="django.contrib.auth.backends.ModelBackend")
    alpha.client = client
    return alpha


def text_of(response):
    return " ".join(response.content.decode().split())


@pytest.mark.parametrize(
    ("unit", "amount", "words"),
    [
        ("seconds", "90", "1.5 minutes"),
        ("seconds", "60", "1 minute"),
        ("seconds", "120000", "2,000 minutes"),
        ("data", "15360", "15 GB"),
        ("data", "250", "250 MB"),
        ("sms", "50", "50 texts"),
        ("money", "10", "10.00 GBP"),
    ],
)
def test_quantities_are_said_as_people_say_them(unit, amount, words):
    assert quantity_words(unit, D(amount), "GBP") == words


def test_an_allowance_is_said_in_one_line():
    bundle = Bundle(
        unit="seconds", amount=D(120_000), prefixes="441 442 447", member_cap=D(30_000), rollover_months=1
    )
    assert bundle_words(bundle, "GBP") == (
        "2,000 minutes a month to UK landlines and UK mobiles, shared by all numbers, at most 500 minutes per number,"
        " what is unused rolls over for 1 month"
    )
    own = Bundle(
        unit="data", amount=D(250), shared=False, call_class="EU", rollover_months=2, rollover_cap=D(500)
    )
    assert bundle_words(own, "GBP") == (
        "250 MB a month of EU data, for each number, what is unused rolls over for 2 months, at most 500 MB"
    )


def test_a_changed_allowance_ends_begins_anew_and_is_drawn_by_a_job(worked):
    client, old = worked.client, worked.allowance
    page = text_of(client.get(reverse("allowance-change", args=[old.pk])))
    assert 'value="500"' in page  # 30,000 seconds
    response = client.post(reverse("allowance-change", args=[old.pk]), FIELDS)
    with enter(worked.house.scope()):
        job = Job.objects.get(kind="allowances.draw")
        assert response.url == reverse("job", args=[job.pk])
        assert job.params == {"feature_type_id": worked.package.pk, "first": "2026-08-15"}
        first, second = Bundle.objects.filter(feature_type=worked.package).order_by("pk")
        assert (first.valid_from, first.valid_to) == (None, date(2026, 8, 15))
        assert (second.valid_from, second.amount, second.member_cap, second.rollover_months) == (
            date(2026, 8, 15), 36_000, 12_000, 1,
        )  # fmt: skip
    shown = text_of(client.get(reverse("feature-type", args=[worked.package.pk])))
    assert "600 minutes a month to UK landlines and UK mobiles" in shown
    assert "until 15 Aug 2026" in shown
    again = client.post(reverse("allowance-change", args=[second.pk]), FIELDS)
    assert again.status_code == 422
    assert "This allowance begins on 15 Aug 2026; choose a later day." in text_of(again)


def test_a_change_to_come_draws_nothing(worked):
    future = {**FIELDS, "start": "2999-01-01"}
    response = worked.client.post(reverse("allowance-add", args=[worked.package.pk]), future)
    assert response.url == reverse("feature-type", args=[worked.package.pk])
    with enter(worked.house.scope()):
        assert not Job.objects.filter(kind="allowances.draw").exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"shared": ""}, "Only a shared allowance has a limit per number."),
        ({"rollover_months": "0", "rollover_cap": "5"}, "Say for how many months unused units roll over."),
        ({"unit": "calls", "amount": "1.5", "member_cap": ""}, "Calls and texts are counted whole."),
        (
            {"prefixes": "forty-four"},
            "Give prefixes as digits with spaces between them, such as 441 442 447.",
        ),
    ],
)
def test_terms_that_contradict_each_other_are_refused(worked, fields, sentence):
    response = worked.client.post(reverse("allowance-add", args=[worked.package.pk]), FIELDS | fields)
    assert response.status_code == 422
    assert sentence in text_of(response)


def test_only_a_package_includes_an_allowance(worked):
    response = worked.client.post(reverse("allowance-add", args=[worked.feature_type.pk]), FIELDS)
    assert "Only a package includes an allowance" in text_of(response)


def test_what_was_drawn_is_ended_and_not_removed(worked):
    with enter(worked.house.scope()):
        Call.objects.filter(pk=worked.call.pk).update(bundle_id=worked.allowance.pk)
        fresh = Bundle.objects.create(
            reseller=worked.house.reseller, feature_type=worked.package, unit="sms", amount=5
        )
    response = worked.client.post(reverse("allowance-remove", args=[worked.allowance.pk]))
    assert "so it cannot be removed; end it instead." in text_of(response)
    worked.client.post(reverse("allowance-end", args=[worked.allowance.pk]), {"on": "2026-12-01"})
    worked.client.post(reverse("allowance-remove", args=[fresh.pk]))
    with enter(worked.house.scope()):
        (left,) = Bundle.objects.filter(feature_type=worked.package)
        assert (left.pk, left.valid_to) == (worked.allowance.pk, date(2026, 12, 1))


def test_the_list_of_a_month_says_what_was_used_and_what_is_left(worked):
    with enter(worked.house.scope()):
        AllowanceUse.objects.all().delete()
        AllowanceUse.objects.create(
            reseller=worked.house.reseller, month=date(2026, 8, 1), customer=worked.customer, bundle=worked.allowance,
            granted=30_000, used=6_000, drawn=6_000, expired=24_000, overflow=90, overflow_calls=2,
            overflow_charge=D("0.45"), currency="GBP",
        )  # fmt: skip
    page = text_of(worked.client.get(reverse("allowance-list")))
    for shown in ("Alpha 500 minutes", "20", "400", "1.50", "0.45"):
        assert shown in page
    table = worked.client.get(reverse("allowance-list") + "?period=2026-08&as=csv").content.decode()
    assert (
        "Alpha 500 minutes,,minutes,500.00,0.00,100.00,0.20000000000000000000,400.00,1.50,0.450000,GBP"
        in table
    )
    for state, found in (("over", True), ("half", True), ("untouched", False), ("carried", False)):
        listed = worked.client.get(reverse("allowance-list") + f"?period=2026-08&state={state}")
        assert ("Alpha 500 minutes" in text_of(listed).split("</form>")[-1]) is found


def test_the_night_draws_packages_that_changed_since_calls_were_supplied(worked):
    with enter(worked.house.scope()):
        AllowanceUse.objects.all().delete()
        draw_standing(reseller=worked.house.reseller, today=date(2026, 8, 20))
        rows = AllowanceUse.objects.filter(month=date(2026, 8, 1))
        assert set(rows.values_list("granted", flat=True)) == {30_000}
        assert AllowanceUse.objects.filter(month=date(2026, 7, 1)).count() == rows.count() > 0
        Bundle.objects.update(amount=60)
        draw_standing(reseller=worked.house.reseller, today=date(2026, 8, 20))
        assert set(rows.all().values_list("granted", flat=True)) == {60}


def test_a_call_says_what_its_allowance_held_before_and_after(worked):
    with enter(worked.house.scope()):
        Bundle.objects.update(call_class="", rollover_months=1)
        draw_standing(reseller=worked.house.reseller, today=date(2026, 8, 20))
        Call.objects.filter(pk=worked.call.pk).update(bundle_id=worked.allowance.pk, drawn=60, state="rated")
        AllowanceUse.objects.filter(month=date(2026, 8, 1)).update(
            carried_in=30, carried_out=30_030, expired=0
        )
        told = explain(Call.objects.get(pk=worked.call.pk), worked.house.reseller).retail
    assert (
        "In August 2026 there were 500.5 minutes in all, 0.5 minutes of it carried over from before and used first."
        " Earlier calls had used 0 minutes; this call used 1 minute and left 499.5 minutes." in told
    )
    assert "0.5 minutes of what it used was carried over." in told


def test_a_package_page_lists_its_allowance_and_a_customer_page_its_month(worked):
    kind = FeatureType(pk=worked.package.pk)
    page = text_of(worked.client.get(reverse("feature-type", args=[kind.pk])))
    assert "500 minutes a month of UK calls, shared by all numbers" in page
    assert reverse("allowance-change", args=[worked.allowance.pk]) in page
