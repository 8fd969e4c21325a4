"""Changes to what a package includes: allowances begin, change from a day on, and end; calls that are not billed are
drawn anew by a job.
"""

from datetime import date
from typing import Any

from billing.book import BookRefused, act, keep
from billing.models import AllowanceUse, Bundle, Call, Feature, FeatureType, SecondDraw
from billing.models.locks import hold_draws
from resellerkpi.core import audit
from resellerkpi.core.columns import day

#: What makes an allowance; dates are set by the change itself.
TERMS = (
    "unit",
    "amount",
    "step",
    "call_class",
    "prefixes",
    "shared",
    "priority",
    "prorate_first",
    "member_cap",
    "rollover_months",
    "rollover_cap",
)


def add_allowance(bundle: Bundle) -> Bundle:
    """Add an allowance to a package from its day on (None: from the start of each package)."""
    with act():
        if bundle.feature_type.kind != FeatureType.Kind.PACKAGE:
            raise BookRefused(
                "Only a package includes an allowance; change the kind of this feature type first."
            )
        keep(bundle, changed=TERMS)
    return bundle


def change_allowance(bundle: Bundle, terms: dict[str, Any], *, start: date) -> Bundle:
    """End an allowance on a day and begin another with the terms in its place; past months keep theirs."""
    with act():
        _end(bundle, start, "start")
        fresh = Bundle(feature_type_id=bundle.feature_type_id, valid_from=start, **terms)
        keep(fresh, changed=TERMS)
    return fresh


def end_allowance(bundle: Bundle, *, on: date) -> None:
    """End an allowance on a day, the first without it."""
    with act():
        _end(bundle, on, "on")


def remove_allowance(bundle: Bundle) -> None:
    """Take out an allowance that no call ever drew from, nor is drawing from right now."""
    with act():
        hold_draws(bundle.reseller_id)
        if was_drawn(bundle):
            raise BookRefused(
                "Calls have drawn from this allowance, so it cannot be removed; end it instead."
            )
        audit.record("bundle.removed", bundle)
        bundle.delete()


def was_drawn(bundle: Bundle) -> bool:
    """Say whether any call drew from an allowance."""
    if AllowanceUse.objects.filter(bundle=bundle, used__gt=0).exists():
        return True
    if SecondDraw.objects.filter(bundle=bundle).exists():
        return True
    holders = Feature.objects.filter(feature_type_id=bundle.feature_type_id).values("customer_id")
    return bool(Call.objects.filter(customer_id__in=holders, bundle_id=bundle.pk).exists())


def _end(bundle: Bundle, on: date, field: str) -> None:
    """End an allowance as it is now, whatever was read before."""
    held = Bundle.objects.select_for_update(of=("self",)).filter(pk=bundle.pk).first()
    if held is None:
        raise BookRefused("This allowance has been removed meanwhile; look at the package again.")
    bundle.valid_from, bundle.valid_to = held.valid_from, held.valid_to
    if bundle.valid_from is not None and on <= bundle.valid_from:
        raise BookRefused(
            f"This allowance begins on {day(bundle.valid_from)}; choose a later day.", field=field
        )
    if bundle.valid_to is not None and on >= bundle.valid_to:
        raise BookRefused(
            f"This allowance ends on {day(bundle.valid_to)}; choose an earlier day.", field=field
        )
    bundle.valid_to = on
    keep(bundle, changed=("valid_to",))
