"""Put core's tenant tables under row-level security."""

from django.db import migrations

from resellerkpi.core.rls import ProtectTenantTable


class Migration(migrations.Migration):
    """Tenant policy for jobs, files and audit."""

    dependencies = [("core", "0001_initial")]
    operations = [ProtectTenantTable("core_job", "core_artifact", "core_auditevent")]
