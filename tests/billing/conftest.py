"""The demo, built once for all tests that look at it, in a database of its own."""

import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.conftest import _fingerprint, _owner, _point_at

DEMO_DAY = date(2026, 11, 22)


def run_demo(**options: Any) -> dict[str, Any]:
    """Run the command and return the object it prints."""
    out = io.StringIO()
    call_command("demo", size="small", today=DEMO_DAY, stdout=out, stderr=io.StringIO(), **options)
    return json.loads(out.getvalue().strip().splitlines()[-1])


@pytest.fixture(scope="session")
def demo_database(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[dict[str, Any]]:
    """The demo as built with seed 7: its database, what the command said, and the folder of its files."""
    usual, folder = settings.DATABASES["owner"]["NAME"], settings.DEMO_DIR
    name = f"{usual.replace('rk_test', 'rk_demo', 1)}"
    settings.DEMO_DIR = tmp_path_factory.mktemp("demo")
    with django_db_blocker.unblock():
        with _owner(usual).cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "rk_template_{_fingerprint()}"')
        _point_at(name)
        made = {"database": name, "facts": run_demo(seed=7), "folder": settings.DEMO_DIR}
        _point_at(usual)
        settings.DEMO_DIR = folder
        yield made
        with _owner(usual).cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def built(demo_database: dict[str, Any], django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """The built demo at hand for one test, which leaves it as it found it."""
    usual = settings.DATABASES["owner"]["NAME"]
    with django_db_blocker.unblock():
        _point_at(demo_database["database"])
        yield demo_database
        _point_at(usual)
