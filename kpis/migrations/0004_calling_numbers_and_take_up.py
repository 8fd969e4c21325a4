"""Which numbers are used, the take-up aimed at, and a note when a customer is added."""

import django.db.models.deletion
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable

NOTE = """
CREATE TRIGGER kpis_INSERT_NEW AFTER INSERT ON billing_customer REFERENCING NEW TABLE AS moved FOR EACH STATEMENT
EXECUTE FUNCTION kpis_note_change('m.created_at::date - 1', 'm.id', '');
"""


class Migration(migrations.Migration):
    """The table with its policy, the setting and the trigger."""

    dependencies = [
        ("kpis", "0003_facts_and_settings"),
    ]

    operations = [
        migrations.CreateModel(
            name="CallingFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("number_id", models.BigIntegerField()),
                ("calls", models.BigIntegerField()),
                ("last_day", models.DateField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="kpisettings",
            name="kpi_settings_losses",
        ),
        migrations.AddField(
            model_name="kpisettings",
            name="target_take_up",
            field=models.DecimalField(decimal_places=2, default=25, max_digits=5),
        ),
        migrations.AddConstraint(
            model_name="kpisettings",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("loss_30__gte", 0),
                    ("loss_60__gte", 0),
                    ("loss_90__gte", 0),
                    ("loss_not_due__gte", 0),
                    ("loss_30__lte", 100),
                    ("loss_60__lte", 100),
                    ("loss_more__gte", 0),
                    ("loss_not_due__lte", 100),
                    ("loss_90__lte", 100),
                    ("loss_more__lte", 100),
                    ("target_take_up__gte", 0),
                    ("target_take_up__lte", 100),
                ),
                name="kpi_settings_losses",
            ),
        ),
        migrations.AddField(
            model_name="callingfact",
            name="customer",
            field=resellerkpi.core.fields.Link(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="billing.customer",
            ),
        ),
        migrations.AddField(
            model_name="callingfact",
            name="reseller",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.AddConstraint(
            model_name="callingfact",
            constraint=models.UniqueConstraint(
                fields=("reseller", "month", "customer", "number_id"), name="calling_fact_once"
            ),
        ),
        ProtectTenantTable("kpis_callingfact"),
        migrations.RunSQL(NOTE, "DROP TRIGGER kpis_INSERT_NEW ON billing_customer;"),
    ]
