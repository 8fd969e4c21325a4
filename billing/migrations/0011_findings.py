"""What the checks found, its history, and thresholds of checks."""

from decimal import Decimal

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable


class Migration(migrations.Migration):
    """Three tables under the tenant policy."""

    dependencies = [
        ("billing", "0010_past_left_alone"),
        ("core", "0003_api_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Finding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("check_slug", models.CharField(max_length=40)),
                (
                    "family",
                    models.CharField(
                        choices=[
                            ("pre-billing", "Before billing"),
                            ("leakage", "Revenue leakage"),
                            ("watch", "Watch"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "level",
                    models.CharField(
                        choices=[("error", "Error"), ("warning", "Warning"), ("information", "Information")],
                        max_length=12,
                    ),
                ),
                ("subject", models.CharField(max_length=160)),
                ("label", models.CharField(max_length=200)),
                ("period", models.DateField()),
                ("why", models.CharField(max_length=400)),
                (
                    "money_per_month",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=18, null=True),
                ),
                (
                    "money_to_date",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=18, null=True),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("count", models.BigIntegerField(default=1)),
                ("about", models.JSONField(default=dict)),
                ("page", models.CharField(blank=True, max_length=40)),
                ("page_args", models.JSONField(default=list)),
                ("page_query", models.CharField(blank=True, max_length=200)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("accepted", "Accepted"),
                            ("fixed", "Fixed"),
                            ("recovered", "Recovered"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("accepted_until", models.DateField(blank=True, null=True)),
                ("accepted_reason", models.CharField(blank=True, max_length=300)),
                ("recovered", models.DecimalField(decimal_places=2, default=Decimal("0"), max_digits=18)),
                (
                    "recovered_at_money",
                    models.DecimalField(blank=True, decimal_places=2, max_digits=18, null=True),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "accepted_by",
                    resellerkpi.core.fields.Link(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="findings",
                        to="billing.customer",
                    ),
                ),
                (
                    "owner",
                    resellerkpi.core.fields.Link(
                        blank=True,
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
        ),
        migrations.CreateModel(
            name="FindingEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "Found"),
                            ("reopened", "Found again"),
                            ("lapsed", "Acceptance ended"),
                            ("fixed", "No longer found"),
                            ("accepted", "Accepted"),
                            ("recovered", "Recovered"),
                            ("owner", "Owner changed"),
                            ("note", "Note"),
                        ],
                        max_length=10,
                    ),
                ),
                ("text", models.CharField(blank=True, max_length=1000)),
                ("amount", models.DecimalField(blank=True, decimal_places=2, max_digits=18, null=True)),
                (
                    "by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "finding",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="billing.finding",
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
        ),
        migrations.CreateModel(
            name="CheckSetting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("check_slug", models.CharField(max_length=40)),
                ("name", models.CharField(max_length=40)),
                ("value", models.DecimalField(decimal_places=6, max_digits=18)),
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
                        fields=("reseller", "check_slug", "name"), name="check_setting_once"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["reseller", "family", "state"], name="finding_family_state"),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["reseller", "customer"], name="finding_customer"),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.UniqueConstraint(
                fields=("reseller", "check_slug", "subject", "period"), name="finding_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_at__isnull", True), ("state__in", ["open", "accepted"])),
                    models.Q(("closed_at__isnull", False), ("state__in", ["fixed", "recovered"])),
                    _connector="OR",
                ),
                name="finding_closed",
            ),
        ),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "accepted"), _negated=True),
                    ("accepted_until__isnull", False),
                    _connector="OR",
                ),
                name="finding_accepted",
            ),
        ),
        migrations.AddIndex(
            model_name="findingevent",
            index=models.Index(fields=["reseller", "finding", "at"], name="finding_event_finding"),
        ),
        migrations.AddIndex(
            model_name="findingevent",
            index=models.Index(fields=["reseller", "kind", "at"], name="finding_event_kind"),
        ),
        ProtectTenantTable("billing_finding", "billing_findingevent", "billing_checksetting"),
    ]
