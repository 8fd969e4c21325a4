"""Reads what the statements of a run have worked out for one customer, billed or not, with the reason why not."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from billing.models import NotProduced

LINES = """
SELECT line.currency, line.kind, line.description, coalesce(number.number, ''), line.number_id, line.service_start,
    line.service_end, line.quantity, line.calls, line.seconds, line.net, line.vat_rate
FROM run_line line LEFT JOIN billing_number number ON number.id = line.number_id
ORDER BY line.currency, line.rank, number.number NULLS FIRST, line.service_start, line.description, line.charge_id
"""
TOTALS = "SELECT currency, net, vat, gross, coalesce(reason, '') FROM run_total ORDER BY currency"


class Line(NamedTuple):
    """A line as the bill would carry it."""

    kind: str
    description: str
    number: str
    number_id: int | None
    service_start: date
    service_end: date
    quantity: Decimal
    calls: int
    seconds: int
    net: Decimal
    vat_rate: Decimal


class Bill(NamedTuple):
    """A bill that would be made, or (with a reason) would not."""

    currency: str
    net: Decimal
    vat: Decimal
    gross: Decimal
    reason: str
    lines: list[Line]

    @property
    def why_not(self) -> str:
        """Why there would be no bill, in words; empty when there would be one."""
        return NotProduced.Reason(self.reason).label if self.reason else ""


def read_bills() -> list[Bill]:
    """Return the bills of the run whose statements have just been executed in this transaction."""
    lines: dict[str, list[Line]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(LINES)
        for currency, *line in cursor.fetchall():
            lines[currency].append(Line(*line))
        cursor.execute(TOTALS)
        return [
            Bill(currency, net, vat, gross, reason, lines[currency])
            for currency, net, vat, gross, reason in cursor.fetchall()
        ]
