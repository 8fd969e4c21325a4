"""The list of mandates finds each customer's last collection without reading everybody's."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The index."""

    dependencies = [("billing", "0017_notice_given")]

    operations = [
        migrations.AddIndex(
            model_name="paymentattempt",
            index=models.Index(fields=["reseller", "customer", "submitted_date"], name="attempt_customer"),
        ),
    ]
