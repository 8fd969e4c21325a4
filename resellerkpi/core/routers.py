"""Database routing: only the owner role changes the schema."""

from typing import Any


class OwnerMigrates:
    """Lets migrations run on the `owner` alias alone; everything else uses `default`."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Say whether a migration may run on this alias."""
        return db == "owner"
