"""The pages of carriers' bills as a clerk uses them, and who may not."""

import json
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from billing.models import CarrierCharge, CarrierInvoice, Charge, Feature, Supply
from resellerkpi.core.access import Role
from resellerkpi.core.scope import enter
from tests.billing.test_book_pages import client_of, fields_of, upload
from tests.world import World, make_user, make_world

pytestmark = pytest.mark.django_db
D = Decimal
HEAD = "carrier,bill,bill_date,month,reference,description,amount,suggested price,bill_total"
LINES = (
    "CARR,B1,2026-09-01,2026-08,0120000 0001,Rental one,8.25,12.50,30.00",
    "CARR,B1,2026-09-01,2026-08,WHO-1,Rental who,4.00,6.00,30.00",
    "CARR,B1,2026-09-01,2026-08,WHO-1,Care who,3.00,,30.00",
)


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> World:
    """The named world; its features are given away, so that rentals may be passed on."""
    settings.VAR_DIR = tmp_path
    made = make_world()
    with enter(made.alpha.scope()):
        Feature.objects.update(not_charged=True)
    return made


@pytest.fixture
def ana(world: World) -> Client:
    """Ana's browser after she loaded the bill."""
    browser = client_of(world.ana)
    at = upload(browser, "carrier-charges", "\n".join([HEAD, *LINES]) + "\n")
    done = browser.post(at, fields_of(browser.get(at), do="load"))
    assert (done.status_code, done["Location"]) == (302, reverse("carrier-bill-list"))
    return browser


def line(world: World, description: str) -> CarrierCharge:
    with enter(world.alpha.scope()):
        return CarrierCharge.objects.select_related("number", "customer", "invoice").get(
            description=description
        )


def text_of(browser: Client, url: str) -> str:
    answer = browser.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_loaded_bill_shows_its_sums_and_the_difference(world: World, ana: Client) -> None:
    row = line(world, "Rental one")
    assert row.invoice.file_name == "list.csv"
    assert row.invoice.loaded_by_id == world.ana.pk
    page = ana.get(reverse("carrier-bill", args=[row.invoice_id]))
    tiles = {tile.label: (tile.value, tile.unit) for tile in page.context["panels"][0].tiles}
    assert tiles == {
        "Sum of the lines": ("15.25", "GBP"),
        "Allocated": ("8.25", "GBP"),
        "To be allocated": ("7.00", "GBP"),
        "Left out": ("0.00", "GBP"),
        "Passed on, at cost": ("0.00", "GBP"),
        "Difference": ("14.75", "GBP"),
    }
    listed = text_of(ana, reverse("carrier-bill-list"))
    assert "14.75" in listed
    assert "Alpha Carrier" in listed
    assert ">B1<" in text_of(ana, reverse("carrier", args=[world.alpha.carrier.pk]))
    opened = text_of(ana, f"{reverse('carrier-charge-list')}?state=open")
    assert "Rental who" in opened
    assert "Rental one" not in opened


def test_a_clerk_says_what_a_reference_is_for_and_it_is_remembered(world: World, ana: Client) -> None:
    row = line(world, "Care who")
    at = reverse("carrier-charge-allocate", args=[row.pk])
    page = ana.get(at)
    assert "Also for the 1 other open line with the reference WHO-1" in page.content.decode()
    empty = ana.post(at, {})
    assert empty.status_code == 422
    assert "Say what it is for: a number, or a customer." in empty.content.decode()
    wrong = ana.post(at, {"number": "0199"})
    assert "There is no number “0199”." in wrong.content.decode()
    two = world.alpha.numbers[1].number
    done = ana.post(at, {"number": two, "all_alike": "on", "remember": "on"}, follow=True)
    assert f"2 lines allocated to {two}." in done.content.decode()
    for text in ("Rental who", "Care who"):
        found = line(world, text)
        assert (found.number.number, found.customer.code, found.found) == (two, "C002", "hand")
    with enter(world.alpha.scope()):
        assert Supply.objects.get(reference="WHO-1").number.number == two


def test_of_several_candidates_one_is_chosen(world: World, ana: Client) -> None:
    with enter(world.alpha.scope()):
        held = world.alpha.numbers[0].assignments.get()
        held.end_date = date(2026, 8, 10)
        held.save()
        world.alpha.numbers[0].assignments.create(
            reseller=world.alpha.reseller, customer=world.alpha.customers[1], start_date=date(2026, 8, 10)
        )
    row = line(world, "Rental one")
    done = ana.post(reverse("carrier-charge-open", args=[row.pk]), {}, follow=True)
    assert "1 line open again." in done.content.decode()
    again = ana.post(reverse("carrier-allocate"), {}, follow=True)
    assert "0 lines allocated, 3 lines still open." in again.content.decode()
    shown = text_of(ana, reverse("carrier-charge", args=[row.pk]))
    assert "Several customers had the number in these days." in shown
    assert "Alpha Customer 2" in shown
    at = reverse("carrier-charge-allocate", args=[row.pk])
    offered = ana.get(at).context["form"].fields["candidate"].choices
    assert [label for _, label in offered] == [
        "01200000001: Alpha Customer 1", "01200000001: Alpha Customer 2", "Something else, named below",
    ]  # fmt: skip
    ana.post(at, {"candidate": offered[1][0]})
    assert line(world, "Rental one").customer.code == "C002"


def test_a_feature_is_named_by_its_type_and_a_wrong_one_is_refused(world: World, ana: Client) -> None:
    at = reverse("carrier-charge-allocate", args=[line(world, "Rental who").pk])
    refused = ana.post(at, {"customer": "C001", "feature_type": "LINE", "number": "01200000002"})
    assert "01200000002 has no Alpha Line rental from 1 Aug 2026." in refused.content.decode()
    ana.post(at, {"customer": "C001", "feature_type": "PACK"})
    found = line(world, "Rental who")
    with enter(world.alpha.scope()):
        assert found.feature_id == world.alpha.features[1].pk
    assert found.customer.code == "C001"


def test_a_line_is_left_out_with_a_reason(world: World, ana: Client) -> None:
    at = reverse("carrier-charge-leave-out", args=[line(world, "Rental who").pk])
    assert ana.post(at, {"reason": ""}).status_code == 422
    ana.post(at, {"reason": "Our own line", "all_alike": "on"})
    bill = line(world, "Rental who").invoice_id
    page = ana.get(reverse("carrier-bill", args=[bill]))
    values = {tile.label: tile.value for tile in page.context["panels"][0].tiles}
    assert (values["Left out"], values["To be allocated"], values["Allocated"]) == ("7.00", "0.00", "8.25")
    assert "Our own line" in page.content.decode()


def test_charges_are_passed_on_after_a_look_and_taken_back(world: World, ana: Client) -> None:
    bill = line(world, "Rental one").invoice_id
    at = reverse("carrier-bill-pass", args=[bill])
    page = ana.get(at)
    assert page.context["passes"] == 1
    assert "It is not allocated yet." in page.content.decode()
    dearer = ana.post(at, {"how": "cost", "percent": "100", "do": "preview"})
    assert "16.50" in dearer.content.decode()
    without = ana.post(at, {"how": "cost", "percent": "", "do": "pass"})
    assert without.status_code == 422
    assert "Say how much is put on top of the cost; 0 is nothing." in without.content.decode()
    with enter(world.alpha.scope()):
        assert Charge.objects.count() == 0
    done = ana.post(at, {"how": "suggested", "do": "pass"}, follow=True)
    assert "1 passed on; they wait for the customers&#x27; next bills. 2 stayed." in done.content.decode()
    with enter(world.alpha.scope()):
        assert [(c.kind, c.amount, c.cost) for c in Charge.objects.all()] == [
            ("carrier", D("12.50"), D("8.25"))
        ]
    refused = ana.post(reverse("carrier-bill-remove", args=[bill]), {})
    assert "1 of its charges is passed on to customers; take that back first." in refused.content.decode()
    back = reverse("carrier-charge-take-back", args=[line(world, "Rental one").pk])
    assert "One charge over 12.50\N{NO-BREAK SPACE}GBP is taken off" in text_of(ana, back)
    ana.post(back, {})
    ana.post(reverse("carrier-bill-remove", args=[bill]), {})
    with enter(world.alpha.scope()):
        assert (Charge.objects.count(), CarrierInvoice.objects.count()) == (0, 0)


def test_one_line_is_passed_on_from_its_page(world: World, ana: Client) -> None:
    row = line(world, "Rental one")
    at = f"{reverse('carrier-bill-pass', args=[row.invoice_id])}?line={row.pk}"
    assert at in text_of(ana, reverse("carrier-charge", args=[row.pk])).replace("&amp;", "&")
    assert "product" not in ana.get(at).context["form"].fields
    ana.post(at, {"how": "cost", "percent": "10", "do": "pass"})
    with enter(world.alpha.scope()):
        assert Charge.objects.get().amount == D("9.08")
    assert "the next bill" in text_of(ana, reverse("carrier-charge", args=[row.pk]))
    assert (
        ana.get(f"{reverse('carrier-bill-pass', args=[row.invoice_id])}?line={row.pk + 99}").status_code
        == 404
    )


def test_support_and_dealers_see_no_cost_of_carriers(world: World, ana: Client) -> None:
    sue = make_user("sue@alpha.example", "Sue", world.alpha, Role.SUPPORT)
    row = line(world, "Rental one")
    for user in (sue, world.dee, world.vic):
        browser = client_of(user)
        for name, args in (
            ("carrier-bill-list", []), ("carrier-bill", [row.invoice_id]), ("carrier-charge", [row.pk]),
            ("carrier-charge-allocate", [row.pk]), ("carrier-bill-pass", [row.invoice_id]), ("carrier-allocate", []),
        ):  # fmt: skip
            assert browser.get(reverse(name, args=args)).status_code == 403
            assert browser.post(reverse(name, args=args), {}).status_code in (403, 405)
    shown = client_of(sue).get(reverse("carrier", args=[world.alpha.carrier.pk])).content.decode()
    assert "Latest bills" not in shown


def test_another_house_neither_sees_nor_changes_a_bill(world: World, ana: Client) -> None:
    row, bo = line(world, "Rental one"), client_of(world.bo)
    bill_pages = ("carrier-bill", "carrier-bill-pass", "carrier-bill-remove", "carrier-bill-take-back")
    steps = ("", "-allocate", "-open", "-leave-out", "-take-back")
    of_bill = [(name, row.invoice_id) for name in bill_pages]
    for name, pk in [*of_bill, *((f"carrier-charge{step}", row.pk) for step in steps)]:
        at = reverse(name, args=[pk])
        data = {"number": "01300000001", "reason": "x", "how": "suggested", "do": "pass"}
        assert bo.get(at).status_code == 404
        assert bo.post(at, data).status_code in (404, 405)
    assert ">B1<" not in text_of(bo, reverse("carrier-bill-list"))  # the page's token may hold the letters
    assert line(world, "Rental one").state == "allocated"


def test_the_command_loads_a_bill(world: World, tmp_path: Path) -> None:
    path, out = tmp_path / "september.csv", StringIO()
    path.write_text("\n".join([HEAD, *LINES]) + "\n")
    call_command("import_book", "carrier-charges", str(path), reseller="alpha", stdout=out, stderr=StringIO())
    told = json.loads(out.getvalue())
    assert (told["rows"], told["loaded"], told["new"], told["errors"]) == (3, 3, 3, [])
    assert line(world, "Rental one").invoice.file_name == "september.csv"
    path.write_text("\n".join([HEAD, LINES[0].replace("8.25", "9.25")]) + "\n")
    with pytest.raises(SystemExit):
        call_command(
            "import_book", "carrier-charges", str(path), reseller="alpha", stdout=out, stderr=StringIO()
        )


def test_a_spreadsheet_works_as_well(world: World, settings: Any) -> None:
    browser = client_of(world.ana)
    template = browser.get(reverse("import-template", args=["carrier-charges", "xlsx"]))
    content = b"".join(getattr(template, "streaming_content", [template.content]))
    sent = browser.post(
        reverse("import-start", args=["carrier-charges"]), {"file": SimpleUploadedFile("bill.xlsx", content)}
    )
    page = browser.get(sent["Location"]).content.decode()
    assert "There is no carrier “GAMMA”." in page
