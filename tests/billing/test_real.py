"""Real data through the product's commands arrives at the published control totals."""

import io
import json
from datetime import date, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from billing.models import Call, Tariff, TariffRate
from billing.watch.hours import keep_up
from billing.watch.unusual import unusual
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import midnight
from resellerkpi.core.scope import Scope, enter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("committed_db")]


def real(reference: Path, name: str, **options: Any) -> dict[str, Any]:
    """Take one set through and return its totals."""
    out = io.StringIO()
    call_command("real", data=reference / "data", sets=[name], stdout=out, stderr=io.StringIO(), **options)
    totals = json.loads(out.getvalue().strip().splitlines()[-1])
    assert list(totals) == [name]
    return totals[name]


def test_the_ibm_ledger_ages_as_published(reference: Path) -> None:
    totals = real(reference, "ar-ibm")
    assert totals["open"] == {"invoices": 84, "amount": "5119.85", "currency": "USD"}
    assert totals["buckets"]["not_due"] == {"invoices": 72, "amount": "4284.29"}
    assert totals["buckets"]["days_1_30"] == {"invoices": 12, "amount": "835.56"}
    assert totals["buckets"]["days_31_60"] == {"invoices": 0, "amount": "0.00"}


def test_four_freepbx_exports_are_115_calls_in_any_order(reference: Path) -> None:
    totals = real(reference, "freepbx")
    assert totals["same"]
    for order in totals["orders"]:
        assert order["calls"] == {"calls": 115, "answered": 102, "seconds": 9392}
        (sentence,) = order["refused"].values()
        assert "already loaded" in sentence
        assert sum(file["rows"] - file["duplicate"] for file in order["files"].values()) == 115


def test_the_astpp_deck_prices_the_pbxware_calls(reference: Path) -> None:
    totals = real(reference, "pbxware-astpp")
    assert (totals["deck"]["rows"], totals["deck"]["loaded"], totals["deck"]["collapsed"]) == (
        36206,
        36205,
        1,
    )
    assert totals["file"]["rows"] == 600
    assert totals["file"]["seconds"] == 350566
    assert totals["priced"] == {
        "rated": {"calls": 66, "seconds": 6880, "retail": "1.174000"},
        "zero": {"calls": 1, "seconds": 0, "retail": "0.000000"},
        "error no_rate": {"calls": 2, "seconds": 48, "retail": "0.000000"},
    }


def test_the_uk_wholesale_file_is_offered_repaired_and_billed_with_margin(reference: Path) -> None:
    totals = real(reference, "uk-wholesale")
    file = totals["file"]
    assert (file["rows"], file["seconds"], file["cost"]) == (5521, 483775, "37.391000")
    assert file["errors"] == {"unknown_cli": 5521}
    assert {row["number"]: (row["calls"], row["cost"]) for row in totals["offered_numbers"]} == {
        "HC2N00AAA00001": (2602, "17.370000"),
        "HC2N00BBB00002_L1": (2255, "16.248000"),
        "HC2N00BBB00002_L2": (664, "3.773000"),
    }
    assert totals["repaired"] == {"looked_at": 5521, "changed": 5521}
    months = totals["months"]
    assert {month: sums["calls"] for month, sums in months.items()} == {"2022-03": 775, "2022-04": 4746}
    assert {code: sums["calls"] for code, sums in totals["charge_codes"].items()} == {
        "UKN": 1497, "UKNFM1": 2124, "UKNFM16": 67, "UKNFM2": 17, "UKNFM3": 876, "UKNFM5": 681, "UKNFM6": 234,
        "UKNFPH": 7, "UKNIMO": 2, "UKNNNG": 14, "USA": 2,
    }  # fmt: skip
    assert sum(bill["invoices"] for bill in totals["bills"].values()) > 0


def test_megaline_bills_to_the_cent_honours_churn_and_is_watched(reference: Path, tmp_path: Path) -> None:
    totals = real(reference, "megaline")
    plain, churned = totals["churn_dates_left_out"], totals["churn_dates_honoured"]
    assert plain["months"]["2018-12"] == {
        "surf": {"users": 318, "net": "22437.14", "currency": "USD"},
        "ultimate": {"users": 151, "net": "11067.00", "currency": "USD"},
    }
    assert [file["rows"] for file in plain["files"].values()] == [137735, 76051, 104825]
    assert all(file["error"] == 0 for file in plain["files"].values())
    assert {name: file["errors"] for name, file in churned["files"].items()} == {
        "calls": {"inactive": 2961},
        "messages": {"inactive": 1591},
        "internet": {"inactive": 2463},
    }
    the_watch_tells_a_burst_from_a_year_of_real_usage(tmp_path)


def the_watch_tells_a_burst_from_a_year_of_real_usage(tmp_path: Path) -> None:
    """Look over the last twelve weeks: 500 users give no warning, and a hacked one's night gives one with its calls.

    The night's calls lie inside the plan's minutes: they cost the user nothing and the house all of it.
    """
    house = Reseller.objects.get(code="real-megaline")
    year_end = date(2018, 12, 31)
    windows = [
        (year_end - timedelta(days=28 * n + 27), year_end - timedelta(days=28 * n - 1)) for n in range(3)
    ]
    with enter(Scope.of(house.pk, why="test")):
        assert keep_up(house, today=year_end) == 161
        quiet = [one for first, until in windows for one in unusual(house, first=first, until=until)]
        assert [(one.subject, one.why) for one in quiet] == []
        busy = Call.objects.filter(
            service="voice",
            customer__segment="ultimate",
            started_at__gte=midnight(date(2018, 12, 1), house.zone),
        )
        user = (
            busy.values_list("number__number").annotate(n=Count("id")).order_by("-n", "number__number")[0][0]
        )
        cuba = {"key": "53", "destination": "Cuba", "call_class": "International", "price": D("0.62")}
        for plan in Tariff.objects.all():
            TariffRate.objects.create(reseller=house, tariff=plan, valid_from=date(2018, 1, 1), **cuba)
    lines = [f"F{n},{user},+5371234567,2018-12-22 02:{n:02}:00,300,4.05,USD" for n in range(40)]
    heads = "Event,User,To,Start,Seconds,Cost,Currency"
    (tmp_path / "night.csv").write_text("\n".join([heads, *lines, ""]))
    columns = {"uid": "Event", "identity": "User", "dialled": "To", "started_at": "Start", "duration": "Seconds",
               "cost": "Cost", "cost_currency": "Currency"}  # fmt: skip
    mapping = {"service": "voice", "zone": house.time_zone, "columns": columns}
    (tmp_path / "night.json").write_text(json.dumps(mapping))
    call_command(
        "import_cdrs", tmp_path / "night.csv", reseller=house.code, carrier="MEGALINE", mapping=tmp_path / "night.json",
        stdout=io.StringIO(), stderr=io.StringIO(),
    )  # fmt: skip
    with enter(Scope.of(house.pk, why="test")):
        assert keep_up(house, today=year_end) == 1
        [burst] = unusual(house, first=windows[0][0], until=windows[0][1])
        assert burst.subject == f"{user} {user}"
        assert (burst.cost, burst.cost_currency) == (D("162.00"), "USD")
        assert burst.retail == 0
        assert burst.why == (
            "40 calls to Cuba on Saturday 22 Dec 2018, 02:00 to 03:00; in three months this number made no "
            "international or premium calls around these hours. 40 calls to Cuba on 22 Dec 2018; in three months this "
            "customer had not called there and no other customer here did. The 49 calls on 22 Dec 2018 cost money, "
            "after three months with next to none."
        )


def test_a_set_is_not_taken_through_twice_and_a_missing_file_is_named(
    reference: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=r"There is no file ar/ibm_accounts_receivable_2466\.csv"):
        real(tmp_path, "ar-ibm")
    real(reference, "ar-ibm", as_of=date(2013, 6, 30))
    with pytest.raises(CommandError, match="already holds the set “ar-ibm”"):
        real(reference, "ar-ibm")
