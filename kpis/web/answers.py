"""Flat rows as machines and browsers want them: JSON with exact numbers, CSV, a plain page."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from resellerkpi.core.sheets import harmless

MILLI = Decimal("0.001")
FINE = Decimal("0.000001")
#: Stands before a number inside a JSON string until the quotes around it are taken off; no text holds it.
_MARK = "\x00"
_MARKED = re.compile(r'"\\u0000(-?[0-9.]+)"')


@dataclass(frozen=True)
class Answer:
    """Rows under stable names; money has three decimals, other figures what they need."""

    title: str
    names: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    about: Sequence[tuple[str, str]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> str:
        """Return an array of flat objects; a decimal is a number with all its digits."""
        return exact_json([{n: _plain(row.get(n)) for n in self.names} for row in self.rows])

    def csv(self) -> str:
        """Return the same as CSV with the names as heading."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(self.names)
        for row in self.rows:
            writer.writerow([_cell(row.get(n)) for n in self.names])
        return out.getvalue()

    def heads(self) -> list[tuple[str, bool]]:
        """Return the names, and whether a column holds figures."""
        return [(n, any(_is_figure(row.get(n)) for row in self.rows)) for n in self.names]

    def table(self) -> list[list[tuple[str, bool]]]:
        """Return the cells of a page: text, and whether it is a figure."""
        return [[(_cell(row.get(n)), _is_figure(row.get(n))) for n in self.names] for row in self.rows]


def amount(value: Decimal) -> Decimal:
    """Return money with three decimals, as the endpoints give it."""
    return value.quantize(MILLI, rounding=ROUND_HALF_UP)


def ratio(value: Decimal) -> Decimal:
    """Return a ratio or mean with at most six decimals."""
    rounded = value.quantize(FINE, rounding=ROUND_HALF_UP)
    return rounded.to_integral_value() if rounded == rounded.to_integral_value() else rounded.normalize()


def exact_json(data: Any) -> str:
    """Return JSON in which decimals are numbers, digit for digit."""
    return _MARKED.sub(r"\1", json.dumps(data, ensure_ascii=False))


def _plain(value: Any) -> Any:
    return f"{_MARK}{value:f}" if isinstance(value, Decimal) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:f}"
        if isinstance(value, Decimal)
        else str(value)
        if _is_figure(value)
        else harmless(str(value))
    )


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
