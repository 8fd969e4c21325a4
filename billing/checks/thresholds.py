"""A reseller's thresholds of checks: the defaults and what was set instead."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from billing.checks.declare import Check
from billing.models import CheckSetting


def thresholds(checks: Iterable[Check]) -> dict[str, dict[str, Decimal]]:
    """Return the thresholds in force of each check, by its slug and their names; one query."""
    kept = {
        (slug, name): value
        for slug, name, value in CheckSetting.objects.values_list("check_slug", "name", "value")
    }
    return {c.slug: {s.name: kept.get((c.slug, s.name), s.default) for s in c.settings} for c in checks}


def set_thresholds(*, reseller_id: int, check: Check, values: Mapping[str, Decimal]) -> None:
    """Keep a reseller's thresholds of a check; one that equals the default is kept too."""
    CheckSetting.objects.bulk_create(
        [
            CheckSetting(reseller_id=reseller_id, check_slug=check.slug, name=name, value=value)
            for name, value in values.items()
        ],
        update_conflicts=True,
        unique_fields=["reseller", "check_slug", "name"],
        update_fields=["value"],
    )
