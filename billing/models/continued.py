"""Dated changes of features, set by set: a feature ends on a day and another continues it; and taking that back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from django.db import connection

from billing.models.invoicing import Charge
from billing.models.locks import hold_money
from billing.models.services import Feature, Supply
from billing.models.supplier import CarrierCharge

LATER = """
WITH RECURSIVE later AS (
    SELECT feature.id AS kept_id, feature.id FROM billing_feature feature
    WHERE feature.reseller_id = %s AND feature.id = ANY (%s)
    UNION ALL
    SELECT later.kept_id, feature.id FROM billing_feature feature JOIN later ON feature.continues_id = later.id
    WHERE feature.reseller_id = %s
)
SELECT kept_id, id FROM later WHERE kept_id <> id
"""

REPOINT = """
UPDATE {table} held SET feature_id = moved.kept_id
FROM unnest(%s::bigint[], %s::bigint[]) AS moved (kept_id, id)
WHERE held.reseller_id = %s AND held.feature_id = moved.id
"""
FOLLOW = """
UPDATE billing_feature feature SET continues_id = moved.new_id
FROM unnest(%s::bigint[], %s::bigint[]) AS moved (new_id, id)
WHERE feature.reseller_id = %s AND feature.id = moved.id
"""
ENDS = """
UPDATE billing_feature feature SET end_date = was.end_date
FROM unnest(%s::bigint[], %s::date[]) AS was (id, end_date)
WHERE feature.reseller_id = %s AND feature.id = was.id
"""

#: What a dated change takes over from the feature it continues.
SAME = ("customer_id", "number_id", "feature_type_id", "quantity", "end_date", "price", "cost", "discount_percent",
        "minimum_term_end", "termination_percent", "termination_waived", "not_charged", "reference")  # fmt: skip
HOLDERS = [model._meta.db_table for model in (Charge, CarrierCharge, Supply)]


def continue_from(reseller_id: int, on: date, changes: Mapping[int, Mapping[str, Any]]) -> dict[int, Feature]:
    """Change features from a day on, each by its own fields; return the features that continue them, by the old id.

    The caller sees to it that each runs on that day and began before. Statements do not grow with the features.
    """
    old = list(Feature.objects.select_for_update(of=("self",)).filter(pk__in=changes).order_by("pk"))
    following = dict(Feature.objects.filter(continues__in=changes).values_list("continues_id", "pk"))
    Feature.objects.filter(pk__in=following.values()).update(continues=None)
    new = Feature.objects.bulk_create(
        [
            Feature(
                reseller_id=reseller_id,
                start_date=on,
                continues=feature,
                **{**{name: getattr(feature, name) for name in SAME}, **changes[feature.pk]},
            )
            for feature in old
        ],
        batch_size=2_000,
    )
    made = {was.pk: row for was, row in zip(old, new, strict=True)}
    if following:
        with connection.cursor() as cursor:
            cursor.execute(FOLLOW, [[made[pk].pk for pk in following], list(following.values()), reseller_id])
    Feature.objects.filter(pk__in=made).update(end_date=on)
    return made


def later_than(reseller_id: int, kept: Iterable[int]) -> list[tuple[int, int]]:
    """Return the features that continue these, however many changes later, each with the one it goes back to."""
    with connection.cursor() as cursor:
        cursor.execute(LATER, [reseller_id, list(kept), reseller_id])
        return [(kept_id, pk) for kept_id, pk in cursor.fetchall()]


def take_back_one(reseller_id: int, made: Iterable[Feature]) -> int:
    """Undo single changes: what each continues goes on up to its end, and later changes continue that."""
    back = {feature.pk: (feature.continues_id, feature.end_date) for feature in made if feature.continues_id}
    following = dict(Feature.objects.filter(continues__in=back).values_list("continues_id", "pk"))
    Feature.objects.filter(pk__in=following.values()).update(continues=None)
    ids, ends = [pk for pk, _ in back.values()], [end for _, end in back.values()]
    take_back_after(reseller_id, ids)
    with connection.cursor() as cursor:
        cursor.execute(ENDS, [ids, ends, reseller_id])
        kept = [back[pk][0] for pk in following]
        cursor.execute(FOLLOW, [kept, list(following.values()), reseller_id])
    return len(ids)


def take_back_after(reseller_id: int, kept: Sequence[int]) -> int:
    """Remove the features that continue these, however many changes there were; return how many.

    What waits to be billed for them goes with them. What is billed is from now on charged to the feature kept, so
    that it is credited at its own price when the feature's end says so. The caller sets that end.
    """
    hold_money(reseller_id)
    pairs = later_than(reseller_id, kept)
    if not pairs:
        return 0
    later = [pk for _, pk in pairs]
    Charge.objects.filter(feature_id__in=later, invoice_line=None).delete()
    with connection.cursor() as cursor:
        for table in HOLDERS:
            cursor.execute(REPOINT.format(table=table), [[kept for kept, _ in pairs], later, reseller_id])
    Feature.objects.filter(pk__in=later).update(continues=None)
    Feature.objects.filter(pk__in=later).delete()
    return len(later)
