"""More facts, closed months, settings; a noted change names its customers when there are few of them."""

import django.db.models.deletion
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable

# Table: (the earliest day a row of it can matter, whose it is, what it is joined with). No customer: everybody's.
OWN = "m.customer_id"
DAYS = {
    "billing_numberassignment": ("m.start_date", OWN, ""),
    "billing_feature": ("m.start_date - 90", OWN, ""),
    "billing_featureprice": ("m.valid_from", "", ""),
    "billing_customerevent": ("m.date", OWN, ""),
    "billing_invoice": ("m.invoice_date", OWN, ""),
    "billing_creditnote": ("m.date", OWN, ""),
    "billing_allocation": ("m.date", "i.customer_id", "JOIN billing_invoice i ON i.id = m.invoice_id"),
    "billing_payment": ("m.received_date", OWN, ""),
    "billing_paymentattempt": ("m.submitted_date", OWN, ""),
    "billing_charge": ("m.service_start", OWN, ""),
    "billing_ledgerentry": ("m.date", OWN, ""),
    "billing_observation": ("m.date", "", ""),
    "billing_exchangerate": ("m.date", "", ""),
    "billing_carriercharge": (
        "least(m.service_start, i.invoice_date)",
        "",
        "JOIN billing_carrierinvoice i ON i.id = m.invoice_id",
    ),
}
#: Columns whose change matters on any day, per table; a customer's are his own.
COLUMNS = {
    "billing_customer": "dealer_id, status, segment, client_type, campaign, currency, is_test, imported, parent_id, "
    "postcode",
    "billing_featuretype": "code, kind, interval, currency, ladder, level, own_name, own_bill, own_support, per_number",
    "billing_number": "type",
}
TABLES = [
    "account",
    "close",
    "dynamicsfact",
    "frozen",
    "kpisettings",
    "linefact",
    "movementfact",
    "trafficfact",
]
FEW = 500

CHANGED = f"""
CREATE FUNCTION kpis_note_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    EXECUTE format(
        'WITH touched AS (SELECT m.reseller_id, %s::bigint AS customer_id, min(%s) AS day FROM moved m %s'
        ' GROUP BY 1, 2),'
        ' sizes AS (SELECT reseller_id, count(*) AS customers FROM touched GROUP BY 1)'
        ' INSERT INTO kpis_change (reseller_id, customer_id, day)'
        ' SELECT t.reseller_id, CASE WHEN s.customers <= {FEW} THEN t.customer_id END, min(t.day)'
        ' FROM touched t JOIN sizes s USING (reseller_id) GROUP BY 1, 2',
        TG_ARGV[1], TG_ARGV[0], TG_ARGV[2]);
    RETURN NULL;
END $body$;
CREATE FUNCTION kpis_note_columns() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    EXECUTE format(
        'WITH touched AS (SELECT m.reseller_id, %s::bigint AS customer_id FROM moved m JOIN past o ON o.id = m.id'
        ' WHERE (%s) IS DISTINCT FROM (%s) GROUP BY 1, 2),'
        ' sizes AS (SELECT reseller_id, count(*) AS customers FROM touched GROUP BY 1)'
        ' INSERT INTO kpis_change (reseller_id, customer_id)'
        ' SELECT DISTINCT t.reseller_id, CASE WHEN s.customers <= {FEW} THEN t.customer_id END'
        ' FROM touched t JOIN sizes s USING (reseller_id)',
        TG_ARGV[0], TG_ARGV[1], TG_ARGV[2]);
    RETURN NULL;
END $body$;
"""
DROPPED = "DROP FUNCTION kpis_note_change() CASCADE; DROP FUNCTION IF EXISTS kpis_note_customer() CASCADE;"


def triggers() -> str:
    """Return the SQL that sets the functions and the triggers of every table."""
    made = [DROPPED, CHANGED]
    for table, (day, customer, joined) in DAYS.items():
        for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
            made.append(
                f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON {table} "
                f"REFERENCING {side} TABLE AS moved FOR EACH STATEMENT "
                f"EXECUTE FUNCTION kpis_note_change('{day}', '{customer or 'NULL'}', '{joined}');"
            )
    for table, columns in COLUMNS.items():
        new, old = (", ".join(f"{alias}.{c}" for c in columns.split(", ")) for alias in "mo")
        whose = "m.id" if table == "billing_customer" else "NULL"
        made.append(
            f"CREATE TRIGGER kpis_columns AFTER UPDATE ON {table} "
            "REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT "
            f"EXECUTE FUNCTION kpis_note_columns('{whose}', '{new}', '{old}');"
        )
    return "\n".join(made)


class Migration(migrations.Migration):
    """The tables, their policies, and the triggers that note what changed and whose."""

    dependencies = [
        ("billing", "0003_prices_and_suppliers"),
        ("kpis", "0002_protection_and_changes"),
    ]

    operations = [
        migrations.AddField(
            model_name="change",
            name="customer_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="customerfact",
            name="in_period",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="customerfact",
            name="reason",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="customerfact",
            name="since",
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="committed",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="committed_months",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="cost",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="ending",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="expiring",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="list_mrr",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="mrr_past",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="quantity_past",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="featurefact",
            name="starting",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="fill",
            name="since",
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="credited_gross",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="disputed",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="on_account",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="refunded",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="settled_cash",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="settled_credit",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="moneyfact",
            name="written_off",
            field=models.DecimalField(decimal_places=6, default=0, max_digits=24),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="base",
            field=models.DecimalField(decimal_places=6, max_digits=30, null=True),
        ),
        migrations.AlterField(
            model_name="snapshot",
            name="denominator",
            field=models.DecimalField(decimal_places=6, max_digits=36, null=True),
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("holder", models.BigIntegerField()),
                ("status", models.CharField(max_length=10)),
                ("imported", models.BooleanField()),
                ("currency", models.CharField(max_length=3)),
                ("dealer_id", models.BigIntegerField(null=True)),
                ("dealer", models.CharField(blank=True, max_length=40)),
                ("segment", models.CharField(blank=True, max_length=60)),
                ("client_type", models.CharField(max_length=12)),
                ("campaign", models.CharField(blank=True, max_length=80)),
                ("region", models.CharField(blank=True, max_length=12)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("reseller", "customer"), name="kpi_account_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Close",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("closed_at", models.DateTimeField()),
                ("by_hand", models.BooleanField(default=False)),
                ("as_of", models.DateTimeField()),
                ("settings", models.JSONField(default=dict)),
                ("completeness", models.JSONField(default=dict)),
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
                "constraints": [models.UniqueConstraint(fields=("reseller", "month"), name="close_once")],
            },
        ),
        migrations.CreateModel(
            name="DynamicsFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("currency", models.CharField(max_length=3)),
                ("balance", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("refills", models.IntegerField()),
                ("refilled", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("activations", models.IntegerField()),
                ("activated", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("renewals", models.IntegerField()),
                ("renewed", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("charged", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reseller", "month", "customer", "currency"), name="dynamics_fact_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Frozen",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kpi", models.CharField(max_length=60)),
                ("version", models.PositiveSmallIntegerField()),
                ("dimension", models.CharField(blank=True, max_length=20)),
                ("key", models.CharField(blank=True, max_length=120)),
                ("month", models.DateField()),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("numerator", models.DecimalField(decimal_places=6, max_digits=30)),
                ("denominator", models.DecimalField(decimal_places=6, max_digits=36, null=True)),
                ("base", models.DecimalField(decimal_places=6, max_digits=30, null=True)),
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
                    models.Index(fields=["reseller", "dimension", "month"], name="frozen_dimension_month")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reseller", "kpi", "dimension", "month", "key", "currency"),
                        name="frozen_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="KpiSettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "churn_base",
                    models.CharField(
                        choices=[
                            ("start", "Customers at the start of the period"),
                            ("average", "Average of the customers at its start and its close"),
                        ],
                        default="start",
                        max_length=8,
                    ),
                ),
                (
                    "count_by",
                    models.CharField(
                        choices=[
                            ("account", "Each account"),
                            ("group", "Each group: accounts under one parent count once"),
                        ],
                        default="account",
                        max_length=8,
                    ),
                ),
                ("reactivation_window_days", models.PositiveIntegerField(blank=True, null=True)),
                ("count_in_period", models.BooleanField(default=False)),
                ("nrr_reactivation", models.BooleanField(default=False)),
                ("quick_ratio_reactivation", models.BooleanField(default=False)),
                ("small_base", models.PositiveIntegerField(default=20)),
                (
                    "ageing_basis",
                    models.CharField(
                        choices=[("due_date", "Due date"), ("invoice_date", "Invoice date")],
                        default="due_date",
                        max_length=12,
                    ),
                ),
                ("loss_not_due", models.DecimalField(decimal_places=2, default=1, max_digits=5)),
                ("loss_30", models.DecimalField(decimal_places=2, default=3, max_digits=5)),
                ("loss_60", models.DecimalField(decimal_places=2, default=10, max_digits=5)),
                ("loss_90", models.DecimalField(decimal_places=2, default=25, max_digits=5)),
                ("loss_more", models.DecimalField(decimal_places=2, default=50, max_digits=5)),
                ("active_months", models.PositiveSmallIntegerField(default=1)),
                ("life_cap_months", models.PositiveSmallIntegerField(default=120)),
                ("close_after_days", models.PositiveSmallIntegerField(default=5)),
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
                    models.UniqueConstraint(fields=("reseller",), name="kpi_settings_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("active_months__gte", 1),
                            ("active_months__lte", 24),
                            ("small_base__gte", 1),
                            ("close_after_days__lte", 31),
                            ("life_cap_months__gte", 1),
                        ),
                        name="kpi_settings_ranges",
                    ),
                    models.CheckConstraint(
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
                        ),
                        name="kpi_settings_losses",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LineFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("currency", models.CharField(max_length=3)),
                ("kind", models.CharField(max_length=12)),
                ("call_class", models.CharField(blank=True, max_length=30)),
                ("lines", models.IntegerField()),
                ("net", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("cost", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("calls", models.BigIntegerField()),
                ("seconds", models.BigIntegerField()),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reseller", "month", "customer", "currency", "kind", "call_class"),
                        name="line_fact_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MovementFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("currency", models.CharField(max_length=3)),
                ("mrr_past", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("mrr", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("seen_before", models.BooleanField()),
                ("home_past", models.DecimalField(decimal_places=6, max_digits=24, null=True)),
                ("home_same", models.DecimalField(decimal_places=6, max_digits=24, null=True)),
                ("home", models.DecimalField(decimal_places=6, max_digits=24, null=True)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reseller", "month", "customer", "currency"), name="movement_fact_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TrafficFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("carrier_id", models.BigIntegerField()),
                ("service", models.CharField(max_length=5)),
                ("destination", models.CharField(blank=True, max_length=120)),
                ("state", models.CharField(max_length=8)),
                ("reason", models.CharField(blank=True, max_length=16)),
                ("currency", models.CharField(blank=True, max_length=3)),
                ("calls", models.BigIntegerField()),
                ("seconds", models.BigIntegerField()),
                ("retail", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("cost", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "reseller",
                            "month",
                            "carrier_id",
                            "service",
                            "destination",
                            "state",
                            "reason",
                            "currency",
                        ),
                        name="traffic_fact_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UsageFact",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField()),
                ("day", models.DateField()),
                ("carrier_id", models.BigIntegerField()),
                ("service", models.CharField(max_length=5)),
                ("call_class", models.CharField(blank=True, max_length=30)),
                ("currency", models.CharField(max_length=3)),
                ("calls", models.BigIntegerField()),
                ("seconds", models.BigIntegerField()),
                ("volume", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("retail", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("cost", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("estimated", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
                ("losing", models.BigIntegerField()),
                ("lost", models.DecimalField(decimal_places=6, default=0, max_digits=24)),
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
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "reseller",
                            "month",
                            "customer",
                            "carrier_id",
                            "service",
                            "call_class",
                            "currency",
                        ),
                        name="usage_fact_once",
                    )
                ],
            },
        ),
        ProtectTenantTable(*[f"kpis_{table}" for table in [*TABLES, "usagefact"]]),
        migrations.RunSQL(triggers(), "DROP FUNCTION kpis_note_change() CASCADE;"),
    ]
