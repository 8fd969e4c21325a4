"""VAT: half-up of each rate on the sum of its lines. This is the rounding place “tax”."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from resellerkpi.core.money import quantise


class VatPoint(StrEnum):
    """Where VAT is rounded: once for each rate of an invoice, or on each line."""

    INVOICE = "invoice"
    LINE = "line"


class VatAmount(NamedTuple):
    """Net and VAT of one rate (per cent)."""

    rate: Decimal
    net: Decimal
    vat: Decimal


def vat_per_rate(
    lines: Iterable[tuple[Decimal, Decimal]], currency: str, point: VatPoint = VatPoint.INVOICE
) -> list[VatAmount]:
    """Return net and VAT for each rate of lines given as (net, rate), in the order of the rates."""
    by_rate: dict[Decimal, list[Decimal]] = defaultdict(list)
    for net, rate in lines:
        by_rate[rate].append(net)
    return [
        VatAmount(
            rate,
            sum(nets, Decimal(0)),
            vat_of(sum(nets, Decimal(0)), rate, currency)
            if point == VatPoint.INVOICE
            else sum((vat_of(net, rate, currency) for net in nets), Decimal(0)),
        )
        for rate, nets in sorted(by_rate.items())
    ]


def vat_of(net: Decimal, rate: Decimal, currency: str) -> Decimal:
    """Return net x rate / 100, rounded half-up (away from zero) to the currency's minor unit."""
    return quantise(net * rate / 100, currency)
