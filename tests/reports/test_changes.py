"""What changed since: each difference of a frozen run and a fresh one, as a naive comparison finds it, with causes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

import reports.web.changes
from billing.models import Allocation, Call, Carrier, CdrFile, Customer, Invoice, Payment, RatingBatch
from reports import changes, differences
from reports.differences import ADDED, CHANGED, REMOVED, Comparing
from reports.frozen import Freezer, Frozen, fields_of
from reports.models import Comparison, Run
from reports.registry import REPORTS
from reports.run import run
from resellerkpi.core.access import Role
from resellerkpi.core.audit import record
from resellerkpi.core.columns import SUM, Code, Column, Money, Text
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import a_call, rate_batch
from tests.reports.bills import NOW, Bill, make_bills, three_bills
from tests.reports.test_sharing import NOVEMBER, content, signed_in
from tests.world import World, make_world

COLUMNS: tuple[Column, ...] = (
    Code(name="code"),
    Text(name="name"),
    Money(name="net", currency="=GBP", total=SUM),
)
LATER = NOW + timedelta(days=12)


def frozen(path: Path, rows: list[dict[str, Any]]) -> Frozen:
    """Freeze rows in a file."""
    with Freezer(path, fields_of(COLUMNS, "UTC")) as freezer:
        list(freezer.passing(rows))
    return Frozen(path)


row = st.fixed_dictionaries(
    {
        "code": st.sampled_from("ABCD"),
        "name": st.sampled_from(["x", "y"]),
        "net": st.sampled_from([None, D("1"), D("1.00"), D("2.5"), D("-3")]),
    }
)


def naive(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Compare in plain Python: the n-th row of a code with the n-th of the same code."""

    def numbered(rows: list[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
        found: dict[Any, Mapping[str, Any]] = {}
        for one in rows:
            nth = sum(1 for code, _ in found if code == one["code"])
            found[one["code"], nth] = one
        return found

    before, after = numbered(old), numbered(new)
    moved = [
        (key[0], name, before[key][name], after[key][name])
        for key in after
        if key in before
        for name in ("name", "net")
        if before[key][name] != after[key][name]
    ]
    return {
        CHANGED: moved,
        ADDED: [key[0] for key in after if key not in before],
        REMOVED: [key[0] for key in before if key not in after],
    }


@settings(max_examples=60, deadline=None)
@given(old=st.lists(row, max_size=7), new=st.lists(row, max_size=7))
def test_differences_agree_with_a_naive_comparison(
    tmp_path_factory: pytest.TempPathFactory, old: list[Any], new: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("frozen")
    comparing = Comparing(frozen(folder / "old", old), frozen(folder / "new", new), COLUMNS, ["code"])
    entries = [entry for piece in comparing.entries(comparing.rows()) for entry in piece]
    found: dict[str, list[Any]] = {CHANGED: [], ADDED: [], REMOVED: []}
    for entry in entries:
        if entry.kind == CHANGED:
            found[CHANGED] += [(entry.row["code"], c.column.name, c.before, c.after) for c in entry.cells]
        else:
            found[entry.kind].append(entry.row["code"])
    expected = naive(old, new)
    assert found[CHANGED] == expected[CHANGED]
    assert found[ADDED] == expected[ADDED]
    assert sorted(found[REMOVED]) == sorted(expected[REMOVED])


def test_totals_stand_side_by_side_per_currency() -> None:
    columns = (Money(name="net", total=SUM),)
    found = differences.totals(
        [{"net": "10.00", "currency": "EUR"}, {"net": "5", "currency": "GBP"}],
        [{"net": "7.50", "currency": "GBP"}],
        columns,
    )
    assert [(t["currency"], t["before"], t["after"], t["difference"]) for t in found] == [
        ("EUR", "10.00", "0", "-10.00"),
        ("GBP", "5", "7.50", "2.50"),
    ]


@pytest.fixture
def world(committed_db: None) -> World:
    with time_machine.travel(NOW - timedelta(hours=1), tick=False):
        world = make_world()
        three_bills(world.alpha)
        return world


@pytest.fixture
def made(world: World) -> Run:
    with enter(world.alpha.scope()):
        made = run(REPORTS.get("invoices"), NOVEMBER, now=NOW, user=world.ana)
        Run.objects.filter(pk=made.pk).update(kept_until=LATER + timedelta(days=30))
        made.refresh_from_db()
        return made


def lines(comparison: Comparison) -> list[tuple[Any, ...]]:
    """Return the differences as (change, row, column, before, after, difference, cause)."""
    names = ("change", "row", "column", "before", "after", "difference_words", "cause")
    return [tuple(line[name] for name in names) for line in changes.lines(comparison).rows()]


def compare(world: World, made: Run, role: Role = Role.OWNER) -> Comparison:
    """Compare a run with now."""
    with enter(world.alpha.scope(role)):
        return changes.compare(made, now=LATER, user=world.ana)


def test_nothing_changed_is_said(world: World, made: Run) -> None:
    found = compare(world, made)
    assert (found.added, found.removed, found.changed, lines(found)) == (0, 0, 0, [])
    assert {D(t["difference"]) for t in found.totals} == {D(0)}
    assert [t["after"] for t in found.totals if t["column"] == "gross"] == ["336.00"]


def test_a_payment_a_credit_a_new_invoice_and_an_edit_are_told_with_their_causes(
    world: World, made: Run
) -> None:
    alpha = world.alpha
    first, second, third = alpha.customers
    own = {"reseller": alpha.reseller}
    with enter(Scope.of(alpha.reseller.pk, user_id=world.ana.pk)):
        unpaid = Invoice.objects.get(number="A-0002")
        payment = Payment.objects.create(
            **own, customer=second, method="card", received_date=date(2026, 12, 2), amount=D("70.00"),
            currency="GBP", reference="BACS-9",
        )  # fmt: skip
        Allocation.objects.create(
            **own, invoice=unpaid, payment=payment, date=date(2026, 12, 2), amount=D("70.00")
        )
        with time_machine.travel(LATER - timedelta(days=1), tick=False):
            Customer.objects.filter(pk=first.pk).update(name="Renamed Ltd")
            record("customer.changed", "Renamed Ltd")
    with time_machine.travel(LATER, tick=False):
        make_bills(alpha, Bill("A-0004", third, date(2026, 11, 30)))
    with enter(alpha.scope()):
        assert Invoice.objects.filter(number="A-0004").update(issued_at=LATER) == 1
    found = compare(world, made)
    assert (found.changed, found.added, found.removed) == (3, 1, 0)
    told = lines(found)
    renamed = (
        "Alpha Customer 1",
        "Renamed Ltd",
        "",
        "Edited on 3 Dec 2026 by Ana Alder (customer: changed).",
    )
    paid = "Paid: 70.00 on 2 Dec 2026 (BACS-9)."
    assert told[:4] == [
        (CHANGED, "A-0001", "Customer", *renamed),
        (CHANGED, "A-0002", "Paid", "0.00", "70.00", "+70.00", paid),
        (CHANGED, "A-0002", "Unpaid", "120.00", "50.00", "−70.00", paid),
        (CHANGED, "A-0003", "Customer", *renamed),
    ]
    assert {line[:2] for line in told[4:]} == {(ADDED, "A-0004")}
    assert ("Gross", "–", "120.00", "+120.00", "New: issued on 4 Dec 2026.") in [line[2:] for line in told]
    gross = next(t for t in found.totals if t["column"] == "gross")
    assert (gross["before"], gross["after"], gross["difference"]) == ("336.00", "456.00", "120.00")


def test_a_payment_entered_late_with_an_earlier_date_is_found_by_its_amount(world: World, made: Run) -> None:
    own = {"reseller": world.alpha.reseller}
    with enter(world.alpha.scope()):
        invoice = Invoice.objects.get(number="A-0003")
        payment = Payment.objects.create(
            **own, customer=invoice.customer, method="cash", received_date=date(2026, 11, 12), amount=D("30.00"),
            currency="GBP", reference="CASH",
        )  # fmt: skip
        Allocation.objects.create(
            **own, invoice=invoice, payment=payment, date=date(2026, 11, 12), amount=D("30.00")
        )
    told = lines(compare(world, made))
    assert [line[2:] for line in told] == [
        ("Paid", "50.00", "80.00", "+30.00", "Paid: 30.00 on 12 Nov 2026 (CASH)."),
        ("Unpaid", "50.00", "20.00", "−30.00", "Paid: 30.00 on 12 Nov 2026 (CASH)."),
    ]


def test_calls_priced_again_and_calls_that_came_late_are_told_apart(world: World) -> None:
    alpha = world.alpha
    first, second, _ = alpha.customers
    about = {"cost": None, "call_class": "Landline"}
    with enter(alpha.scope()):
        with time_machine.travel(NOW - timedelta(hours=1), tick=False):
            again = a_call(first, "2026-11-05 10:00", "1", **about)
            rate_batch(alpha.reseller, again, a_call(second, "2026-11-06 10:00", "2", **about))
        query = {**NOVEMBER, "group_by": ["customer"]}
        usage = run(REPORTS.get("usage"), query, now=NOW, user=world.ana)
        with time_machine.travel(LATER - timedelta(days=1), tick=False):
            rerated = RatingBatch.objects.create(
                reseller=alpha.reseller, kind="rerate", calls=1,
                first_call_at=again.started_at, last_call_at=again.started_at,
            )  # fmt: skip
            Call.objects.filter(dedupe_key=again.dedupe_key).update(retail=D("1.50"), batch=rerated)
            carrier = Carrier.objects.create(reseller=alpha.reseller, code="LATE", name="Late")
            file = CdrFile.objects.create(
                reseller=alpha.reseller, carrier=carrier, format="uk_standard", name="late.csv", size=1,
                sha256="0" * 64, currency="GBP",
            )  # fmt: skip
            late = rate_batch(alpha.reseller, a_call(second, "2026-11-07 10:00", "3", **about))
            RatingBatch.objects.filter(pk=late.pk).update(file=file)
    told = {line[1:]: None for line in lines(compare(world, usage)) if line[2] in ("Attempts", "Retail")}
    came = "Late calls: late.csv was loaded on 3 Dec 2026."
    assert list(told) == [
        ("Alpha Customer 1 · C001 · GBP", "Retail", "1.00", "1.50", "+0.50",
         "Rerated: 1 call was priced again on 3 Dec 2026."),
        ("Alpha Customer 2 · C002 · GBP", "Attempts", "1", "2", "+1", came),
        ("Alpha Customer 2 · C002 · GBP", "Retail", "2.00", "5.00", "+3.00", came),
    ]  # fmt: skip


def test_a_row_that_went_says_so(world: World) -> None:
    with enter(world.alpha.scope()):
        open_ones = run(REPORTS.get("invoices"), {**NOVEMBER, "unpaid": ["100"]}, now=NOW, user=world.ana)
        invoice = Invoice.objects.get(number="A-0002")
        payment = Payment.objects.create(
            reseller=world.alpha.reseller, customer=invoice.customer, method="card", amount=D("120.00"),
            received_date=date(2026, 12, 1), currency="GBP", reference="ALL",
        )  # fmt: skip
        Allocation.objects.create(
            reseller=world.alpha.reseller,
            invoice=invoice,
            payment=payment,
            date=date(2026, 12, 1),
            amount=D("120.00"),
        )
    found = compare(world, open_ones)
    assert (found.changed, found.added, found.removed) == (0, 0, 1)
    words = "It does not match the query any more. Paid: 120.00 on 1 Dec 2026 (ALL)."
    assert (REMOVED, "A-0002", "Unpaid", "120.00", "–", "−120.00", words) in lines(found)


def test_who_sees_less_compares_less_and_may_not_open_more(world: World, made: Run) -> None:
    mine = compare(world, made)
    theirs = compare(world, made, Role.VIEWER)
    assert "cost" in [c["name"] for c in mine.columns]
    assert "cost" not in [c["name"] for c in theirs.columns]
    place = "/reports/changes/{}/"
    vic = signed_in(world.vic)
    assert vic.get(place.format(mine.pk)).status_code == 403
    assert vic.get(f"{place.format(mine.pk)}export.csv").status_code == 403
    assert vic.get(place.format(theirs.pk)).status_code == 200
    assert signed_in(world.bo).get(place.format(theirs.pk)).status_code == 404
    assert Client().get(place.format(theirs.pk)).status_code == 302


def test_a_hidden_filter_is_refused_instead_of_comparing_other_rows(world: World) -> None:
    query = {**NOVEMBER, "account_manager": [str(world.ana.pk)]}
    with enter(world.alpha.scope()):
        made = run(REPORTS.get("invoices"), query, now=NOW, user=world.ana)
    with pytest.raises(changes.NothingToCompare, match="a filter that you may not use"):
        compare(world, made, Role.VIEWER)


def test_the_pages_compare_and_export(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = signed_in(world.ana)
    with enter(world.alpha.scope()):
        made = run(REPORTS.get("invoices"), NOVEMBER, now=datetime.now(UTC), user=world.ana)
    place = f"/reports/runs/{made.pk}/changes/"
    assert place in ana.get(f"/reports/runs/{made.pk}/").content.decode()
    assert "Nobody has compared" in ana.get(place).content.decode()
    at = ana.post(place)["Location"]
    assert "Nothing changed" in ana.get(at).content.decode()
    with enter(world.alpha.scope()):
        Customer.objects.filter(code="C002").update(name="=Formula & Co")
    second = ana.post(place)["Location"]
    page = ana.get(second).content.decode()
    assert "1 row changed" in page
    assert "Alpha Customer 2" in page
    assert "=Formula &amp; Co" in page
    assert "Edited, or entered with an earlier date" in page
    csv = content(ana.get(f"{second}export.csv")).decode().splitlines()
    assert csv[0] == "No.,Change,Row,Column,Before,After,Difference,Currency,Cause"
    assert csv[1].startswith("1,Changed,A-0002,Customer,Alpha Customer 2,'=Formula & Co,,,")
    assert "1 row changed" in ana.get(place).content.decode()
    monkeypatch.setattr(reports.web.changes, "MOST_AT_ONCE", 1)
    answer = ana.post(place)
    assert answer["Location"].startswith("/jobs/")
    with enter(world.alpha.scope()):
        assert Comparison.objects.count() == 3
        assert Comparison.objects.latest("pk").changed == 1


def test_the_number_of_queries_does_not_grow_with_the_rows(
    world: World, made: Run, django_assert_max_num_queries: Any
) -> None:
    counts, added = [], 0
    for more in (1, 3, 30):
        bills = (Bill(f"A-{more}-{n}", world.alpha.customers[0], date(2026, 11, 20)) for n in range(more))
        make_bills(world.alpha, *bills)
        added += more
        with enter(world.alpha.scope()), CaptureQueriesContext(connection) as queries:
            assert changes.compare(made, now=LATER, user=world.ana).added == added
        counts.append(len(queries))
    assert counts[1] == counts[2]
