"""The day a customer gave notice, beside the day it left."""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    """The column and what it may hold."""

    dependencies = [("billing", "0016_register_ledger")]

    operations = [
        migrations.AddField(
            model_name="customerevent",
            name="notice_date",
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name="customerevent",
            constraint=models.CheckConstraint(
                name="customer_event_notice",
                condition=models.Q(notice_date__isnull=True)
                | models.Q(status="ceased", notice_date__lte=django.db.models.expressions.F("date")),
            ),
        ),
    ]
