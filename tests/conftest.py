"""The test database: made by the owner, used as the ordinary application role, so that row-level security counts."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from xdist.scheduler import LoadGroupScheduling

from resellerkpi.core.rls import grant_application_role

ROOT = Path(__file__).resolve().parent.parent
#: Modules that use the built demo: one process makes it and runs them all.
DEMO = {
    f"tests/billing/test_{name}.py"
    for name in (
        "checks_demo",
        "demo",
        "demo_dashboard",
        "demo_match",
        "demo_oracle",
        "demo_watch",
        "demo_why",
    )
}


class Together(LoadGroupScheduling):
    """Gives tests to the processes one by one, those of the demo all to one of them.

    xdist's own mark for it is written into an attribute that pytest 9.2 does not read any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "demo" if nodeid.partition("::")[0] in DEMO else nodeid


def pytest_xdist_make_scheduler(config: Any, log: Any) -> Together | None:
    """Share the tests out where several processes run them."""
    return Together(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that no process works on one of them alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _fingerprint() -> str:
    """Name the schema by what makes it, so that an unchanged schema is copied instead of migrated."""
    digest = hashlib.sha256()
    files = [
        *ROOT.glob("*/migrations/*.py"),
        *ROOT.glob("*/*/migrations/*.py"),
        ROOT / "resellerkpi/core/rls.py",
    ]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _owner(database: str) -> Any:
    owner = settings.DATABASES["owner"]
    connection = psycopg2.connect(
        dbname=database,
        user=owner["USER"],
        password=owner["PASSWORD"],
        host=owner["HOST"],
        port=owner["PORT"],
    )
    connection.autocommit = True
    return connection


def _point_at(database: str) -> None:
    for alias in ("default", "owner"):
        connections[alias].close()
        settings.DATABASES[alias]["NAME"] = database
        connections[alias].settings_dict["NAME"] = database


def _template(home: str) -> str:
    """Return a database with the current schema, migrating it the first time (one process at a time)."""
    name = f"rk_template_{_fingerprint()}"
    with _owner(home) as _, _owner(home).cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7301)")
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", [name])
        if cursor.fetchone() is None:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
            cursor.execute(f'CREATE DATABASE "{name}"')
            _point_at(name)
            call_command("migrate", database="owner", verbosity=0, interactive=False)
            grant_application_role()
            for alias in ("default", "owner"):
                connections[alias].close()
            cursor.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE true')
        cursor.execute("SELECT pg_advisory_unlock(7301)")
    return name


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Iterator[None]:
    """Make one database per test process from the template and drop it at the end."""
    home = settings.DATABASES["owner"]["NAME"]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"rk_test_{worker}_{os.getpid()}"
    with django_db_blocker.unblock():
        template = _template(home)
        with _owner(home).cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        _point_at(name)
        yield
        for alias in ("default", "owner"):
            connections[alias].close()
        with _owner(home).cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _point_at(home)


def _empty_tables() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace AND NOT relispartition"
            " AND relname NOT IN ('django_migrations', 'django_content_type')"
        )
        cursor.execute(f"TRUNCATE {cursor.fetchone()[0]} CASCADE")


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Give a test real commits (jobs, several connections, live servers); the owner role empties the tables after."""
    with django_db_blocker.unblock():
        yield
        for connection in connections.all():
            connection.close()
        _empty_tables()


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of real data and other systems' cases; tests that need it skip when nobody named one."""
    folder = os.environ.get("RESELLERKPI_REFERENCE")
    if not folder:
        pytest.skip("RESELLERKPI_REFERENCE is not set: the real data sets are not at hand.")
    return Path(folder)


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> Iterator[Callable[[], None] | None]:
    """Keep files, mail and cache of each test to itself."""
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    settings.DEMO_DIR = tmp_path / "demo"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(tmp_path)}
    }
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CELERY_TASK_ALWAYS_EAGER = True
    yield None
