"""An early-termination charge that is waived keeps its percentage: the feature may go on and end another time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column; ends waived before keep a percentage of nothing."""

    dependencies = [("billing", "0008_percentages_and_quantities")]

    operations = [
        migrations.AddField(
            model_name="feature",
            name="termination_waived",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
