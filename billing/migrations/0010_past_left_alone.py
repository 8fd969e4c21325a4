"""Indexes by which a month's work does not read the past: calls are kept once in order of time, and what a customer's
bills and a feature's charges reach up to is read from an index.
"""

from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Left
from django.db.models.lookups import Exact

# Keys of calls are hashes: with the time before them a file's calls go side by side into the index.
ONCE = """
DROP INDEX billing_call_once;
CREATE UNIQUE INDEX billing_call_once ON billing_call (reseller_id, started_at, dedupe_key);
"""
ONCE_BEFORE = """
DROP INDEX billing_call_once;
CREATE UNIQUE INDEX billing_call_once ON billing_call (reseller_id, dedupe_key, started_at);
"""


class Migration(migrations.Migration):
    """Four indexes; no row changes."""

    dependencies = [("billing", "0009_termination_waived")]

    operations = [
        migrations.RunSQL(ONCE, ONCE_BEFORE),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=Q(usage_before__isnull=False),
                fields=["reseller", "customer", "usage_before"],
                name="invoice_billed_until",
            ),
        ),
        migrations.AddIndex(
            model_name="charge",
            index=models.Index(
                condition=Q(feature__isnull=False) & Q(Exact(Left("source_key", 8), "feature:")),
                fields=["reseller", "feature"],
                include=["customer", "service_start", "service_end", "kind", "is_activation"],
                name="charge_of_feature",
            ),
        ),
        migrations.AddIndex(
            model_name="charge",
            index=models.Index(
                condition=Q(Exact(Left("source_key", 12), "termination:")),
                fields=["reseller", "feature"],
                name="charge_of_termination",
            ),
        ),
    ]
