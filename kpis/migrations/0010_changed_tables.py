"""A noted change names its table, keys of dealers and carriers are watched too, the median life takes counts."""

from django.db import migrations, models

FEW = 500

CHANGED = f"""
CREATE OR REPLACE FUNCTION kpis_note_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    EXECUTE format(
        'WITH touched AS (SELECT m.reseller_id, %s::bigint AS customer_id, min(%s) AS day FROM moved m %s'
        ' GROUP BY 1, 2),'
        ' sizes AS (SELECT reseller_id, count(*) AS customers FROM touched GROUP BY 1)'
        ' INSERT INTO kpis_change (reseller_id, customer_id, day, source)'
        ' SELECT t.reseller_id, CASE WHEN s.customers <= {FEW} THEN t.customer_id END, min(t.day), %L'
        ' FROM touched t JOIN sizes s USING (reseller_id) GROUP BY 1, 2',
        TG_ARGV[1], TG_ARGV[0], TG_ARGV[2], TG_TABLE_NAME);
    RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION kpis_note_columns() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    EXECUTE format(
        'WITH touched AS (SELECT m.reseller_id, %s::bigint AS customer_id FROM moved m JOIN past o ON o.id = m.id'
        ' WHERE (%s) IS DISTINCT FROM (%s) GROUP BY 1, 2),'
        ' sizes AS (SELECT reseller_id, count(*) AS customers FROM touched GROUP BY 1)'
        ' INSERT INTO kpis_change (reseller_id, customer_id, source)'
        ' SELECT DISTINCT t.reseller_id, CASE WHEN s.customers <= {FEW} THEN t.customer_id END, %L'
        ' FROM touched t JOIN sizes s USING (reseller_id)',
        TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], TG_TABLE_NAME);
    RETURN NULL;
END $body$;
"""
#: Kaplan-Meier as before, of lengths and how many stays have each.
LIFE = """
DROP FUNCTION kpis_median_life(numeric[]);
CREATE FUNCTION kpis_median_life(stays numeric[], counts integer[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
DECLARE
    here numeric := 1;
    at_risk bigint := (SELECT sum(c) FROM unnest(counts) c);
BEGIN
    FOR place IN 1 .. cardinality(stays) LOOP
        IF stays[place] > 0 THEN
            here := round(here * (at_risk - counts[place]) / at_risk, 30);
            IF here <= 0.500000000000001 THEN
                RETURN stays[place];
            END IF;
        END IF;
        at_risk := at_risk - counts[place];
    END LOOP;
    RETURN NULL;
END $body$;
"""
#: Columns whose change matters on any day, to everybody.
COLUMNS = {
    "billing_dealer": "code",
    "billing_carrier": "code, required_for_run, cdr_delay_days",
    "billing_carrierinvoice": "invoice_date, currency",
}


def watched() -> str:
    """Return the SQL of the triggers."""
    made = []
    for table, columns in COLUMNS.items():
        new, old = (", ".join(f"{alias}.{c}" for c in columns.split(", ")) for alias in "mo")
        made.append(
            f"CREATE TRIGGER kpis_columns AFTER UPDATE ON {table} "
            "REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT "
            f"EXECUTE FUNCTION kpis_note_columns('NULL', '{new}', '{old}');"
        )
    return "\n".join(made)


class Migration(migrations.Migration):
    """The column, the functions, the triggers."""

    dependencies = [
        ("billing", "0003_prices_and_suppliers"),
        ("kpis", "0009_tags_and_life"),
    ]

    operations = [
        migrations.AddField(
            model_name="change",
            name="source",
            field=models.CharField(blank=True, db_default="", max_length=63),
        ),
        migrations.RunSQL(CHANGED, migrations.RunSQL.noop),
        migrations.RunSQL(
            watched(),
            "\n".join(f"DROP TRIGGER kpis_columns ON {table};" for table in COLUMNS),
        ),
        migrations.RunSQL(LIFE, "DROP FUNCTION kpis_median_life(numeric[], integer[]);"),
    ]
