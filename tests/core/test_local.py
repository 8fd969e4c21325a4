"""The launcher's pure parts; that the servers start is seen by every test that uses them."""

import os
import socket
import stat
from pathlib import Path

import pytest

from resellerkpi.local import (
    accounts,
    binaries,
    check_python,
    chromium,
    demo,
    places,
    postgres,
    processes,
    skipped,
)
from resellerkpi.local import valkey as valkey_server
from resellerkpi.local.problems import LocalProblemError

STRANGER = accounts.Account("stranger", 4_000_001, 4_000_001)


def test_addresses_name_role_password_and_port() -> None:
    assert (
        postgres.database_url("rk_app", "secret", 5433)
        == "postgres://rk_app:secret@127.0.0.1:5433/resellerkpi"
    )
    assert valkey_server.redis_url("secret", 6380) == "redis://:secret@127.0.0.1:6380/0"
    assert demo.address(8123) == "http://127.0.0.1:8123"


def test_a_wanted_port_is_kept_when_free_and_replaced_when_busy() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert not processes.port_is_free(port)
        assert processes.free_port(port) != port
        with pytest.raises(LocalProblemError, match=f"Port {port} is in use: give another with --port."):
            demo.choose_port(port, serve=True)
        assert demo.choose_port(port, serve=False) == port
    assert processes.free_port(port) == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(LocalProblemError, match=f"{port} is no port: give one from 1 to 65535."):
        demo.choose_port(port, serve=True)


def test_the_default_port_gives_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "port_is_free", lambda port: False)
    chosen = demo.choose_port(None, serve=True)
    assert chosen != demo.DEFAULT_PORT
    assert capsys.readouterr().err == f"· Port 8000 is in use: serving on {chosen} instead\n"


def test_var_itself_is_the_base_for_an_ordinary_user(tmp_path: Path) -> None:
    assert places.choose_base(tmp_path, None) == tmp_path


def test_a_var_that_the_servers_cannot_reach_gets_a_private_base_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = accounts.Account("me", os.getuid(), os.getgid())
    var, public = tmp_path / "closed/var", tmp_path / "public"
    var.mkdir(parents=True)
    public.mkdir()
    monkeypatch.setattr(places, "can_reach", lambda path, account: "closed" not in path.parts)

    base = places.choose_base(var, mine, (tmp_path / "absent", public))

    assert base.parent == public
    assert stat.S_IMODE(base.stat().st_mode) == 0o700
    assert places.choose_base(var, mine, (public,)) == base
    assert places.read_json(var / "place.json") == {"base": str(base)}


def test_the_base_of_a_deleted_var_is_removed_when_its_path_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = accounts.Account("me", os.getuid(), os.getgid())
    var, public = tmp_path / "closed", tmp_path / "public"
    var.mkdir()
    public.mkdir()
    monkeypatch.setattr(places, "can_reach", lambda path, account: path != var)
    former = places.choose_base(var, mine, (public,))
    (former / "postgres.lock").touch()
    (var / "place.json").unlink()

    latter = places.choose_base(var, mine, (public,))

    assert latter != former
    assert list(public.iterdir()) == [latter]


def test_reach_follows_the_modes_of_every_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = tmp_path / "outer"
    inner = outer / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    looked_at = [outer, inner]
    monkeypatch.setattr(Path, "is_dir", lambda self: self in looked_at)
    outer.chmod(0o711)
    assert accounts.can_reach(inner, STRANGER)
    outer.chmod(0o700)
    assert not accounts.can_reach(inner, STRANGER)
    assert accounts.can_reach(inner, accounts.Account("owner", os.getuid(), os.getgid()))


def test_secrets_are_made_once_and_readable_by_us_alone(tmp_path: Path) -> None:
    first = places.load_secrets(tmp_path)
    assert places.load_secrets(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    assert len(set(first.values())) == len(places.SECRET_NAMES)


def test_damaged_secrets_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{", encoding="utf-8")
    with pytest.raises(LocalProblemError, match="cannot be read or is incomplete"):
        places.load_secrets(tmp_path)


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("12\n/data\n1\n5433\n\n127.0.0.1\n1 2\nready   \n", (12, 5433, "ready")),
        ("12\n/data\n1\n5433\n", (12, 0, "")),
        ("", (0, 0, "")),
        ("nonsense\n", (0, 0, "")),
    ],
)
def test_the_note_of_a_server_is_read(tmp_path: Path, note: str, expected: tuple[int, int, str]) -> None:
    (tmp_path / "postmaster.pid").write_text(note, encoding="utf-8")
    assert postgres.postmaster(tmp_path) == expected


def test_a_folder_without_a_note_has_no_server(tmp_path: Path) -> None:
    assert postgres.postmaster(tmp_path) == (0, 0, "")


@pytest.mark.parametrize(
    ("words", "major"),
    [
        ("postgres (PostgreSQL) 18.6\n", 18),
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15),
        ("bash: postgres: command not found\n", 0),
    ],
)
def test_the_major_version_is_read(words: str, major: int) -> None:
    assert binaries.major_in(words) == major


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "arm64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Linux", "AMD64", "linux-x86_64"),
    ],
)
def test_the_wheel_s_name_of_a_platform(system: str, machine: str, name: str) -> None:
    assert binaries.valkey_platform(system, machine) == name


def test_the_password_of_valkey_is_in_its_configuration() -> None:
    lines = valkey_server.configuration(6380, "secret", "/data").splitlines()
    assert {"bind 127.0.0.1", "port 6380", "requirepass secret", 'dir "/data"'} <= set(lines)


@pytest.mark.parametrize(
    ("version", "has_venv", "complaint"),
    [
        ((3, 9), True, "ResellerKPI needs Python 3.11 or later and this is 3.9."),
        ((3, 11), False, "Python 3.11 has no venv module here: on Debian install python3.11-venv."),
        ((3, 11), True, ""),
        ((3, 14), True, ""),
    ],
)
def test_an_old_python_is_refused(version: tuple[int, ...], has_venv: bool, complaint: str) -> None:
    assert check_python.complaint(version, has_venv) == complaint


def test_chromium_is_the_named_one_then_the_system_s() -> None:
    installed = {"google-chrome": "/usr/bin/google-chrome", "/opt/chrome": "/opt/chrome"}
    assert chromium.find({"CHROMIUM": "/opt/chrome"}, lambda name: installed.get(name)) == "/opt/chrome"
    assert chromium.find({}, lambda name: installed.get(name)) == "/usr/bin/google-chrome"
    assert chromium.find({}, lambda name: None) == ""
    with pytest.raises(LocalProblemError, match="CHROMIUM names /no/such, which is not a program."):
        chromium.find({"CHROMIUM": "/no/such"}, lambda name: installed.get(name))


def test_the_generator_s_last_line_is_its_report() -> None:
    assert demo.last_object('noise\n{"rows": 3}\n') == {"rows": 3}
    for output in ("", "noise\n", "[1]\n"):
        with pytest.raises(LocalProblemError, match="did not end with a JSON object"):
            demo.last_object(output)


def test_logins_are_shown_one_a_line() -> None:
    logins = [{"name": "Ana", "email": "ana@example.com", "password": "pw", "role": "owner"}]
    assert demo.login_lines(logins) == ["  ana@example.com  password pw  (Ana, owner)"]
    assert demo.login_lines(None) == []


def test_the_static_files_fingerprint_moves_with_a_file(tmp_path: Path) -> None:
    for name in ("requirements.lock", "resellerkpi/settings.py", "static/a.css"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    before = demo.static_fingerprint(tmp_path)
    assert demo.static_fingerprint(tmp_path) == before
    (tmp_path / "static/a.css").write_text("2", encoding="utf-8")
    assert demo.static_fingerprint(tmp_path) != before


REPORT = "<testsuites><testsuite>{}</testsuite></testsuites>"
PASSED = '<testcase classname="tests.a" name="test_one"/>'
SKIPPED = '<testcase classname="tests.a" name="test_two"><skipped message="no data"/></testcase>'


@pytest.mark.parametrize(
    ("cases", "reference", "verdict"),
    [
        (PASSED, True, ""),
        ("", False, "No test ran."),
        (PASSED + SKIPPED, False, ""),
        (PASSED + SKIPPED, True, "1 skipped, which this run does not allow: tests.a.test_two"),
    ],
)
def test_a_run_with_skipped_tests_is_judged(cases: str, reference: bool, verdict: str) -> None:
    assert skipped.verdict(REPORT.format(cases), reference=reference) == verdict
