"""From a file to stored calls: each row in one outcome, each call once, nothing of a refused file, removal."""

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from billing.importing.refused import FileRefused
from billing.models import Call, CdrFile, CdrReject, ChangedDay, Customer, Invoice, Number, RatingBatch
from billing.pipeline import import_cdrs, remove_cdrs, rerate_after_repair, result_of
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.scope import enter
from tests.billing.cdr_samples import MAPPED, NOW, SAMPLES
from tests.world import House, make_house

OUTCOMES = ("rated", "zero", "excluded", "duplicate", "error")
HEAD = "id,who,at,to,sec,cost"
SPEC = {
    "columns": {
        "uid": "id",
        "identity": "who",
        "started_at": "at",
        "dialled": "to",
        "duration": "sec",
        "cost": "cost",
    }
}


@pytest.fixture
def house(db: None) -> House:
    """A reseller with its book."""
    return a_house("alpha")


def a_house(code: str) -> House:
    """Make a reseller whose first number is written as calls carry it."""
    house = make_house(code, f"{code.title()} Telecom", code.title(), first="0120000")
    with enter(house.scope()):
        number = house.numbers[0]
        number.number = "+44113496" + number.number[-4:]
        number.save()
    return house


def supply(house: House, path: Path, **options: Any) -> dict[str, Any]:
    """Load a file for the house's carrier, in its scope."""
    assert house.carrier is not None
    with enter(house.scope()):
        return import_cdrs(
            reseller=house.reseller,
            carrier=house.carrier,
            path=path,
            **{"now": NOW, "mapping": SPEC, **options},
        )


def calls_file(house: House, folder: Path, *rows: str, name: str = "calls.csv") -> Path:
    """Write a file of calls; NUM0 stands for the house's first number."""
    path = folder / name
    path.write_text("\n".join([HEAD, *rows, ""]).replace("NUM0", house.numbers[0].number))
    return path


def usual(house: House, folder: Path) -> Path:
    """Write a file with rows of every outcome."""
    return calls_file(
        house,
        folder,
        "1,NUM0,2026-03-02 10:00:00,+441134960001,60,0.01",
        "2,NUM0,2026-03-02 10:01:00,+441134960001,0,0",
        "3,nobody,2026-03-31 23:30:00,+441134960001,5,0.02",
        "4,NUM0,yesterday,+441134960001,60,0.01",
        "1,NUM0,2026-03-02 10:00:00,+441134960001,60,0.01",
        "5,NUM0,2026-04-01 00:10:00,+441134960001,120,0.000001",
    )


def test_every_row_has_one_outcome_and_the_file_shows_them(house: House, tmp_path: Path) -> None:
    result = supply(house, usual(house, tmp_path))
    assert result["rows"] == 6 == sum(result[name] for name in OUTCOMES)
    assert (result["duplicate"], result["error"]) == (1, 2)
    assert result["errors"] == {"unknown_cli": 1, "unreadable": 1}
    assert (result["seconds"], result["cost"], result["currency"]) == (185, "0.030001", "GBP")
    with enter(house.scope()):
        file = CdrFile.objects.get()
        assert file.rows == (
            file.rated + file.zero + file.excluded + file.unpriced + file.duplicates + file.rejects
        )
        assert Call.objects.count() == 4
        assert Counter(Call.objects.values_list("state", flat=True))["zero"] == file.zero == 1
        kept = list(CdrReject.objects.order_by("line").values_list("line", "outcome", "reason", "raw"))
        assert kept == [
            (
                5,
                "error",
                "“yesterday” is not a date.",
                f"4,{house.numbers[0].number},yesterday,+441134960001,60,0.01",
            ),
            (6, "duplicate", "Already loaded: line 2 of this file", ""),
        ]
        assert file.days == {
            "2026-03-02": [2, 60, 10_000],
            "2026-03-31": [1, 5, 20_000],
            "2026-04-01": [1, 120, 1],
        }
        assert file.heading == HEAD
        days = list(ChangedDay.objects.order_by("day").values_list("day", flat=True))
        assert days == [date(2026, 3, 2), date(2026, 3, 31), date(2026, 4, 1)]
        assert AuditEvent.objects.filter(action="usage.import", subject="calls.csv").count() == 1
        batch = RatingBatch.objects.get()
        assert (batch.kind, batch.calls, batch.file_id) == ("import", 4, file.pk)


def test_money_is_stored_to_the_last_digit_and_the_customer_pays_the_tariff(
    house: House, tmp_path: Path
) -> None:
    supply(house, usual(house, tmp_path))
    with enter(house.scope()):
        call = Call.objects.get(uid="5")
        assert (call.cost, call.cost_currency) == (Decimal("0.000001"), "GBP")
        assert call.number_id == house.numbers[0].pk
        assert call.customer_id == house.customers[0].pk
        assert Call.objects.get(uid="3").customer_id is None
        assert Call.objects.aggregate(total=Sum("cost"))["total"] == Decimal("0.030001")


def test_the_same_content_twice_is_refused_and_leaves_nothing(house: House, tmp_path: Path) -> None:
    path = usual(house, tmp_path)
    supply(house, path)
    again = tmp_path / "again.csv"
    again.write_bytes(path.read_bytes())
    with pytest.raises(FileRefused, match="This file was already loaded on 22 Nov 2026 as calls.csv."):
        supply(house, again)
    with enter(house.scope()):
        assert (CdrFile.objects.count(), RatingBatch.objects.count(), Call.objects.count()) == (1, 1, 4)


def test_the_same_call_in_two_files_counts_once(house: House, tmp_path: Path) -> None:
    supply(
        house,
        calls_file(house, tmp_path, "1,NUM0,2026-03-02 10:00:00,1,60,0", "2,NUM0,2026-03-02 11:00:00,1,60,0"),
    )
    second = calls_file(
        house,
        tmp_path,
        "2,NUM0,2026-03-02 11:00:00,1,60,0",
        "3,NUM0,2026-03-02 12:00:00,1,60,0",
        name="next.csv",
    )
    result = supply(house, second)
    assert (result["rows"], result["duplicate"]) == (2, 1)
    with enter(house.scope()):
        assert Call.objects.count() == 3
        assert CdrReject.objects.get().reason == "Already loaded: line 3 of calls.csv"


def test_a_refused_file_leaves_nothing(house: House, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv"
    rows = [f"{i},A,2026-03-02 10:00:00,1,60,0" for i in range(300)]
    cut.write_text("\n".join([HEAD, *rows, "300,A"]))
    with pytest.raises(FileRefused, match="ends in the middle of line 302"):
        supply(house, cut, chunk_rows=50)
    with enter(house.scope()):
        assert (CdrFile.objects.count(), CdrReject.objects.count(), Call.objects.count()) == (0, 0, 0)
        assert ChangedDay.objects.count() == 0


def test_chunks_give_what_one_go_gives(house: House, tmp_path: Path) -> None:
    rows = [
        f"{i % 900},NUM0,2026-{1 + i % 9:02}-02 10:00:00,+441134960001,{i % 50},0.0{i % 7}"
        for i in range(1000)
    ]
    whole = supply(house, calls_file(house, tmp_path, *rows))
    other = a_house("beta")
    parts = supply(other, calls_file(other, tmp_path, *rows), chunk_rows=10)
    assert whole == parts
    assert whole["duplicate"] == 100 or whole["duplicate"] > 0


@pytest.mark.parametrize("name", ["uk_standard", "asterisk", "pbxware", "mapped"])
def test_each_sample_goes_in_and_adds_up(house: House, name: str) -> None:
    how = {"mapping": MAPPED} if name == "mapped" else {"mapping": None, "format_name": name}
    result = supply(house, SAMPLES / f"{name}.csv", **how)
    assert result["rows"] == sum(result[outcome] for outcome in OUTCOMES)


def test_another_reseller_sees_nothing_of_it(house: House, tmp_path: Path) -> None:
    supply(house, usual(house, tmp_path))
    other = a_house("beta")
    with enter(other.scope()):
        assert (CdrFile.objects.count(), Call.objects.count(), CdrReject.objects.count()) == (0, 0, 0)
    assert supply(other, usual(house, tmp_path))["duplicate"] == 1


def test_the_counts_of_a_file_are_those_of_its_calls(house: House, tmp_path: Path) -> None:
    supply(house, usual(house, tmp_path))
    with enter(house.scope()):
        file = CdrFile.objects.get()
        live = Counter(Call.objects.filter(file=file).values_list("state", flat=True))
        assert (live["rated"], live["zero"], live["excluded"], live["error"]) == (
            file.rated,
            file.zero,
            file.excluded,
            file.unpriced,
        )
        assert result_of(file)["retail"] == f"{Call.objects.aggregate(total=Sum('retail'))['total']:.6f}"


def test_a_repair_moves_the_calls_and_the_counts_of_their_file(house: House, tmp_path: Path) -> None:
    supply(house, usual(house, tmp_path))
    with enter(house.scope()):
        before = CdrFile.objects.get()
        house.numbers[1].identities.create(reseller=house.reseller, identity="nobody")
        result = rerate_after_repair(reseller=house.reseller, now=NOW, reasons=["unknown_cli"])
        assert result is not None
        assert (result.looked_at, result.changed) == (1, 1)
        after = CdrFile.objects.get()
        assert (before.unpriced, after.unpriced) == (1, 0)
        assert after.rated + after.zero == before.rated + before.zero + 1
        assert result_of(after)["errors"] == {"unreadable": 1}
        assert after.rows == before.rows


def test_removing_a_file_takes_its_calls_and_lets_it_be_supplied_again(house: House, tmp_path: Path) -> None:
    path = usual(house, tmp_path)
    supply(house, path)
    with enter(house.scope()):
        gone = remove_cdrs(reseller=house.reseller, file=CdrFile.objects.get())
        assert gone == {"name": "calls.csv", "removed": 4, "kept": 0}
        assert (CdrFile.objects.count(), Call.objects.count(), CdrReject.objects.count()) == (0, 0, 0)
    assert supply(house, path)["rows"] == 6


def test_removing_a_file_keeps_what_an_invoice_covers(house: House, tmp_path: Path) -> None:
    path = usual(house, tmp_path)
    supply(house, path)
    with enter(house.scope()):
        file = CdrFile.objects.get()
        billed = Call.objects.get(uid="1")
        Invoice.objects.create(
            reseller=house.reseller,
            customer=Customer.objects.get(pk=billed.customer_id),
            currency=billed.currency,
            invoice_date=date(2026, 4, 1),
            due_date=date(2026, 4, 15),
            usage_before=billed.started_at.replace(second=30),
            usage_batch=billed.batch_id,
        )
        gone = remove_cdrs(reseller=house.reseller, file=file)
        assert (gone["removed"], gone["kept"]) == (3, 1)
        file.refresh_from_db()
        assert (file.rows, file.duplicates, file.rejects) == (1, 0, 0)
        assert file.days == {"2026-03-02": [1, 60, 10_000]}
        assert list(Call.objects.values_list("uid", flat=True)) == ["1"]
    again = supply(house, path)
    assert again["duplicate"] == 2, "the billed call is there already, and one row stands twice in the file"


def test_the_number_of_queries_does_not_depend_on_rows(
    house: House, tmp_path: Path, django_assert_max_num_queries: Any
) -> None:
    small = [f"{i},NUM0,2026-03-02 10:00:00,1,{i},0" for i in range(10)]
    large = [f"x{i},NUM0,2026-03-02 10:00:00,1,{i % 60},0" for i in range(2000)]
    supply(house, calls_file(house, tmp_path, *small))
    with django_assert_max_num_queries(70):
        supply(house, calls_file(house, tmp_path, *large, name="large.csv"))


def test_the_uk_wholesale_file_end_to_end(house: House, reference: Path) -> None:
    path = reference / "data/cdr/FZG_Daily_Calls_ACCT_07042022_34422405_SIP_V3.csv"
    result = supply(house, path, mapping=None, format_name="uk_standard")
    assert (result["rows"], result["seconds"], result["cost"]) == (5521, 483_775, "37.391000")
    assert result["errors"] == {"unknown_cli": 5521}
    with enter(house.scope()), connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_char(started_at AT TIME ZONE 'Europe/London', 'YYYY-MM'), count(*), sum(cost) FROM billing_call"
            " GROUP BY 1 ORDER BY 1"
        )
        months = {month: (rows, cost) for month, rows, cost in cursor.fetchall()}
        assert {month: rows for month, (rows, _) in months.items()} == {"2022-03": 775, "2022-04": 4746}
        parties = Call.objects.values_list("billed_party", flat=True).distinct().order_by("billed_party")
        assert list(parties) == ["HC2N00AAA00001", "HC2N00BBB00002_L1", "HC2N00BBB00002_L2"]
        assert Number.objects.filter(number__startswith="HC2N").count() == 0
    with pytest.raises(FileRefused, match="already loaded"):
        supply(house, path, mapping=None, format_name="uk_standard")


@pytest.mark.parametrize("order", ["abcr", "rcba", "cabr"])
def test_the_freepbx_exports_in_any_order_are_115_calls(house: House, reference: Path, order: str) -> None:
    names = {"a": "a", "b": "b", "c": "c_overlaps_a", "r": "b_resent"}
    refused = 0
    for letter in order:
        path = reference / f"data/cdr/freepbx_export_16col_{names[letter]}.csv"
        try:
            supply(house, path, mapping=None, format_name="asterisk")
        except FileRefused as why:
            refused += "already loaded" in str(why)
    with enter(house.scope()):
        answered = Call.objects.filter(answered=True)
        assert (refused, Call.objects.count(), answered.count()) == (1, 115, 102)
        assert Call.objects.aggregate(total=Sum("duration"))["total"] == 9392
