"""Which naive rule stands for which KPI of the wider dictionary; importing it adds them to the oracle's."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from tests.kpis import oracle as o
from tests.kpis import (
    oracle_forecast,
    oracle_leaks,
    oracle_margin,
    oracle_observed,
    oracle_stale,
    oracle_units,
)
from tests.kpis import oracle_more as m
from tests.kpis.oracle_more import D, Out, Row, back, counted, one, per_bill
from tests.kpis.worlds import CATALOGUE, MONTHS, cost_at, credit_of


def _service_by_month(c: Row, month: date) -> dict[str, D]:
    found: dict[str, D] = {}
    for b in o.bills(c):
        found[b["currency"]] = found.get(b["currency"], D(0)) + o._service(b, month)
    return found


def _same(c: Row, month: date) -> Out:
    moves = o.moves(c, month)
    if not (moves["now"] and moves["was"]):
        return []
    now, was = _service_by_month(c, month), _service_by_month(c, back(month, 1))
    return [("", x, now.get(x, D(0)) - was.get(x, D(0)), was.get(x, D(0))) for x in {*now, *was}]


def _average(c: Row, month: date) -> dict[str, tuple[D, D]]:
    found: dict[str, tuple[D, D]] = {}
    for _, currency, top, bottom in o._average(c, month):
        old = found.get(currency, (D(0), D(0)))
        found[currency] = (old[0] + top, old[1] + (bottom or D(0)))
    return found


def _steps(effect: str) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        now, was = _average(c, month), _average(c, back(month, 1))
        found: Out = []
        alike = m.things(c, month) == m.things(c, back(month, 1))
        for currency, (value, count) in now.items():
            before, count_before = was.get(currency, (D(0), D(0)))
            both = count > 0 and count_before > 0
            if effect == "like":
                found.append(("", currency, value if both else D(0), count if both else D(0)))
            else:
                wanted = both and alike == (effect == "price")
                found.append(("", currency, value - before if wanted else D(0), count))
        return found

    return rule


def _lines(c: Row, month: date) -> list[tuple[str, str, D]]:
    found = []
    for b in o.bills(c):
        if o.inside(b["date"], month):
            found += [(k, b["currency"], -a if k == "credit" else a) for k, _, a in b["lines"]]
        found.append(("credit_note", b["currency"], -o._noted(b, month)))
    return found


def _share(kinds: tuple[str, ...], *, credits: bool = False) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        sign = -1 if credits else 1
        return [
            ("", x, sign * a if k in kinds else D(0), a if not credits or k not in kinds else D(0))
            for k, x, a in _lines(c, month)
        ]

    return rule


def _year(c: Row, month: date) -> dict[Any, D]:
    """Net invoiced over twelve months: all there is in these worlds up to the close."""
    found: dict[Any, D] = {}
    for b in o.bills(c):
        note = credit_of(b)
        net = b["net"] if b["date"] <= o.close(month) else D(0)
        net -= note[1] if note and note[0] <= o.close(month) else D(0)
        found[c["code"], b["currency"]] = found.get((c["code"], b["currency"]), D(0)) + net
    return found


def _paid(c: Row, month: date, first: date | None) -> bool:
    """Whether a customer used something paid from a day on, up to the close."""
    last = o.close(month)
    days = [d for d, kind, a, _ in c["charges"] if kind in ("recurring", "one_off") and a > 0]
    days += [d for _, d, retail, _ in c["calls"] if D(retail) > 0]
    return any((first is None or first <= d) and d <= last for d in days)


def _clients(which: str) -> Callable[[Row, date], bool]:
    def test(c: Row, month: date) -> bool:
        if which == "all":
            last = o.close(month)
            days = [s for s, _ in o.services(c)] + [d for d, k, _, _ in c["charges"] if k != "credit"]
            days += [d for _, d, _, _ in c["calls"]] + [s for _, _, _, s, _ in m.all_payments(c)]
            days += [e for *_, e in m.all_payments(c) if e]
            return any(d <= last for d in days) or _balance_seen(c, month)
        return _paid(c, month, month if which == "active" else None)

    return test


def _balance_seen(c: Row, month: date) -> bool:
    """Whether the ledger stood at other than nought at some close up to this one."""
    return any(_balance(c, at) for at in [back(month, i) for i in range(8)])


def _balance(c: Row, month: date) -> D:
    entries = [-a if k in ("invoice", "refund") else a for d, k, a in c["ledger"] if d <= o.close(month)]
    return sum(entries, D(0))


def _balances(which: str, part: str) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        b = _balance(c, month) if _clients(which)(c, month) else D(0)
        shown = {"positive": max(b, D(0)), "negative": min(b, D(0)), "balance": b}[part]
        return one(shown, currency=c["currency"])

    return rule


def _charges(what: str, *, amount: bool) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        return [
            ("", c["currency"] if amount else "", a if amount else D(1), None)
            for d, kind, a, is_ in c["charges"]
            if is_ == what and kind != "credit" and o.inside(d, month)
        ]

    return rule


def _payg(c: Row, month: date) -> D:
    return sum((D(retail) for _, d, retail, _ in c["calls"] if o.inside(d, month)), D(0))


def _flag(test: Callable[[Row, date], Any], base: Callable[[Row, date], Any] | None = None) -> Any:
    return lambda c, month: one(int(test(c, month)), None if base is None else int(base(c, month)))


def _now(c: Row, month: date) -> bool:
    return o.active(c, o.close(month))


def _mrr_of(test: Callable[[Row, date], bool], *, per: bool = False) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        rows: Out = [
            ("", x, v if test(c, month) else D(0), D(0) if per else None)
            for x, v in m.mrr(c, o.close(month)).items()
        ]
        return [*rows, ("", c["currency"], D(0), D(int(_now(c, month))))] if per else rows

    return rule


def _arpl(c: Row, month: date) -> Out:
    rows: Out = [("", x, v, D(0)) for x, v in _service_by_month(c, month).items()]
    count = D(m.held(c, o.close(month)) + m.held(c, o.before(month))) / 2
    return [*rows, ("", c["currency"], D(0), count)]


def _in_period(c: Row, month: date) -> bool:
    start = m.first(c, month)
    return bool(start and start > o.before(month) and not _now(c, month))


RULES: dict[str, Callable[[Row, date], Out]] = {
    "customers_active": lambda c, x: one(int(_now(c, x)), key=m.band(c, x)),
    "customers_lost": lambda c, x: one(int(o.moves(c, x)["lost"]), key=m.reason(c, x)),
    "retention_customer": _flag(
        lambda c, x: o.moves(c, x)["was"] and o.moves(c, x)["now"], lambda c, x: o.moves(c, x)["was"]
    ),
    "churn_involuntary": lambda c, x: one(
        int(o.moves(c, x)["lost"] and m.reason(c, x) == "non_payment"), int(o.moves(c, x)["was"])
    ),
    "acquisition_rate": _flag(
        lambda c, x: o.moves(c, x)["new"] or o.moves(c, x)["back"], lambda c, x: o.moves(c, x)["was"]
    ),
    "cash_from_debt": oracle_forecast.from_debt,
    "stale_features": oracle_stale.features(money=False),
    "stale_features_loss": oracle_stale.features(money=True),
    "in_period_churn": _flag(_in_period),
    "customer_tenure": lambda c, x: one(m.stay(c, x), 1) if _now(c, x) else [],
    "declining_customers": _flag(m.fading),
    "at_risk_mrr": _mrr_of(m.fading),
    "early_life": _flag(m.young),
    "onboarding": _flag(lambda c, x: m.young(c, x) and m.unsettled(c, x)),
    "arpa_mrr": _mrr_of(lambda c, x: True, per=True),
    "arpl": _arpl,
    "arpu_growth_like": _same,
    "arpc_billed": lambda c, x: [("", y, t, D(int(n > 0))) for y, (t, n) in _average(c, x).items()],
    "customers_billed": lambda c, x: [("", "", D(int(any(n > 0 for _, n in _average(c, x).values()))), None)],
    "aiv_like": _steps("like"),
    "aiv_price_effect": _steps("price"),
    "aiv_volume_effect": _steps("volume"),
    "net_invoiced": per_bill(
        lambda b, x: ((b["net"] if o.inside(b["date"], x) else 0) - o._noted(b, x), None)
    ),
    "vat_invoiced": per_bill(lambda b, x: (0, None)),
    "revenue_breakdown": lambda c, x: [
        ({"kind": k, "call_class": ""}, y, a, None) for k, y, a in _lines(c, x)
    ],
    "usage_share": _share(("usage",)),
    "recurring_share": _share(("recurring",)),
    "one_off_revenue": lambda c, x: [
        ("", y, a if k in ("one_off", "manual") else D(0), None) for k, y, a in _lines(c, x)
    ],
    "one_off_share": _share(("one_off", "manual")),
    "credit_share": _share(("credit", "credit_note"), credits=True),
    "overdue_90_share": m.owed_where(lambda b: b == "days_over_90", ratio=True),
    "debt_not_due": m.owed_where(lambda b: b == "not_due"),
    "debt_disputed": per_bill(lambda b, x: (0, None)),
    "bad_debt_provision": m.provision,
    "on_account": m.on_account,
    "cash_collected": m.payments("net"),
    "cash_allocated": o._money(o._cash),
    "credit_allocated": per_bill(lambda b, x: (0, None)),
    "refunds": m.entries("refund"),
    "write_offs": m.entries("write_off"),
    "dso": m.debt(late=None),
    "dso_average": m.mean_debt,
    "debt_current": m.owed_where(lambda b: b == "not_due"),
    "bpdso": m.debt(late=False),
    "days_delinquent": m.debt(late=True),
    "collection_rate_30": m.collected(1),
    "collection_rate_60": m.collected(2),
    "collection_rate_90": m.collected(3),
    "days_to_pay": lambda c, x: [("", "", d, D(1)) for d in m.days_late(c, x)],
    "late_payers": _flag(m.often_late),
    "payment_recovery": m.after_all("recovery"),
    "payment_eventual_success": m.after_all("success"),
    "payment_failures": m.failures,
    "payments_reversed": m.payments("reversed"),
    "payments_reversed_count": counted(m.payments("times")),
    "reversal_rate": m.payments("reversed", "received"),
    "numbers_net": lambda c, x: [
        (k, "", D(int(o.on(s, o.close(x))) - int(o.on(s, o.before(x)))), None) for _, k, s in c["numbers"]
    ],
    "number_churn": m.moved_numbers,
    "numbers_per_customer_all": lambda c, x: one(m.numbers_at(c, x), int(_now(c, x))),
    "number_utilisation": m.used,
    "number_days": m.held_days,
    "features_per_customer": lambda c, x: one(sum(f[2] for f in m.added(c, o.close(x))), int(_now(c, x))),
    "features_added": m.moved(lambda now, was: (max(now - was, 0), None)),
    "features_removed": m.moved(lambda now, was: (max(was - now, 0), None)),
    "feature_growth": m.moved(lambda now, was: (now - was, was)),
    "feature_share": m.share_of_features,
    "feature_margin": m.margin,
    "attach_rate_new": _flag(lambda c, x: m.young(c, x) and bool(m.added(c, o.close(x))), m.young),
    "ladder_up": m.ladder(up=True),
    "ladder_down": m.ladder(up=False),
    "dynamics_refills": counted(m.payments("refills")),
    "dynamics_refilled": m.payments("net"),
    "dynamics_refill_average": m.payments("net", "refills"),
    "dynamics_payg": lambda c, x: one(_payg(c, x), currency=c["currency"]),
    "dynamics_payg_average": lambda c, x: one(
        _payg(c, x), int(_clients("active")(c, x)), currency=c["currency"]
    ),
    "package_activations": _charges("activation", amount=False),
    "package_activated": _charges("activation", amount=True),
    "package_renewals": _charges("renewal", amount=False),
    "package_renewed": _charges("renewal", amount=True),
}
for _which in ("active", "overall", "all"):
    RULES[f"dynamics_{_which}"] = _flag(_clients(_which))
    for _part in ("positive", "negative", "balance"):
        RULES[f"dynamics_{_which}_{_part}"] = _balances(_which, _part)
o.RULES.update(RULES | oracle_units.RULES | oracle_margin.RULES)
o.OWN |= {"reason", "numbers", "kind", "call_class", "failure", "ladder", "tenth"}


def _items(slug: str, c: Row, month: date) -> dict[Any, D]:
    """What a distribution is over: amounts of one customer by (item, currency)."""
    if slug == "customer_tenure_median":
        return {(c["code"], ""): m.stay(c, month)} if _now(c, month) else {}
    if slug == "expected_life":
        if m.first(c, month) is None:
            return {}
        return {(c["code"], ""): -m.stay(c, month) if _now(c, month) else o.tenure(c, month)}
    if slug == "numbers_per_customer_median":
        return {(c["code"], ""): D(m.numbers_at(c, month))}
    if slug == "days_to_pay_median":
        return {((c["code"], i), ""): d for i, d in enumerate(m.days_late(c, month))}
    if slug == "aiv_median":
        found = enumerate(o.bills(c))
        return {
            ((c["code"], i), b["currency"]): b["net"]
            for i, b in found
            if o.inside(b["date"], month) and b["net"] > 0
        }
    return _year(c, month)


def _median(xs: list[D]) -> tuple[D, D]:
    middle = xs[(len(xs) - 1) // 2 : len(xs) // 2 + 1]
    return sum(middle, D(0)), D(len(middle))


def _top(count: int) -> Callable[[list[D]], tuple[D, D]]:
    return lambda xs: (sum((x for x in sorted(xs, reverse=True)[:count] if x > 0), D(0)), sum(xs, D(0)))


def _squares(xs: list[D]) -> tuple[D, D]:
    up = [x for x in xs if x > 0]
    return sum((x * x for x in up), D(0)), sum(up, D(0)) ** 2


def _gini(xs: list[D]) -> D:
    ranked = sorted(max(x, D(0)) for x in xs)
    return sum(((2 * i - len(xs) - 1) * x for i, x in enumerate(ranked, 1)), D(0))


def _life(xs: list[D]) -> tuple[D, D]:
    """Return the stay at which half are left, after Kaplan and Meier, and whether it counts: 30 customers or more."""
    alive = Fraction(1)
    for stay in sorted({x for x in xs if x > 0}):
        alive *= 1 - Fraction(xs.count(stay), sum(abs(x) >= stay for x in xs))
        if alive <= Fraction(1, 2):
            return stay, D(int(len(xs) >= 30))
    return D(0), D(0)


SPREAD: dict[str, Callable[[list[D]], tuple[D, D]]] = {
    "customer_tenure_median": _median,
    "expected_life": _life,
    "numbers_per_customer_median": _median,
    "days_to_pay_median": _median,
    "aiv_median": _median,
    "revenue_per_customer_median": _median,
    **{f"concentration_top{n}": _top(n) for n in (1, 3, 5, 10, 20)},
    "concentration_fifth": lambda xs: _top(ceil(len(xs) / 5))(xs),
    "hhi": lambda xs: (10000 * _squares(xs)[0], _squares(xs)[1]),
    "effective_customers": lambda xs: (_squares(xs)[1], _squares(xs)[0]),
    "gini": lambda xs: (_gini(xs), len(xs) * sum((max(x, D(0)) for x in xs), D(0))),
    "gini_full": lambda xs: (_gini(xs), (len(xs) - 1) * sum((max(x, D(0)) for x in xs), D(0))),
}
Cells = dict[tuple[str, date, str], tuple[Decimal, Decimal | None]]


def _people(book: Row) -> list[Row]:
    return [c for c in book["customers"] if not c["is_test"]]


def _spread(slug: str, book: Row, dimension: str) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        groups: dict[tuple[str, str], list[D]] = {}
        for c in _people(book):
            key = o.key_of(c, month, dimension) if dimension else ""
            for (_, currency), x in _items(slug, c, month).items():
                if x or slug == "days_to_pay_median":
                    groups.setdefault((key, currency), []).append(x)
        for (key, currency), xs in groups.items():
            found[key, month, currency] = SPREAD[slug](sorted(xs))
    return found


def _tenths(book: Row, dimension: str) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        for currency in ("GBP", "EUR"):
            rows = [
                (-x, i)
                for i, c in enumerate(_people(book))
                for (_, y), x in _year(c, month).items()
                if y == currency
            ]
            ranked = [-x for x, _ in sorted(rows) if -x > 0]
            size, rest = divmod(len(ranked), 10)
            for place, x in enumerate(ranked):
                wide = rest * (size + 1)
                tenth = place // (size + 1) if place < wide else rest + (place - wide) // size
                key = f"{tenth + 1:02}" if dimension else ""
                old = found.get((key, month, currency), (D(0), None))[0]
                found[key, month, currency] = (old + x, None)
    return found


def _stock(book: Row, dimension: str) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        for c in book["customers"]:
            for _, kind, span in c["numbers"]:
                if not o.on(span, o.close(month)):
                    key = kind if dimension else ""
                    found[key, month, ""] = (found.get((key, month, ""), (D(0), None))[0] + 1, None)
    return found


def _opportunity(book: Row, dimension: str) -> Cells:
    found: Cells = {}
    for month in MONTHS:
        day, people = o.close(month), _people(book)
        active = sum(_now(c, month) for c in people)
        for code in ("rec", "plan"):
            having = sum(any(f[0] == code for f in m.live(c, day)) for c in people)
            earns = m.price(code, day) - cost_at(code, day)
            missing = max(D(25) / 100 * active - having, D(0))
            if active and earns > 0:
                each = missing * earns / {"month": 1, "quarter": 3, "year": 12}[CATALOGUE[code][0]]
                key, currency = (code if dimension else ""), CATALOGUE[code][2]
                old = found.get((key, month, currency), (D(0), None))[0]
                found[key, month, currency] = (old + each.quantize(D("0.000001"), "ROUND_HALF_UP"), None)
    return {cell: pair for cell, pair in found.items() if pair[0]}


def _per(slug: str, book: Row, dimension: str) -> Cells:
    """Ratios by feature over a base that knows no features."""
    found: Cells = {}
    for month in MONTHS:
        day, people = o.close(month), _people(book)
        keys = (
            set(CATALOGUE)
            if dimension == "feature"
            else {o.key_of(c, month, dimension) if dimension else "" for c in people}
        )
        for key in keys:
            mine = [c for c in people if dimension in ("", "feature") or o.key_of(c, month, dimension) == key]

            def has(c: Row, key: str = key, day: date = day) -> list[Any]:
                return (
                    [f for f in m.live(c, day) if f[0] == key] if dimension == "feature" else m.added(c, day)
                )

            if slug == "feature_take_up_eligible":
                able = [c for c in mine if m.held(c, day)]
                pair = (D(sum(bool(has(c)) for c in able)), D(len(able)))
            else:
                pair = (D(sum(f[2] for c in mine for f in has(c))), D(sum(m.held(c, day) for c in mine)))
            if any(pair) and (dimension != "feature" or pair[0]):
                found[key, month, ""] = pair
    return found


def expected(slug: str, book: Row, dimension: str) -> Cells:
    """A KPI's parts by key, month and currency, without zero rows: every rule there is."""
    book = o.owned(book)
    if slug in SPREAD:
        return _spread(slug, book, dimension)
    if slug in oracle_leaks.SLUGS:
        return oracle_leaks.expected(slug, book, dimension)
    if slug in oracle_observed.SLUGS:
        return oracle_observed.expected(slug, book, dimension)
    if slug in oracle_margin.BOOKS | oracle_margin.SPREAD:
        return oracle_margin.expected(slug, book, dimension)
    if slug in oracle_forecast.SLUGS:
        everyone = [c for c in book["customers"] if not c["is_test"] or c.get("others")]
        o.RULES[slug] = lambda c, month: oracle_forecast.expected(slug, everyone, c, month)
    if slug in oracle_stale.SLUGS:
        return oracle_stale.expected(slug, book, dimension)
    if slug == "revenue_by_tenth":
        return _tenths(book, dimension)
    if slug == "numbers_unassigned":
        return _stock(book, dimension)
    if slug == "feature_opportunity":
        return _opportunity(book, dimension)
    if slug in ("feature_take_up_eligible", "feature_per_number"):
        return _per(slug, book, dimension)
    return o.expected(slug, book, dimension)
