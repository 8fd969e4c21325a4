"""What ending a feature inside its term costs, agreed when it was sold: later catalogue changes do not touch it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A percentage on each feature; nothing for those there are."""

    dependencies = [("billing", "0004_access_charge_of_calls")]

    operations = [
        migrations.AddField(
            model_name="feature",
            name="termination_percent",
            field=models.DecimalField(decimal_places=2, default=0, db_default=0, max_digits=5),
        ),
        migrations.AddConstraint(
            model_name="feature",
            constraint=models.CheckConstraint(
                condition=models.Q(("termination_percent__gte", 0)), name="feature_termination_percent"
            ),
        ),
    ]
