"""Recurring revenue and what moves it once more, naively: one customer, one close, one currency at a time."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis import oracle_more as m
from tests.kpis.oracle_more import Out, Row, back
from tests.kpis.worlds import CATALOGUE, OWNED, RATES, term_of

D = Decimal
LONG_AGO = date(2025, 10, 1)
Move = tuple[D, D, bool]
Weight = Callable[[D, D, bool], D]


def rounded(value: D) -> D:
    """Round to the six places amounts are kept with."""
    return value.quantize(D("0.000001"), ROUND_HALF_UP)


def months_before(month: date) -> list[date]:
    """Return every month since long ago up to and without one."""
    found, at = [], LONG_AGO
    while at < month:
        found.append(at)
        at = back(at, -1)
    return found


def moves(c: Row, month: date) -> dict[str, Move]:
    """Return MRR before, MRR now and whether there was some at an earlier close, by currency."""
    now, was = m.mrr(c, o.close(month)), m.mrr(c, o.before(month))
    earlier = [m.mrr(c, o.close(at)) for at in months_before(month)]
    return {
        x: (was.get(x, D(0)), now.get(x, D(0)), any(e.get(x, D(0)) > 0 for e in earlier))
        for x in {*now, *was}
    }


def new(was: D, now: D, seen: bool) -> D:
    """Return what is new."""
    return now if was == 0 and not seen else D(0)


def again(was: D, now: D, seen: bool) -> D:
    """Return what came back."""
    return now if was == 0 and seen else D(0)


def more(was: D, now: D, seen: bool) -> D:
    """Return expansion."""
    return now - was if now > was > 0 else D(0)


def less(was: D, now: D, seen: bool) -> D:
    """Return contraction."""
    return was - now if was > now > 0 else D(0)


def gone(was: D, now: D, seen: bool) -> D:
    """Return what was lost."""
    return was if now == 0 else D(0)


def added(*parts: tuple[int, Weight]) -> Weight:
    """Return a signed sum of movements."""
    return lambda was, now, seen: sum((sign * part(was, now, seen) for sign, part in parts), D(0))


def opened(was: D, now: D, seen: bool) -> D:
    """Return MRR at the close before."""
    return was


def moved(top: Weight, bottom: Weight | None = None) -> Callable[[Row, date], Out]:
    """Return a rule over movements."""
    return lambda c, month: [
        ("", x, top(*move), None if bottom is None else bottom(*move)) for x, move in moves(c, month).items()
    ]


def rate(currency: str, day: date) -> D:
    """Return what one unit of a currency is worth in pounds on a day."""
    return D(1) if currency == "GBP" else max((on, D(r)) for on, r in RATES if on <= day)[1]


def at_home(rule: Callable[[D, D, D, D], D]) -> Callable[[Row, date], Out]:
    """Return a rule over (was, now at the old rate, now, had some before) in pounds."""

    def rows(c: Row, month: date) -> Out:
        found: Out = []
        for x, (was, now, _) in moves(c, month).items():
            old, today = rate(x, o.before(month)), rate(x, o.close(month))
            value = rule(rounded(was * old), rounded(now * old), rounded(now * today), was)
            found.append(("", "GBP", value, None))
        return found

    return rows


def cohort_customers(c: Row, month: date) -> Out:
    """Return whether a customer of a month is still here."""
    start = m.first(c, month)
    if start is None or not o.active(c, o.close(start.replace(day=1))):
        return []
    return [(f"{start:%Y-%m}", "", D(int(o.active(c, o.close(month)))), D(1))]


def cohort_revenue(c: Row, month: date) -> Out:
    """Return MRR now and at the first close with some."""
    found: Out = []
    for x in ("GBP", "EUR"):
        for at in [*months_before(month), month]:
            then = m.mrr(c, o.close(at)).get(x, D(0))
            if then > 0:
                found.append((f"{at:%Y-%m}", x, m.mrr(c, o.close(month)).get(x, D(0)), then))
                break
    return found


def recurring(f: tuple[Any, ...]) -> bool:
    """Say whether a feature is charged again and again."""
    return bool(CATALOGUE[f[0]][0] != "once")


def features(top: Callable[[Any, date], D], bottom: Callable[[Any, date], D] | None = None) -> Any:
    """Return a rule over the recurring features a customer ever has."""
    return lambda c, month: [
        (f[0], CATALOGUE[f[0]][2], top(f, o.close(month)), bottom(f, o.close(month)) if bottom else None)
        for f in c["features"]
        if recurring(f)
    ]


def firm(f: Any, day: date) -> D:
    """Return the MRR under contract."""
    return o.feature_mrr(f, day) if left(f, day) > 0 else D(0)


def left(f: Any, day: date) -> int:
    """Return the days left of a minimum term."""
    term = term_of(f)
    return (term - day).days if term and o.on(f[1], day) else 0


def signed(f: Any, day: date) -> D:
    """Return MRR with what starts and without what ends in 90 days; the price is that of the day."""
    start, end = f[1]
    ends = o.left_out(f, day) or (end is not None and end <= day + timedelta(days=90))
    if start > day and not o.left_out(f, day):
        shift = (f[0], (day, None), *f[2:])
        return o.feature_mrr(shift, day) if start <= day + timedelta(days=90) else D(0)
    return D(0) if ends else o.feature_mrr(f, day)


def expiring(c: Row, month: date) -> Out:
    """Return the MRR whose term ends within 90 days, by when."""
    day, found = o.close(month), []
    for f in c["features"]:
        days = left(f, day) if recurring(f) else 0
        if 0 < days <= 90:
            within = "days_1_30" if days <= 30 else "days_31_60" if days <= 60 else "days_61_90"
            found.append(({"within": within, "feature": f[0]}, CATALOGUE[f[0]][2], firm(f, day), None))
    return found  # type: ignore[return-value]


def run_rate(c: Row, month: date) -> Out:
    """Return a third of the usage lines of the last three full months."""
    last = month if o.close(month) + timedelta(days=1) == back(month, -1) else back(month, 1)
    sums: dict[str, D] = {}
    for b in o.bills(c):
        if back(last, 2) <= b["date"] < back(last, -1):
            usage = sum((a for k, _, a in b["lines"] if k == "usage"), D(0))
            sums[b["currency"]] = sums.get(b["currency"], D(0)) + usage
    return [("", x, rounded(a / 3), None) for x, a in sums.items()]


def least(c: Row, month: date) -> Out:
    """Return a hundred-and-twentieth of who was there."""
    was = D(int(o.moves(c, month)["was"]))
    return [("", "", rounded(was / 120), was)]


RULES: dict[str, Callable[[Row, date], Out]] = {
    "mrr_new": moved(new),
    "mrr_reactivation": moved(again),
    "mrr_expansion": moved(more),
    "mrr_contraction": moved(less),
    "mrr_churn": moved(gone),
    "net_new_mrr": moved(lambda was, now, seen: now - was),
    "mrr_growth": moved(lambda was, now, seen: now - was, opened),
    "churn_mrr_gross": moved(added((1, less), (1, gone)), opened),
    "churn_mrr_net": moved(added((1, less), (1, gone), (-1, more), (-1, again)), opened),
    "grr": moved(added((1, opened), (-1, less), (-1, gone)), opened),
    "nrr": moved(added((1, opened), (1, more), (-1, less), (-1, gone)), opened),
    "quick_ratio": moved(added((1, new), (1, more)), added((1, less), (1, gone))),
    "expansion_share": moved(more, added((1, new), (1, more))),
    "mrr_home": at_home(lambda past, same, now, was: now),
    "net_new_mrr_home": at_home(lambda past, same, now, was: same - past if was else now),
    "mrr_fx": at_home(lambda past, same, now, was: now - same if was else D(0)),
    "cohort_retention_customers": cohort_customers,
    "cohort_retention_mrr": cohort_revenue,
    "grr_year": lambda c, month: [],
    "nrr_year": lambda c, month: [],
    "arr": features(lambda f, day: 12 * o.feature_mrr(f, day)),
    "cmrr": features(signed),
    "contracted_mrr": features(firm),
    "contracted_share": features(firm, o.feature_mrr),
    "contracted_months": features(lambda f, day: rounded(firm(f, day) * left(f, day) / D("30.4375")), firm),
    "contracted_expiring": expiring,
    "relationship_owned_share": features(
        lambda f, day: o.feature_mrr(f, day) if OWNED[f[0]] else D(0), o.feature_mrr
    ),
    "usage_run_rate": run_rate,
    "indicative_value": features(lambda f, day: 24 * o.feature_mrr(f, day)),
    "churn_least": least,
}

o.OWN |= {"cohort", "within"}
