"""The rest of the dictionary once more, naively: customers, invoices, debt, numbers, features, dynamics."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis.worlds import CATALOGUE, MORE, PRICE_CHANGE, cost_at, reason_of, reversed_on, shares

D = Decimal
Row = dict[str, Any]
Out = list[tuple[Any, str, D, D | None]]
LOSS = {"not_due": 1, "days_1_30": 3, "days_31_60": 10, "days_61_90": 25, "days_over_90": 50}


def one(top: Any, bottom: Any = None, key: Any = "", currency: str = "") -> Out:
    """Return one row of parts."""
    return [(key, currency, D(top), None if bottom is None else D(bottom))]


def back(month: date, months: int) -> date:
    """Return the first day of a month so many months before."""
    at = month.year * 12 + month.month - 1 - months
    return date(at // 12, at % 12 + 1, 1)


def first(c: Row, month: date) -> date | None:
    """Return when a customer's first service began, by the close."""
    return min((s for s, _ in o.services(c) if s <= o.close(month)), default=None)


def held(c: Row, day: date) -> int:
    """Return how many numbers a customer has on a day."""
    return sum(o.on(s, day) for _, _, s in c["numbers"])


def numbers_at(c: Row, month: date) -> int:
    """Return the numbers at a month's close."""
    return held(c, o.close(month))


def things(c: Row, month: date) -> int:
    """Return numbers and features at a month's close."""
    return numbers_at(c, month) + len(added(c, o.close(month)))


def live(c: Row, day: date) -> list[Any]:
    """Return the recurring features of a day."""
    return [f for f in c["features"] if CATALOGUE[f[0]][0] != "once" and o.on(f[1], day)]


def added(c: Row, day: date) -> list[Any]:
    """Return the features and packages of a day."""
    return [f for f in live(c, day) if CATALOGUE[f[0]][1] in ("feature", "package")]


def reason(c: Row, month: date) -> str:
    """Return why a customer that is not there left."""
    if o.active(c, o.close(month)):
        return ""
    days = [d for d, s in c["events"].items() if s == "ceased" and d <= o.close(month)]
    return (reason_of(max(days), "ceased") if days else "") or "unknown"


def band(c: Row, month: date) -> str:
    """Return the group a customer is in by how many numbers it has."""
    count = numbers_at(c, month)
    return "0" if count == 0 else "1" if count == 1 else "2-5" if count <= 5 else "6-20"


def stay(c: Row, month: date) -> D:
    """Return months from the first service to the close."""
    start = first(c, month) or o.close(month)
    return (D((o.close(month) - start).days) / D("30.4375")).quantize(D("0.000001"), ROUND_HALF_UP)


def young(c: Row, month: date) -> bool:
    """Say whether an active customer's first service is younger than 90 days."""
    start = first(c, month)
    return bool(o.active(c, o.close(month)) and start and start > o.close(month) - timedelta(days=90))


def fading(c: Row, month: date) -> bool:
    """Say whether a customer reduces its numbers."""
    n = [numbers_at(c, back(month, i)) for i in range(4)]
    falls = sum(n[i] < n[i + 1] for i in range(3))
    return o.active(c, o.close(month)) and (falls >= 2 or (n[3] > 0 and n[0] * 5 <= n[3] * 4))


def settled(b: Row, first_day: date, last: date) -> D:
    """Return what cash settled of an invoice between two days, less what was taken back."""
    got = sum((a for s, _, a in shares(b) if first_day <= s <= last), D(0))
    return got - sum((a for _, e, a in shares(b) if e and first_day <= e <= last), D(0))


def unsettled(c: Row, month: date) -> bool:
    """Say whether a newcomer has paid nothing or not called."""
    start, last = back(month, 3), o.close(month)
    paid = sum((settled(b, start, last) for b in o.bills(c)), D(0))
    return paid <= 0 or not any(start <= day <= last for _, day, _, _ in c["calls"])


def mrr(c: Row, day: date) -> dict[str, D]:
    """Return MRR by currency."""
    found: dict[str, D] = {}
    for f in c["features"]:
        code = CATALOGUE[f[0]][2]
        found[code] = found.get(code, D(0)) + o.feature_mrr(f, day)
    return found


def per_bill(rule: Callable[[Row, date], tuple[Any, Any]]) -> Callable[[Row, date], Out]:
    """Make a rule of parts per invoice a rule of a customer."""

    def rows(c: Row, month: date) -> Out:
        found: Out = []
        for b in o.bills(c):
            top, bottom = rule(b, month)
            found.append(("", b["currency"], D(top), None if bottom is None else D(bottom)))
        return found

    return rows


def month_days(month: date) -> int:
    """Return the days of a month up to its close."""
    return (o.close(month) - month).days + 1


def sales(b: Row, month: date) -> D:
    """Return what an invoice adds to the month's sales with VAT."""
    return (b["net"] if o.inside(b["date"], month) else D(0)) - o._noted(b, month)


def debt(*, late: bool | None) -> Callable[[Row, date], Out]:
    """Return debt × days over sales: all, only late, or only not due."""

    def rule(b: Row, month: date) -> tuple[Any, Any]:
        day = o.close(month)
        wanted = late is None or late == (o.bucket(b, day) != "not_due")
        return (o.owed(b, day) if wanted else D(0)) * month_days(month), sales(b, month)

    return per_bill(rule)


def mean_debt(c: Row, month: date) -> Out:
    """Return half the debt of both closes × days over sales."""
    return per_bill(
        lambda b, x: ((o.owed(b, o.close(x)) + o.owed(b, o.before(x))) / 2 * month_days(x), sales(b, x))
    )(c, month)


def owed_where(test: Callable[[str], bool], *, ratio: bool = False) -> Callable[[Row, date], Out]:
    """Return the debt of some ages, over all of it for a ratio."""

    def rule(b: Row, month: date) -> tuple[Any, Any]:
        day = o.close(month)
        return (
            o.owed(b, day) if test(o.bucket(b, day)) else D(0),
            o.owed(b, day) if ratio else None,
        )

    return per_bill(rule)


def provision(c: Row, month: date) -> Out:
    """Return debt × expected loss by age."""
    day = o.close(month)
    return [
        (o.bucket(b, day), b["currency"], o.owed(b, day) * LOSS[o.bucket(b, day)] / 100, None)
        for b in o.bills(c)
    ]


def collected(months: int) -> Callable[[Row, date], Out]:
    """Return cash within 30 days a month of the invoices of so many months ago, over their total."""

    def rule(b: Row, month: date) -> tuple[Any, Any]:
        if b["net"] <= 0 or b["date"].replace(day=1) != back(month, months):
            return 0, 0
        last = min(o.close(month), b["date"] + timedelta(days=30 * months))
        kept = [a for s, e, a in shares(b) if s <= last and (e is None or e > o.close(month))]
        return sum(kept, D(0)), b["net"]

    return per_bill(rule)


def paid_on(b: Row) -> date | None:
    """Return the day cash settled an invoice for good."""
    kept = [(s, a) for s, e, a in shares(b) if e is None]
    return max(s for s, _ in kept) if kept and sum(a for _, a in kept) == b["net"] else None


def days_late(c: Row, month: date) -> list[D]:
    """Return the days late of the invoices settled in a month."""
    found = []
    for b in o.bills(c):
        day = paid_on(b)
        if day and b["net"] > 0 and o.inside(day, month):
            found.append(D((day - b["date"]).days - b["terms"]))
    return found


def often_late(c: Row, month: date) -> bool:
    """Say whether two of the last three invoices due were late."""
    day, due = o.close(month), []
    for place, b in enumerate(o.bills(c)):
        on = b["date"] + timedelta(days=b["terms"])
        if b["net"] > 0 and day - timedelta(days=190) < on < day:
            kept = [(s, a) for s, e, a in shares(b) if s <= day and (e is None or e > day)]
            done = max(s for s, _ in kept) if kept and sum(a for _, a in kept) >= b["net"] else None
            due.append((on, place, (done or day) > on))
    return sum(late for _, _, late in sorted(due, reverse=True)[:3]) >= 2


def all_payments(c: Row) -> Iterable[tuple[str, str, D, date, date | None]]:
    """Return (method, currency, amount, received, reversed) of every payment."""
    for b in o.bills(c):
        for start, end, amount in shares(b):
            yield "transfer", b["currency"], amount, start, end
    for day, amount, wait in c["loose"]:
        yield "card", c["currency"], amount, day, reversed_on(day, wait)


def payments(top: str, bottom: str = "") -> Callable[[Row, date], Out]:
    """Return sums over payments: reversed, received, net of both, counts of either."""

    def rule(c: Row, month: date) -> Out:
        found: Out = []
        for method, currency, amount, start, end in all_payments(c):
            came, went = o.inside(start, month), bool(end and o.inside(end, month))
            is_ = {
                "received": amount if came else D(0),
                "reversed": amount if went else D(0),
                "net": (amount if came else D(0)) - (amount if went else D(0)),
                "times": D(int(went)),
                "refills": D(int(came)),
            }
            found.append((method, currency, is_[top], is_[bottom] if bottom else None))
        return found

    return rule


def counted(rule: Callable[[Row, date], Out]) -> Callable[[Row, date], Out]:
    """Return a rule without its currencies."""
    return lambda c, m: [(k, "", t, b) for k, _, t, b in rule(c, m)]


def on_account(c: Row, month: date) -> Out:
    """Return loose payments that are still there."""
    day = o.close(month)
    return [
        ("", c["currency"], a if o.on((s, reversed_on(s, w)), day) else D(0), None) for s, a, w in c["loose"]
    ]


def entries(kind: str) -> Callable[[Row, date], Out]:
    """Return the ledger entries of a kind in the month."""
    return lambda c, m: [
        ("", c["currency"], a, None) for d, k, a in c["ledger"] if k == kind and o.inside(d, m)
    ]


def after_all(part: str) -> Callable[[Row, date], Out]:
    """Return first tries that ended in the month before; the worlds' tries have no invoice to recover."""

    def rule(c: Row, month: date) -> Out:
        found: Out = []
        for day, outcome, method, _, presentation in c["attempts"]:
            if presentation == 1 and outcome in ("paid", "failed") and day.replace(day=1) == back(month, 1):
                if part == "recovery":
                    found.append((method, "", D(0), D(int(outcome == "failed"))))
                else:
                    found.append((method, "", D(int(outcome == "paid")), D(1)))
        return found

    return rule


def failures(c: Row, month: date) -> Out:
    """Return failed tries by reason and method."""
    return [
        ({"failure": str(n), "method": method}, "", D(1), None)
        for day, outcome, method, _, n in c["attempts"]
        if outcome == "failed" and o.inside(day, month)
    ]


def used(c: Row, month: date) -> Out:
    """Return numbers held, and those with a call of the customer in 90 days."""
    day = o.close(month)
    found: Out = []
    for place, (_, kind, span) in enumerate(c["numbers"]):
        if o.on(span, day):
            young_call = any(
                p == place and day - timedelta(days=90) < at <= day for p, at, _, _ in c["calls"]
            )
            found.append((kind, "", D(int(young_call)), D(1)))
    return found


def held_days(c: Row, month: date) -> Out:
    """Return the days each number was assigned, one by one."""
    return [
        (kind, "", D(sum(o.on(s, month + timedelta(days=i)) for i in range(month_days(month)))), None)
        for _, kind, s in c["numbers"]
    ]


def moved_numbers(c: Row, month: date) -> Out:
    """Return removed numbers over those held at the start."""
    return [
        (
            kind,
            "",
            D(int(o.on(s, o.before(month)) and not o.on(s, o.close(month)))),
            D(int(o.on(s, o.before(month)))),
        )
        for _, kind, s in c["numbers"]
    ]


def quantities(c: Row, month: date) -> dict[str, tuple[int, int]]:
    """Return quantity now and before by feature."""
    found: dict[str, tuple[int, int]] = {}
    for code in CATALOGUE:
        now = sum(f[2] for f in live(c, o.close(month)) if f[0] == code)
        was = sum(f[2] for f in live(c, o.before(month)) if f[0] == code)
        found[code] = (now, was)
    return found


def moved(rule: Callable[[int, int], tuple[Any, Any]]) -> Callable[[Row, date], Out]:
    """Return a rule over quantities now and before, by feature."""

    def rows(c: Row, month: date) -> Out:
        found: Out = []
        for code, (now, was) in quantities(c, month).items():
            top, bottom = rule(now, was)
            found.append((code, "", D(top), None if bottom is None else D(bottom)))
        return found

    return rows


def cost(f: tuple[Any, ...], day: date) -> D:
    """Return what a feature costs per month on a day."""
    if o.left_out(f, day):
        return D(0)
    whole = cost_at(f[0], day) * f[2] / {"month": 1, "quarter": 3, "year": 12}[CATALOGUE[f[0]][0]]
    return whole.quantize(D("0.000001"), ROUND_HALF_UP)


def margin(c: Row, month: date) -> Out:
    """Return MRR less cost over MRR."""
    day = o.close(month)
    return [
        (f[0], CATALOGUE[f[0]][2], o.feature_mrr(f, day) - cost(f, day), o.feature_mrr(f, day))
        for f in live(c, day)
    ]


def share_of_features(c: Row, month: date) -> Out:
    """Return MRR of features and packages over all."""
    day = o.close(month)
    return [
        ("", CATALOGUE[f[0]][2], o.feature_mrr(f, day) if f in added(c, day) else D(0), o.feature_mrr(f, day))
        for f in live(c, day)
    ]


def ladder(up: bool) -> Callable[[Row, date], Out]:
    """Return moves on the one ladder there is."""

    def rule(c: Row, month: date) -> Out:
        now, was = (
            max((MORE[f[0]][2] or 0 for f in live(c, day) if MORE[f[0]][1]), default=0)
            for day in (o.close(month), o.before(month))
        )
        hit = now > was > 0 if up else 0 < now < was
        return one(int(hit), key="talk")

    return rule


def price(code: str, day: date) -> D:
    """Return the list price of a day."""
    return CATALOGUE[code][3] if day < PRICE_CHANGE else CATALOGUE[code][4]
