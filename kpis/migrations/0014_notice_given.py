"""Churn by the day of notice; a changed notice reaches back to its day; carriers of numbers."""

from django.db import migrations, models

EVENTS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))


def noted(day: str) -> str:
    """Return the SQL of the triggers on changes of status, which matter from a day on."""
    return "\n".join(
        f"DROP TRIGGER kpis_{event}_{side} ON billing_customerevent;"
        f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_customerevent REFERENCING {side} TABLE AS moved"
        f" FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('{day}', 'm.customer_id', '');"
        for event, side in EVENTS
    )


SUPPLIED = "\n".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_supply REFERENCING {side} TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('m.start_date', 'NULL',"
    " 'JOIN (SELECT 1 AS one) one ON m.number_id IS NOT NULL');"
    for event, side in EVENTS
)
DROPPED = "\n".join(f"DROP TRIGGER kpis_{event}_{side} ON billing_supply;" for event, side in EVENTS)


class Migration(migrations.Migration):
    """The settings and the triggers."""

    dependencies = [("billing", "0017_notice_given"), ("kpis", "0013_leakage")]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="churn_recognition",
            field=models.CharField(
                choices=[
                    ("service_end", "The day its last service ends"),
                    ("notice", "The day notice was given"),
                ],
                db_default="service_end",
                default="service_end",
                max_length=12,
            ),
        ),
        migrations.RunSQL(noted("least(m.date, m.notice_date)"), noted("m.date")),
        migrations.RunSQL(SUPPLIED, DROPPED),
    ]
