"""When an invoice stands out, the multiple of the illustrative value, and notes of what quality figures read."""

from django.db import migrations, models

TABLES = {
    "billing_tariffassignment": ("m.start_date", "m.customer_id", ""),
    "billing_notproduced": (
        "b.invoice_date",
        "m.customer_id",
        "JOIN billing_billingrun b ON b.id = m.run_id",
    ),
    "billing_billingrun": (
        "m.sent_at::date - 1",
        "NULL",
        "JOIN (SELECT 1 AS one) one ON m.sent_at IS NOT NULL",
    ),
}
NOTES = "\n".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON {table} REFERENCING {side} TABLE AS moved"
    f" FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('{day}', '{whose}', '{joined}');"
    for table, (day, whose, joined) in TABLES.items()
    for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)
SUPERSEDED = """
CREATE TRIGGER kpis_columns AFTER UPDATE ON billing_tariff
REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT
EXECUTE FUNCTION kpis_note_columns('NULL', 'm.superseded_on', 'o.superseded_on');
"""


class Migration(migrations.Migration):
    """The settings and the triggers."""

    dependencies = [
        ("billing", "0003_prices_and_suppliers"),
        ("kpis", "0007_stay_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="value_multiple",
            field=models.DecimalField(db_default=24, decimal_places=2, default=24, max_digits=6),
        ),
        migrations.AddField(
            model_name="kpisettings",
            name="anomaly_amount",
            field=models.DecimalField(db_default=100, decimal_places=2, default=100, max_digits=12),
        ),
        migrations.AddField(
            model_name="kpisettings",
            name="anomaly_percent",
            field=models.DecimalField(db_default=15, decimal_places=2, default=15, max_digits=5),
        ),
        migrations.AddField(
            model_name="kpisettings",
            name="anomaly_population",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddConstraint(
            model_name="kpisettings",
            constraint=models.CheckConstraint(
                condition=models.Q(value_multiple__gte=0, anomaly_amount__gte=0, anomaly_percent__gte=0),
                name="kpi_settings_thresholds",
            ),
        ),
        migrations.RunSQL(NOTES + SUPERSEDED, migrations.RunSQL.noop),
    ]
