"""The leakage register, the three-way match and the month's review over the book of the bill run and its bills.

One call in fifty has no customer, some destinations lose money, features are left uncharged or free and three in a
hundred customers wait for a debit that nobody presents, so that every check has something to find. The nightly pass and
the first run in turn with the bare aggregation of the month's calls; the match has a minute; the review is opened as a
page.
"""

import os
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resellerkpi.settings")
django.setup()

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse

from bench.book import MONTH, Book, add_calls, make_book
from bench.database import fresh, settle
from bench.measure import CALLS, tell, watch
from bench.work import bare_sums, bill_run
from billing.charging.three_way import match_latest
from billing.checks.register import run
from billing.checks.registry import of_family
from billing.models import CdrFile, Finding, FindingEvent
from kpis.snapshots import refresh
from resellerkpi.core.models import Membership, User
from resellerkpi.core.scope import enter

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROUNDS, WARM, OPENED = 5, 10, 100
#: What the first pass and a nightly one may take of the bare aggregation of the month's calls.
FIRST, NIGHTLY = 6.0, 5.0
#: Seconds the match may take, and the 95th of a hundred openings of the review's month at the server.
MATCH, PAGE = 60.0, 0.15
#: Static files as they are: the bench has not collected them.
PLAIN = {
    **settings.STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
LEAKS = """
UPDATE billing_numberassignment SET start_date = '2026-08-01' WHERE reseller_id = %(r)s;
UPDATE billing_customer SET payment_method = 'direct_debit' WHERE reseller_id = %(r)s AND id %% 100 < 3;
UPDATE billing_feature SET not_charged = true WHERE reseller_id = %(r)s AND customer_id %% 100 = 0;
UPDATE billing_feature SET price = 0 WHERE reseller_id = %(r)s AND customer_id %% 200 = 1;
INSERT INTO billing_featureprice (reseller_id, feature_type_id, price, cost, valid_from)
SELECT %(r)s, id, 12.50, 4, '2020-01-01' FROM billing_featuretype WHERE reseller_id = %(r)s;
UPDATE billing_tariffrate SET price = price + 1 WHERE reseller_id = %(r)s AND destination LIKE 'Place %%7'
    AND tariff_id IN (SELECT id FROM billing_tariff WHERE reseller_id = %(r)s AND kind = 'wholesale');
"""
USAGE = """
UPDATE billing_call SET cost_rate_id = rate_id + (
        SELECT min(r.id) FILTER (WHERE t.kind = 'wholesale') - min(r.id) FILTER (WHERE t.kind = 'retail')
        FROM billing_tariffrate r JOIN billing_tariff t ON t.id = r.tariff_id WHERE r.reseller_id = %(r)s),
    destination = 'Place ' || line %% %(prefixes)s %% 900,
    cost = CASE line %% %(prefixes)s %% 10 WHEN 7 THEN retail + 0.05 ELSE cost END
WHERE reseller_id = %(r)s AND line %% 50 <> 0;
UPDATE billing_call SET state = 'error', reason = 'unknown_cli', customer_id = NULL, number_id = NULL, rate_id = NULL,
    retail = 0, billed_party = '+44' || line %% 1000 WHERE reseller_id = %(r)s AND line %% 50 = 0;
"""
#: The bills are issued as they are, without their documents.
ISSUED = "UPDATE billing_invoice SET state = 'issued', number = 'B' || id WHERE reseller_id = %(r)s AND state = 'draft'"


def plant(book: Book) -> None:
    """Make the book leak, and produce its bills."""
    with enter(book.scope), connection.cursor() as cursor:
        cursor.execute(LEAKS + USAGE, {"r": book.reseller.pk, "prefixes": book.prefixes})
        CdrFile.objects.create(
            reseller=book.reseller, carrier=book.carriers[0], format="bench", name="bench", size=1, sha256="bench",
            state="loaded", rows=CALLS, unpriced=CALLS, loaded_at=NOW, last_call_at=NOW,
            first_call_at=datetime(MONTH.year, MONTH.month, 1, tzinfo=UTC),
        )  # fmt: skip
    settle()
    bill_run(book)
    with enter(book.scope), connection.cursor() as cursor:
        cursor.execute(ISSUED, {"r": book.reseller.pk})
    settle()


def look(book: Book) -> int:
    """Run every check of leakage as each night; return what it found."""
    with enter(book.scope):
        return run(book.reseller, of_family(Finding.Family.LEAKAGE), now=NOW).found


def forget(book: Book) -> None:
    """Empty the register."""
    with enter(book.scope):
        FindingEvent.objects.all().delete()
        Finding.objects.all().delete()


def in_turn(
    book: Book, work: Callable[[], object], before: Callable[[], None] = lambda: None
) -> tuple[float, float]:
    """Return the median of the work's seconds and of its ratios to the bare aggregation, run in turn."""
    took, ratios = list[float](), list[float]()
    for _ in range(ROUNDS):
        before()
        bare = bare_sums(book)
        with watch() as timed:
            work()
        took.append(timed.seconds)
        ratios.append(timed.seconds / bare)
    return statistics.median(took), statistics.median(ratios)


def match(book: Book) -> None:
    """Match the latest months."""
    with enter(book.scope):
        match_latest(book.reseller, now=NOW)


@override_settings(ALLOWED_HOSTS=["testserver"], STORAGES=PLAIN)
def review(book: Book) -> list[float]:
    """Open the month's review as its owner again and again; return the seconds of each, in order of size."""
    owner, _ = User.objects.get_or_create(email=f"{book.reseller.code}@example.com")
    with enter(book.scope):
        Membership.objects.create(user=owner, reseller=book.reseller, role="owner")
        refresh(book.reseller, now=NOW)
    settle()
    client, page = Client(), reverse("review-month", args=[f"{NOW:%Y-%m}"])
    client.force_login(owner)
    opened = list[float]()
    for _ in range(WARM + OPENED):
        with watch() as timed:
            answer = client.get(page)
        if answer.status_code != 200:
            raise SystemExit(f"The review answered {answer.status_code}.")
        opened.append(timed.seconds)
    return sorted(opened[WARM:])


def main() -> None:
    """Print one line for each figure."""
    fresh()
    book = make_book()
    add_calls(book, CALLS)
    plant(book)
    bare_sums(book)
    about: dict[str, Any] = {"calls": CALLS, "month": f"{MONTH:%Y-%m}"}
    took, ratio = in_turn(book, lambda: look(book), lambda: forget(book))
    tell("register_first", CALLS / took, "calls/s", ratio=ratio, limit=FIRST, **about)
    found = look(book)
    took, ratio = in_turn(book, lambda: look(book))
    tell("register", CALLS / took, "calls/s", ratio=ratio, limit=NIGHTLY, found=found, **about)
    took, _ = in_turn(book, lambda: match(book))
    tell(
        "match", book.customers / took, "customers/s", ratio=took / MATCH, limit=1.0, customers=book.customers
    )
    opened = review(book)
    slow = opened[int(0.95 * len(opened))]
    tell("review_month", slow * 1000, "ms", ratio=slow / PAGE, limit=1.0)


if __name__ == "__main__":
    main()
