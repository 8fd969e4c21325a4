"""The partitioned call table, the tenant policies, and the guard of issued invoices."""

from django.conf import settings
from django.db import migrations

from resellerkpi.core.rls import POLICY, ProtectTenantTable

CALL = """
CREATE SEQUENCE billing_call_id_seq;
CREATE TABLE billing_call (
    id bigint NOT NULL DEFAULT nextval('billing_call_id_seq'),
    started_at timestamptz NOT NULL,
    reseller_id bigint NOT NULL,
    carrier_id bigint NOT NULL,
    file_id bigint NOT NULL,
    batch_id bigint NOT NULL,
    dedupe_key bigint NOT NULL,
    customer_id bigint,
    number_id bigint,
    rate_id bigint,
    cost_rate_id bigint,
    bundle_id bigint,
    line integer NOT NULL,
    duration integer NOT NULL DEFAULT 0,
    billed_seconds integer NOT NULL DEFAULT 0,
    answered boolean NOT NULL DEFAULT true,
    service varchar(5) NOT NULL CHECK (service IN ('voice', 'sms', 'data')),
    direction varchar(3) NOT NULL DEFAULT 'out' CHECK (direction IN ('out', 'in')),
    state varchar(8) NOT NULL CHECK (state IN ('rated', 'zero', 'excluded', 'error')),
    reason varchar(16) NOT NULL DEFAULT '',
    uid varchar(120) NOT NULL DEFAULT '',
    group_uid varchar(120) NOT NULL DEFAULT '',
    billed_party varchar(60) NOT NULL,
    cli varchar(60) NOT NULL DEFAULT '',
    dialled varchar(60) NOT NULL DEFAULT '',
    charge_code varchar(40) NOT NULL DEFAULT '',
    destination varchar(120) NOT NULL DEFAULT '',
    call_class varchar(30) NOT NULL DEFAULT '',
    band varchar(12) NOT NULL DEFAULT '',
    currency varchar(3) NOT NULL DEFAULT '',
    cost_currency varchar(3) NOT NULL DEFAULT '',
    volume numeric(18,6) NOT NULL DEFAULT 0,
    drawn numeric(18,6) NOT NULL DEFAULT 0,
    retail numeric(18,6) NOT NULL DEFAULT 0,
    cost numeric(18,6),
    expected_cost numeric(18,6),
    surcharge numeric(18,6) NOT NULL DEFAULT 0,
    CHECK (state <> 'error' OR reason <> ''),
    CHECK (state = 'rated' OR retail = 0),
    PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);
ALTER SEQUENCE billing_call_id_seq OWNED BY billing_call.id;
CREATE UNIQUE INDEX billing_call_once ON billing_call (reseller_id, dedupe_key, started_at);
CREATE INDEX billing_call_customer ON billing_call (reseller_id, customer_id, started_at);
"""

# The job that makes partitions runs as the application's role; this function does it with the owner's rights,
# for calendar months only, and closes each partition to everybody but through the parent. It attaches the new table
# instead of creating it in place, so that nobody who reads or loads calls has to wait.
PARTITIONS = f"""
CREATE FUNCTION make_call_partition(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public AS $body$
DECLARE
    first date := date_trunc('month', month)::date;
    next date := (date_trunc('month', month) + interval '1 month')::date;
    name text := 'billing_call_' || to_char(first, 'YYYY_MM');
BEGIN
    IF first < date '1990-01-01' OR first > date '2199-12-01' THEN
        RAISE EXCEPTION 'no partition for %', first;
    END IF;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(7302, 0);
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE billing_call INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format(
        'ALTER TABLE billing_call ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first::text || ' 00:00:00+00', next::text || ' 00:00:00+00');
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant ON %I USING ({POLICY.replace("'", "''")}) '
                   'WITH CHECK ({POLICY.replace("'", "''")})', name);
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{settings.DATABASES["default"]["USER"]}'
               AND rolname <> current_user) THEN
        EXECUTE format('REVOKE ALL ON %I FROM %I', name, '{settings.DATABASES["default"]["USER"]}');
    END IF;
    RETURN true;
END $body$;
"""

# A load outruns the database's own housekeeping, and plans made without statistics go badly wrong. ANALYZE asks for
# the owner's rights and may run inside the load's transaction, whose rows it counts.
STATISTICS = """
CREATE FUNCTION analyze_calls(first_day date, last_day date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public AS $body$
DECLARE
    month date := date_trunc('month', first_day)::date;
    done integer := 0;
BEGIN
    WHILE month <= last_day AND done < 120 LOOP
        IF to_regclass('billing_call_' || to_char(month, 'YYYY_MM')) IS NOT NULL THEN
            EXECUTE format('ANALYZE %I', 'billing_call_' || to_char(month, 'YYYY_MM'));
            done := done + 1;
        END IF;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN done;
END $body$;
"""

# Money and identity of an issued invoice stay; only its sending, its dispute mark and its voiding may move.
GUARD = """
CREATE FUNCTION keep_issued_invoice() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state <> 'draft' AND current_setting('rk.purge', true) IS DISTINCT FROM 'on' THEN
            RAISE EXCEPTION 'An issued invoice cannot be deleted.';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.state <> 'draft' AND (
        (NEW.number, NEW.customer_id, NEW.invoice_date, NEW.due_date, NEW.currency, NEW.net, NEW.vat, NEW.gross,
         NEW.cost, NEW.usage_before, NEW.usage_batch, NEW.period_start, NEW.period_end, NEW.run_id)
        IS DISTINCT FROM
        (OLD.number, OLD.customer_id, OLD.invoice_date, OLD.due_date, OLD.currency, OLD.net, OLD.vat, OLD.gross,
         OLD.cost, OLD.usage_before, OLD.usage_batch, OLD.period_start, OLD.period_end, OLD.run_id)
        OR NEW.state = 'draft') AND current_setting('rk.undo', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'An issued invoice never changes; raise a credit note.';
    END IF;
    RETURN NEW;
END $body$;
CREATE TRIGGER keep_issued BEFORE UPDATE OR DELETE ON billing_invoice
FOR EACH ROW EXECUTE FUNCTION keep_issued_invoice();
CREATE FUNCTION keep_issued_line() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT 1 FROM billing_invoice WHERE id = OLD.invoice_id AND state <> 'draft')
       AND current_setting('rk.undo', true) IS DISTINCT FROM 'on'
       AND current_setting('rk.purge', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'A line of an issued invoice never changes; raise a credit note.';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $body$;
CREATE TRIGGER keep_issued BEFORE UPDATE OR DELETE ON billing_invoiceline
FOR EACH ROW EXECUTE FUNCTION keep_issued_line();
"""

UNDO = """
DROP TRIGGER keep_issued ON billing_invoiceline;
DROP TRIGGER keep_issued ON billing_invoice;
DROP FUNCTION keep_issued_line();
DROP FUNCTION keep_issued_invoice();
DROP FUNCTION analyze_calls(date, date);
DROP FUNCTION make_call_partition(date);
DROP TABLE billing_call;
"""

TABLES = [
    "allocation",
    "billingrun",
    "bundle",
    "call",
    "carrier",
    "cdrfile",
    "cdrreject",
    "changedday",
    "charge",
    "contract",
    "creditnote",
    "creditnoteline",
    "customer",
    "customerevent",
    "customernote",
    "dealer",
    "exchangerate",
    "feature",
    "featureimplication",
    "featureprice",
    "featuretype",
    "invoice",
    "invoiceline",
    "invoicevat",
    "ledgerentry",
    "mandate",
    "notproduced",
    "number",
    "numberassignment",
    "numberidentity",
    "numbersequence",
    "observation",
    "payment",
    "paymentattempt",
    "ratingbatch",
    "sourcemapping",
    "supply",
    "tariff",
    "tariffassignment",
    "tariffrate",
    "timeband",
]


class Migration(migrations.Migration):
    """Calls by month; every tenant table under its policy; issued invoices kept."""

    dependencies = [("billing", "0001_initial"), ("core", "0002_protect")]
    operations = [
        migrations.RunSQL(CALL + PARTITIONS + STATISTICS + GUARD, UNDO),
        ProtectTenantTable(*[f"billing_{table}" for table in TABLES]),
    ]
