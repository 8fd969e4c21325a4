"""Says in words what a call found in the allowance it drew from: what there was, what earlier calls had used, what is
left, and whether it used units carried over.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum

from billing.models import AllowanceUse, Bundle, Call, SecondDraw
from billing.rating.allowance_words import bundle_words, quantity_words
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import month_of


def allowance_steps(call: Call, reseller: Reseller, day: date) -> Iterator[str]:
    """Yield sentences on the allowance that a call names, none when it names none or its month was not written down."""
    if call.bundle_id is None:
        return
    month = month_of(day, reseller.zone)
    rows = AllowanceUse.objects.filter(
        customer_id=call.customer_id, month=month.start, bundle_id=call.bundle_id
    )
    use = (
        rows.filter(Q(number=None) | Q(number_id=call.number_id))
        .order_by(F("number_id").asc(nulls_last=True))
        .select_related("bundle__feature_type")
        .first()
    )
    if use is None:
        return
    bundle, currency = use.bundle, use.bundle.feature_type.currency
    yield f"The allowance of {bundle.feature_type}: {bundle_words(bundle, currency)}."
    earlier = Call.objects.filter(
        Q(started_at__lt=call.started_at) | Q(started_at=call.started_at, dedupe_key__lt=call.dedupe_key),
        customer_id=call.customer_id,
        started_at__gte=month.starts_at,
        **({"number_id": use.number_id} if use.number_id else {}),
    )
    before, own = (
        _drawn(earlier, bundle),
        _drawn(Call.objects.filter(pk=call.pk, customer_id=call.customer_id), bundle),
    )
    there = use.granted + use.carried_in
    if bundle.step > 1 or before + own > there:
        return

    def said(units: Decimal) -> str:
        return quantity_words(bundle.unit, units, currency)

    over = f", {said(use.carried_in)} of it carried over from before and used first" if use.carried_in else ""
    yield (
        f"In {month} there were {said(there)} in all{over}. Earlier calls had used {said(before)}; this call used"
        f" {said(own)} and left {said(there - before - own)}."
    )
    if before < use.carried_in:
        yield (
            "What it used was carried over."
            if before + own <= use.carried_in
            else (f"{said(use.carried_in - before)} of what it used was carried over.")
        )


def _drawn(calls: QuerySet[Call], bundle: Bundle) -> Decimal:
    """Return what calls drew of a bundle: as the one they name, or as a further one."""
    named = calls.filter(bundle_id=bundle.pk)
    own = SecondDraw.objects.filter(bundle=bundle, call_id__in=calls.values("pk"))
    others = SecondDraw.objects.filter(bundle__unit=bundle.unit, call_id__in=named.values("pk")).exclude(
        bundle=bundle
    )
    figures = [rows.aggregate(n=Sum("drawn"))["n"] or Decimal(0) for rows in (named, own, others)]
    return figures[0] + figures[1] - figures[2]
