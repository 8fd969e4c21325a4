"""What a carrier's bill comes to: allocated, open, left out, passed on, and against the total the carrier states."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, Sum

from billing.models import CarrierCharge, CarrierInvoice

State = CarrierCharge.State


@dataclass(frozen=True)
class BillSums:
    """The sums of a bill before VAT, in its currency; total = allocated + open + left out.

    `passed` is the cost of what was passed on (a part of `allocated`) and `asked` what customers are asked for it,
    by currency; `difference` is the carrier's stated total less the sum of the lines, None when it states none.
    """

    lines: int
    total: Decimal
    allocated: Decimal
    open: Decimal
    open_lines: int
    left_out: Decimal
    left_out_lines: int
    nobodys_lines: int
    passed: Decimal
    passed_lines: int
    asked: dict[str, Decimal]
    difference: Decimal | None


def sums_of(bill: CarrierInvoice) -> BillSums:
    """Return what a bill comes to."""
    rows = CarrierCharge.objects.filter(invoice=bill).order_by()
    passed = Q(charge__isnull=False)
    nobodys = Q(state=State.ALLOCATED, customer__isnull=True)
    found = rows.aggregate(
        lines=Count("pk"),
        total=Sum("amount"),
        allocated=Sum("amount", filter=Q(state=State.ALLOCATED)),
        open=Sum("amount", filter=Q(state=State.OPEN)),
        open_lines=Count("pk", filter=Q(state=State.OPEN)),
        left_out=Sum("amount", filter=Q(state=State.IGNORED)),
        left_out_lines=Count("pk", filter=Q(state=State.IGNORED)),
        nobodys_lines=Count("pk", filter=nobodys),
        passed=Sum("amount", filter=passed),
        passed_lines=Count("pk", filter=passed),
    )
    values: dict[str, Any] = {name: value or Decimal(0) for name, value in found.items()}
    asked = rows.filter(passed).values_list("charge__currency").annotate(Sum("charge__amount"))
    difference = None if bill.net is None else bill.net - values["total"]
    return BillSums(**values, asked=dict(_sorted(asked)), difference=difference)


def _sorted(rows: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    return sorted(rows)
