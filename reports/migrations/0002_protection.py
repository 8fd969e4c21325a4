"""Tenant policies, the look-up of a link's reseller by its hash, and runs that never change once frozen."""

from django.db import migrations

from resellerkpi.core.rls import ProtectTenantTable

TABLES = ("run", "export", "sharelink", "shareview", "maildelivery")

# A stranger has an empty scope. This function alone looks at all resellers' links: it gives back nothing but whose
# link a live hash is, and puts the setting back. (A SET clause of the function would do so too, but only a
# superuser may write one for a setting of our own.)
SHARE_RESELLER = """
CREATE FUNCTION share_reseller(hash text, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    outer_scope text := coalesce(current_setting('rk.resellers', true), '');
    found bigint;
BEGIN
    PERFORM set_config('rk.resellers', (SELECT coalesce(array_agg(id), '{}')::text FROM core_reseller), true);
    SELECT link.reseller_id INTO found FROM reports_sharelink link
    WHERE link.reseller_id = ANY (SELECT id FROM core_reseller)
        AND link.token_hash = hash AND link.revoked_at IS NULL AND link.expires_at > at;
    PERFORM set_config('rk.resellers', outer_scope, true);
    RETURN found;
END $body$;
"""
FROZEN = """
CREATE FUNCTION reports_run_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF OLD.state = 'ready'
        AND to_jsonb(NEW) - '{kept_until,user_id,job_id}'::text[]
            IS DISTINCT FROM to_jsonb(OLD) - '{kept_until,user_id,job_id}'::text[]
    THEN
        RAISE EXCEPTION 'A frozen run never changes.';
    END IF;
    RETURN NEW;
END $body$;
CREATE TRIGGER reports_run_is_frozen BEFORE UPDATE ON reports_run
FOR EACH ROW EXECUTE FUNCTION reports_run_is_frozen();
"""


class Migration(migrations.Migration):
    """Every tenant table under its policy; the two functions."""

    dependencies = [("reports", "0001_initial")]
    operations = [
        ProtectTenantTable(*[f"reports_{table}" for table in TABLES]),
        migrations.RunSQL(SHARE_RESELLER, "DROP FUNCTION share_reseller(text, timestamptz);"),
        migrations.RunSQL(FROZEN, "DROP FUNCTION reports_run_is_frozen() CASCADE;"),
    ]
