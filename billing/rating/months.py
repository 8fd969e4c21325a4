"""Whose allowances a month's drawing concerns, and which months must be drawn before or after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.db.models import Max, Min

from billing.models import AllowanceUse, Bundle, RatingBatch
from billing.rating.dated import day_number
from billing.rating.draw_rows import fetch, read_allowances
from billing.rating.pools import STORED_GRAIN, pools_of, to_stored
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, local_day, month_of

BLOCK = 2_000

_CONCERNED = """
SELECT DISTINCT feature.customer_id FROM billing_feature feature
JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND (%s OR feature.customer_id = ANY(%s))
  AND feature.start_date < %s AND (feature.end_date IS NULL OR feature.end_date > %s)
UNION
SELECT use.customer_id FROM billing_allowanceuse use
WHERE use.reseller_id = %s AND (%s OR use.customer_id = ANY(%s)) AND use.month = %s
UNION
SELECT DISTINCT call.customer_id FROM billing_call call
WHERE call.reseller_id = %s AND (%s OR call.customer_id = ANY(%s))
  AND call.started_at >= %s AND call.started_at < %s AND call.customer_id IS NOT NULL
  AND (call.bundle_id IS NOT NULL OR (call.service = 'data' AND call.rate_id IN (
      SELECT rate.id FROM billing_tariffrate rate JOIN billing_tariff tariff ON tariff.id = rate.tariff_id
      WHERE rate.reseller_id = %s AND tariff.data_per_period)))
"""
_HOLDERS = """
SELECT DISTINCT feature.customer_id FROM billing_feature feature
JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND feature.start_date < %s AND (feature.end_date IS NULL OR feature.end_date > %s)
ORDER BY 1
"""
_LACKING = """
SELECT feature.customer_id, min(greatest(feature.start_date, bundle.valid_from))
FROM billing_feature feature JOIN billing_bundle bundle ON bundle.feature_type_id = feature.feature_type_id
WHERE feature.reseller_id = %s AND bundle.rollover_months > 0
  AND feature.start_date < %s AND (feature.end_date IS NULL OR feature.end_date > %s)
  AND (bundle.valid_from IS NULL OR bundle.valid_from < %s)
  AND (bundle.valid_to IS NULL OR bundle.valid_to > %s)
  AND NOT EXISTS (
      SELECT 1 FROM billing_allowanceuse use
      WHERE use.reseller_id = %s AND use.month = %s AND use.customer_id = feature.customer_id
        AND use.bundle_id = bundle.id)
GROUP BY feature.customer_id
"""


@dataclass
class Holders:
    """The customers of a reseller who have allowances."""

    reseller: Reseller
    roll_over: bool = field(init=False)

    def __post_init__(self) -> None:
        self.roll_over = Bundle.objects.filter(rollover_months__gt=0).exists()

    def concerned(self, customer_ids: Sequence[int] | None, month: Period) -> set[int]:
        """Return the customers among these (None: all) whose calls of the month allowances may touch; where
        allowances roll over, also whoever has one and was never drawn in the month.
        """
        house, who = self.reseller.pk, [customer_ids is None, list(customer_ids or ())]
        found = fetch(
            _CONCERNED,
            [
                *(house, *who, month.end, month.start),
                *(house, *who, month.start),
                *(house, *who, month.starts_at, month.ends_at, house),
            ],
        )
        return {row[0] for row in found} | (set(self._lacking(month)) if self.roll_over else set())

    def never_drawn_before(self, month: Period) -> Iterator[tuple[Period, set[int]]]:
        """Yield the months before one that must be drawn first, with the customers whose roll-over needs them.

        A customer's months begin with the package, but not before the first calls that were ever supplied.
        """
        zone, before = self.reseller.zone, month.previous()
        lacking = self._lacking(before)
        if not lacking:
            return
        first = RatingBatch.objects.aggregate(first=Min("first_call_at"))["first"]
        floor = date.min if first is None else local_day(first, zone)
        earlier = AllowanceUse.objects.filter(customer_id__in=lacking, month__lt=before.start)
        drawn = dict(earlier.values_list("customer_id").annotate(last=Max("month")))
        starts = {
            customer: max(floor, since, month_of(drawn[customer], zone).end if customer in drawn else since)
            for customer, since in lacking.items()
        }
        at = min(starts.values(), default=month.start)
        while at < month.start:
            period = month_of(at, zone)
            yield period, {customer for customer, since in starts.items() if since < period.end}
            at = period.end

    def drawn_from(self, customers: set[int], month: Period) -> set[int]:
        """Return those of some customers who have a drawn month, this one or a later one."""
        rows = AllowanceUse.objects.filter(customer_id__in=customers, month__gte=month.start)
        return set(rows.values_list("customer_id", flat=True).distinct()) if customers else set()

    def _lacking(self, month: Period) -> dict[int, date]:
        """Return who has an allowance that rolls over and no row of it in the month, with its first day."""
        span = [month.end, month.start]
        return dict(fetch(_LACKING, [self.reseller.pk, *span, *span, self.reseller.pk, month.start]))


def out_of_step(reseller: Reseller, month: Period) -> list[int]:
    """Return the customers whose stored allowances of a month are not what their packages give today."""
    holders = fetch(_HOLDERS, [reseller.pk, month.end, month.start])
    found: list[int] = []
    for start in range(0, len(holders), BLOCK):
        customers = [row[0] for row in holders[start : start + BLOCK]]
        plan = pools_of(
            read_allowances(reseller, customers, month), day_number(month.start), day_number(month.end), {}
        )
        units = {bundle.id: bundle.unit for bundle, _ in plan.bundles}
        given = {party: to_stored(amount, units[party[0]]) for party, amount in plan.granted.items()}
        rows = AllowanceUse.objects.filter(month=month.start, customer_id__in=customers)
        values = rows.values_list("bundle_id", "customer_id", "number_id", "granted")
        stored = {
            (bundle, customer, number or 0): int(granted * STORED_GRAIN)
            for bundle, customer, number, granted in values
        }
        found += {party[1] for party in {*given, *stored} if given.get(party, 0) != stored.get(party, 0)}
        found += {party[1] for party in given if party not in stored}
    return sorted(set(found))
