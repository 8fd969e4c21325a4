"""Reading call files: what a row may hold, what makes a file no call file, and how text becomes numbers."""

import codecs
import csv
import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from billing.importing import convert, stream
from billing.importing.mapping import MappingRefused, format_of
from billing.importing.refused import FileRefused
from billing.phones import to_e164
from tests.billing.cdr_samples import MAPPED, a_carrier, named, read

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
HEAD = "id,who,at,to,sec,cost"
GOOD = "1,ACC,2026-03-02 10:00:00,01134960001,60,0.01"
PLAIN = format_of(SPEC)


def a_file(tmp_path: Path, *lines: str, name: str = "calls.csv", end: str = "\n") -> Path:
    """Write lines of text to a file."""
    path = tmp_path / name
    path.write_bytes((end.join(lines) + end).encode())
    return path


def refusal(path: Path, fmt: object = PLAIN) -> str:
    """Return the sentence a file is refused with."""
    with pytest.raises(FileRefused) as refused:
        read(path, fmt)  # type: ignore[arg-type]
    return str(refused.value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,ACC,1900-01-01 10:00:00,1,60,0.01", "Its date is before 1990."),
        ("2,ACC,2200-01-01 10:00:00,1,60,0.01", "Its date is in the future."),
        ("2,ACC,,1,60,0.01", "It has no date."),
        ("2,ACC,2026-02-30,1,60,0.01", "“2026-02-30” is not a date."),
        ("2,ACC,2026-03-02 25:00:00,1,60,0.01", "“25:00:00” is not a time of day."),
        ("2,ACC,2026-03-02,1,-5,0.01", "The duration -5 is negative."),
        (
            "2,ACC,2026-03-02,1,99999999999999999999,0.01",
            "The duration 99999999999999999999 is longer than a month.",
        ),
        ("2,ACC,2026-03-02,1,1e400,0.01", "The duration 1e400 is longer than a month."),
        ("2,ACC,2026-03-02,1,NaN,0.01", "The duration NaN is longer than a month."),
        ("2,ACC,2026-03-02,1,ten,0.01", "“ten” is not a duration."),
        ("2,ACC,2026-03-02,1,60,9999999999999", "The amount 9999999999999 is too large."),
        ("2,ACC,2026-03-02,1,60,=1+1", "“=1+1” is not an amount."),
        ("2,ACC,2026-03-02,1,60", "It has 5 fields instead of 6."),
        ("2,ACC,2026-03-02,1,60,1,2,3", "It has 8 fields instead of 6."),
        ("2,A\x00C,2026-03-02,1,60,1", "It holds NUL characters."),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_reason_and_stops_nothing(
    tmp_path: Path, row: str, reason: str
) -> None:
    frame, rejects = read(a_file(tmp_path, HEAD, GOOD, row, GOOD.replace("1,ACC", "3,ACC")), PLAIN)
    assert frame.line.tolist() == [2, 4]
    assert [(r.line, r.reason) for r in rejects] == [(3, reason)]
    assert rejects[0].raw.startswith("2,A")


def test_text_that_means_harm_is_only_text(tmp_path: Path) -> None:
    nasty = [
        "'; DROP TABLE billing_call; --",
        "<script>alert(1)</script>",
        "=HYPERLINK(1)",
        "\\",
        "\\N",
        "%s",
    ]
    rows = [f'{i},"{text}",2026-03-02 10:00:00,"{text}",60,0.01' for i, text in enumerate(nasty)]
    frame, rejects = read(a_file(tmp_path, HEAD, *rows), PLAIN)
    assert (frame.identity_1.tolist(), frame.dialled.tolist(), rejects) == (nasty, nasty, [])


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + f"{HEAD}\n{GOOD}\n".encode(),
        f"{HEAD}\r\n{GOOD}\r\n".encode(),
        f"{HEAD}\r{GOOD}\r".encode(),
        f"{HEAD}\n\n{GOOD}\n\n\n".encode(),
        f"{HEAD}\n{GOOD}".encode(),
        codecs.BOM_UTF16_LE + f"{HEAD}\n{GOOD}\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + f"{HEAD}\n{GOOD}\n".encode("utf-16-be"),
        f"{HEAD},\n{GOOD},\n".encode(),
        gzip.compress(f"{HEAD}\n{GOOD}\n".encode()),
    ],
    ids=["bom", "crlf", "cr", "blank lines", "no last end", "utf-16le", "utf-16be", "extra comma", "gzip"],
)
def test_a_file_is_read_whatever_its_line_ends_marks_and_packing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(content)
    frame, rejects = read(path, PLAIN)
    assert (len(frame), rejects) == (1, [])
    assert (frame.dialled[0], frame.duration[0], frame.cost[0]) == ("+441134960001", 60, 1_000_000)


def test_other_encodings_quoted_line_breaks_and_a_lone_quote_cost_no_row(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    rows = [
        GOOD,
        '2,"two\nlines",2026-03-02,1,5,0',
        '3,a 6" pipe,2026-03-02,1,5,0',
        "4,Zo\xeb,2026-03-02,1,5,0",
    ]
    path.write_bytes("\n".join([HEAD, *rows, ""]).encode("cp1252"))
    frame, rejects = read(path, PLAIN)
    assert rejects == []
    assert frame.identity_1.tolist() == ["ACC", "two\nlines", 'a 6" pipe', "Zo\xeb"]
    assert frame.line.tolist() == [2, 3, 5, 6]


def test_chunks_give_what_one_go_gives_with_the_same_line_numbers(tmp_path: Path) -> None:
    rows = [
        f'{i},"acc\n{i}",2026-03-{1 + i % 28:02} 10:00:00,0113496{i:04},{i % 90},0.0{i % 10}'
        for i in range(4000)
    ]
    rows[1777] = "broken,row"
    path = a_file(tmp_path, HEAD, *rows)
    whole, bad = read(path, PLAIN)
    parts, bad_parts = read(path, PLAIN, chunk_rows=50)
    assert len(whole) == 3999
    assert whole.equals(parts)
    assert bad == bad_parts
    assert bad[0].line == 2 + 2 * 1777


def test_a_workbook_is_read_like_a_text_file(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEAD.split(","))
    sheet.append(
        ["1", "ACC", datetime(2026, 3, 2, 10, tzinfo=UTC).replace(tzinfo=None), 441134960001, 60, 0.0205]
    )
    path = tmp_path / "calls.xlsx"
    book.save(path)
    frame, rejects = read(path, PLAIN)
    assert rejects == []
    assert (frame.dialled[0], frame.cost[0], frame.started_at[0]) == ("+441134960001", 2_050_000, 1772445600)


def test_a_zip_holds_one_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("calls.csv", f"{HEAD}\n{GOOD}\n")
    assert len(read(path, PLAIN)[0]) == 1
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", "x")
    assert refusal(path) == "The archive holds 2 files; supply one call file at a time."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"\n\n", "The file is empty."),
        (HEAD.encode(), "The file holds no calls."),
        (b"\x89PNG\r\n\x1a\n0000", "This is not a text file of call records."),
        (b"abc\x00\x01def\n", "This is not a text file of call records."),
        (gzip.compress((GOOD * 500).encode())[:-20], "cut short or damaged"),
        (b"PK\x03\x04 nonsense", "cut short or damaged"),
        (
            f"{HEAD}\n{GOOD}\n2,ACC,2026-03-02".encode(),
            "The file ends in the middle of line 3: it looks cut short.",
        ),
        (b"a,b\n1,2\n", "This file holds no dates"),
        (
            b"day,b\n2026-03-02,2\n",
            "it has no column “id”, “at”, “to”, “sec”, “cost”, “who”. It has 2 columns: day, b.",
        ),
        (
            f"{HEAD}\n1,ACC,soon,2,60,1\n".encode(),
            "No row of this file could be read. Line 2: “soon” is not a date.",
        ),
        (HEAD.encode() + b"\n" + b"9" * (stream.MAX_LINE * 2), "A line is longer than 1 MB"),
        (b"9" * (stream.MAX_LINE * 2), "A line is longer than 1 MB"),
    ],
)
def test_a_bad_file_is_refused_whole_with_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(content)
    assert sentence in refusal(path)


def test_a_file_over_the_limit_and_a_bomb_are_refused(tmp_path: Path, settings: object) -> None:
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb") as out:
        for _ in range(160):
            out.write((GOOD + "\n").encode() * 20_000)
    settings.UPLOAD_MAX_BYTES = 4 * 1_048_576  # type: ignore[attr-defined]
    assert bomb.stat().st_size < 4 * 1_048_576
    assert refusal(
        bomb, format_of({**SPEC, "has_header": False, "columns": {"identity": 1, "started_at": 2}})
    ) == ("The file unfolds to more than it may hold.")
    settings.UPLOAD_MAX_BYTES = 10  # type: ignore[attr-defined]
    assert "larger than" in refusal(a_file(tmp_path, HEAD, GOOD))


def test_the_same_call_has_the_same_key_in_another_order_of_columns_and_on_any_machine(
    tmp_path: Path,
) -> None:
    turned = ["cost,sec,to,at,who,id", "0.01,60,01134960001,2026-03-02 10:00:00,ACC,1"]
    one, _ = read(a_file(tmp_path, HEAD, GOOD), PLAIN)
    two, _ = read(a_file(tmp_path, *turned, name="turned.csv"), PLAIN)
    other, _ = read(a_file(tmp_path, HEAD, GOOD), PLAIN, a_carrier(id=8))
    sms, _ = read(a_file(tmp_path, HEAD, GOOD), format_of({**SPEC, "service": "sms"}))
    assert one.dedupe_key[0] == two.dedupe_key[0] == 930169341993171962
    assert len({one.dedupe_key[0], other.dedupe_key[0], sms.dedupe_key[0]}) == 3


def test_a_row_without_its_identity_is_known_by_its_content(tmp_path: Path) -> None:
    rows = [GOOD[1:], GOOD[1:], GOOD[1:].replace(",60,", ",61,")]
    frame, _ = read(a_file(tmp_path, HEAD, *rows), PLAIN)
    assert frame.dedupe_key.nunique() == 2


@pytest.mark.parametrize(
    ("text", "first", "expected"),
    [("4/9/2017", True, "2017-09-04"), ("4/9/2017", False, "2017-04-09"), ("04.09.17", True, "2017-09-04")],
)
def test_the_order_of_day_and_month_is_the_sources(text: str, first: bool, expected: str) -> None:
    assert np.datetime64("1970-01-01") + convert.day_number(text, day_first=first) == np.datetime64(expected)


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-03-29 00:59:59", "2026-03-29 00:59:59"),
        ("2026-03-29 02:00:00", "2026-03-29 01:00:00"),
        ("2026-10-25 00:59:59", "2026-10-24 23:59:59"),
        ("2026-10-25 01:30:00", "2026-10-25 00:30:00"),
        ("2026-10-25 02:00:00", "2026-10-25 02:00:00"),
    ],
)
def test_the_nights_the_clocks_change(local: str, utc: str) -> None:
    seconds = np.array([np.datetime64(local.replace(" ", "T"), "s").astype(np.int64)])
    assert convert.to_utc(seconds, ZoneInfo("Europe/London")).tolist() == [
        int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp())
    ]


def test_times_that_carry_their_zone_and_halves_of_the_day(tmp_path: Path) -> None:
    rows = [
        f"{i},ACC,{at},1,5,0" for i, at in enumerate(["2026-07-01T10:00:00.25Z", "2026-07-01 10:00:00+02:00"])
    ]
    frame, _ = read(a_file(tmp_path, HEAD, *rows), PLAIN)
    assert [datetime.fromtimestamp(t, UTC).hour for t in frame.started_at] == [10, 8]
    assert convert.clock("11:01:32 AM") // 2 == 11 * 3600 + 92
    assert convert.clock("12:00 am") == 0
    american = format_of({**SPEC, "time_format": "%m/%d/%Y %I:%M %p"})
    frame, _ = read(a_file(tmp_path, HEAD, "1,ACC,3/4/2026 1:05 PM,1,5,0"), american)
    assert datetime.fromtimestamp(frame.started_at[0], UTC).isoformat() == "2026-03-04T13:05:00+00:00"


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [("8.52", "minutes", 512), ("8.00", "minutes", 480), ("0.1", "seconds", 1), ("0", "seconds", 0), ("", "minutes", 0),
     ("00:01:05", "seconds", 65), ("1:02:03.5", "seconds", 3724), ("02:30", "minutes", 150), ("13.66", "minutes", 820)],
)  # fmt: skip
def test_durations_count_a_started_second(text: str, unit: str, expected: int) -> None:
    assert convert.seconds(text, unit=unit) == expected


def test_amounts_and_volumes_are_exact() -> None:
    assert convert.amount("0.00000001") == 1
    assert convert.amount("-1,234.5") == -123_450_000_000
    assert convert.amount("1.234,5", decimal=",") == 123_450_000_000
    assert convert.amount("£0.03") == 3_000_000
    assert convert.amount("1E-3") == 100_000
    assert [convert.volume("1024", unit=u) for u in ("kb", "mb", "gb")] == [
        10**6,
        1024 * 10**6,
        1024**2 * 10**6,
    ]
    assert convert.volume("1048576", unit="bytes") == 10**6


@given(st.decimals(min_value=-999_999, max_value=999_999, places=8))
def test_any_amount_of_eight_places_is_read_exactly(value: object) -> None:
    assert convert.amount(f"{value:f}") == int(value * 10**8)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("+441134960001", "US", "+441134960001"),
        ("0113 496 0001", "GB", "+441134960001"),
        ("(0113) 496-0001", "GB", "+441134960001"),
        ("00441134960001", "GB", "+441134960001"),
        ("441134960001", "GB", "+441134960001"),
        ("2125550123", "US", "+12125550123"),
        ("12125550123", "US", "+12125550123"),
        ("01133123456789", "US", "+33123456789"),
        ("0033123456789", "US", "+33123456789"),
        ("1115", "GB", "1115"),
        ("999", "GB", "999"),
        ("*97", "GB", "*97"),
        ("withheld", "GB", "withheld"),
        ("sip:bob@example.org", "GB", "sip:bob@example.org"),
        ("+c2c", "GB", "+c2c"),
        ("1650606506042101", "US", "1650606506042101"),
        ("", "GB", ""),
    ],
)
def test_numbers_become_e164_and_what_is_none_survives(text: str, country: str, expected: str) -> None:
    assert to_e164(text, country) == expected


def test_a_reference_of_ten_digits_stays_one_where_it_stands_for_a_line() -> None:
    assert to_e164("4012345678", "GB") == "+444012345678"
    assert to_e164("4012345678", "GB", only_valid=True) == "4012345678"


def test_british_numbers_in_any_spelling(reference: Path) -> None:
    with (reference / "data/numberplan/uk_number_validity_cases.csv").open(newline="") as rows:
        cases = list(csv.reader(rows))
    texts = {
        cell
        for row in cases[1:]
        for cell in row
        if cell.replace(" ", "").lstrip("+").isdigit() and len(cell) > 6
    }
    assert len(texts) > 1000
    for text in texts:
        try:
            number = phonenumbers.parse(text, "GB")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            assert to_e164(text, "GB") == phonenumbers.format_number(
                number, phonenumbers.PhoneNumberFormat.E164
            )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"columns": {"identity": "who", "dialled": "to"}}, "a file without dates cannot be placed in time"),
        ({"columns": {"started_at": "at"}}, "“identity” names one to three columns"),
        ({"columns": {}}, "names no “columns”"),
        ({"columns": {**SPEC["columns"], "colour": "x"}}, "There is no field “colour”"),
        ({"columns": {**SPEC["columns"], "cli": -1}}, "“-1” is no column"),
        ({"colour": 1}, "A mapping has no setting “colour”"),
        ({"service": "fax"}, "“service” is one of voice, sms, data."),
        ({"zone": "Mars/Olympus"}, "There is no time zone “Mars/Olympus”."),
        ({"encoding": "klingon"}, "There is no encoding “klingon”."),
        ({"delimiter": "||"}, "“delimiter” is one character."),
        ({"has_header": "yes"}, "“has_header” is true or false."),
    ],
)
def test_a_mapping_that_cannot_be_understood_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(MappingRefused) as refused:
        format_of({**SPEC, **change})
    assert sentence in str(refused.value)


def test_a_mapping_of_separate_date_and_time_by_place(tmp_path: Path) -> None:
    spec = {
        "has_header": False,
        "cost_unit": "pence",
        "cost_negative": True,
        "columns": {
            "identity": [0, 1],
            "started_at": {"date": 2, "time": 3},
            "cost": 4,
            "surcharge": 4,
            "answered": 5,
        },
        "answered_values": ["Answered"],
    }
    frame, _ = read(
        a_file(tmp_path, "A,B,02/03/2026,10:00,-2.5,ANSWERED", "A,B,03/03/2026,,1,no"), format_of(spec)
    )
    assert frame[["identity_1", "identity_2"]].to_numpy().tolist() == [["A", "B"]] * 2
    assert frame.cost.tolist() == [2_500_000, -1_000_000]
    assert frame.surcharge.tolist() == [2_500_000, -1_000_000]
    assert frame.answered.tolist() == [True, False]
    assert [datetime.fromtimestamp(t, UTC).strftime("%d %H") for t in frame.started_at] == ["02 10", "03 00"]


def test_blocks_end_where_records_end() -> None:
    text = b"".join(b'%d,"a\nb",c\n' % i for i in range(5000))
    parts = list(stream.blocks(io.BytesIO(text), 1000))
    assert b"".join(parts) == text
    assert all(part.count(b'"') % 2 == 0 and part.endswith(b"\n") for part in parts)
    assert named("mapped").delimiter == MAPPED["delimiter"]
