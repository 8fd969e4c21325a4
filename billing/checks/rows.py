"""Rows of a statement as objects, and what several checks do alike with them."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from django.db import connection

from billing.checks.declare import Ask, Rows

SHOWN = 50


def select(statement: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the rows of a statement, their columns as attributes."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            yield SimpleNamespace(**dict(zip(names, row, strict=True)))


def table(headings: tuple[str, ...], statement: str, parameters: Mapping[str, Any]) -> Rows:
    """Return the first rows of a statement under headings, for what is behind a finding."""
    with connection.cursor() as cursor:
        cursor.execute(f"{statement} LIMIT {SHOWN}", parameters)
        return Rows(headings, tuple(cursor.fetchall()))


def in_currency(ask: Ask, subject: str, currency: str) -> str:
    """Return a subject, told apart by currency where money is not in the reseller's own."""
    return subject if currency in ("", ask.reseller.currency) else f"{subject} ({currency})"
