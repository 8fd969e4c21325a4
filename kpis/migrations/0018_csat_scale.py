"""The scale on which customers are asked how satisfied they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The setting."""

    dependencies = [("kpis", "0017_cac_lag")]

    operations = [
        migrations.AddField(
            model_name="kpisettings",
            name="csat_scale",
            field=models.CharField(
                choices=[
                    ("1-5", "1 to 5; satisfied are 4 and 5"),
                    ("1-10", "1 to 10; satisfied are 8 to 10"),
                ],
                db_default="1-5",
                default="1-5",
                max_length=4,
            ),
        ),
    ]
