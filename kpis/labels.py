"""Names people know for the keys of dimensions."""

from collections.abc import Iterable

from billing.checks.registry import CHECKS
from billing.models import Customer, CustomerEvent, Dealer, FeatureType, NotProduced, Number
from billing.models.invoicing import ChargeKind
from kpis.words import BUCKETS
from resellerkpi.core.models import User

FIXED: dict[str, dict[str, str]] = {
    "status": dict(Customer.Status.choices),
    "client_type": dict(Customer.ClientType.choices),
    "method": dict(Customer.Method.choices),
    "number_type": dict(Number.Type.choices),
    "bucket": BUCKETS,
    "reason": {**dict(CustomerEvent.Reason.choices), "unknown": "Not said"},
    "kind": {**dict(ChargeKind.choices), "credit_note": "Credit note", "supply": "Suppliers’ bills"},
    "sold": {**dict(ChargeKind.choices), "credit_note": "Credit note"},
    "product": dict(FeatureType.Kind.choices),
    "within": BUCKETS,
    "why": dict(NotProduced.Reason.choices),
    "open_for": {"0-30": "0–30 days", "31-60": "31–60 days", "61-90": "61–90 days", "91+": "91 days or more"},
    "cause": {
        "unrated": "Calls without a price",
        "under_price": "Calls sold under their cost",
        "unbilled": "Services provided and not billed",
        "written_off": "Debt written off",
    },
}
NONE = {
    "dealer": "No dealer",
    "segment": "No segment",
    "campaign": "No campaign",
    "manager": "Nobody",
    "region": "No postcode",
    "tag": "No tag",
    "package": "No package",
    "carrier": "No carrier",
    "reason": "Still here",
}


def labels(dimension: str, keys: Iterable[str]) -> dict[str, str]:
    """Return the name of each key of a dimension, asking the book once where names are in it."""
    wanted = set(keys)
    names = FIXED.get(dimension, {})
    if dimension == "dealer":
        names = dict(Dealer.objects.filter(code__in=wanted).values_list("code", "name"))
    elif dimension == "leak":
        names = {c.slug: c.name for c in CHECKS}
    elif dimension == "manager":
        ids = [int(key) for key in wanted if key]
        names = dict.fromkeys(map(str, ids), "Somebody who left")
        names |= {str(pk): name for pk, name in User.objects.filter(pk__in=ids).values_list("pk", "name")}
    elif dimension in ("feature", "package", "sold"):
        names = names | dict(FeatureType.objects.filter(code__in=wanted).values_list("code", "name"))
    return {key: names.get(key) or key or NONE.get(dimension, "None") for key in wanted}


def order(dimension: str, keys: Iterable[str]) -> list[str]:
    """Return keys in the order people expect: ages by age, the rest by name."""
    fixed = list(FIXED.get(dimension, {}))
    return sorted(keys, key=lambda k: (fixed.index(k) if k in fixed else len(fixed), k))
