"""Percentages and quantities that money is worked out with stay within what they can mean, however they are written."""

from django.db import migrations, models


def within(model: str, name: str, **condition: int) -> migrations.AddConstraint:
    """Return a check of a model's column."""
    check = models.CheckConstraint(condition=models.Q(**condition), name=name)
    return migrations.AddConstraint(model_name=model, constraint=check)


class Migration(migrations.Migration):
    """Four checks; forms and imports have kept to them so far."""

    dependencies = [("billing", "0007_lines_without_lookups")]

    operations = [
        within("feature", "feature_discount_percent", discount_percent__gte=0, discount_percent__lte=100),
        within(
            "featuretype",
            "feature_type_termination_percent",
            termination_percent__gte=0,
            termination_percent__lte=100,
        ),
        within("priceuplift", "price_uplift_percent", percent__gt=-100),
        within("carriercharge", "carrier_charge_quantity", quantity__gt=0),
    ]
