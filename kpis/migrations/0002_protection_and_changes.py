"""The tenant policies of facts and snapshots, and the triggers that note from which day facts may have changed."""

from django.db import migrations

from resellerkpi.core.rls import ProtectTenantTable

# Table: the earliest day a row of it can matter. A customer matters on any day, but only for what facts read of it.
DAYS = {
    "billing_numberassignment": "start_date",
    "billing_feature": "start_date",
    "billing_featureprice": "valid_from",
    "billing_customerevent": "date",
    "billing_invoice": "invoice_date",
    "billing_creditnote": "date",
    "billing_allocation": "date",
    "billing_payment": "received_date",
    "billing_paymentattempt": "submitted_date",
    "billing_observation": "date",
}
TABLES = ["change", "customerfact", "featurefact", "fill", "moneyfact", "numberfact", "snapshot"]
CUSTOMER = "dealer_id, status, segment, client_type, campaign, currency, is_test, imported"

NOTE = """
CREATE FUNCTION kpis_note_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    EXECUTE format(
        'INSERT INTO kpis_change (reseller_id, day) SELECT reseller_id, min(%I) FROM moved GROUP BY reseller_id',
        TG_ARGV[0]);
    RETURN NULL;
END $body$;
CREATE FUNCTION kpis_note_customer() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO kpis_change (reseller_id, day)
    SELECT DISTINCT n.reseller_id, NULL::date FROM moved n JOIN past o ON o.id = n.id
    WHERE ({new}) IS DISTINCT FROM ({old});
    RETURN NULL;
END $body$;
CREATE TRIGGER kpis_customer AFTER UPDATE ON billing_customer
REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_customer();
"""


def triggers() -> str:
    """Return the SQL that sets the functions and the triggers of every table."""
    columns = CUSTOMER.split(", ")
    new, old = (", ".join(f"{alias}.{c}" for c in columns) for alias in "no")
    made = [NOTE.replace("{new}", new).replace("{old}", old)]
    for table, day in DAYS.items():
        for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
            made.append(
                f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON {table} "
                f"REFERENCING {side} TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('{day}');"
            )
    return "\n".join(made)


class Migration(migrations.Migration):
    """Every tenant table under its policy; one row of Change per statement, reseller and earliest day."""

    dependencies = [("kpis", "0001_initial")]
    operations = [
        ProtectTenantTable(*[f"kpis_{table}" for table in TABLES]),
        migrations.RunSQL(
            triggers(),
            "DROP FUNCTION kpis_note_change() CASCADE; DROP FUNCTION kpis_note_customer() CASCADE;",
        ),
    ]
