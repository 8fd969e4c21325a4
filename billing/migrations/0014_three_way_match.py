"""What the three-way match keeps of each service and month."""

import django.db.models.deletion
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable


class Migration(migrations.Migration):
    """Two tables under the tenant policy."""

    dependencies = [
        ("billing", "0013_looked_at"),
        ("core", "0003_api_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="MatchedMonth",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("matched_at", models.DateTimeField()),
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
                    models.UniqueConstraint(fields=("reseller", "month"), name="matched_month_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ServiceMatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("key", models.CharField(max_length=60)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pbs", "All three"),
                            ("pb", "No supplier charge"),
                            ("ps", "Not billed"),
                            ("p", "Provided only"),
                            ("bs", "Not provided"),
                            ("b", "Billed only"),
                            ("s", "Supplier charge only"),
                            ("open", "Line to be allocated"),
                            ("left", "Line left out"),
                        ],
                        max_length=4,
                    ),
                ),
                (
                    "finding",
                    models.CharField(
                        choices=[
                            ("agrees", "As expected"),
                            ("supplier_more", "Supplier charges more than agreed"),
                            ("supplier_units", "Supplier charges more units than provided"),
                            ("billed_fewer", "Fewer units billed than provided"),
                            ("below_cost", "Billed for less than it costs"),
                            ("no_supplier", "No supplier charges for it"),
                            ("not_itemised", "Supplier’s bills do not list this product"),
                            ("bill_missing", "Supplier’s bill is not here yet"),
                            ("no_charge", "Supplier’s bill is here without it"),
                            ("marked_free", "Marked as not charged"),
                            ("price_zero", "Has a price of 0 of its own"),
                            ("not_billed", "Not billed to the customer"),
                            ("no_rental", "Number that no feature rents"),
                            ("bill_waits", "Customer’s bill is not made yet"),
                            ("nothing_due", "Nothing to bill or to pay"),
                            ("own_use", "Test or own use"),
                            ("billed_ended", "Billed after it ended"),
                            ("still_charged", "Supplier charges for what is not provided"),
                            ("open", "To be allocated"),
                            ("left_out", "Left out"),
                        ],
                        max_length=14,
                    ),
                ),
                (
                    "attention",
                    models.CharField(
                        choices=[
                            ("loss", "Loses money"),
                            ("check", "To be checked"),
                            ("wait", "Waits for a bill"),
                            ("fine", "Fine"),
                        ],
                        max_length=5,
                    ),
                ),
                (
                    "supplier",
                    models.CharField(
                        choices=[
                            ("billed", "Charged"),
                            ("absent", "Not charged"),
                            ("missing", "Bill not here yet"),
                            ("unlisted", "Product not on its bills"),
                            ("none", "Nothing expected"),
                        ],
                        max_length=8,
                    ),
                ),
                ("days", models.PositiveSmallIntegerField(default=0)),
                ("quantity", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("billed_quantity", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("supplied_quantity", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("expected_price", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("billed", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("waiting", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("currency", models.CharField(max_length=3)),
                ("expected_cost", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("supplied", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("cost_currency", models.CharField(max_length=3)),
                ("at_risk", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                ("risk_currency", models.CharField(max_length=3)),
                ("since", models.DateField()),
                ("months", models.PositiveSmallIntegerField(default=1)),
                ("to_date", models.DecimalField(decimal_places=6, default=0, max_digits=18)),
                (
                    "carrier",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.carrier",
                    ),
                ),
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
                    "feature",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.feature",
                    ),
                ),
                (
                    "feature_type",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.featuretype",
                    ),
                ),
                (
                    "line",
                    resellerkpi.core.fields.Link(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="billing.carriercharge",
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
                    models.Index(fields=["reseller", "month", "state"], name="service_match_state"),
                    models.Index(fields=["reseller", "customer", "month"], name="service_match_customer"),
                    models.Index(fields=["reseller", "number", "month"], name="service_match_number"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("reseller", "month", "key"), name="service_match_once")
                ],
            },
        ),
        ProtectTenantTable("billing_matchedmonth", "billing_servicematch"),
    ]
