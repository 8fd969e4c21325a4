"""Notes of what the checks before billing find."""

from django.db import migrations

NOTES = "\n".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_finding REFERENCING {side} TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION"
    " kpis_note_change('m.period', 'NULL', 'JOIN (SELECT 1 AS one) one ON m.family = ''pre-billing''');"
    for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)


class Migration(migrations.Migration):
    """The triggers."""

    dependencies = [
        ("billing", "0013_looked_at"),
        ("kpis", "0010_changed_tables"),
    ]

    operations = [migrations.RunSQL(NOTES, migrations.RunSQL.noop)]
