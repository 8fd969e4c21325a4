"""The tariff that replaces a superseded one, named before anybody moves there."""

from django.db import migrations
from django.db.models.deletion import PROTECT

from resellerkpi.core.fields import Link


class Migration(migrations.Migration):
    """Add the successor of a tariff."""

    dependencies = [("billing", "0011_findings")]

    operations = [
        migrations.AddField(
            model_name="tariff",
            name="successor",
            field=Link(
                to="billing.tariff", blank=True, null=True, on_delete=PROTECT, related_name="predecessors"
            ),
        ),
    ]
