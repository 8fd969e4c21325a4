"""What a call's own tariff added to a service charge, kept with the call: its price can be worked out again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column of the call table and its partitions; empty for calls without a service charge."""

    dependencies = [("billing", "0003_prices_and_suppliers")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE billing_call ADD COLUMN access_charge numeric(18,8)",
            "ALTER TABLE billing_call DROP COLUMN access_charge",
            state_operations=[
                migrations.AddField(
                    "call",
                    "access_charge",
                    models.DecimalField(max_digits=18, decimal_places=8, null=True),
                )
            ],
        )
    ]
