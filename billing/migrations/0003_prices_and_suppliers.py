"""Prices and suppliers: access charges, markups by class, allowances that roll over, carriers' bills, uplifts."""

from decimal import Decimal

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable

TABLES = ["carriercharge", "carrierinvoice", "priceuplift", "tariffmarkup"]


class Migration(migrations.Migration):
    """New tables under the tenant policy, new columns with their defaults."""

    dependencies = [
        ("billing", "0002_usage_and_protection"),
        ("core", "0002_protect"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CarrierCharge",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("line", models.PositiveIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("rental", "Rental"),
                            ("one_off", "One-off"),
                            ("usage", "Usage"),
                            ("credit", "Credit"),
                        ],
                        default="rental",
                        max_length=8,
                    ),
                ),
                ("reference", models.CharField(blank=True, max_length=80)),
                ("product", models.CharField(blank=True, max_length=80)),
                ("description", models.CharField(max_length=200)),
                ("service_start", models.DateField()),
                ("service_end", models.DateField()),
                ("quantity", models.DecimalField(decimal_places=6, default=1, max_digits=18)),
                ("amount", models.DecimalField(decimal_places=6, max_digits=18)),
                ("retail", models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "To be allocated"),
                            ("allocated", "Allocated"),
                            ("ignored", "Left out"),
                        ],
                        default="open",
                        max_length=9,
                    ),
                ),
                (
                    "found",
                    models.CharField(
                        blank=True, choices=[("reference", "By reference"), ("hand", "By hand")], max_length=9
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="CarrierInvoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.CharField(max_length=80)),
                ("invoice_date", models.DateField()),
                ("period_start", models.DateField(blank=True, null=True)),
                ("period_end", models.DateField(blank=True, null=True)),
                ("currency", models.CharField(max_length=3)),
                ("net", models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True)),
                ("file_name", models.CharField(blank=True, max_length=200)),
                ("loaded_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="PriceUplift",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("index", models.CharField(blank=True, max_length=12)),
                ("index_percent", models.DecimalField(decimal_places=3, default=0, max_digits=7)),
                ("plus_percent", models.DecimalField(decimal_places=3, default=0, max_digits=7)),
                ("percent", models.DecimalField(decimal_places=3, max_digits=7)),
                ("effective_date", models.DateField()),
                ("round_to", models.DecimalField(decimal_places=4, default=Decimal("0.01"), max_digits=8)),
                ("scope", models.JSONField(default=dict)),
                ("summary", models.JSONField(default=dict)),
                ("applied_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="TariffMarkup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("call_class", models.CharField(max_length=30)),
                ("percent", models.DecimalField(decimal_places=2, max_digits=7)),
            ],
        ),
        migrations.AddField(
            model_name="bundle",
            name="member_cap",
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name="bundle",
            name="rollover_cap",
            field=models.DecimalField(blank=True, decimal_places=6, max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name="bundle",
            name="rollover_months",
            field=models.PositiveSmallIntegerField(default=0, db_default=0),
        ),
        migrations.AddField(
            model_name="bundle",
            name="valid_from",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="bundle",
            name="valid_to",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="feature",
            name="continues",
            field=resellerkpi.core.fields.Link(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="continued_by",
                to="billing.feature",
            ),
        ),
        migrations.AddField(
            model_name="featuretype",
            name="termination_percent",
            field=models.DecimalField(decimal_places=2, default=0, db_default=0, max_digits=5),
        ),
        migrations.AddField(
            model_name="tariff",
            name="access_charge",
            field=models.DecimalField(blank=True, decimal_places=8, max_digits=18, null=True),
        ),
        migrations.AddField(
            model_name="tariffrate",
            name="is_service_charge",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddConstraint(
            model_name="bundle",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("member_cap__isnull", True), ("member_cap__gt", 0), _connector="OR"),
                    models.Q(("rollover_cap__isnull", True), ("rollover_cap__gt", 0), _connector="OR"),
                    ("rollover_months__lte", 12),
                ),
                name="bundle_caps",
            ),
        ),
        migrations.AddConstraint(
            model_name="bundle",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_from__isnull", True),
                    ("valid_to__isnull", True),
                    ("valid_to__gt", models.F("valid_from")),
                    _connector="OR",
                ),
                name="bundle_dates",
            ),
        ),
        migrations.AddConstraint(
            model_name="feature",
            constraint=models.UniqueConstraint(
                fields=("reseller", "continues"), name="feature_continued_once"
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="charge",
            field=resellerkpi.core.fields.Link(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="carrier_charges",
                to="billing.charge",
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="customer",
            field=resellerkpi.core.fields.Link(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="carrier_charges",
                to="billing.customer",
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="feature",
            field=resellerkpi.core.fields.Link(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="carrier_charges",
                to="billing.feature",
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="number",
            field=resellerkpi.core.fields.Link(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="carrier_charges",
                to="billing.number",
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="reseller",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.AddField(
            model_name="carrierinvoice",
            name="carrier",
            field=resellerkpi.core.fields.Link(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bills",
                to="billing.carrier",
            ),
        ),
        migrations.AddField(
            model_name="carrierinvoice",
            name="loaded_by",
            field=resellerkpi.core.fields.Link(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="carrierinvoice",
            name="reseller",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.AddField(
            model_name="carriercharge",
            name="invoice",
            field=resellerkpi.core.fields.Link(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="charges",
                to="billing.carrierinvoice",
            ),
        ),
        migrations.AddField(
            model_name="priceuplift",
            name="applied_by",
            field=resellerkpi.core.fields.Link(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="priceuplift",
            name="reseller",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.AddField(
            model_name="tariffmarkup",
            name="reseller",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="core.reseller",
            ),
        ),
        migrations.AddField(
            model_name="tariffmarkup",
            name="tariff",
            field=resellerkpi.core.fields.Link(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="markups",
                to="billing.tariff",
            ),
        ),
        migrations.AddIndex(
            model_name="carrierinvoice",
            index=models.Index(fields=["reseller", "invoice_date"], name="carrier_invoice_date"),
        ),
        migrations.AddConstraint(
            model_name="carrierinvoice",
            constraint=models.UniqueConstraint(
                fields=("reseller", "carrier", "number"), name="carrier_invoice_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="carrierinvoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("period_end__isnull", True),
                    ("period_end__gt", models.F("period_start")),
                    _connector="OR",
                ),
                name="carrier_invoice_period",
            ),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "state", "invoice"], name="carrier_charge_state"),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "reference"], name="carrier_charge_reference"),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "customer"], name="carrier_charge_customer"),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "number"], name="carrier_charge_number"),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "feature"], name="carrier_charge_feature"),
        ),
        migrations.AddIndex(
            model_name="carriercharge",
            index=models.Index(fields=["reseller", "charge"], name="carrier_charge_charge"),
        ),
        migrations.AddConstraint(
            model_name="carriercharge",
            constraint=models.UniqueConstraint(
                fields=("reseller", "invoice", "line"), name="carrier_charge_line"
            ),
        ),
        migrations.AddConstraint(
            model_name="carriercharge",
            constraint=models.CheckConstraint(
                condition=models.Q(("service_end__gt", models.F("service_start"))),
                name="carrier_charge_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="carriercharge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "allocated"), _negated=True),
                    ("customer__isnull", False),
                    ("number__isnull", False),
                    ("feature__isnull", False),
                    _connector="OR",
                ),
                name="carrier_charge_allocated",
            ),
        ),
        migrations.AddConstraint(
            model_name="priceuplift",
            constraint=models.UniqueConstraint(fields=("reseller", "name"), name="price_uplift_name"),
        ),
        migrations.AddConstraint(
            model_name="priceuplift",
            constraint=models.CheckConstraint(
                condition=models.Q(("round_to__gt", 0)), name="price_uplift_round_to"
            ),
        ),
        migrations.AddConstraint(
            model_name="tariffmarkup",
            constraint=models.UniqueConstraint(
                fields=("reseller", "tariff", "call_class"), name="tariff_markup_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="tariffmarkup",
            constraint=models.CheckConstraint(
                condition=models.Q(("percent__gt", -100)), name="tariff_markup_percent"
            ),
        ),
        ProtectTenantTable(*[f"billing_{table}" for table in TABLES]),
    ]
