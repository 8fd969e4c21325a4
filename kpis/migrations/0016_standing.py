"""The status of an account at every close beside its other keys, so that figures by status look into one table."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """The two columns; they are filled by the next refresh, which a new version of the product makes from nothing."""

    dependencies = [("kpis", "0015_account_managers")]
    operations = [
        migrations.AddField(
            "account",
            "statuses",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=10), blank=True, default=list
            ),
        ),
        migrations.AddField("account", "statuses_from", models.DateField(null=True)),
    ]
