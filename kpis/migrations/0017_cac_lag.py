"""Of how many months before the cost of winning customers is."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """The setting and its range."""

    dependencies = [("kpis", "0016_standing")]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="cac_lag_months",
            field=models.PositiveSmallIntegerField(
                db_default=0, default=0, validators=[django.core.validators.MaxValueValidator(6)]
            ),
        ),
        migrations.AddConstraint(
            model_name="kpisettings",
            constraint=models.CheckConstraint(
                condition=models.Q(("cac_lag_months__lte", 6)), name="kpi_settings_lag"
            ),
        ),
    ]
