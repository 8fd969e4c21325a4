"""Works a single price out again in fractions, step by step, from the rate as it stands: the arithmetic of "why"."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.models import Tariff, TariffRate

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a call in one time band, the rate that prices it, and what is added to a service charge."""

    seconds: int
    rate: TariffRate
    access: Decimal = Decimal(0)

    @property
    def price(self) -> Decimal:
        """The price of a minute: the rate's, with the access charge where that is a service charge."""
        return self.rate.price + (self.access if self.rate.is_service_charge else 0)


@dataclass(frozen=True, slots=True)
class Worked:
    """A price on its way: billed and paid seconds (or units), what they cost, the fee, and the price before limits,
    before rounding and at the end; `paid_by_piece` is for calls cut at band boundaries.
    """

    billed: int
    paid: int
    usage: Fraction
    fee: Fraction
    limited: Fraction
    amount: Fraction
    paid_by_piece: tuple[int, ...] = ()

    @property
    def sum(self) -> Fraction:
        """The price before minimum and maximum."""
        return self.usage + self.fee


def work_voice(pieces: Sequence[Piece], tariff: Tariff, *, answered: bool, covered: int | None) -> Worked:
    """Price a call of one or more pieces; `covered` seconds come out of an allowance, None is all of them.

    Fee, limits and free seconds are those of the first piece's rate.
    """
    first = pieces[0].rate
    seconds = sum(piece.seconds for piece in pieces)
    if not answered or seconds == 0:
        return _settle(0, 0, Fraction(0), tariff.charge_unanswered, first, tariff)
    billed = _billed(pieces)
    total = sum(billed)
    left = total if covered is None else covered
    paid = []
    for part in billed:
        taken = min(left, part)
        paid.append(part - taken)
        left -= taken
    usage = sum(
        (n * Fraction(piece.price) / MINUTE for n, piece in zip(paid, pieces, strict=True)), Fraction(0)
    )
    fee_due = sum(paid) > 0 or tariff.fee_inside_allowance
    return _settle(total, sum(paid), usage, fee_due, first, tariff, tuple(paid))


def work_units(units: int, paid: int, rate: TariffRate, tariff: Tariff) -> Worked:
    """Price messages or whole units of data, of which some are paid for."""
    if units == 0:
        return _settle(0, 0, Fraction(0), tariff.charge_unanswered, rate, tariff)
    fee_due = paid > 0 or tariff.fee_inside_allowance
    return _settle(units, paid, paid * Fraction(rate.price), fee_due, rate, tariff)


def data_units(volume: Decimal, unit: Decimal) -> int:
    """Return the whole units that hold a volume, both in MB."""
    return math.ceil(Fraction(max(volume, Decimal(0))) / Fraction(unit))


def rounded(value: Fraction, tariff: Tariff) -> Fraction:
    """Round an exact amount as the tariff says."""
    scale = 10**tariff.places
    exact = value * scale
    if tariff.rounding == Tariff.Rounding.UP:
        whole = math.ceil(exact)
    elif tariff.rounding == Tariff.Rounding.DOWN:
        whole = math.floor(exact)
    elif tariff.rounding == Tariff.Rounding.HALF_EVEN:
        whole = round(exact)
    else:
        whole = math.floor(abs(exact) + Fraction(1, 2)) * (-1 if exact < 0 else 1)
    return Fraction(whole, scale)


def marked_up(cost: Decimal, tariff: Tariff, percent: Decimal) -> Fraction:
    """Return the price of a call without a rate: its cost and the markup."""
    return rounded(Fraction(cost) * (1 + Fraction(percent) / 100), tariff)


def _billed(pieces: Sequence[Piece]) -> list[int]:
    """Return the seconds billed in each piece: free seconds first, then increments, each at the piece it begins in."""
    skip, begun, billed = pieces[0].rate.free_seconds, False, []
    for piece in pieces:
        net = max(piece.seconds - skip, 0)
        size = 0
        if net:
            size = 0 if begun else piece.rate.initial_increment
            size += max(-(-(net - size) // piece.rate.next_increment), 0) * piece.rate.next_increment
        billed.append(size)
        begun = begun or net > 0
        skip = max(skip - piece.seconds, 0) + max(size - net, 0)
    return billed


def _settle(
    billed: int,
    paid: int,
    usage: Fraction,
    fee_due: bool,
    rate: TariffRate,
    tariff: Tariff,
    by_piece: tuple[int, ...] = (),
) -> Worked:
    fee = Fraction(rate.connection_fee) if fee_due else Fraction(0)
    price = usage + fee
    if paid and rate.minimum_charge > 0:
        price = max(price, Fraction(rate.minimum_charge))
    if rate.maximum_charge is not None:
        price = min(price, Fraction(rate.maximum_charge))
    return Worked(billed, paid, usage, fee, price, rounded(price, tariff), by_piece)
