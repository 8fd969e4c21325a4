"""Campaigns and their sources; a change of one is noted, since figures by source follow from it."""

import django.db.models.deletion
from django.db import migrations, models

from resellerkpi.core.rls import ProtectTenantTable

NOTES = "\n".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON kpis_campaign REFERENCING {side} TABLE AS moved"
    " FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('NULL::date', 'NULL', '');"
    for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
)


class Migration(migrations.Migration):
    """The table with its policy and its triggers."""

    dependencies = [
        ("core", "0003_api_keys"),
        ("kpis", "0004_calling_numbers_and_take_up"),
    ]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("source", models.CharField(blank=True, max_length=80)),
                ("start_date", models.DateField(blank=True, null=True)),
                (
                    "end_date",
                    models.DateField(blank=True, help_text="The day after its last day.", null=True),
                ),
                (
                    "reseller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.reseller",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("reseller", "name"), name="campaign_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("end_date__isnull", True),
                            ("start_date__isnull", True),
                            ("end_date__gt", models.F("start_date")),
                            _connector="OR",
                        ),
                        name="campaign_days",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="campaign_named"
                    ),
                ],
            },
        ),
        ProtectTenantTable("kpis_campaign"),
        migrations.RunSQL(
            NOTES,
            "DROP TRIGGER kpis_INSERT_NEW ON kpis_campaign; DROP TRIGGER kpis_UPDATE_NEW ON kpis_campaign;"
            " DROP TRIGGER kpis_DELETE_OLD ON kpis_campaign;",
        ),
    ]
