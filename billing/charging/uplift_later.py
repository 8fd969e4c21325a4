"""Changes of features entered for a day after a rise of prices: those at the old price of their own rise with it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from django.db import connection

from billing.charging.uplift_plan import UpliftScope
from billing.models import Charge, Feature, PriceUplift
from billing.models.continued import later_than

#: A feature with the own price that later ones are to have had and the one they get (None: the list price), by id.
Moves: TypeAlias = Mapping[int, tuple[Feature, Decimal | None, Decimal | None]]
REPRICE = """
UPDATE billing_feature feature SET price = moved.price
FROM unnest(%s::bigint[], %s::numeric[]) AS moved (id, price)
WHERE feature.reseller_id = %s AND feature.id = moved.id
"""


def same_price_later(uplift: PriceUplift, moves: Moves) -> dict[int, Decimal | None]:
    """Return the features that continue these at the price that moves, however many changes later, with their new one.

    One of another kind moves with an own price if its kind is in scope, never from one list price to another.
    """
    kinds = UpliftScope.of(uplift.scope).types
    pairs = later_than(uplift.reseller_id, moves)
    rows = Feature.objects.in_bulk([pk for _, pk in pairs])
    found: dict[int, Decimal | None] = {}
    for kept, pk in pairs:
        (first, old, new), row = moves[kept], rows[pk]
        in_scope = row.feature_type_id == first.feature_type_id or (
            old is not None and (not kinds or row.feature_type_id in kinds)
        )
        if in_scope and row.price == old:
            found[pk] = new
    return found


def reprice_later(uplift: PriceUplift, moves: Moves) -> int:
    """Give them their new price, and what waits to be billed for them is charged anew; return how many."""
    prices = same_price_later(uplift, moves)
    if prices:
        waiting = Charge.objects.filter(
            feature__in=prices, invoice_line=None, source_key__startswith="feature:"
        )
        waiting.delete()
        with connection.cursor() as cursor:
            cursor.execute(REPRICE, [list(prices), list(prices.values()), uplift.reseller_id])
    return len(prices)
