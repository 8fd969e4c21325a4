"""Whether debt written off is revenue leaked; notes of what the register says is not billed."""

from django.db import migrations, models

COLUMNS = ("customer_id", "currency", "period", "money_per_month", "closed_at")
#: Of findings before billing, which have notes of their own, nothing here moves.
NEW, OLD = (
    ", ".join(f"CASE WHEN m.family = ''leakage'' THEN {side}.{column} END" for column in COLUMNS)
    for side in "mo"
)
WATCHED = (
    "DROP TRIGGER kpis_columns ON billing_finding;"
    " CREATE TRIGGER kpis_columns AFTER UPDATE ON billing_finding REFERENCING NEW TABLE AS moved OLD TABLE AS past"
    f" FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_columns('NULL', '{NEW}', '{OLD}');"
) + "".join(
    f" CREATE TRIGGER kpis_leak_{event} AFTER {event} ON billing_finding REFERENCING {side} TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION"
    " kpis_note_change('m.period', 'NULL', 'JOIN (SELECT 1 AS one) one ON m.family = ''leakage''');"
    for event, side in (("INSERT", "NEW"), ("DELETE", "OLD"))
)
UNWATCHED = "".join(f"DROP TRIGGER kpis_leak_{event} ON billing_finding;" for event in ("INSERT", "DELETE"))


class Migration(migrations.Migration):
    """The setting and the triggers."""

    dependencies = [
        ("billing", "0016_register_ledger"),
        ("kpis", "0012_register"),
    ]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="leakage_write_offs",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(WATCHED, UNWATCHED),
    ]
