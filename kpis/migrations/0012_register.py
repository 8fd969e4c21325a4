"""Notes of what happens to leaks in the register."""

from django.db import migrations

SIDES = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
#: A day before the event's by universal time is no later than its day in any reseller's zone.
NOTES = "\n".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_findingevent REFERENCING {side} TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION"
    " kpis_note_change('(m.at AT TIME ZONE ''UTC'')::date - 1', 'NULL',"
    " 'JOIN (SELECT 1 AS one) one ON m.money_moved <> 0 OR m.count_moved <> 0 OR m.kind = ''recovered''');"
    for event, side in SIDES
)
WHOSE = (
    "CREATE TRIGGER kpis_columns AFTER UPDATE ON billing_finding REFERENCING NEW TABLE AS moved OLD TABLE AS past"
    " FOR EACH STATEMENT EXECUTE FUNCTION"
    " kpis_note_columns('NULL', 'm.customer_id, m.currency', 'o.customer_id, o.currency');"
)
#: Without the ledger's columns the notes would fail.
GONE = "DROP TRIGGER kpis_columns ON billing_finding;" + "".join(
    f"DROP TRIGGER kpis_{event}_{side} ON billing_findingevent;" for event, side in SIDES
)


class Migration(migrations.Migration):
    """The triggers."""

    dependencies = [
        ("billing", "0016_register_ledger"),
        ("kpis", "0011_findings"),
    ]

    operations = [migrations.RunSQL(NOTES + WHOSE, GONE)]
