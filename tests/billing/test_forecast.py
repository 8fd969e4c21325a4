"""The forecast of collections: by hand, and against a naive one that looks at one invoice at a time."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal as D
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.models import Allocation, BillingRun, Customer, Invoice, Payment
from billing.receivables.forecast import (
    Cohort,
    History,
    Move,
    Open,
    chances_of,
    error_of,
    forecast,
    learn,
    trials,
)
from billing.receivables.forecast_facts import came_since, expect
from billing.receivables.workdays import last_whole, workday, workday_index
from resellerkpi.core.scope import enter
from tests.reports.bills import Bill, make_bills
from tests.world import make_world

MON = date(2026, 6, 1)


@dataclass(frozen=True)
class Paper:
    """An invoice as a tester holds it: dates, gross, and (day, ended, amount, is_cash) of what settled it."""

    method: str
    dated: date
    due: date
    gross: D
    settled: tuple[tuple[date, date | None, D, bool], ...] = ()

    @property
    def cohort(self) -> Cohort:
        return Cohort(self.method, "GBP", self.dated, self.due)


def history(papers: list[Paper]) -> History:
    invoiced: dict[Cohort, D] = defaultdict(D)
    for p in papers:
        invoiced[p.cohort] += p.gross
    return History(invoiced, [Move(p.cohort, *move) for p in papers for move in p.settled])


def still_open(papers: list[Paper], day: date) -> list[Open]:
    left = [(p.cohort, p.gross - in_force(p, day)) for p in papers if p.dated <= day]
    rows = sorted((c, b) for c, b in left if b > 0)
    found = [(cohort, [b for _, b in group]) for cohort, group in groupby(rows, key=lambda row: row[0])]
    return [Open(c, len(bs), sum(bs, D(0)), sum((b * b for b in bs), D(0))) for c, bs in found]


def in_force(p: Paper, day: date, cash: bool | None = None) -> D:
    return sum(
        (
            a
            for s, e, a, is_cash in p.settled
            if s <= day and not (e and e <= day) and cash in (None, is_cash)
        ),
        D(0),
    )


def test_working_days_skip_the_weekend() -> None:
    """Given a week, a Saturday counts as the Monday after, and each number leads back to its day."""
    week = [workday_index(MON + timedelta(days=n)) - workday_index(MON) for n in range(8)]
    assert week == [0, 1, 2, 3, 4, 5, 5, 5]
    assert [workday(workday_index(MON) + n) for n in (0, 4, 5)] == [MON, date(2026, 6, 5), date(2026, 6, 8)]
    assert [last_whole(date(2026, 6, d)) - workday_index(MON) for d in (5, 6, 7, 8)] == [4, 4, 4, 5]


def test_the_curve_says_which_part_of_what_was_unpaid_came_on_each_day() -> None:
    """Given 100, 100 and 200 of which 100 came on the due date and 150 of the 300 left two days later.

    When a Saturday pays like a Monday, then the curve is 1/4 on day 0 and 1/2 on day 2: the rest never came.
    """
    due = date(2026, 6, 11)  # a Thursday
    papers = [
        Paper("transfer", MON, due, D(100), ((due, None, D(100), True),)),
        Paper("transfer", MON, due, D(100), ((date(2026, 6, 13), None, D(100), True),)),
        Paper("transfer", MON, due, D(200), ((date(2026, 6, 15), None, D(50), True),)),
    ]
    curve = learn(history(papers), date(2026, 8, 31))["transfer", "GBP"]
    assert curve == {0: D("0.25"), 2: D("0.5")}
    fresh = Cohort("transfer", "GBP", date(2026, 9, 1), date(2026, 9, 11))
    chances = chances_of(fresh, curve, made_on=date(2026, 9, 1), until=date(2026, 9, 30))
    assert chances == {date(2026, 9, 11): D("0.25"), date(2026, 9, 15): D("0.375")}
    late = chances_of(fresh, curve, made_on=date(2026, 9, 13), until=date(2026, 9, 30))
    assert late == {date(2026, 9, 15): D("0.5")}


def test_invoices_that_are_not_settled_yet_say_what_they_can() -> None:
    """Given an invoice due yesterday that was paid on its day, then it counts for day 0 and not for day 5."""
    old, new = date(2026, 6, 11), date(2026, 8, 27)
    papers = [
        Paper("card", MON, old, D(100), ((old + timedelta(days=7), None, D(100), True),)),
        Paper("card", date(2026, 8, 20), new, D(300), ((new, None, D(300), True),)),
    ]
    assert learn(history(papers), date(2026, 8, 28))["card", "GBP"] == {0: D("0.75"), 5: D(1)}


def test_the_range_is_that_of_invoices_paid_or_not_widened_by_what_trials_were_off() -> None:
    """Given six months in which half of four equal debits came, and one with none, then the error is known."""
    papers = []
    for month in range(1, 8):
        dated, due = date(2026, month, 1), date(2026, month, 15)
        paid = 0 if month == 7 else 2
        papers += [
            Paper("direct_debit", dated, due, D(50), ((due, None, D(50), True),) if n < paid else ())
            for n in range(4)
        ]
    today = date(2026, 8, 1)
    papers += [Paper("direct_debit", today, date(2026, 8, 14), D(50)) for _ in range(4)]
    made = forecast(history(papers), still_open(papers, today), made_on=today, until=date(2026, 8, 29))
    tried = {t.made_on.month: (t.expected, t.came) for t in made.trials}
    assert tried == {7: (D(100), D(0)), 6: (D(100), D(100)), 5: (D(100), D(100)), 4: (D(100), D(100)),
                     3: (D(100), D(100)), 2: (D(100), D(100))}  # fmt: skip
    error = (D(1) / 6).sqrt().quantize(D("0.000001"))
    (whole,) = made.methods
    share = D(600) / D(1400)
    expected = (200 * share).quantize(D("0.01"))
    half = D("1.645") * (4 * 2500 * share * (1 - share) + (expected * error) ** 2).sqrt()
    assert (whole.error, whole.expected) == (error, expected)
    assert whole.low == max(expected - half, D(0)).quantize(D("0.01"))
    assert whole.high == min(expected + half, D(200)).quantize(D("0.01"))


def test_a_method_that_nothing_is_known_of_is_expected_whole_on_its_day() -> None:
    """Given no history, then all of it is expected when due, at once when late, and it is said."""
    today = date(2026, 8, 3)
    papers = [
        Paper("cheque", today, date(2026, 8, 14), D(80)),
        Paper("cheque", date(2026, 1, 1), date(2026, 1, 2), D(20)),
    ]
    made = forecast(History({}, []), still_open(papers, today), made_on=today, until=date(2026, 8, 20))
    assert made.unlearnt == [("cheque", "GBP")]
    assert [(d.day, d.expected) for d in made.days] == [(date(2026, 8, 4), D(20)), (date(2026, 8, 14), D(80))]
    assert error_of(made.trials) == {}


days = st.integers(0, 420).map(lambda n: date(2025, 6, 2) + timedelta(days=n))


@st.composite
def paper(draw: st.DrawFn) -> Paper:
    dated = draw(days)
    gross = D(draw(st.integers(1, 40)) * 10)
    moves, left = [], gross
    for _ in range(draw(st.integers(0, 3))):
        start = dated + timedelta(days=draw(st.integers(0, 50)))
        ended = start + timedelta(days=draw(st.integers(0, 20))) if draw(st.integers(0, 4)) == 0 else None
        amount = min(D(draw(st.integers(1, 20)) * 10), left)
        if amount > 0:
            moves.append((start, ended, amount, draw(st.integers(0, 4)) > 0))
            left -= amount
    due = dated + timedelta(days=draw(st.sampled_from((0, 5, 14, 30))))
    return Paper(draw(st.sampled_from(("card", "transfer"))), dated, due, gross, tuple(moves))


def naive(papers: list[Paper], made_on: date, until: date, known: list[Paper] | None = None) -> dict[str, D]:
    """Return what each method's open invoices bring by the end: one invoice, one working day at a time."""
    curves = {m: naive_curve(known or papers, m, made_on) for m in ("card", "transfer")}
    sums: dict[str, D] = defaultdict(D)
    for p in papers:
        balance = p.gross - in_force(p, made_on)
        if p.dated > made_on or balance <= 0:
            continue
        left, day = balance, made_on
        while day < until:
            day += timedelta(days=1)
            delay = workday_index(day) - workday_index(p.due)
            if day.weekday() < 5 and abs(delay) <= 66 and (curve := curves[p.method]) is not None:
                left -= left * curve.get(delay, D(0))
            elif day.weekday() < 5 and curves[p.method] is None and day >= p.due:
                left = D(0)
        sums[p.method] += balance - left
    return sums


def naive_curve(papers: list[Paper], method: str, known: date) -> dict[int, D] | None:
    paid: dict[int, D] = defaultdict(D)
    risk: dict[int, D] = defaultdict(D)
    last = known if known.weekday() < 5 else known - timedelta(days=known.weekday() - 4)
    for p in papers:
        if p.method != method or p.dated > known or p.due <= known - timedelta(days=365):
            continue
        owed = p.gross - in_force(p, known, cash=False)
        for delay in range(workday_index(p.dated) - workday_index(p.due), 67):
            if workday(workday_index(p.due) + delay) > last:
                break
            came = [(s, a) for s, e, a, c in p.settled if c and s <= known and not (e and e <= known)]
            before = sum((a for s, a in came if workday_index(s) - workday_index(p.due) < delay), D(0))
            today = sum((a for s, a in came if workday_index(s) - workday_index(p.due) == delay), D(0))
            risk[delay] += owed - before
            paid[delay] += today
    return {d: min(paid[d] / r, D(1)) for d, r in risk.items() if paid[d] and r > 0} if risk else None


@settings(max_examples=40, deadline=None)
@given(st.lists(paper(), min_size=1, max_size=14), st.integers(0, 30))
def test_cohorts_bring_what_their_invoices_bring_one_by_one(papers: list[Paper], wait: int) -> None:
    """Given any invoices, then the forecast equals the naive one, days add up to methods and these to the total."""
    made_on = date(2026, 7, 1) + timedelta(days=wait)
    until = made_on + timedelta(days=28)
    made = forecast(history(papers), still_open(papers, made_on), made_on=made_on, until=until)
    want = naive(papers, made_on, until)
    got = {m.method: m.expected for m in made.methods}
    assert set(got) == set(want)
    for method, expected in want.items():
        assert abs(got[method] - expected) <= D("0.01")
        by_day = sum((d.expected for d in made.days if d.method == method), D(0))
        assert abs(by_day - got[method]) <= D("0.01") * 30
    assert all(D(0) <= m.low <= m.expected <= m.high <= m.open for m in [*made.methods, *made.totals])
    assert abs(sum(got.values(), D(0)) - sum((t.expected for t in made.totals), D(0))) <= D("0.02")


@settings(max_examples=25, deadline=None)
@given(st.lists(paper(), min_size=1, max_size=14))
def test_a_trial_knows_what_was_known_and_what_came(papers: list[Paper]) -> None:
    """Given any invoices, then a trial expects what the naive forecast of its day did, and cash that then came."""
    made_on, until = date(2026, 8, 1), date(2026, 8, 29)
    for trial in trials(history(papers), made_on=made_on, until=until):
        there = [p for p in papers if p.dated <= trial.made_on and p.method == trial.method]
        expected = naive(there, trial.made_on, trial.until, papers)[trial.method]
        came = sum(
            (in_force(p, trial.until, cash=True) - in_force(p, trial.made_on, cash=True) for p in there), D(0)
        )
        assert abs(trial.expected - expected) <= D("0.01")
        assert trial.came == came


@pytest.mark.django_db
def test_it_reads_open_invoices_and_the_drafts_of_the_run() -> None:
    """Given paid, part paid, credited, disputed, reversed and draft invoices, then what is open is counted once."""
    house = make_world().alpha
    first, second, test = house.customers
    with enter(house.scope()):
        Customer.objects.update(payment_method="card")
        Customer.objects.filter(pk=test.pk).update(is_test=True)
        run = BillingRun.objects.create(
            reseller=house.reseller, name="October", period_start=date(2026, 10, 1), period_end=date(2026, 11, 1),
            invoice_date=date(2026, 11, 1),
        )  # fmt: skip
    day = date(2026, 10, 1)
    bills = make_bills(
        house,
        Bill("A", first, day, paid="20.00"),
        Bill("B", second, day, credited="30.00"),
        Bill("C", first, day, paid="120.00"),
        Bill("D", second, day),
        Bill("E", test, day),
        Bill("F", first, date(2026, 11, 1), state=Invoice.State.DRAFT),
        Bill("G", second, date(2026, 11, 1), state=Invoice.State.DRAFT),
    )
    with enter(house.scope()):
        Invoice.objects.filter(pk=bills[3].pk).update(is_disputed=True)
        Invoice.objects.filter(pk=bills[5].pk).update(run=run)
        Allocation.objects.filter(invoice=bills[2]).update(ended_date=date(2026, 10, 30))
        made = expect(house.reseller, made_on=date(2026, 11, 1), run=run)
        payment = Payment.objects.get(reference="A")
        later = {"reseller": house.reseller, "invoice": bills[0], "payment": payment}
        Allocation.objects.create(**later, date=date(2026, 11, 10), amount=D(30))
        Allocation.objects.create(
            **later, date=date(2026, 11, 12), ended_date=date(2026, 11, 14), amount=D(20)
        )
        came = {
            last: came_since(run, made_on=made.made_on, until=date(2026, 11, last))
            for last in (9, 10, 12, 14)
        }
    assert came == {
        9: {},
        10: {("card", "GBP"): D(30)},
        12: {("card", "GBP"): D(50)},
        14: {("card", "GBP"): D(30)},
    }
    (whole,) = made.totals
    # 100 of A, 90 of B, 120 of C taken back, 120 of the draft F; D is disputed, E a test account, G of no run.
    assert (whole.currency, whole.invoices, whole.open) == ("GBP", 4, D("430.00"))
    assert (made.made_on, made.until) == (date(2026, 11, 1), date(2026, 11, 29))
