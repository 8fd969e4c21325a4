"""The constraint that forbids overlapping date ranges, without the btree_gist extension."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db.models import BigIntegerField, F, Func, Value


class IdRange(Func):
    """int8range(id, id, '[]'): lets a plain GiST index compare an id for equality."""

    function = "int8range"

    def __init__(self, field: str, **extra: Any) -> None:
        super().__init__(F(field), F(field), Value("[]"), output_field=BigIntegerField(), **extra)


class Dates(Func):
    """daterange(from, to): half-open, open-ended when `to` is null."""

    function = "daterange"
    output_field = DateRangeField()


def no_overlap(name: str, key: str, start: str, end: str, **extra: Any) -> ExclusionConstraint:
    """Forbid two rows of one key over overlapping half-open dates."""
    return ExclusionConstraint(
        name=name,
        expressions=[
            (IdRange(key), RangeOperators.OVERLAPS),
            (Dates(start, end), RangeOperators.OVERLAPS),
        ],
        **extra,
    )
