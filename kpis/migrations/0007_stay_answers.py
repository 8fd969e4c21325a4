"""The stay question and its answers, and the look-up of whose link one is, which crosses houses by its hash alone."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import resellerkpi.core.fields
from resellerkpi.core.rls import ProtectTenantTable

# As in the share links of reports: every house is in scope for the one look-up, then the scope is put back.
STAY_RESELLER = """
CREATE FUNCTION stay_reseller(hash text, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    outer_scope text := coalesce(current_setting('rk.resellers', true), '');
    found bigint;
BEGIN
    PERFORM set_config('rk.resellers', (SELECT coalesce(array_agg(id), '{}')::text FROM core_reseller), true);
    SELECT asked.reseller_id INTO found FROM kpis_stayanswer asked
    WHERE asked.reseller_id = ANY (SELECT id FROM core_reseller)
        AND asked.token_hash = hash AND asked.token_hash <> '' AND asked.expires_at > at;
    PERFORM set_config('rk.resellers', outer_scope, true);
    RETURN found;
END $body$;
"""


class Migration(migrations.Migration):
    """The table with its policy, and the look-up."""

    dependencies = [
        ("billing", "0008_percentages_and_quantities"),
        ("core", "0003_api_keys"),
        ("kpis", "0006_statistics"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StayAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("token_hash", models.CharField(blank=True, max_length=64)),
                ("expires_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("price", "The price"),
                            ("service", "Service and support"),
                            ("reliability", "It works"),
                            ("features", "The features"),
                            ("people", "The people"),
                            ("contract", "The contract"),
                            ("habit", "No reason to change"),
                            ("other", "Other"),
                        ],
                        max_length=16,
                    ),
                ),
                ("words", models.TextField(blank=True)),
                (
                    "asked_by",
                    resellerkpi.core.fields.Link(
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
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stay_answers",
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
            options={
                "indexes": [
                    models.Index(fields=["reseller", "customer", "asked_at"], name="stay_answer_customer")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("answered_at__isnull", True), ("reason", "")),
                            models.Q(("answered_at__isnull", False), models.Q(("reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="stay_answer_has_reason",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("token_hash", ""), _negated=True),
                        fields=("reseller", "token_hash"),
                        name="stay_answer_token",
                    ),
                ],
            },
        ),
        ProtectTenantTable("kpis_stayanswer"),
        migrations.RunSQL(STAY_RESELLER, "DROP FUNCTION stay_reseller(text, timestamptz);"),
    ]
