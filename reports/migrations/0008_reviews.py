import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable

TABLES = (
    "reviewstep",
    "reviewsettings",
    "reviewmark",
    "signedweek",
    "evidence",
    "reviewaction",
    "reviewreminder",
)
SIGNED = """
CREATE FUNCTION reports_signed_week_stays() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF to_jsonb(NEW) - '{signed_by_id,reopened_at,reopened_by_id,reopened_why}'::text[]
        IS DISTINCT FROM to_jsonb(OLD) - '{signed_by_id,reopened_at,reopened_by_id,reopened_why}'::text[]
    THEN
        RAISE EXCEPTION 'A signed week never changes.';
    END IF;
    RETURN NEW;
END $body$;
CREATE TRIGGER reports_signed_week_stays BEFORE UPDATE ON reports_signedweek
FOR EACH ROW EXECUTE FUNCTION reports_signed_week_stays();
"""


class Migration(migrations.Migration):
    """Steps, marks, signed weeks with their evidence, actions and reminders of the review; what is signed stays."""

    dependencies = [
        ("core", "0003_api_keys"),
        ("reports", "0007_post_billing"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="kept_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="SignedWeek",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("week", models.PositiveSmallIntegerField()),
                ("due", models.DateField()),
                ("signed_at", models.DateTimeField()),
                ("by_name", models.CharField(max_length=160)),
                ("on_time", models.BooleanField()),
                ("minutes", models.PositiveSmallIntegerField(default=0)),
                ("shown", models.JSONField(default=list)),
                ("reopened_at", models.DateTimeField(null=True)),
                ("reopened_why", models.CharField(blank=True, max_length=300)),
                (
                    "reopened_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
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
                (
                    "signed_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Evidence",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("step", models.CharField(max_length=40)),
                (
                    "reseller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.reseller",
                    ),
                ),
                (
                    "run",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="evidence",
                        to="reports.run",
                    ),
                ),
                (
                    "signed",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="evidence",
                        to="reports.signedweek",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReviewAction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("week", models.PositiveSmallIntegerField()),
                ("step", models.CharField(max_length=40)),
                ("what", models.CharField(max_length=200)),
                ("due", models.DateField(null=True)),
                ("kpi", models.CharField(blank=True, max_length=60)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("value_month", models.DateField(null=True)),
                ("value_then", models.DecimalField(decimal_places=6, max_digits=30, null=True)),
                ("noted_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                ("outcome", models.CharField(blank=True, max_length=300)),
                ("value_closed", models.DecimalField(decimal_places=6, max_digits=30, null=True)),
                (
                    "closed_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "noted_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
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
                (
                    "who",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["reseller", "month"], name="review_action_month"),
                    models.Index(
                        condition=models.Q(("closed_at__isnull", True)),
                        fields=["reseller", "due"],
                        name="review_action_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("week", models.PositiveSmallIntegerField()),
                ("step", models.CharField(max_length=40)),
                ("note", models.CharField(blank=True, max_length=1000)),
                ("minutes", models.PositiveSmallIntegerField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "assignee",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "done_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
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
                    models.UniqueConstraint(
                        fields=("reseller", "month", "week", "step"), name="review_mark_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewReminder",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("week", models.PositiveSmallIntegerField()),
                ("recipient", models.EmailField(max_length=254)),
                ("made_at", models.DateTimeField()),
                ("taken_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=300)),
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
                    models.UniqueConstraint(
                        fields=("reseller", "month", "week", "recipient"), name="review_reminder_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReviewSettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("days", models.JSONField(default=list)),
                ("reminds", models.BooleanField(default=True)),
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
                "constraints": [models.UniqueConstraint(fields=("reseller",), name="review_settings_once")],
            },
        ),
        migrations.CreateModel(
            name="ReviewStep",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("slug", models.CharField(max_length=40)),
                ("week", models.PositiveSmallIntegerField()),
                ("position", models.PositiveSmallIntegerField(default=100)),
                ("title", models.CharField(max_length=120)),
                ("help", models.CharField(blank=True, max_length=500)),
                ("cadence", models.CharField(default="monthly", max_length=9)),
                ("kpis", models.JSONField(default=list)),
                ("reports", models.JSONField(default=list)),
                ("check_slug", models.CharField(blank=True, max_length=60)),
                ("minutes", models.PositiveSmallIntegerField(default=0)),
                ("role", models.CharField(blank=True, max_length=12)),
                ("in_use", models.BooleanField(default=True)),
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
                    models.UniqueConstraint(fields=("reseller", "slug"), name="review_step_once"),
                    models.CheckConstraint(
                        condition=models.Q(("week__gte", 1), ("week__lte", 4)), name="review_step_week"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="signedweek",
            index=models.Index(fields=["reseller", "month", "week"], name="review_signed_month"),
        ),
        migrations.AddConstraint(
            model_name="signedweek",
            constraint=models.UniqueConstraint(
                condition=models.Q(("reopened_at__isnull", True)),
                fields=("reseller", "month", "week"),
                name="review_signed_once",
            ),
        ),
        migrations.AddIndex(
            model_name="evidence",
            index=models.Index(fields=["reseller", "run"], name="evidence_run"),
        ),
        migrations.AddConstraint(
            model_name="evidence",
            constraint=models.UniqueConstraint(fields=("reseller", "signed", "run"), name="evidence_once"),
        ),
        ProtectTenantTable(*[f"reports_{table}" for table in TABLES]),
        migrations.RunSQL(SIGNED, "DROP FUNCTION reports_signed_week_stays() CASCADE;"),
    ]
