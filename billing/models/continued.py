"""Taking back dated changes of features that begin on or after the day on which a feature now ends."""

from collections.abc import Sequence

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
HOLDERS = [model._meta.db_table for model in (Charge, CarrierCharge, Supply)]


def take_back_after(reseller_id: int, kept: Sequence[int]) -> int:
    """Remove the features that continue these, however many changes there were; return how many.

    What waits to be billed for them goes with them. What is billed is from now on charged to the feature kept, so
    that it is credited at its own price when the feature's end says so. The caller sets that end.
    """
    hold_money(reseller_id)
    with connection.cursor() as cursor:
        cursor.execute(LATER, [reseller_id, list(kept), reseller_id])
        pairs = cursor.fetchall()
        if not pairs:
            return 0
        later = [pk for _, pk in pairs]
        Charge.objects.filter(feature_id__in=later, invoice_line=None).delete()
        for table in HOLDERS:
            cursor.execute(REPOINT.format(table=table), [[kept for kept, _ in pairs], later, reseller_id])
    Feature.objects.filter(pk__in=later).update(continues=None)
    Feature.objects.filter(pk__in=later).delete()
    return len(later)
