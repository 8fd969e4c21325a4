"""Each supplier's layout: its sample reads to the figures it was made with, and real files to their control totals."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from billing.importing.mapping import format_of
from billing.importing.refused import FileRefused
from billing.importing.registry import FORMATS
from tests.billing.cdr_samples import SAMPLES, a_carrier, named, read

US = {"country": "US", "time_zone": "America/New_York", "currency": "USD"}
#: Per format: carrier, rows, rejects, seconds of all rows, answered, cost in 1e-8, excluded.
CONTROL = {
    "uk_standard": ({}, 4, 1, 216, 4, 101_500_000, 0),
    "asterisk": ({}, 7, 0, 144, 6, 0, 3),
    "pbxware": (US, 5, 0, 3092, 4, 0, 2),
    "mapped": ({}, 2, 1, 91, 2, 2_050_000, 0),
}


def at(frame: pd.DataFrame, line: int) -> dict[str, object]:
    """Return the event of a line."""
    return dict(frame[frame.line == line].iloc[0])


def when(seconds: object) -> str:
    """Return an instant in UTC as text."""
    return datetime.fromtimestamp(int(str(seconds)), UTC).strftime("%Y-%m-%d %H:%M:%S")


def test_each_format_has_its_sample_and_its_control_totals() -> None:
    assert {*FORMATS.slugs(), "mapped"} == set(CONTROL)
    assert {path.stem for path in SAMPLES.glob("*.csv")} == set(CONTROL)
    for fmt in FORMATS:
        assert fmt.sample == f"{fmt.name}.csv"
        assert fmt.label
        assert fmt.about.endswith(".")


@pytest.mark.parametrize("name", sorted(CONTROL))
def test_a_sample_reads_to_its_control_totals(name: str) -> None:
    settings, rows, rejected, seconds, answered, cost, excluded = CONTROL[name]
    frame, rejects = read(SAMPLES / f"{name}.csv", named(name), a_carrier(**settings))
    assert (len(frame), len(rejects)) == (rows, rejected)
    assert int(frame.duration.sum()) == seconds
    assert int(frame.answered.sum()) == answered
    assert int(frame.cost.sum()) == cost
    assert int((frame.excluded != "").sum()) == excluded
    assert frame.dedupe_key.nunique() == rows


def test_uk_standard_reads_numbers_times_cost_and_origin_surcharge() -> None:
    frame, rejects = read(SAMPLES / "uk_standard.csv", named("uk_standard"))
    first, third, fourth = at(frame, 2), at(frame, 4), at(frame, 5)
    assert (first["identity_1"], first["identity_2"], first["identity_3"]) == (
        "EX0001",
        "+441134960100",
        "+441134960100",
    )
    assert (first["dialled"], first["charge_code"], first["band"]) == ("+441134960001", "UKN", "1")
    assert when(first["started_at"]) == "2026-03-02 09:15:00"
    assert first["surcharge"] == 0
    assert (third["cost"], third["surcharge"], third["identity_2"], third["cli"]) == (
        100_200_000,
        100_200_000,
        "4400",
        "withheld",
    )
    assert when(third["started_at"]) == "2026-03-29 01:30:00"
    assert (fourth["identity_1"], fourth["cost"], fourth["has_cost"]) == ("EX0003", 0, True)
    assert when(fourth["started_at"]) == "2026-03-31 22:59:59"
    assert [(r.line, r.reason) for r in rejects] == [(6, "“32/03/2026” is not a date.")]


def test_uk_standard_reads_by_place_when_there_is_no_heading_line_or_one_in_other_words(
    tmp_path: Path,
) -> None:
    whole = (SAMPLES / "uk_standard.csv").read_text().splitlines()
    bare, worded = tmp_path / "bare.csv", tmp_path / "worded.csv"
    bare.write_text("\n".join(whole[1:]) + "\n")
    worded.write_text(
        "\n".join([",".join(f"field {'abcdefg'[i % 7] * (i + 1)}" for i in range(42)), *whole[1:]]) + "\n"
    )
    by_heading, _ = read(SAMPLES / "uk_standard.csv", named("uk_standard"))
    for path, shift in ((bare, 1), (worded, 0)):
        frame, _ = read(path, named("uk_standard"))
        pd.testing.assert_frame_equal(frame.drop(columns="line"), by_heading.drop(columns="line"))
        assert frame.line.tolist() == [line - shift for line in by_heading.line]


def test_asterisk_leaves_out_what_no_trunk_carried() -> None:
    frame, _ = read(SAMPLES / "asterisk.csv", named("asterisk"))
    assert frame.excluded.tolist() == ["", "internal", "", "inbound", "internal", "", ""]
    assert frame.dialled.tolist() == [
        "+441134960001",
        "202",
        "+331234567890",
        "201",
        "*97",
        "999",
        "+441134960002",
    ]
    assert frame.direction.tolist() == ["out", "out", "out", "in", "out", "out", "out"]
    assert frame.answered.tolist() == [True, True, False, True, True, True, True]


def test_pbxware_takes_the_number_sent_to_the_trunk_and_strips_the_carriers_prefix() -> None:
    plain, _ = read(SAMPLES / "pbxware.csv", named("pbxware"), a_carrier(**US))
    stripped, _ = read(SAMPLES / "pbxware.csv", named("pbxware"), a_carrier(**US, strip_prefix="999"))
    assert plain.excluded.tolist() == ["internal", "", "", "", "internal"]
    assert plain.dialled.tolist()[1:4] == ["+12125550123", "99933123456789", "+12125550199"]
    assert stripped.dialled.tolist()[1:4] == ["+12125550123", "+33123456789", "+12125550199"]
    assert plain.cli.tolist()[1] == "1101"
    assert when(plain.started_at[1]) == "2026-03-02 14:05:00"


def test_a_mapped_file_has_its_own_units_and_midnight_where_no_time_is_given() -> None:
    frame, rejects = read(SAMPLES / "mapped.csv", named("mapped"))
    assert frame.duration.tolist() == [90, 1]
    assert frame.cost.tolist() == [2_050_000, 0]
    assert frame.has_cost.tolist() == [True, False]
    assert frame.dialled.tolist() == ["+441134960001", "extension 12"]
    assert [(r.line, r.reason, r.raw) for r in rejects] == [
        (4, "The duration -2 is negative.", "m3;ACC2;04.03.2026;0113 496 0002;-2;0,01")
    ]


def test_the_uk_wholesale_file_to_its_control_totals(reference: Path) -> None:
    path = reference / "data/cdr/FZG_Daily_Calls_ACCT_07042022_34422405_SIP_V3.csv"
    frame, rejects = read(path, named("uk_standard"))
    assert (len(frame), len(rejects), int(frame.duration.sum()), int(frame.cost.sum())) == (
        5521,
        0,
        483_775,
        3_739_100_000,
    )
    assert frame.uid.nunique() == frame.dedupe_key.nunique() == 5521
    by_account = frame.groupby("identity_1")["cost"].agg(["size", "sum"])
    assert list(by_account.loc["HC2N00AAA00001"]) == [2602, 1_737_000_000]
    days = (
        pd.to_datetime(frame.started_at, unit="s", utc=True)
        .dt.tz_convert("Europe/London")
        .dt.strftime("%m-%d")
    )
    assert days.value_counts().to_dict() == {
        "04-07": 4746,
        "03-28": 319,
        "03-29": 268,
        "03-30": 184,
        "03-27": 4,
    }
    assert int((frame.surcharge > 0).sum()) == 6
    assert frame.surcharge[frame.surcharge > 0].tolist() == frame.cost[frame.surcharge > 0].tolist()


def test_the_freepbx_exports_are_115_calls(reference: Path) -> None:
    names = ["a", "b", "b_resent", "c_overlaps_a"]
    frames = [read(reference / f"data/cdr/freepbx_export_16col_{n}.csv", named("asterisk"))[0] for n in names]
    assert [len(f) for f in frames] == [100] * 4
    assert [(int(f.answered.sum()), int(f.duration.sum())) for f in frames] == [
        (89, 9318),
        (88, 699),
        (88, 699),
        (89, 9325),
    ]
    calls = pd.concat(frames).drop_duplicates("dedupe_key")
    assert (len(calls), int(calls.answered.sum()), int(calls.duration.sum())) == (115, 102, 9392)


def test_the_freepbx_database_export_is_keyed_by_content(reference: Path) -> None:
    frame, rejects = read(reference / "data/cdr/freepbx_cdr_26col_2024.csv", named("asterisk"))
    assert (len(frame), len(rejects), int(frame.answered.sum()), int(frame.duration.sum())) == (
        536,
        38,
        343,
        10_691,
    )
    assert frame.dedupe_key.nunique() == 536
    assert {r.reason for r in rejects} == {"“0000-00-00” is not a date.", "Its date is before 1990."}


def test_the_pbxware_file_to_its_control_totals(reference: Path) -> None:
    frame, rejects = read(reference / "data/cdr/pbxware_cdr_26col.csv", named("pbxware"), a_carrier(**US))
    assert (len(frame), len(rejects), int(frame.answered.sum()), int(frame.duration.sum())) == (
        600,
        0,
        377,
        350_566,
    )
    assert frame.group_uid.nunique() == 385
    billed = frame[(frame.excluded == "") & frame.answered]
    full = billed[billed.dialled.str.startswith("+")]
    assert (len(full), int(full.duration.sum()), int((full.duration > 0).sum())) == (67, 6880, 66)
    assert sum(math.ceil(s / 6) for s in full.duration) == 1174, "6-second steps, as the deck bills them"
    assert billed[~billed.dialled.str.startswith("+")].dialled.tolist() == ["99901011919885912543"] * 2
    stripped, _ = read(
        reference / "data/cdr/pbxware_cdr_26col.csv",
        named("pbxware"),
        a_carrier(**US, strip_prefix="99901011"),
    )
    assert stripped[stripped.dialled == "+919885912543"].duration.tolist() == [25, 23]


@pytest.mark.parametrize("name", ["uk_standard", "asterisk", "pbxware"])
def test_a_file_without_dates_is_refused_for_that(reference: Path, name: str) -> None:
    with pytest.raises(FileRefused, match="holds no dates, so its calls cannot be placed in time"):
        read(reference / "data/cdr/sip_dialler_br_notimestamps.txt", named(name))


@pytest.mark.parametrize(
    ("name", "mapping", "rows", "seconds", "volume"),
    [
        ("calls", {"started_at": "call_date", "duration": "duration"}, 137_735, 55_793_312, 0),
        ("messages", {"started_at": "message_date"}, 76_051, 0, 0),
        ("internet", {"started_at": "session_date", "volume": "mb_used"}, 104_825, 0, 38_440_763_710_000),
    ],
)
def test_megaline_by_mapping(
    reference: Path, name: str, mapping: dict[str, str], rows: int, seconds: int, volume: int
) -> None:
    spec = {
        "columns": {"uid": "id", "identity": ["user_id"], **mapping},
        "time_format": "%m/%d/%Y",
        "duration_unit": "minutes",
    }
    path = reference / f"data/customers/megaline/megaline_{name}.csv"
    frame, rejects = read(path, format_of(spec), a_carrier(**US))
    assert (len(frame), len(rejects), frame.dedupe_key.nunique()) == (rows, 0, rows)
    assert (int(frame.duration.sum()), int(frame.volume.sum())) == (seconds, volume)
    local = pd.to_datetime(frame.started_at, unit="s", utc=True).dt.tz_convert("America/New_York")
    assert set(local.dt.strftime("%Y %H:%M")) == {"2018 00:00"}
