"""Every KPI once more, naively: plain Python over plain data, one customer and one row at a time."""

from calendar import monthrange
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import takewhile
from typing import Any

from tests.kpis.worlds import CATALOGUE, LAST, MONTHS, PRICE_CHANGE, credit_of, shares
from tests.kpis.worlds_units import supplier

D = Decimal
Row = dict[str, Any]
Parts = dict[tuple[str, str], list[D | None]]
SERVICE = ("recurring", "usage", "credit")


def close(month: date) -> date:
    """The day on which a month is looked at: its last day, or today."""
    return min(month.replace(day=monthrange(month.year, month.month)[1]), LAST)


def before(month: date) -> date:
    """The close before."""
    return month - timedelta(days=1)


def on(span: tuple[date, date | None], day: date) -> bool:
    """Whether a half-open range covers a day."""
    return span[0] <= day and (span[1] is None or span[1] > day)


def services(c: Row) -> list[tuple[date, date | None]]:
    """What makes a customer active."""
    return [s for _, _, s in c["numbers"]] + [f[1] for f in c["features"] if CATALOGUE[f[0]][0] != "once"]


def active(c: Row, day: date) -> bool:
    """Whether a customer has a service on a day."""
    return any(on(s, day) for s in services(c))


def seen(c: Row, month: date) -> bool:
    """Whether a customer was active at the last day of any month before this one."""
    at = date(2025, 10, 1)
    while at < month:
        last = at.replace(day=monthrange(at.year, at.month)[1])
        if active(c, last):
            return True
        at = last + timedelta(days=1)
    return False


def status(c: Row, month: date) -> str:
    """The dated status, or what services say when there is none."""
    day = close(month)
    started = any(s[0] <= day for s in services(c))
    told = [d for d in sorted(c["events"]) if d <= day]
    if not started:
        return str(c["status"])
    if told:
        return str(c["events"][told[-1]])
    if not active(c, day):
        return "ceased"
    return "suspended" if not c["events"] and c["status"] == "suspended" else "active"


def moves(c: Row, month: date) -> dict[str, bool]:
    """How a customer moved in a month."""
    now, was, ever = active(c, close(month)), active(c, before(month)), seen(c, month)
    return {
        "new": now and not was and not ever and not c["imported"],
        "moved_in": now and not was and not ever and c["imported"],
        "back": now and not was and ever,
        "lost": was and not now,
        "now": now,
        "was": was,
    }


def tenure(c: Row, month: date) -> D:
    """Months from first service to the end of the last ended one."""
    ends = [e for _, e in services(c) if e is not None and e <= close(month)]
    first = min(s for s, _ in services(c))
    return (D((max(ends) - first).days) / D("30.4375")).quantize(D("0.000001"), ROUND_HALF_UP)


class Owned(tuple[Any, ...]):
    """A feature that knows whose it is, where those of suspended customers are left out."""

    owner: Row


def owned(book: Row) -> Row:
    """Return a book whose features know whose they are, where the house leaves suspended customers out."""
    if book.get("settings", {}).get("mrr_suspended") != "leave_out":
        return book
    people = [dict(c) for c in book["customers"]]
    for c in people:
        c["features"] = [Owned(f) for f in c["features"]]
        for f in c["features"]:
            f.owner = c
    return {**book, "customers": people}


def left_out(f: tuple[Any, ...], day: date) -> bool:
    """Whether a feature is left out on a day, because its customer is suspended."""
    if not isinstance(f, Owned):
        return False
    events = f.owner["events"]
    told = [events[d] for d in sorted(events) if d <= day]
    return bool(told[-1] == "suspended") if told else not events and f.owner["status"] == "suspended"


def feature_mrr(f: tuple[Any, ...], day: date) -> D:
    """What a feature brings per month on a day."""
    code, span, quantity, price, discount, free = f
    interval, _, _, old, new = CATALOGUE[code]
    if free or interval == "once" or not on(span, day) or left_out(f, day):
        return D(0)
    unit = price if price is not None else (old if day < PRICE_CHANGE else new)
    whole = quantity * unit * (100 - discount) / {"month": 1, "quarter": 3, "year": 12}[interval]
    return (whole / 100).quantize(D("0.000001"), ROUND_HALF_UP)


def inside(day: date, month: date) -> bool:
    """Whether a day lies in the month, up to its close."""
    return month <= day <= close(month)


def bills(c: Row) -> list[Row]:
    """Invoices that are not drafts."""
    return [b for b in c["invoices"] if not b["draft"]]


def gone(b: Row, month: date) -> bool:
    """Whether an invoice of the month was wholly credited in it."""
    note = credit_of(b)
    return bool(
        inside(b["date"], month) and b["net"] > 0 and note and inside(note[0], month) and note[1] >= b["net"]
    )


def owed(b: Row, day: date) -> D:
    """What is open of an invoice on a day."""
    if b["date"] > day:
        return D(0)
    return b["net"] - sum((a for s, e, a in shares(b) if on((s, e), day)), D(0))  # type: ignore[no-any-return]


def bucket(b: Row, day: date) -> str:
    """How old an invoice's debt is on a day."""
    late = (day - b["date"]).days - b["terms"]
    for name, last in (("not_due", 0), ("days_1_30", 30), ("days_31_60", 60), ("days_61_90", 90)):
        if late <= last:
            return name
    return "days_over_90"


def parts(slug: str, c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    """One customer's parts of a KPI in a month: (own key, currency, numerator, denominator)."""
    return RULES[slug](c, month)


def _move(name: str, base: str = "") -> Callable[[Row, date], list[tuple[str, str, D, D | None]]]:
    def rule(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
        m = moves(c, month)
        return [("", "", D(int(m[name])), D(int(m[base])) if base else None)]

    return rule


def _net(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    m = moves(c, month)
    return [("", "", D(int(m["new"]) + int(m["back"]) - int(m["lost"])), None)]


def _money(per_bill: Callable[[Row, date], D]) -> Callable[[Row, date], list[tuple[str, str, D, D | None]]]:
    def rule(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
        return [("", b["currency"], per_bill(b, month), None) for b in bills(c)]

    return rule


def _noted(b: Row, month: date) -> D:
    note = credit_of(b)
    return note[1] if note and inside(note[0], month) else D(0)


def _service(b: Row, month: date) -> D:
    lines = sum((-a if k == "credit" else a for k, _, a in b["lines"] if k in SERVICE), D(0))
    return (lines if inside(b["date"], month) else D(0)) - _noted(b, month)


def _average(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    found: list[tuple[str, str, D, D | None]] = []
    for b in bills(c):
        counted = inside(b["date"], month) and b["net"] > 0 and not gone(b, month)
        credited = D(0) if gone(b, month) else _noted(b, month)
        found.append(("", b["currency"], (b["net"] if counted else D(0)) - credited, D(int(counted))))
    return found


def _arpu(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    m = moves(c, month)
    rows: list[tuple[str, str, D, D | None]] = [
        ("", b["currency"], _service(b, month), D(0)) for b in bills(c)
    ]
    return [*rows, ("", c["currency"], D(0), D(int(m["now"]) + int(m["was"])) / 2)]


def _overdue(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    day = close(month)
    return [
        ("", b["currency"], owed(b, day) if bucket(b, day) != "not_due" else D(0), owed(b, day))
        for b in bills(c)
    ]


def _cash(b: Row, month: date) -> D:
    got = sum((a for s, _, a in shares(b) if inside(s, month)), D(0))
    return got - sum((a for _, e, a in shares(b) if e and inside(e, month)), D(0))


def _attempts(by_value: bool) -> Callable[[Row, date], list[tuple[str, str, D, D | None]]]:
    def rule(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
        found: list[tuple[str, str, D, D | None]] = []
        for day, outcome, method, amount, presentation in c["attempts"]:
            if presentation == 1 and outcome in ("paid", "failed") and inside(day, month):
                size = amount if by_value else D(1)
                found.append(
                    (method, c["currency"] if by_value else "", size if outcome == "paid" else D(0), size)
                )
        return found

    return rule


def _numbers(what: str) -> Callable[[Row, date], list[tuple[str, str, D, D | None]]]:
    def rule(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
        found: list[tuple[str, str, D, D | None]] = []
        for name, kind, span in c["numbers"]:
            now, was = on(span, close(month)), on(span, before(month))
            hit = {"held": now, "added": now and not was, "removed": was and not now}[what]
            own: Any = (
                {"number_type": kind, "carrier": supplier(name, close(month))} if what == "held" else kind
            )
            found.append((own, "", D(int(hit)), None))
        return found

    return rule


def _mrr(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    return [(f[0], CATALOGUE[f[0]][2], feature_mrr(f, close(month)), None) for f in c["features"]]


def _features(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    live = [f for f in c["features"] if CATALOGUE[f[0]][0] != "once" and on(f[1], close(month))]
    return [(f[0], "", D(f[2]), None) for f in live]


def _feature_revenue(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    return [
        (f, b["currency"], -a if k == "credit" else a, None)
        for b in bills(c)
        for k, f, a in b["lines"]
        if f and inside(b["date"], month)
    ]


def _stay(c: Row, month: date) -> list[tuple[str, str, D, D | None]]:
    return [("", "", tenure(c, month), D(1))] if moves(c, month)["lost"] else []


RULES: dict[str, Callable[[Row, date], list[tuple[str, str, D, D | None]]]] = {
    "customers_active": _move("now"),
    "customers_new": _move("new"),
    "customers_moved_in": _move("moved_in"),
    "customers_reactivated": _move("back"),
    "customers_lost": _move("lost"),
    "customers_net": _net,
    "churn_customer": _move("lost", "was"),
    "mrr": _mrr,
    "arpu": _arpu,
    "tenure_lost": _stay,
    "total_invoiced": _money(lambda b, m: b["net"] if inside(b["date"], m) else D(0)),
    "total_invoiced_gross": _money(lambda b, m: b["net"] if inside(b["date"], m) else D(0)),
    "credit_notes": _money(_noted),
    "invoices_issued": lambda c, m: [("", "", D(int(inside(b["date"], m))), None) for b in bills(c)],
    "aiv": _average,
    "outstanding": _money(lambda b, m: owed(b, close(m))),
    "aged_debt": lambda c, m: [
        (bucket(b, close(m)), b["currency"], owed(b, close(m)), None) for b in bills(c)
    ],
    "overdue_share": _overdue,
    "cash_collected": _money(_cash),
    "payment_first_time_success": _attempts(by_value=False),
    "payment_first_time_success_value": _attempts(by_value=True),
    "numbers_total": _numbers("held"),
    "numbers_added": _numbers("added"),
    "numbers_removed": _numbers("removed"),
    "features_total": _features,
    "feature_revenue": _feature_revenue,
}
OWN: set[str] = {"bucket", "method", "number_type", "feature"}


def key_of(c: Row, month: date, dimension: str) -> str:
    """A customer's key in a dimension."""
    if dimension == "region":
        return "".join(takewhile(str.isalpha, c["postcode"])).upper()
    return status(c, month) if dimension == "status" else str(c.get(dimension, ""))


def keys_of(c: Row, month: date, dimension: str) -> list[str]:
    """A customer's keys in a dimension: each of its tags or packages, else the one it has."""
    if dimension == "tag":
        return list(c["tags"]) or [""]
    if dimension == "package":
        has = {f[0] for f in c["features"] if on(f[1], close(month)) and CATALOGUE[f[0]][1] == "package"}
        return sorted(has) or [""]
    return [key_of(c, month, dimension)]


def expected(slug: str, book: Row, dimension: str) -> dict[tuple[str, date, str], tuple[D, D | None]]:
    """A KPI's parts by key, month and currency, without zero rows."""
    people = [c for c in book["customers"] if not c["is_test"]]
    if slug in ("marketing_spend", "cac", "cac_campaign"):
        return _spend(slug, book, people, dimension)
    if slug in ("numbers_per_customer", "feature_take_up"):
        return _per(slug, people, dimension)
    sums: dict[tuple[str, date, str], tuple[D, D | None]] = {}
    for month in MONTHS:
        for c in people:
            for own, currency, top, bottom in parts(slug, c, month):
                mine = own[dimension] if isinstance(own, dict) and dimension in OWN else own
                for key in (
                    [mine] if dimension in OWN else keys_of(c, month, dimension) if dimension else [""]
                ):
                    old = sums.get((key, month, currency), (D(0), None))
                    below = None if bottom is None else bottom + (old[1] or D(0))
                    sums[key, month, currency] = (old[0] + top, below)
    return {cell: pair for cell, pair in sums.items() if any(pair)}


def _spend(
    slug: str, book: Row, people: list[Row], dimension: str
) -> dict[tuple[str, date, str], tuple[D, D | None]]:
    sums: dict[tuple[str, date, str], tuple[D, D | None]] = {}
    lag = book.get("cac_lag_months", 0) if slug == "cac" else 0
    for (spent, campaign), value in book["spend"].items():
        key, later = campaign if dimension else "", spent.month - 1 + lag
        month = date(spent.year + later // 12, later % 12 + 1, 1)
        if month not in MONTHS:
            continue
        won = [c for c in people if moves(c, month)["new"] and (not dimension or c["campaign"] == campaign)]
        old = sums.get((key, month, "GBP"), (D(0), None))
        if spent + timedelta(days=3) <= close(month):
            sums[key, month, "GBP"] = (old[0] + value, None if slug == "marketing_spend" else D(len(won)))
    return sums


def _per(slug: str, people: list[Row], dimension: str) -> dict[tuple[str, date, str], tuple[D, D | None]]:
    """Ratios whose base is counted in customers, not in rows."""
    sums: dict[tuple[str, date, str], tuple[D, D | None]] = {}
    for month in MONTHS:
        day = close(month)
        keys = (
            {key_of(c, month, dimension) for c in people}
            if dimension not in OWN
            else {"geographic", "mobile", *CATALOGUE}
        )
        for key in keys if dimension else {""}:
            mine = (
                people
                if dimension in OWN or not dimension
                else [c for c in people if key_of(c, month, dimension) == key]
            )
            own = key if dimension in OWN else ""
            if slug == "numbers_per_customer":
                held = [sum(on(s, day) for _, k, s in c["numbers"] if own in ("", k)) for c in mine]
                pair = (D(sum(held)), D(sum(h > 0 for h in held)))
            else:
                pair = (D(sum(_has(c, own, day) for c in mine)), D(sum(active(c, day) for c in mine)))
            if any(pair) and (dimension != "feature" or pair[0]):
                sums[key, month, ""] = pair
    return sums


def _has(c: Row, feature: str, day: date) -> bool:
    """Whether a customer has a feature (or any feature or package) on a day."""
    live = {f[0] for f in c["features"] if CATALOGUE[f[0]][0] != "once" and on(f[1], day)}
    return feature in live if feature else any(CATALOGUE[f][1] in ("feature", "package") for f in live)
