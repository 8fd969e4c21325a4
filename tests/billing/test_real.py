"""Real data through the product's commands arrives at the published control totals."""

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

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


def test_megaline_bills_to_the_cent_and_honours_churn(reference: Path) -> None:
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


def test_a_set_is_not_taken_through_twice_and_a_missing_file_is_named(
    reference: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=r"There is no file ar/ibm_accounts_receivable_2466\.csv"):
        real(tmp_path, "ar-ibm")
    real(reference, "ar-ibm", as_of=date(2013, 6, 30))
    with pytest.raises(CommandError, match="already holds the set “ar-ibm”"):
        real(reference, "ar-ibm")
