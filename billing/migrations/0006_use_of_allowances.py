"""What came of allowances by month, and what calls drew from a second allowance."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable


class Migration(migrations.Migration):
    """Two tables under the tenant policy."""

    dependencies = [
        ("billing", "0005_termination_percent_of_features"),
        ("core", "0002_protect"),
    ]

    operations = [
        migrations.CreateModel(
            name="AllowanceUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("granted", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("carried_in", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("used", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("drawn", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("overdrawn", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("expired", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                (
                    "carried_out",
                    models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18),
                ),
                ("lots", models.JSONField(default=list)),
                ("overflow", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                ("overflow_calls", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "overflow_charge",
                    models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18, null=True),
                ),
                ("currency", models.CharField(blank=True, max_length=3)),
                (
                    "bundle",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="use",
                        to="billing.bundle",
                    ),
                ),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="allowance_use",
                        to="billing.customer",
                    ),
                ),
                (
                    "number",
                    resellerkpi.core.fields.Link(
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
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.reseller",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["reseller", "customer", "month"], name="allowance_use_customer")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reseller", "month", "customer", "bundle", "number"),
                        name="allowance_use_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "granted",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("used"), "+", models.F("expired")
                                            ),
                                            "+",
                                            models.F("carried_out"),
                                        ),
                                        "-",
                                        models.F("carried_in"),
                                    ),
                                    "-",
                                    models.F("overdrawn"),
                                ),
                            )
                        ),
                        name="allowance_use_adds_up",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SecondDraw",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("call_id", models.BigIntegerField()),
                ("started_at", models.DateTimeField()),
                ("drawn", models.DecimalField(db_default=0, decimal_places=6, default=0, max_digits=18)),
                (
                    "bundle",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.bundle",
                    ),
                ),
                (
                    "customer",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.customer",
                    ),
                ),
                (
                    "number",
                    resellerkpi.core.fields.Link(
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
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.reseller",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["reseller", "customer", "started_at"], name="second_draw_customer"),
                    models.Index(fields=["reseller", "call_id"], name="second_draw_call"),
                ],
            },
        ),
        ProtectTenantTable("billing_allowanceuse", "billing_seconddraw"),
    ]
