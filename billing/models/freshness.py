"""Whether what calls are priced by, or the calls, have changed: fingerprints that any change moves."""

import hashlib
from collections.abc import Sequence

from django.db import connection

BOOK = (
    "billing_tariff", "billing_tariffrate", "billing_tariffmarkup", "billing_timeband", "billing_tariffassignment",
    "billing_number", "billing_numberidentity", "billing_numberassignment", "billing_bundle", "billing_feature",
)  # fmt: skip
USAGE = ("billing_cdrfile", "billing_ratingbatch", "billing_invoice")


def fingerprint(reseller_id: int, more: Sequence[str] = ()) -> str:
    """Return what stands for the book and the calls as they are now, and for the rows of more of our tables.

    Each table gives its count of rows and the sum of the transactions that wrote them (the latest would not tell of one
    that began before it and ended after it); calls change only with a file, an act of rating or an invoice.
    """
    tables = (*BOOK, *USAGE, *more)
    asked = " UNION ALL ".join(
        f"SELECT '{table}', count(*), sum(xmin::text::bigint) FROM {table} WHERE reseller_id = %s"  # noqa: S608  our own tables
        for table in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(asked, [reseller_id] * len(tables))
        return hashlib.sha256(str(sorted(cursor.fetchall())).encode()).hexdigest()
