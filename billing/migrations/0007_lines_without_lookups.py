"""Lines of invoices are stored without looking up reseller, number and feature type; what they name stays.

And statistics of calls are only taken where a load has changed a month by much.
"""

import django.db.models.deletion
from django.db import migrations, models

import resellerkpi.core.fields

# The other half of what a foreign key does: a row that lines name is not deleted. Nothing is looked up per line.
KEEP = """
CREATE FUNCTION keep_billed() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    named boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM billing_invoiceline WHERE reseller_id = $1 AND %I = $2)', TG_ARGV[0])
        INTO named USING OLD.reseller_id, OLD.id;
    IF named AND current_setting('rk.purge', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'It is on an invoice and stays.' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN OLD;
END $body$;
CREATE TRIGGER keep_billed BEFORE DELETE ON billing_number
FOR EACH ROW EXECUTE FUNCTION keep_billed('number_id');
CREATE TRIGGER keep_billed BEFORE DELETE ON billing_featuretype
FOR EACH ROW EXECUTE FUNCTION keep_billed('feature_type_id');
"""
# Only the columns by which calls are found or grouped; a month that grew by less than a fifth keeps its statistics.
STATISTICS = """
CREATE FUNCTION analyze_calls(first_day date, last_day date, calls bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $body$
DECLARE
    month date := date_trunc('month', first_day)::date;
    name text;
    done integer := 0;
BEGIN
    WHILE month <= last_day AND done < 120 LOOP
        name := 'billing_call_' || to_char(month, 'YYYY_MM');
        IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(name) AND reltuples < calls * 5) THEN
            EXECUTE format('ANALYZE %I (reseller_id, dedupe_key, started_at, customer_id, number_id, rate_id, file_id, '
                'batch_id, bundle_id, service, direction, state, reason, call_class, currency, cost_currency)', name);
            done := done + 1;
        END IF;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN done;
END $body$;
"""
UNDO = """
DROP FUNCTION analyze_calls(date, date, bigint);
DROP TRIGGER keep_billed ON billing_featuretype;
DROP TRIGGER keep_billed ON billing_number;
DROP FUNCTION keep_billed();
"""


def named(to: str) -> models.Field:
    """Return the link of a line to what it names."""
    return resellerkpi.core.fields.Link(
        db_constraint=False,
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=to,
    )


class Migration(migrations.Migration):
    """Three constraints fewer, two triggers and a function more."""

    dependencies = [("billing", "0006_use_of_allowances"), ("core", "0002_protect")]
    operations = [
        migrations.AlterField("invoiceline", "feature_type", named("billing.featuretype")),
        migrations.AlterField("invoiceline", "number", named("billing.number")),
        migrations.AlterField(
            "invoiceline",
            "reseller",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.RunSQL(KEEP + STATISTICS, UNDO),
    ]
