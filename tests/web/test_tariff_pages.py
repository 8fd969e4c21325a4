"""Tariff pages: reading, changes over dates, refusals in one sentence, bands, markups, copies, comparing."""

import io
import re
from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from openpyxl import load_workbook

from billing.models import Tariff, TariffAssignment, TariffMarkup, TariffRate, TimeBand
from billing.tariffs import copy_tariff
from resellerkpi.core.models import AuditEvent, User
from resellerkpi.core.scope import enter
from tests.world import World, make_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def ana(world: World) -> Client:
    return as_(world.ana)


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def fields_of(client: Client, at: str, **changes: Any) -> dict[str, Any]:
    """Return what the form at an address would send, changed as told."""
    form = client.get(at).context["form"]
    sent = {}
    for field in form:
        value = field.value()
        if value is not None and value is not False and value != "":
            sent[field.html_name] = value if isinstance(value, list) else str(value)
    return {name: value for name, value in (sent | changes).items() if value is not None}


def post(client: Client, at: str, **changes: Any) -> str:
    """Send the form at an address; return the page that follows, with its messages."""
    answer = client.post(at, fields_of(client, at, **changes), follow=True)
    assert answer.redirect_chain, answer.context["form"].errors
    return answer.content.decode()


def refused(client: Client, at: str, **changes: Any) -> str:
    """Send the form at an address and return what it says against it."""
    answer = client.post(at, fields_of(client, at, **changes))
    assert answer.status_code == 422
    return str(answer.context["form"].errors)


def test_details_are_changed_and_inheritance_is_drawn(world: World, ana: Client) -> None:
    house = world.alpha
    page = post(
        ana,
        reverse("tariff-add"),
        name="Gold",
        parent=str(house.retail.pk),
        access_charge="0.05",
        holidays="GB-SCT",
        time_zone="Europe/London",
    )
    assert "0.05 GBP a minute" in page
    assert "Scotland" in page
    assert "Where its rates come from" in page
    with enter(house.scope()):
        gold = Tariff.objects.get(name="Gold")
        assert (gold.parent_id, gold.access_charge, gold.places) == (house.retail.pk, D("0.05"), 4)
    assert "These tariffs find here" in ana.get(reverse("tariff", args=[house.retail.pk])).content.decode()
    child = ana.get(reverse("tariff", args=[gold.pk])).content.decode()
    assert "It has none of its own" in child  # its bands are its parent's


def test_circles_other_currencies_and_kinds_are_refused(world: World, ana: Client) -> None:
    house = world.alpha
    with enter(house.scope()):
        child = Tariff.objects.create(reseller=house.reseller, name="Child", parent=house.retail)
        Tariff.objects.create(reseller=house.reseller, name="Euro", currency="EUR")
    edit = reverse("tariff-edit", args=[house.retail.pk])
    assert "cannot look in each other" in refused(ana, edit, parent=str(child.pk))
    assert "cannot look in each other" in refused(ana, edit, parent=str(house.retail.pk))
    euro = reverse("tariff-edit", args=[child.pk])
    assert "is a retail tariff in GBP" in refused(ana, euro, currency="EUR")
    assert "is a retail tariff in GBP" in refused(ana, euro, kind="wholesale")
    assert "It stays GBP: 3 customers and numbers were given it" in refused(ana, edit, currency="EUR")
    assert "There is already a tariff with this name." in refused(ana, edit, name="Euro")


def test_a_rate_changes_from_a_day_on_and_the_past_is_not_rewritten(world: World, ana: Client) -> None:
    house = world.alpha
    with enter(house.scope()):
        rate = TariffRate.objects.get(tariff=house.retail, key="44")
    at = reverse("rate-change", args=[rate.pk])
    form = ana.get(at).context["form"]
    assert "key" not in form.fields
    assert "is not rewritten: choose a later day" in refused(ana, at, valid_from="2026-01-01", price="0.09")
    assert "The maximum charge is below" in refused(
        ana, at, valid_from="2026-08-01", maximum_charge="0.1", minimum_charge="0.2"
    )
    assert "is saved" in post(ana, at, valid_from="2026-08-01", price="0.09", is_service_charge="on")
    with enter(house.scope()):
        rows = TariffRate.objects.filter(tariff=house.retail, key="44").order_by("valid_from")
        assert list(rows.values_list("price", "valid_from", "valid_to", "is_service_charge")) == [
            (D("0.05"), date(2026, 1, 1), date(2026, 8, 1), False),
            (D("0.09"), date(2026, 8, 1), None, True),
        ]
        newest = rows.last()
    assert "begins on 1 Aug 2026" in refused(ana, reverse("rate-end", args=[newest.pk]), on="2026-08-01")
    assert "ends on 1 Oct 2026" in post(ana, reverse("rate-end", args=[newest.pk]), on="2026-10-01")
    assert "ends on 1 Oct 2026 already" in refused(
        ana, reverse("rate-end", args=[newest.pk]), on="2026-10-02"
    )
    assert "Service charge" in ana.get(reverse("tariff-rates", args=[house.retail.pk])).content.decode()


def test_only_voice_rates_are_service_charges(world: World, ana: Client) -> None:
    at = reverse("rate-add", args=[world.alpha.retail.pk])
    told = refused(
        ana, at, service="sms", key="44", price="0.1", valid_from="2026-08-01", is_service_charge="on"
    )
    assert "Only voice rates are service charges." in told


def test_bands_are_drawn_with_their_gaps_and_pass_midnight(world: World, ana: Client) -> None:
    house = world.alpha
    tariff, add = house.retail, reverse("band-add", args=[house.retail.pk])
    page = ana.get(reverse("tariff", args=[tariff.pk])).content.decode()
    assert "In no band: Mon 00:00–08:00, Mon 18:00–24:00" in page
    assert "style=" not in page
    assert "Choose at least one day" in refused(ana, add, code="E", days=None, start="19:00", end="20:00")
    assert "Write the time as 07:30" in refused(ana, add, code="E", start="19", end="20:00")
    assert "The day ends at 24:00" in refused(ana, add, code="E", start="19:00", end="24:01")
    assert "different times" in refused(ana, add, code="E", start="19:00", end="19:00")
    post(ana, add, code="EVE", days=["0", "1", "2", "3", "4"], start="18:00", end="08:00")
    page = post(
        ana, add, code="WE", days=["5", "6"], on_holidays="on", start="00:00", end="24:00", priority="9"
    )
    assert "In no band" not in page
    with enter(house.scope()):
        found = TimeBand.objects.filter(tariff=tariff).order_by("pk")
        assert list(
            found.values_list("code", "weekdays", "start_minute", "end_minute", "on_holidays", "priority")
        ) == [
            ("DAY", 31, 480, 1080, False, 0),
            ("EVE", 31, 0, 480, False, 0),
            ("EVE", 31, 1080, 1440, False, 0),
            ("WE", 96, 0, 1440, True, 9),
        ]
        weekend = found.get(code="WE")
    change = reverse("band-edit", args=[weekend.pk])
    assert fields_of(ana, change) == {
        "code": "WE", "days": ["5", "6"], "on_holidays": "True", "start": "00:00", "end": "24:00", "priority": "9"
    }  # fmt: skip
    post(ana, change, days=["6"])
    page = post(ana, reverse("band-remove", args=[weekend.pk]))
    assert "Time band WE is removed." in page
    assert "Sat 00:00–24:00" in page


def test_markups_by_class_are_for_those_who_may_see_margins(world: World, ana: Client) -> None:
    house = world.alpha
    page = post(ana, reverse("markup-add", args=[house.retail.pk]), call_class="mobile", percent="12.5")
    assert "12.50" in page
    again = refused(ana, reverse("markup-add", args=[house.retail.pk]), call_class="mobile", percent="1")
    assert "already a markup for this class" in again
    with enter(house.scope()):
        markup = TariffMarkup.objects.get()
        assert (markup.tariff_id, markup.percent) == (house.retail.pk, D("12.5"))
    assert "12.50" not in as_(world.vic).get(reverse("tariff", args=[house.retail.pk])).content.decode()
    post(ana, reverse("markup-edit", args=[markup.pk]), percent="-3")
    post(ana, reverse("markup-remove", args=[markup.pk]))
    with enter(house.scope()):
        assert not TariffMarkup.objects.exists()
        assert "tariffmarkup.removed" in AuditEvent.objects.values_list("action", flat=True)


def test_a_copy_has_the_rates_in_force_at_changed_prices(world: World, ana: Client) -> None:
    house = world.alpha
    with enter(house.scope()):
        own = {"reseller": house.reseller, "tariff": house.retail}
        TariffRate.objects.filter(tariff=house.retail, key="1").update(valid_to=date(2026, 3, 1))
        TariffRate.objects.create(
            **own,
            key="44843",
            price="0.13",
            is_service_charge=True,
            connection_fee="0.1",
            valid_from=date(2026, 5, 1),
        )
        Tariff.objects.filter(pk=house.retail.pk).update(access_charge="0.05")
        TariffMarkup.objects.create(**own, call_class="mobile", percent="10")
    at = reverse("tariff-copy", args=[house.retail.pk])
    assert "already a tariff with this name" in refused(ana, at, name=house.retail.name)
    assert "is a copy of" in post(ana, at, name="Next year", first="2026-04-01", percent="3.5")
    with enter(house.scope()):
        copy = Tariff.objects.get(name="Next year")
        assert (copy.is_default, copy.access_charge) == (False, D("0.05175"))
        assert list(
            copy.rates.order_by("key").values_list("key", "price", "connection_fee", "valid_from")
        ) == [
            ("44", D("0.05175"), 0, date(2026, 4, 1)),
            ("447", D("0.15525"), 0, date(2026, 4, 1)),
            ("44843", D("0.13"), D("0.1035"), date(2026, 5, 1)),
        ]
        assert [band.code for band in copy.bands.all()] == ["DAY"]
        assert copy.markups.get().percent == 10
        assert not copy.assignments.exists()
        Tariff.objects.filter(pk=copy.pk).update(access_charge="0.0001")
        half = copy_tariff(copy, name="Half", first=date(2026, 4, 1), percent=D(5))
        assert half.access_charge == D("0.00011")


def test_a_superseded_tariff_is_marked_and_those_on_it_move(world: World, ana: Client) -> None:
    house = world.alpha
    at = reverse("tariff-supersede", args=[house.retail.pk])
    with enter(house.scope()):
        new = Tariff.objects.create(reseller=house.reseller, name="Newer")
        Tariff.objects.create(reseller=house.reseller, name="Euro", currency="EUR")
        mine = TariffAssignment.objects.filter(tariff=house.retail).order_by("pk").first()
        euro = Tariff.objects.get(name="Euro").pk
    assert "On it today" in ana.get(at).content.decode()
    assert "Choose another retail tariff in GBP" in refused(ana, at, on="2026-06-01", successor=str(euro))
    assert "Choose another retail tariff" in refused(ana, at, on="2026-06-01", successor=str(house.retail.pk))
    page = post(ana, at, on="2026-06-01")
    assert "3 customers and numbers are still on it" in page
    customer = ana.get(reverse("customer", args=[mine.customer_id])).content.decode()
    assert 'mark-attention">Superseded' in customer
    assert 'mark-attention">Superseded' in ana.get(reverse("tariff-list")).content.decode()
    offered = ana.get(reverse("customer-tariff", args=[mine.customer_id])).content.decode()
    assert "(superseded 1 Jun 2026)" in offered
    named = post(ana, at, on="2026-06-01", successor=str(new.pk), only_named="on")
    assert f"{new} is named as what replaces it; nobody moved" in named
    assert "3 customers and numbers are still on it" in named
    assert re.search(r"Replaced by</dt>\s*<dd[^>]*>\s*Newer", named)
    moved = post(ana, at, on="2026-06-01", successor=str(new.pk), only_named=None, move_on="2026-07-01")
    assert f"3 moved to {new}" in moved
    with enter(house.scope()):
        uses = TariffAssignment.objects.filter(customer_id=mine.customer_id).order_by("start_date")
        assert list(uses.values_list("tariff_id", "start_date", "end_date")) == [
            (house.retail.pk, date(2026, 1, 1), date(2026, 7, 1)),
            (new.pk, date(2026, 7, 1), None),
        ]
    assert "is in use" in post(ana, at, on=None)


def test_a_rate_that_no_call_would_find_is_refused(world: World, ana: Client) -> None:
    at = reverse("rate-add", args=[world.alpha.retail.pk])
    said = refused(ana, at, key="44x", band="Nacht", price="1", valid_from="2026-06-01")
    assert "A prefix has digits only" in said
    assert "The tariff has no time band “Nacht”" in said
    assert "no amount below zero" in refused(ana, at, key="4479", price="-1", valid_from="2026-06-01")
    assert "The rate for 44799 is saved." in post(
        ana, at, key="+44 (799)", price="1", valid_from="2026-06-01"
    )


def test_limits_of_the_table_are_said_in_words(world: World, ana: Client) -> None:
    at = reverse("markup-add", args=[world.alpha.retail.pk])
    assert "greater than or equal to -99" in refused(ana, at, call_class="x", percent="-100")
    said = refused(ana, reverse("tariff-edit", args=[world.alpha.retail.pk]), places="9")
    assert "less than or equal to 6" in said


def test_what_if_offers_the_decks(world: World, ana: Client) -> None:
    page = ana.get(reverse("what-if") + "?kind=wholesale").content.decode()
    assert f'<option value="{world.alpha.wholesale.pk}">{world.alpha.wholesale}</option>' in page


def test_a_number_gets_a_tariff_of_its_own(world: World, ana: Client) -> None:
    house = world.alpha
    at = reverse("number-tariff", args=[house.numbers[0].pk])
    page = post(ana, at, tariff=str(house.retail.pk), call_class="mobile", start="2026-05-01")
    assert f"{house.retail} prices the calls of" in page
    with enter(house.scope()):
        row = TariffAssignment.objects.get(number=house.numbers[0])
        assert (row.customer_id, row.call_class, row.start_date) == (None, "mobile", date(2026, 5, 1))
    assert str(house.wholesale) not in ana.get(at).content.decode()


def test_two_tariffs_are_compared_sorted_narrowed_and_exported(world: World, ana: Client) -> None:
    house = world.alpha
    with enter(house.scope()):
        new = Tariff.objects.create(reseller=house.reseller, name="Newer")
        for key, price in (("44", "0.06"), ("447", "0.10"), ("61", "0.2")):
            TariffRate.objects.create(
                reseller=house.reseller, tariff=new, key=key, price=price, valid_from=date(2026, 1, 1)
            )
    at, both = reverse("tariff-compare"), {"left": house.retail.pk, "right": new.pk}
    assert "Choose a tariff" in ana.get(at).content.decode()
    page = ana.get(at, both)
    rows = [row.record for row in page.context["table"].page.object_list]
    found = {row["key"]: (row["outcome"], row["left"], row["right"], row["change"]) for row in rows}
    assert found == {
        "44": ("dearer", D("0.15"), D("0.18"), D("0.03")),
        "447": ("cheaper", D("0.45"), D("0.3"), D("-0.15")),
        "1": ("left", D("0.3"), None, None),
        "61": ("right", None, D("0.6"), None),
    }
    assert [(code, count) for code, _, count in page.context["counts"]] == [
        ("dearer", 1), ("cheaper", 1), ("same", 0), ("left", 1), ("right", 1)
    ]  # fmt: skip
    for sort in ("destination", "-key", "call_class", "outcome", "-change", "share", "left", "-right_minute"):
        assert ana.get(at, both | {"sort": sort}).status_code == 200
    cheaper = ana.get(at, both | {"outcome": "cheaper", "seconds": "60", "q": "447 mobile"})
    assert [row.record["change"] for row in cheaper.context["table"].page.object_list] == [D("-0.05")]
    text = ana.get(at, both | {"as": "csv", "sort": "-change"}).content.decode()
    assert [line.split(",")[1] for line in text.splitlines()[1:]][0] == "44"
    book = load_workbook(io.BytesIO(ana.get(at, both | {"as": "xlsx"}).content))
    assert len(list(book.worksheets[0].rows)) >= 5
    partial = ana.get(at, both, headers={"HX-Request": "true", "HX-Target": "list"})
    assert "<html" not in partial.content.decode()


def test_wholesale_tariffs_are_compared_only_by_those_who_may_see_them(world: World, ana: Client) -> None:
    at, both = reverse("tariff-compare"), {"left": world.alpha.wholesale.pk, "right": world.alpha.retail.pk}
    assert len(ana.get(at, both).context["table"].rows) == 3
    hidden = as_(world.vic).get(at, both)
    assert len(hidden.context["table"].rows) == 0
    assert str(world.alpha.wholesale) not in hidden.content.decode()


def test_tariffs_of_two_currencies_are_not_compared(world: World, ana: Client) -> None:
    with enter(world.alpha.scope()):
        euro = Tariff.objects.create(reseller=world.alpha.reseller, name="Euro", currency="EUR")
    page = ana.get(reverse("tariff-compare"), {"left": euro.pk, "right": world.alpha.retail.pk})
    assert "choose two of one currency" in page.content.decode()
