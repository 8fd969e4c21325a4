"""Account managers as keys of figures."""

from django.db import migrations, models

COLUMNS = (
    "dealer_id, status, segment, client_type, campaign, currency, is_test, imported, parent_id, postcode, tags, "
    "payment_method, account_manager_id"
)
OLD = COLUMNS.removesuffix(", account_manager_id")


def noted(columns: str) -> str:
    """Return the trigger that notes customers of whom one of these columns changed."""
    new, old = (", ".join(f"{alias}.{c}" for c in columns.split(", ")) for alias in "mo")
    return (
        "DROP TRIGGER kpis_columns ON billing_customer;"
        " CREATE TRIGGER kpis_columns AFTER UPDATE ON billing_customer"
        " REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT"
        f" EXECUTE FUNCTION kpis_note_columns('m.id', '{new}', '{old}');"
    )


class Migration(migrations.Migration):
    """The column and the trigger."""

    dependencies = [("kpis", "0014_notice_given")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="manager",
            field=models.CharField(blank=True, db_default="", max_length=20),
        ),
        migrations.RunSQL(noted(COLUMNS), noted(OLD)),
    ]
