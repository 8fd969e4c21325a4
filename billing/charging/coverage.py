"""Which days of a feature are charged: charges cover days, credits uncover them. Pure, ends exclusive."""

from collections.abc import Iterable
from datetime import date

Span = tuple[date, date]


def add(covered: list[Span], span: Span) -> list[Span]:
    """Return the days covered with a span more, as sorted spans that do not touch."""
    start, end = span
    kept = []
    for other in covered:
        if other[1] < start or other[0] > end:
            kept.append(other)
        else:
            start, end = min(start, other[0]), max(end, other[1])
    return sorted([*kept, (start, end)]) if start < end else covered


def remove(covered: Iterable[Span], span: Span) -> list[Span]:
    """Return the days covered without those of a span."""
    start, end = span
    left: list[Span] = []
    for low, high in covered:
        left += [piece for piece in ((low, min(high, start)), (max(low, end), high)) if piece[0] < piece[1]]
    return left


def overlap(one: Span, other: Span) -> Span | None:
    """Return the days two spans share, or None."""
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None
