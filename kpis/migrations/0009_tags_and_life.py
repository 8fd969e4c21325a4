"""Customers' tags as keys of figures, what effectiveness takes as current, the median life, notes of what they read."""

import django.contrib.postgres.fields
from django.db import migrations, models

COLUMNS = (
    "dealer_id, status, segment, client_type, campaign, currency, is_test, imported, parent_id, postcode, tags, "
    "payment_method"
)
OLD = COLUMNS.removesuffix(", tags, payment_method")


def noted(columns: str) -> str:
    """Return the trigger that notes customers of whom one of these columns changed."""
    new, old = (", ".join(f"{alias}.{c}" for c in columns.split(", ")) for alias in "mo")
    return (
        "DROP TRIGGER kpis_columns ON billing_customer;"
        " CREATE TRIGGER kpis_columns AFTER UPDATE ON billing_customer"
        " REFERENCING NEW TABLE AS moved OLD TABLE AS past FOR EACH STATEMENT"
        f" EXECUTE FUNCTION kpis_note_columns('m.id', '{new}', '{old}');"
    )


RATES = " ".join(
    f"CREATE TRIGGER kpis_{event}_{side} AFTER {event} ON billing_tariffrate REFERENCING {side} TABLE AS moved"
    f" FOR EACH STATEMENT EXECUTE FUNCTION kpis_note_change('m.valid_from', 'NULL', '');"
    for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
)
UNRATES = " ".join(
    f"DROP TRIGGER kpis_{event}_{side} ON billing_tariffrate;"
    for event, side in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
)
#: Kaplan-Meier: stays from the shortest on, below zero those that are not over; of one length the ended ones first.
LIFE = """
CREATE FUNCTION kpis_median_life(stays numeric[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
DECLARE
    stay numeric;
    here numeric := 1;
    at_risk integer := cardinality(stays);
BEGIN
    FOREACH stay IN ARRAY stays LOOP
        IF stay > 0 THEN
            here := round(here * (at_risk - 1) / at_risk, 30);
            IF here <= 0.500000000000001 THEN
                RETURN stay;
            END IF;
        END IF;
        at_risk := at_risk - 1;
    END LOOP;
    RETURN NULL;
END $body$;
"""


class Migration(migrations.Migration):
    """The column, the setting, the function and the triggers."""

    dependencies = [
        ("billing", "0003_prices_and_suppliers"),
        ("kpis", "0008_thresholds"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40), blank=True, default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="kpisettings",
            name="cei_current",
            field=models.CharField(
                choices=[("not_due", "Debt not due yet"), ("days_60", "Debt at most 60 days past due")],
                db_default="not_due",
                default="not_due",
                max_length=8,
            ),
        ),
        migrations.RunSQL(noted(COLUMNS) + RATES, noted(OLD) + UNRATES),
        migrations.RunSQL(LIFE, "DROP FUNCTION kpis_median_life(numeric[]);"),
    ]
