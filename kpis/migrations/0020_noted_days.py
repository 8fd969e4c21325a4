"""Changed days are noted like every other change, whenever they are committed; new accounts have no statuses yet."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import Value

#: Notes every month: what is noted of other tables is only the first day.
NOTES = """
CREATE FUNCTION kpis_note_months() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO kpis_change (reseller_id, day, source)
    SELECT DISTINCT reseller_id, date_trunc('month', day)::date, TG_TABLE_NAME FROM moved;
    RETURN NULL;
END $body$;
""" + "\n".join(
    f"CREATE TRIGGER kpis_{event}_NEW AFTER {event} ON billing_changedday REFERENCING NEW TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_months();"
    for event in ("INSERT", "UPDATE")
)
STATUSES = django.contrib.postgres.fields.ArrayField(
    base_field=models.CharField(max_length=10),
    blank=True,
    default=list,
    db_default=Value("{}"),
)


class Migration(migrations.Migration):
    """The triggers and the default."""

    dependencies = [("billing", "0018_attempt_customer"), ("kpis", "0019_mrr_suspended")]

    operations = [
        migrations.RunSQL(NOTES, "DROP FUNCTION kpis_note_months() CASCADE;"),
        migrations.AlterField("account", "statuses", STATUSES),
    ]
