"""Every tenant table is protected twice: by its manager and by the database."""

import pytest
from django.apps import apps
from django.db import connection, models

from resellerkpi.core.models import TenantModel
from resellerkpi.core.querysets import ScopedManager
from resellerkpi.core.rls import POLICY

HOUSE = ("core", "billing", "kpis", "reports")

#: Tables with a reseller that are not tenant tables, each with its reason.
NOT_TENANT = {
    "core_membership": "says who may enter which reseller: read before there is a scope",
}
#: Unmanaged or link tables without a reseller column, each with its reason.
LINKS: dict[str, str] = {}

TENANT_MODELS = [m for m in apps.get_models() if issubclass(m, TenantModel)]


def columns_of_policy() -> dict[str, tuple[bool, bool, str | None, str | None]]:
    """Return per table: enabled, forced, USING and WITH CHECK of its policy."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_expr(p.polqual, p.polrelid),"
            " pg_get_expr(p.polwithcheck, p.polrelid) FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid"
            " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        )
        return {name: rest for name, *rest in cursor.fetchall()}


def plain(text: str | None) -> str:
    """Drop casts and brackets that PostgreSQL adds when it prints an expression."""
    return "".join((text or "").replace("::text", "").split()).replace("(", "").replace(")", "")


@pytest.mark.django_db
@pytest.mark.parametrize("model", TENANT_MODELS, ids=lambda m: m._meta.db_table)
def test_a_tenant_table_is_under_the_policy(model: type[models.Model]) -> None:
    enabled, forced, using, check = columns_of_policy()[model._meta.db_table]
    assert enabled
    assert forced
    assert plain(using) == plain(POLICY)
    assert plain(check) == plain(POLICY)
    assert isinstance(model._default_manager, ScopedManager)
    reseller = model._meta.get_field("reseller")
    assert isinstance(reseller, models.ForeignKey)
    assert not reseller.null


@pytest.mark.django_db
def test_no_table_of_the_house_is_forgotten() -> None:
    protected = {m._meta.db_table for m in TENANT_MODELS}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'reseller_id'"
        )
        with_reseller = {name for (name,) in cursor.fetchall()}
    assert with_reseller - protected == set(NOT_TENANT)
    ours = {
        m._meta.db_table for m in apps.get_models(include_auto_created=True) if m._meta.app_label in HOUSE
    }
    assert ours - protected - set(NOT_TENANT) - set(LINKS) == {"core_reseller", "core_user"}


@pytest.mark.django_db
def test_every_tenant_index_leads_with_the_reseller() -> None:
    tables = [m._meta.db_table for m in TENANT_MODELS]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.relname, i.relname, a.attname, x.indisprimary, x.indisexclusion FROM pg_index x"
            " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
            " LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]"
            " WHERE t.relname = ANY(%s)",
            [tables],
        )
        wrong = [
            f"{table}.{index} leads with {column}"
            for table, index, column, primary, exclusion in cursor.fetchall()
            if not primary and not exclusion and column != "reseller_id"
        ]
    assert wrong == []


@pytest.mark.django_db
def test_calls_have_at_most_three_indexes_and_partitions_are_closed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'billing_call'::regclass")
        assert cursor.fetchone() == (3,)
        cursor.execute(
            "SELECT make_call_partition(date '2026-10-05'), make_call_partition(date '2026-10-31')"
        )
        assert cursor.fetchone() == (True, False)
        cursor.execute(
            "SELECT has_table_privilege(current_user, 'billing_call_2026_10', 'SELECT'), c.relrowsecurity,"
            " c.relforcerowsecurity FROM pg_class c WHERE c.relname = 'billing_call_2026_10'"
        )
        assert cursor.fetchone() == (False, True, True)


@pytest.mark.django_db
def test_the_call_model_matches_its_table() -> None:
    model = apps.get_model("billing", "Call")
    with connection.cursor() as cursor:
        cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'billing_call'")
        assert {f.column for f in model._meta.concrete_fields} == {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db
def test_the_tests_run_as_an_ordinary_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False, False)
        cursor.execute("SELECT has_table_privilege(current_user, 'core_auditevent', 'UPDATE')")
        assert cursor.fetchone() == (False,)


@pytest.mark.django_db
def test_the_application_may_refresh_statistics_of_calls_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT make_call_partition(date '2026-10-05')")
        cursor.execute("SELECT analyze_calls(date '2026-09-20', date '2026-10-02')")
        assert cursor.fetchone() == (1,)
