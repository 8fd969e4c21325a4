"""A function by which a refresh lets the database count the facts it has just made, inside its own transaction."""

from django.db import migrations

TABLES = (
    *("account", "customerfact", "numberfact", "featurefact", "movementfact", "moneyfact", "linefact"),
    *("dynamicsfact", "usagefact", "trafficfact", "callingfact"),
)
# Plans made without statistics go badly wrong; ANALYZE asks for the owner's rights.
FUNCTION = f"""
CREATE FUNCTION analyze_facts() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $body$
BEGIN
    ANALYZE {", ".join(f"kpis_{table}" for table in TABLES)};
END $body$;
"""


class Migration(migrations.Migration):
    """The function."""

    dependencies = [("kpis", "0005_campaigns")]
    operations = [migrations.RunSQL(FUNCTION, "DROP FUNCTION analyze_facts();")]
