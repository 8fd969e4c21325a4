"""The fraud watch: usage by hour, spend limits, warnings and who is mailed about them."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable


class Migration(migrations.Migration):
    """Five tables under the tenant policy."""

    dependencies = [
        ("billing", "0014_three_way_match"),
        ("core", "0003_api_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SpendLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "per",
                    models.CharField(
                        choices=[("day", "A day"), ("month", "A calendar month")], default="day", max_length=5
                    ),
                ),
                (
                    "covers",
                    models.CharField(
                        choices=[
                            ("all", "All usage"),
                            ("abroad", "International calls"),
                            ("premium", "Premium calls"),
                            ("destination", "One destination"),
                        ],
                        default="all",
                        max_length=11,
                    ),
                ),
                ("destination", models.CharField(blank=True, max_length=120)),
                ("amount", models.DecimalField(decimal_places=2, max_digits=12)),
                ("currency", models.CharField(default="GBP", max_length=3)),
                ("warn_percent", models.PositiveSmallIntegerField(default=80)),
                ("start_date", models.DateField()),
                ("end_date", models.DateField(blank=True, null=True)),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="spend_limits",
                        to="billing.customer",
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
            name="FraudAlert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=200)),
                ("period", models.DateField()),
                (
                    "mark",
                    models.CharField(
                        choices=[
                            ("near", "Near the limit"),
                            ("over", "Over the limit"),
                            ("unusual", "Unusual usage"),
                        ],
                        max_length=7,
                    ),
                ),
                ("label", models.CharField(max_length=200)),
                ("why", models.TextField()),
                ("calls", models.PositiveIntegerField(default=0)),
                ("retail", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("cost", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("cost_currency", models.CharField(blank=True, max_length=3)),
                ("cells", models.JSONField(default=dict)),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("request", models.UUIDField(null=True)),
                ("resolved_at", models.DateTimeField(null=True)),
                ("resolution", models.CharField(blank=True, max_length=300)),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.customer",
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
                    "resolved_by",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "limit",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="billing.spendlimit",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("slot", models.PositiveSmallIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("national", "National"),
                            ("abroad", "International"),
                            ("premium", "Premium"),
                            ("message", "Messages"),
                            ("data", "Data"),
                        ],
                        max_length=8,
                    ),
                ),
                ("destination", models.CharField(max_length=120)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("cost_currency", models.CharField(blank=True, max_length=3)),
                ("calls", models.PositiveIntegerField()),
                ("seconds", models.BigIntegerField()),
                ("retail", models.DecimalField(decimal_places=6, max_digits=18)),
                ("cost", models.DecimalField(decimal_places=6, max_digits=18)),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.customer",
                    ),
                ),
                (
                    "number",
                    resellerkpi.core.fields.Link(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.number",
                    ),
                ),
                (
                    "reseller",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.reseller",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WatchedDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("changed_at", models.DateTimeField()),
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
            name="Watcher",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
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
                    "user",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="spendlimit",
            constraint=models.UniqueConstraint(
                fields=("reseller", "customer", "per", "covers", "destination", "start_date"),
                name="spend_limit_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="spendlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("covers", "destination"), models.Q(("destination", ""), _negated=True)),
                    models.Q(models.Q(("covers", "destination"), _negated=True), ("destination", "")),
                    _connector="OR",
                ),
                name="spend_limit_destination",
            ),
        ),
        migrations.AddConstraint(
            model_name="spendlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="spend_limit_amount"
            ),
        ),
        migrations.AddConstraint(
            model_name="spendlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(("warn_percent__gte", 1), ("warn_percent__lte", 100)),
                name="spend_limit_warn",
            ),
        ),
        migrations.AddConstraint(
            model_name="spendlimit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("end_date", None), ("end_date__gt", models.F("start_date")), _connector="OR"
                ),
                name="spend_limit_days",
            ),
        ),
        migrations.AddIndex(
            model_name="fraudalert",
            index=models.Index(fields=["reseller", "-last_seen"], name="fraud_alert_seen"),
        ),
        migrations.AddConstraint(
            model_name="fraudalert",
            constraint=models.UniqueConstraint(
                fields=("reseller", "subject", "period", "mark"), name="fraud_alert_once"
            ),
        ),
        migrations.AddIndex(
            model_name="usagehour",
            index=models.Index(fields=["reseller", "day"], name="usage_hour_day"),
        ),
        migrations.AddIndex(
            model_name="usagehour",
            index=models.Index(fields=["reseller", "customer", "day"], name="usage_hour_customer"),
        ),
        migrations.AddIndex(
            model_name="usagehour",
            index=models.Index(
                condition=models.Q(("kind__in", ["abroad", "premium"])),
                fields=["reseller", "destination", "day"],
                name="usage_hour_dear",
            ),
        ),
        migrations.AddConstraint(
            model_name="watchedday",
            constraint=models.UniqueConstraint(fields=("reseller", "day"), name="watched_day_once"),
        ),
        migrations.AddConstraint(
            model_name="watcher",
            constraint=models.UniqueConstraint(fields=("reseller", "user"), name="watcher_once"),
        ),
        ProtectTenantTable(
            "billing_usagehour",
            "billing_watchedday",
            "billing_spendlimit",
            "billing_fraudalert",
            "billing_watcher",
        ),
    ]
