"""The pages of call files: upload, check, load, what became of the rows, error rows, removal, missing days."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.checks.completeness import grid
from billing.importing.uploads import keep
from billing.jobs import import_usage, remove_usage
from billing.models import Call, CdrFile, SourceMapping
from billing.pipeline import import_cdrs
from resellerkpi.core.jobs import Task
from resellerkpi.core.models import Job, User
from resellerkpi.core.scope import enter
from tests.billing.cdr_samples import MAPPED, NOW, SAMPLES
from tests.world import CANARY, World, make_world

EARLIER = NOW - timedelta(days=19)
PAGES = ("cdr-file-list", "cdr-upload", "cdr-completeness")


@pytest.fixture
def world(db: None) -> World:
    """Alpha and Beta and their people."""
    return make_world()


def as_(client: Client, user: User) -> Client:
    """Sign a person in."""
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return client


def loaded(house: Any, name: str = "uk_standard") -> CdrFile:
    """Load a sample into a house."""
    with enter(house.scope()):
        import_cdrs(
            reseller=house.reseller,
            carrier=house.carrier,
            path=SAMPLES / f"{name}.csv",
            now=EARLIER,
            format_name=name,
        )
        file: CdrFile = CdrFile.objects.get(format=name)
        return file


def upload(client: Client, world: World, name: str, layout: str) -> str:
    """Send a sample; return the address of the page that checks it."""
    given = {
        "file": SimpleUploadedFile(f"{name}.csv", (SAMPLES / f"{name}.csv").read_bytes()),
        "carrier": world.alpha.carrier.pk if world.alpha.carrier else 0,
        "layout": layout,
    }
    answer = client.post(reverse("cdr-upload"), given)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def test_a_file_goes_from_upload_to_its_page(
    world: World, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    as_(client, world.ana)
    check = upload(client, world, "uk_standard", "uk_standard")
    page = client.get(check).content.decode()
    assert "The layout fits." in page
    assert "Supplier&#x27;s price (Salesprice)" in page
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(check, {"do": "load"})
    assert answer["Location"].startswith("/jobs/")
    with enter(world.alpha.scope()):
        job = Job.objects.get(kind="usage.import")
        assert (job.state, job.error) == (Job.State.DONE, "")
        file = CdrFile.objects.get()
        assert (file.name, file.rows, file.loaded_by) == ("uk_standard.csv", 5, world.ana)
        assert job.result_url == reverse("cdr-file", args=[file.pk])
    shown = client.get(job.result_url).content.decode()
    assert "5 = 0 + 0 + 0 + 0 + 4 + 1" in shown
    assert "Unknown number" in shown
    assert "“32/03/2026” is not a date." in shown


def test_the_same_file_again_is_refused_on_the_jobs_page(
    world: World, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    loaded(world.alpha)
    check = upload(as_(client, world.ana), world, "uk_standard", "uk_standard")
    with django_capture_on_commit_callbacks(execute=True):
        client.post(check, {"do": "load"})
    with enter(world.alpha.scope()):
        job = Job.objects.get(kind="usage.import")
        assert job.state == Job.State.FAILED
        assert job.error == "This file was already loaded on 3 Nov 2026 as uk_standard.csv."


def test_a_wrong_layout_says_why_and_offers_no_load(world: World, client: Client) -> None:
    check = upload(as_(client, world.ana), world, "uk_standard", "pbxware")
    answer = client.get(check)
    assert answer.status_code == 422
    assert "This is not a file of the format “PBXware (26 columns)”" in answer.content.decode()
    assert 'value="load"' not in answer.content.decode()


def test_a_layout_of_ones_own_is_declared_kept_and_used_again(
    world: World, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    check = upload(as_(client, world.ana), world, "mapped", "own")
    assert client.get(check).status_code == 200
    chosen = {
        "service": "voice", "has_header": "on", "duration_unit": "minutes", "volume_unit": "mb", "cost_unit": "units",
        "decimal": ",", "save_as": "Example carrier", "column_uid": "0", "column_identity": "1",
        "column_started_at": "2", "column_dialled": "3", "column_duration": "4", "column_cost": "5",
    }  # fmt: skip
    wrong = client.post(check, {**chosen, "column_started_at": "", "do": "check"})
    assert wrong.status_code == 422
    page = client.post(check, {**chosen, "do": "check"}).content.decode()
    assert "The layout fits." in page
    with django_capture_on_commit_callbacks(execute=True):
        client.post(check, {**chosen, "do": "load"})
    with enter(world.alpha.scope()):
        saved = SourceMapping.objects.get()
        assert (saved.name, saved.spec["columns"]) == ("Example carrier", MAPPED["columns"])
        assert CdrFile.objects.get().seconds == 91
        CdrFile.objects.get().delete()
    again = upload(client, world, "mapped", f"saved-{saved.pk}")
    assert "The layout fits." in client.get(again).content.decode()


def test_error_rows_come_back_under_their_heading_and_can_be_supplied_again(
    world: World, client: Client
) -> None:
    file = loaded(world.alpha)
    answer = as_(client, world.ana).get(reverse("cdr-file-errors", args=[file.pk]))
    whole = (SAMPLES / "uk_standard.csv").read_text().splitlines()
    assert answer.content.decode().splitlines()[0] == whole[0]
    assert "32/03/2026" in answer.content.decode().splitlines()[1]
    assert "attachment" in answer["Content-Disposition"]


def test_a_file_is_removed_after_asking(
    world: World, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    file = loaded(world.alpha)
    address = reverse("cdr-file-remove", args=[file.pk])
    assert "4 calls of this file go" in as_(client, world.ana).get(address).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(address).status_code == 302
    with enter(world.alpha.scope()):
        assert (CdrFile.objects.count(), Call.objects.count()) == (0, 0)
        assert Job.objects.get(kind="usage.remove").result["removed"] == 4


def test_strangers_and_other_houses_find_nothing(world: World, client: Client) -> None:
    theirs = loaded(world.beta)
    for name in ("cdr-file", "cdr-file-errors", "cdr-file-remove"):
        assert as_(client, world.ana).get(reverse(name, args=[theirs.pk])).status_code == 404
    for name in PAGES:
        assert CANARY not in client.get(reverse(name)).content.decode()
    token, _ = keep([b"x"])
    assert client.get(reverse("cdr-check", args=[token])).status_code == 404
    as_(client, world.vic)
    assert client.get(reverse("cdr-upload")).status_code == 403


def test_who_may_not_see_cost_does_not(world: World, client: Client) -> None:
    file = loaded(world.alpha)
    as_(client, world.dee)
    assert client.get(reverse("cdr-file", args=[file.pk])).status_code == 404
    sam = as_(client, world.ana).get(reverse("cdr-file", args=[file.pk])).content.decode()
    assert "1.0150" in sam


def test_the_list_shows_outcomes_with_as_many_queries_for_many_files(world: World, client: Client) -> None:
    as_(client, world.ana)
    loaded(world.alpha)
    counts = []
    for name in ("asterisk", "pbxware"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = client.get(reverse("cdr-file-list")).content.decode()
        counts.append(len(queries))
        loaded(world.alpha, name)
    assert "uk_standard.csv" in page
    assert counts[0] == counts[1]


def test_missing_and_low_days_are_marked(world: World, client: Client) -> None:
    today = date(2026, 6, 30)
    file = loaded(world.alpha)
    days = {(today - timedelta(days=n)).isoformat(): [100, 600, 5_000_000] for n in range(1, 30)}
    days[(today - timedelta(days=8)).isoformat()] = [10, 60, 1]
    del days[(today - timedelta(days=9)).isoformat()]
    with enter(world.alpha.scope()):
        CdrFile.objects.filter(pk=file.pk).update(days=days, last_call_at="2026-06-29T12:00:00Z")
        [row] = grid(today)
        marks = {day.day: day.mark for day in row.days if day.mark}
        assert marks == {today - timedelta(days=8): "half", today - timedelta(days=9): "gap"}
        assert row.flagged == 2
    assert as_(client, world.ana).get(reverse("cdr-completeness")).status_code == 200


def test_a_job_done_twice_loads_once(world: World) -> None:
    token, path = keep([(SAMPLES / "asterisk.csv").read_bytes()])
    scope = world.alpha.scope()
    with enter(scope):
        row = Job.objects.create(reseller=world.alpha.reseller, kind="usage.import", title="x")
    task = Task(job_id=str(row.pk), stored_scope=scope)
    assert world.alpha.carrier is not None
    params = {
        "name": "a.csv",
        "carrier_id": world.alpha.carrier.pk,
        "format_name": "asterisk",
        "mapping": None,
    }
    first = import_usage(task, token=token, **params)  # type: ignore[arg-type]
    again, _ = keep([(SAMPLES / "asterisk.csv").read_bytes()])
    second = import_usage(task, token=again, **params)  # type: ignore[arg-type]
    assert first == second
    assert first is not None
    pk = int(re.findall(r"\d+", first["url"])[0])
    assert remove_usage(task, file_id=pk)["removed"] == 7  # type: ignore[index]
    assert remove_usage(task, file_id=pk)["removed"] == 0  # type: ignore[index]
