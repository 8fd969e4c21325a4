"""What open invoices will bring, by method of payment and working day, how sure that is, and how good it was before.

The payer curve of a method says which part of what was still unpaid came on each working day before and after the due
date (the hazard of Kaplan and Meier, weighed with money: E. L. Kaplan and P. Meier, Nonparametric estimation from
incomplete observations, 1958). It is learnt from the invoices that fell due in the year before, as they stood on the
day of the forecast, so that invoices which are not settled yet say what they can. The same forecast, made as if it were
an earlier month, is held against what then came: its error widens the range.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing.receivables.workdays import last_whole, workday, workday_index
from resellerkpi.core.periods import add_months

#: Working days before and after the due date that a curve knows: about three months each.
FIRST, LAST = -66, 66
#: Days of invoices, by their due date, that a curve is learnt from.
LEARNT = timedelta(days=365)
#: Earlier months that a forecast is tried on, and how many it takes to believe their error.
TRIED, ENOUGH = 6, 3
#: Half the width of a range that nine of ten outcomes fall into, in standard deviations.
NINE_OF_TEN = Decimal("1.645")
ZERO, ONE = Decimal(0), Decimal(1)
CENT, SHARE = Decimal("0.01"), Decimal("0.000001")


class Cohort(NamedTuple):
    """Invoices of one method of payment and currency with the same dates."""

    method: str
    currency: str
    invoice_date: date
    due_date: date


class Move(NamedTuple):
    """What settled invoices of a cohort from a day until it was taken back; `is_cash` is False for a credit note."""

    cohort: Cohort
    day: date
    ended: date | None
    amount: Decimal
    is_cash: bool


class Open(NamedTuple):
    """What invoices of a cohort have open: how many, their sum and the sum of their squares."""

    cohort: Cohort
    invoices: int
    amount: Decimal
    squares: Decimal


@dataclass(frozen=True)
class History:
    """What was invoiced, by cohort, and what settled it."""

    invoiced: Mapping[Cohort, Decimal]
    moves: Sequence[Move]


class Trial(NamedTuple):
    """A forecast made as if it were an earlier day, and what came by the end of its horizon."""

    method: str
    currency: str
    made_on: date
    until: date
    expected: Decimal
    came: Decimal


@dataclass
class Expected:
    """What a method's invoices, or all, are expected to bring by a day or by the end, in one currency."""

    method: str
    currency: str
    day: date | None = None
    invoices: int = 0
    open: Decimal = ZERO
    expected: Decimal = ZERO
    variance: Decimal = ZERO
    error: Decimal | None = None

    @property
    def _half(self) -> Decimal:
        spread = self.expected * (self.error or ZERO)
        return NINE_OF_TEN * (self.variance + spread * spread).sqrt()

    @property
    def low(self) -> Decimal:
        """The lower end of the range of nine in ten, never below nought."""
        return max(self.expected - self._half, ZERO).quantize(CENT)

    @property
    def high(self) -> Decimal:
        """The upper end, never above what is open."""
        return min(self.expected + self._half, self.open).quantize(CENT)


@dataclass
class Forecast:
    """The forecast of a day: in all by method, by method and day, and the trials of it on earlier months."""

    made_on: date
    until: date
    methods: list[Expected] = field(default_factory=list)
    totals: list[Expected] = field(default_factory=list)
    days: list[Expected] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    unlearnt: list[tuple[str, str]] = field(default_factory=list)


Curve = dict[int, Decimal]


def forecast(
    history: History, opened: Sequence[Open], *, made_on: date, until: date, lead: int = 0
) -> Forecast:
    """Return what open invoices will bring after `made_on` up to and with `until`.

    `lead` is how many days after it the invoices counted in are dated at most (drafts of a run), for the trials.
    """
    curves = learn(history, made_on)
    made = Forecast(made_on, until, trials=trials(history, made_on=made_on, until=until, lead=lead))
    sums: dict[tuple[str, str, date | None], Expected] = {}
    for item in opened:
        method, currency = item.cohort.method, item.cohort.currency
        curve = curves.get((method, currency))
        if curve is None and (method, currency) not in made.unlearnt:
            made.unlearnt.append((method, currency))
        chances = chances_of(item.cohort, curve, made_on=made_on, until=until)
        parts = [(method, None, sum(chances.values(), ZERO)), ("", None, sum(chances.values(), ZERO))]
        for name, day, chance in [*parts, *((method, day, chance) for day, chance in chances.items())]:
            key = (name, currency, day)
            _add(sums.setdefault(key, Expected(name, currency, day)), item, chance)
    _sort_out(made, sums.values())
    return made


def learn(history: History, known: date) -> dict[tuple[str, str], Curve]:
    """Return the payer curve of each method and currency, from what was known at the end of a day.

    A curve gives for each working day from the due date the share of what was unpaid that came on it. A method of which
    nothing has been observed yet has none.
    """
    owed, came = _as_known(history, known)
    risk: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    paid: dict[tuple[str, str], dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for cohort, left in owed.items():
        if not known - LEARNT < cohort.due_date <= known + LEARNT:
            continue
        key, due = (cohort.method, cohort.currency), workday_index(cohort.due_date)
        on = _by_delay(cohort, came.get(cohort, ()))
        for delay in range(_entry(cohort), min(last_whole(known) - due, LAST) + 1):
            if left <= 0:
                break
            risk[key][delay] += left
            paid[key][delay] += on.get(delay, ZERO)
            left -= on.get(delay, ZERO)
    return {
        key: {d: min(max(paid[key][d] / left, ZERO), ONE) for d, left in at_risk.items() if paid[key][d]}
        for key, at_risk in risk.items()
    }


def chances_of(cohort: Cohort, curve: Curve | None, *, made_on: date, until: date) -> dict[date, Decimal]:
    """Return the chance that a cohort's open money comes on each working day after `made_on` up to `until`.

    Without a curve all of it is expected on the due date, or at once when that is past.
    """
    now, due = last_whole(made_on), workday_index(cohort.due_date)
    if curve is None:
        day = workday(max(due, now + 1))
        return {day: ONE} if day <= until else {}
    found: dict[date, Decimal] = {}
    left = ONE
    for delay in range(max(now + 1 - due, _entry(cohort)), min(last_whole(until) - due, LAST) + 1):
        if delay in curve:
            found[workday(due + delay)] = left * curve[delay]
            left -= left * curve[delay]
    return found


def trials(history: History, *, made_on: date, until: date, lead: int = 0) -> list[Trial]:
    """Make the forecast as if it were the same day of earlier months, and return what then came beside it.

    Only months whose horizon is over are tried, with what was known on their day. What came is cash of the horizon less
    cash taken back in it, of the invoices that were there.
    """
    length = until - made_on
    found: list[Trial] = []
    for back in range(1, 2 * TRIED):
        then = add_months(made_on, -back)
        if then + length > made_on or len({t.made_on for t in found}) == TRIED:
            continue
        found += _trial(history, then, then + length, then + timedelta(days=lead))
    return found


def error_of(found: Iterable[Trial]) -> dict[tuple[str, str], Decimal]:
    """Return how far trials were off: the root of the mean square of (came − expected) ÷ expected.

    By method and currency, and by ("", currency) for all methods together. Fewer than three trials say nothing.
    """
    totals: dict[tuple[str, date], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    pairs: dict[tuple[str, str], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for trial in found:
        pairs[trial.method, trial.currency].append((trial.expected, trial.came))
        totals[trial.currency, trial.made_on][0] += trial.expected
        totals[trial.currency, trial.made_on][1] += trial.came
    for (currency, _), (expected, came) in totals.items():
        pairs["", currency].append((expected, came))
    errors: dict[tuple[str, str], Decimal] = {}
    for key, known in pairs.items():
        squares = [((came - expected) / expected) ** 2 for expected, came in known if expected > 0]
        if len(squares) >= ENOUGH:
            errors[key] = (sum(squares, ZERO) / len(squares)).sqrt().quantize(SHARE)
    return errors


def _trial(history: History, then: date, end: date, dated: date) -> list[Trial]:
    curves = learn(history, then)
    owed, came = _as_known(history, then, dated)
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for cohort, amount in owed.items():
        key = (cohort.method, cohort.currency)
        left = amount - sum((a for _, a in came.get(cohort, ())), ZERO)
        if key in curves and left > 0:
            chances = chances_of(cohort, curves[key], made_on=then, until=end)
            sums[key][0] += left * sum(chances.values(), ZERO)
    for move in history.moves:
        key = (move.cohort.method, move.cohort.currency)
        if move.is_cash and move.cohort in owed and key in curves:
            sums[key][1] += move.amount * (_within(move.day, then, end) - _within(move.ended, then, end))
    return [
        Trial(method, currency, then, end, expected.quantize(CENT), cash)
        for (method, currency), (expected, cash) in sorted(sums.items())
        if expected > 0 or cash
    ]


def _within(day: date | None, after: date, until: date) -> int:
    return int(day is not None and after < day <= until)


def _as_known(
    history: History, known: date, dated: date | None = None
) -> tuple[dict[Cohort, Decimal], dict[Cohort, list[tuple[date, Decimal]]]]:
    """Return what cash could settle of each cohort, and the cash in force, as of the end of a day."""
    owed = {c: amount for c, amount in history.invoiced.items() if c.invoice_date <= (dated or known)}
    came: dict[Cohort, list[tuple[date, Decimal]]] = defaultdict(list)
    for move in history.moves:
        if move.cohort not in owed or move.day > known or (move.ended and move.ended <= known):
            continue
        if move.is_cash:
            came[move.cohort].append((move.day, move.amount))
        else:
            owed[move.cohort] -= move.amount
    return owed, came


def _entry(cohort: Cohort) -> int:
    """Return the working day, from the due date, from which an invoice can be paid: its own date."""
    return max(min(workday_index(cohort.invoice_date) - workday_index(cohort.due_date), LAST), FIRST)


def _by_delay(cohort: Cohort, came: Iterable[tuple[date, Decimal]]) -> dict[int, Decimal]:
    due, first = workday_index(cohort.due_date), _entry(cohort)
    found: dict[int, Decimal] = defaultdict(Decimal)
    for day, amount in came:
        found[max(workday_index(day) - due, first)] += amount
    return found


def _add(sums: Expected, item: Open, chance: Decimal) -> None:
    sums.invoices += item.invoices
    sums.open += item.amount
    sums.expected += item.amount * chance
    sums.variance += item.squares * chance * (ONE - chance)


def _sort_out(made: Forecast, sums: Iterable[Expected]) -> None:
    """Put sums where they belong, with the error that trials of their method, or of all, have shown."""
    errors = error_of(made.trials)
    for row in sums:
        row.error = errors.get((row.method, row.currency))
        row.expected = row.expected.quantize(CENT)
        (made.days if row.day else made.methods if row.method else made.totals).append(row)
    made.methods.sort(key=lambda row: (row.currency, row.method))
    made.totals.sort(key=lambda row: row.currency)
    made.days.sort(key=lambda row: (row.currency, row.day or made.made_on, row.method))
    made.unlearnt.sort()
