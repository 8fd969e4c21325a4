"""Keys for machines, under the tenant policy, and the look-up of a key's reseller by its hash."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from resellerkpi.core.rls import ProtectTenantTable

# Whoever sends a key has no scope yet. This function alone looks at all resellers' keys: it gives back nothing but
# whose key a live hash is, and puts the setting back.
API_KEY_RESELLER = """
CREATE FUNCTION api_key_reseller(hash text, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    outer_scope text := coalesce(current_setting('rk.resellers', true), '');
    found bigint;
BEGIN
    PERFORM set_config('rk.resellers', (SELECT coalesce(array_agg(id), '{}')::text FROM core_reseller), true);
    SELECT key.reseller_id INTO found FROM core_apikey key
    WHERE key.reseller_id = ANY (SELECT id FROM core_reseller)
        AND key.token_hash = hash AND key.revoked_at IS NULL AND key.expires_at > at;
    PERFORM set_config('rk.resellers', outer_scope, true);
    RETURN found;
END $body$;
"""


class Migration(migrations.Migration):
    """Keys and their look-up."""

    dependencies = [
        ("core", "0002_protect"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("hint", models.CharField(max_length=8)),
                ("token_hash", models.CharField(max_length=64)),
                (
                    "sees",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), default=list, size=None
                    ),
                ),
                ("dealer_id", models.BigIntegerField(blank=True, null=True)),
                ("in_address", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                (
                    "created_by",
                    models.ForeignKey(
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
                    models.UniqueConstraint(fields=("reseller", "token_hash"), name="api_key_token_once"),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))), name="api_key_expiry"
                    ),
                ],
            },
        ),
        ProtectTenantTable("core_apikey"),
        migrations.RunSQL(API_KEY_RESELLER, "DROP FUNCTION api_key_reseller(text, timestamptz);"),
    ]
