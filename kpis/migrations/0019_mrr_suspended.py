"""Recurring revenue without suspended customers, by a setting; what a first event of a suspended one reaches."""

from django.db import migrations, models

EVENTS = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
DAY = "least(m.date, m.notice_date)"
#: Without any event an account that is suspended always was: its first event, or its last one gone, reaches back.
ALWAYS = f"CASE WHEN c.status = ''suspended'' THEN ''1900-01-01'' ELSE {DAY} END"


def noted(day: str, join: str) -> str:
    """Return the SQL of the triggers on changes of status, which matter from a day on."""
    return "\n".join(
        f"DROP TRIGGER kpis_{event}_{side} ON billing_customerevent;"
        f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_customerevent REFERENCING {side} TABLE AS moved"
        f" FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('{day}', 'm.customer_id', '{join}');"
        for event, side in EVENTS
    )


class Migration(migrations.Migration):
    """The setting and the triggers."""

    dependencies = [("billing", "0017_notice_given"), ("kpis", "0018_csat_scale")]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="mrr_suspended",
            field=models.CharField(
                choices=[("keep", "Keep it"), ("leave_out", "Leave it out until they are back")],
                db_default="keep",
                default="keep",
                max_length=9,
            ),
        ),
        migrations.RunSQL(
            noted(ALWAYS, "LEFT JOIN billing_customer c ON c.id = m.customer_id"), noted(DAY, "")
        ),
    ]
