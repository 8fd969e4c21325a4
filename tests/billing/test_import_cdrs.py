"""The command import_cdrs: one JSON object last on stdout, plain words on stderr, exit 1 with the reason."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.models import CdrFile
from resellerkpi.core.scope import enter
from tests.billing.cdr_samples import MAPPED, SAMPLES
from tests.world import House, make_house


@pytest.fixture
def house(db: None) -> House:
    """A reseller with its book."""
    return make_house("alpha", "Alpha Telecom", "Alpha", first="0120000")


def run(*arguments: object, **options: object) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its exit code, the object it printed last, and what it said."""
    out, said = StringIO(), StringIO()
    try:
        call_command("import_cdrs", *map(str, arguments), stdout=out, stderr=said, **options)
        code = 0
    except SystemExit as end:
        code = int(str(end.code))
    return code, json.loads(out.getvalue().splitlines()[-1]), said.getvalue()


def test_it_loads_a_file_and_prints_its_counts(house: House) -> None:
    code, result, said = run(
        SAMPLES / "uk_standard.csv", "--reseller", "alpha", "--carrier", "CARR", "--format", "uk_standard"
    )
    assert code == 0
    assert set(result) == {
        *("rows", "rated", "zero", "excluded", "duplicate", "error"),
        *("seconds", "cost", "retail", "currency", "errors"),
    }
    assert (result["rows"], result["seconds"], result["cost"], result["currency"]) == (
        5,
        216,
        "1.015000",
        "GBP",
    )
    assert result["errors"] == {"unknown_cli": 4, "unreadable": 1}
    assert "Loading uk_standard.csv" in said
    assert "Loaded 5 rows, 5 in error." in said


def test_it_takes_a_mapping(house: House, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(MAPPED))
    code, result, _ = run(
        SAMPLES / "mapped.csv", "--reseller", "alpha", "--carrier", "CARR", "--mapping", mapping
    )
    assert (code, result["rows"], result["seconds"], result["cost"]) == (0, 3, 91, "0.020500")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"--reseller": "nobody"}, "There is no reseller “nobody”."),
        ({"--carrier": "NONE"}, "Alpha Telecom has no carrier “NONE”."),
        ({"--format": "nonesuch"}, "There is no call file format called “nonesuch”. Known: asterisk, "),
        ({"file": "missing.csv"}, "There is no file “missing.csv”."),
        ({"--format": "pbxware"}, "This is not a file of the format “PBXware (26 columns)”"),
    ],
)
def test_it_refuses_with_one_sentence(house: House, change: dict[str, str], sentence: str) -> None:
    given = {"--reseller": "alpha", "--carrier": "CARR", "--format": "uk_standard", **change}
    file = given.pop("file", SAMPLES / "uk_standard.csv")
    code, result, said = run(file, *(word for pair in given.items() for word in pair))
    assert code == 1
    assert result["error"].startswith(sentence)
    assert result["error"] in said
    with enter(house.scope()):
        assert CdrFile.objects.count() == 0


def test_the_same_file_twice_is_refused(house: House) -> None:
    words = [SAMPLES / "asterisk.csv", "--reseller", "alpha", "--carrier", "CARR", "--format", "asterisk"]
    assert run(*words)[0] == 0
    code, result, _ = run(*words)
    assert code == 1
    assert result["error"].startswith("This file was already loaded on ")
    assert result["error"].endswith(" as asterisk.csv.")


def test_a_mapping_that_is_no_json_is_refused_and_a_layout_must_be_named(
    house: House, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{columns")
    words = [SAMPLES / "mapped.csv", "--reseller", "alpha", "--carrier", "CARR"]
    assert run(*words, "--mapping", bad)[1] == {"error": "The mapping bad.json is not JSON."}
    with pytest.raises(CommandError):
        run(*words)
