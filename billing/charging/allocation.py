"""Finds by its reference what a carrier's charge is for.

A reference names a service when it is, but for spaces and punctuation, (1) the reference under which this carrier
supplies a number or feature in days of the charge, (2) a number, (3) another identity of a number, or (4) the reference
of a feature that runs in days of the charge. The assignments of a number in the days of the charge say whose it is. The
carrier's product then names the customer's one feature on that number whose type has it as its carrier's product. A
charge with exactly one candidate is allocated; with none or several it stays open and says why. A number that nobody
had in those days takes the charge without a customer, until somebody has it.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet

from billing.charging.allocation_sql import ALLOCATE, CANDIDATES, CLEAR, PREPARE
from billing.models import CarrierCharge
from billing.models.locks import hold_money
from billing.phones import to_e164
from resellerkpi.core.audit import record
from resellerkpi.core.models import Reseller
from resellerkpi.core.planner import joined_by_hash

NO_REFERENCE = "The line has no reference."
UNKNOWN = "Nothing in the book has this reference."
NOT_THEN = "What has this reference was not in service in these days."
SEVERAL = "Several services have this reference."
CHANGED_HANDS = "Several customers had the number in these days."

_SPACING = re.compile(r"[\s().\-/\u00a0]+")


class Allocated(NamedTuple):
    """How an allocation ended: charges that found their service, and those still open."""

    allocated: int
    open: int


class Candidate(NamedTuple):
    """What a charge may be for; a number that nobody had in its days has no customer."""

    customer_id: int | None
    number_id: int | None
    feature_id: int | None


def key(text: str) -> str:
    """Return a reference without spaces and punctuation, in capitals: what is compared."""
    return _SPACING.sub("", text).upper()


def names_of(reference: str, country: str) -> set[str]:
    """Return the keys a reference may be known under: its own, and as a telephone number of the carrier's country."""
    bare = key(reference)
    return {bare, key(to_e164(reference, country)), f"+{bare}" if bare.isdigit() else bare}


def waiting() -> QuerySet[Any]:
    """Return the charges that an allocation by reference looks at: open ones, and those of numbers nobody had."""
    nobody = Q(
        state=CarrierCharge.State.ALLOCATED, found=CarrierCharge.Found.REFERENCE, customer__isnull=True
    )
    return CarrierCharge.objects.filter(Q(state=CarrierCharge.State.OPEN) | nobody, charge__isnull=True)


def allocate_charges(reseller: Reseller) -> Allocated:
    """Allocate by reference what waits; say of each charge that stays open why. Doing it again changes nothing."""
    hold_money(reseller.pk)
    rows = list(_named(waiting()))
    if not rows:
        return Allocated(0, 0)
    values = {
        **_parameters(reseller.pk, rows),
        "no_reference": NO_REFERENCE,
        "unknown": UNKNOWN,
        "not_then": NOT_THEN,
        "several": SEVERAL,
        "changed_hands": CHANGED_HANDS,
    }
    with joined_by_hash() as cursor:
        for statement in PREPARE:
            cursor.execute(statement, values)
        cursor.execute(ALLOCATE, values)
        states = [allocated for (allocated,) in cursor.fetchall()]
        cursor.execute(CLEAR)
    done = Allocated(sum(states), len(states) - sum(states))
    record("carrier_charges.allocated", "By reference", allocated=done.allocated, open=done.open)
    return done


def candidates(charge: CarrierCharge) -> list[Candidate]:
    """Return what a charge may be for by its reference, in a fixed order."""
    rows = list(_named(CarrierCharge.objects.filter(pk=charge.pk)))
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, _parameters(charge.reseller_id, rows))
        found = [Candidate(*row[1:]) for row in cursor.fetchall()]
    return sorted(found, key=lambda c: tuple(value or 0 for value in c))


def overlapping(first: date, until: date) -> Q:
    """Return the condition that a dated row runs on a day from `first` to before `until`."""
    return Q(start_date__lt=until) & (Q(end_date__isnull=True) | Q(end_date__gt=first))


def _named(rows: QuerySet[Any]) -> Iterable[tuple[int, int, str, str]]:
    """Return (charge, carrier, reference, country of the carrier's numbers) of charges."""
    return rows.order_by("pk").values_list(
        "pk", "invoice__carrier_id", "reference", "invoice__carrier__country"
    )


def _parameters(reseller_id: int, rows: Sequence[tuple[int, int, str, str]]) -> dict[str, Any]:
    """Return the parameters of the statements: each distinct reference with the names it may be known under."""
    distinct = sorted({(carrier, reference, country) for _, carrier, reference, country in rows if reference})
    named = [
        (carrier, reference, name)
        for carrier, reference, country in distinct
        for name in sorted(names_of(reference, country))
        if name
    ]
    return {
        "reseller": reseller_id,
        "charges": [row[0] for row in rows],
        "carriers": [carrier for carrier, _, _ in named],
        "references": [reference for _, reference, _ in named],
        "names": [name for _, _, name in named],
    }
