"""Margins, suppliers, leaks and the quality of bills once more, naively."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.kpis import oracle as o
from tests.kpis import oracle_leaks
from tests.kpis import oracle_more as m
from tests.kpis.oracle_more import Out, Row, back, one
from tests.kpis.oracle_units import rounded
from tests.kpis.worlds import CATALOGUE, LAST, MONTHS, credit_of, line_cost

D = Decimal
Cells = dict[tuple[str, date, str], tuple[D, D | None]]
Line = tuple[dict[str, str], str, D, D | None]
CALL = {"carrier": "K0", "service": "voice", "call_class": "Mobile"}


def calls(top: Callable[[D, D], Any], bottom: Callable[[D, D], Any] | None, *, money: bool = True) -> Any:
    """Return a rule over a customer's calls of the month: price and cost."""

    def rule(c: Row, month: date) -> Out:
        found: Out = []
        for _, day, retail, cost in c["calls"]:
            if o.inside(day, month):
                pair = D(retail), D(cost)
                base = None if bottom is None else D(bottom(*pair))
                found.append((CALL, c["currency"] if money else "", D(top(*pair)), base))
        return found

    return rule


def loses(retail: D, cost: D) -> bool:
    """Say whether a call lost; one without a price has no currency to compare in."""
    return bool(cost > retail > 0)


def losing(value: Callable[[int, D, D], Any], *, money: bool) -> Callable[[Row, date], Out]:
    """Return a rule over features of one kind whose monthly cost is above their MRR."""

    def rule(c: Row, month: date) -> Out:
        found: Out = []
        for code, (_, kind, currency, *_) in CATALOGUE.items():
            mine = [f for f in m.live(c, o.close(month)) if f[0] == code]
            brings = sum((o.feature_mrr(f, o.close(month)) for f in mine), D(0))
            costs = sum((m.cost(f, o.close(month)) for f in mine), D(0))
            if costs > brings:
                lost = D(value(sum(f[2] for f in mine), brings, costs))
                found.append(({"feature": code, "product": kind}, currency if money else "", lost, None))
        return found

    return rule


def odd(c: Row, month: date) -> Out:
    """Count a customer's months that stand out, per currency."""
    found = 0
    for currency in ("GBP", "EUR"):
        nets: list[D] = []
        for at in [back(month, i) for i in range(4)]:
            mine = [b["net"] for b in o.bills(c) if b["currency"] == currency and o.inside(b["date"], at)]
            nets += [sum(mine, D(0))] if mine else []
        if len(nets) == 4:
            now, *past = nets
            mean = sum(past, D(0)) / 3
            spread = (sum(((x - mean) ** 2 for x in past), D(0)) / 2).sqrt()
            off = abs(now - mean)
            found += off > spread and off >= 100 and off >= D("0.15") * abs(mean)
    return one(found)


def mended(c: Row, month: date) -> Out:
    """Return the invoices of the month before, and those without a credit note in 30 days."""
    found: Out = []
    for b in o.bills(c):
        if b["date"].replace(day=1) == back(month, 1):
            note = credit_of(b)
            bad = note and note[0] <= min(o.close(month), b["date"] + timedelta(days=30))
            found.append(("", "", D(int(not bad)), D(1)))
    return found


def sold(c: Row, month: date) -> Out:
    """Return what invoice lines earned by what was sold; credit notes of the worlds say no line."""
    found: Out = []
    for b in o.bills(c):
        if o.inside(b["date"], month):
            for kind, feature, amount in b["lines"]:
                net = -amount if kind == "credit" else amount
                found.append((feature or kind, b["currency"], net - line_cost(feature), net))
        noted = o._noted(b, month)
        found.append(("credit_note", b["currency"], -noted, -noted))
    return found


def _profit(*, ratio: bool) -> Callable[[Row, date], Out]:
    def rule(c: Row, month: date) -> Out:
        rows: list[tuple[str, str, D, D]] = []
        for b in o.bills(c):
            if o.inside(b["date"], month):
                rows += [
                    (k, b["currency"], -a if k == "credit" else a, line_cost(f)) for k, f, a in b["lines"]
                ]
            rows.append(("credit_note", b["currency"], -o._noted(b, month), D(0)))
        return [({"kind": k, "call_class": ""}, x, a - cost, a if ratio else None) for k, x, a, cost in rows]

    return rule


RULES: dict[str, Callable[[Row, date], Out]] = {
    "gross_margin_supplier": calls(lambda retail, cost: retail - cost, lambda retail, cost: retail),
    "negative_margin_lines": calls(loses, None, money=False),
    "negative_margin_loss": calls(lambda r, c: c - r if loses(r, c) else 0, None),
    "negative_margin_services": losing(lambda quantity, brings, costs: quantity, money=False),
    "negative_margin_services_loss": losing(lambda quantity, brings, costs: costs - brings, money=True),
    "gross_margin_product": sold,
    "invoice_anomalies": odd,
    "billing_accuracy": mended,
}
OWN = {"carrier", "service", "product", "why", "cause", "destination", "error", "sold"}
o.OWN |= OWN


def people(book: Row) -> list[tuple[int, Row]]:
    """Return the customers that count, with their places."""
    return [(i, c) for i, c in enumerate(book["customers"]) if not c["is_test"]]


def of(book: Row, what: str) -> list[Any]:
    """Return rows of the units of a book."""
    return list(book.get("units", {}).get(what, []))


def allocated(book: Row, row: Any) -> bool:
    """Say whether a carrier's charge is a customer's."""
    return bool(row[3] == "allocated" and row[5] < len(book["customers"]))


def extra(book: Row, month: date) -> Iterator[tuple[Row, D]]:
    """Yield what carriers charged beside calls for days of the month, per customer."""
    for row in of(book, "supply"):
        _, _, kind, _, amount, place, first, length = row
        days = sum(o.inside(first + timedelta(days=i), month) for i in range(length))
        if kind != "usage" and allocated(book, row) and not book["customers"][place]["is_test"] and days:
            yield book["customers"][place], rounded(amount * days / length)


def profit(slug: str, book: Row, month: date) -> Iterator[tuple[Row, Line]]:
    """Yield the parts of gross profit or margin with their customer."""
    ratio = slug == "gross_margin_customer"
    for _, c in people(book):
        for own, currency, top, bottom in _profit(ratio=ratio)(c, month):
            yield c, (own, currency, top, bottom)
    for c, cost in extra(book, month):
        yield c, ({"kind": "supply", "call_class": ""}, "GBP", -cost, D(0) if ratio else None)


def paid(book: Row, month: date) -> Iterator[Line]:
    """Yield what suppliers are paid: every call's cost and the bills but for usage."""
    for c in book["customers"]:
        for _, day, _, cost in c["calls"]:
            if o.inside(day, month):
                yield {"carrier": "K0", "kind": "usage"}, c["currency"], D(cost), None
    for who, day, kind, _, amount, *_ in of(book, "supply"):
        if kind != "usage" and o.inside(day, month):
            yield {"carrier": f"K{who}", "kind": kind}, "GBP", amount, None


def unallocated(book: Row, month: date) -> Iterator[Line]:
    """Yield the charges that are nobody's."""
    for row in of(book, "supply"):
        who, day, kind, state, amount = row[:5]
        if o.inside(day, month) and state != "ignored" and not allocated(book, row):
            yield {"carrier": f"K{who}", "kind": kind, "product": ""}, "GBP", amount, None


def traffic(book: Row, month: date) -> Iterator[tuple[dict[str, str], str, D, D, D, D, bool]]:
    """Yield every call: keys, currency of its price, price, cost, seconds, calls, failed."""
    for c in book["customers"]:
        for _, day, retail, cost in c["calls"]:
            if o.inside(day, month):
                key = {"carrier": "K0", "service": "voice", "destination": "Spain", "error": ""}
                currency = c["currency"] if D(retail) else "GBP"
                yield key, currency, D(retail), D(0), D(60), D(1), False
                yield key, c["currency"], D(0), D(cost), D(0), D(0), False
    for who, day, destination, seconds in of(book, "unrated"):
        if o.inside(day, month):
            key = {
                "carrier": f"K{who}",
                "service": "voice",
                "destination": destination,
                "error": "no_rate",
            }
            yield key, "GBP", D(0), D(0), D(seconds), D(1), True


def of_calls(slug: str, book: Row, month: date) -> Iterator[Line]:
    """Yield the parts of figures of all calls."""
    for key, currency, retail, cost, seconds, count, failed in traffic(book, month):
        if slug == "gross_margin_destination":
            yield key, currency, retail - cost, retail
        elif slug == "unrated_calls":
            yield key, "", count if failed else D(0), None
        else:
            size = seconds if slug == "unrated_rate" else count
            yield key, "", size if failed else D(0), size


def leaks(book: Row, month: date) -> Iterator[Line]:
    """Yield calls without a price at the mean price of the month, and what calls under their cost lost."""
    rows = list(traffic(book, month))
    priced = [r for r in rows if not r[6] and r[1] == "GBP" and r[2] > 0]
    retail, seconds = sum((r[2] for r in priced), D(0)), sum((r[4] for r in priced), D(0))
    failed: dict[str, D] = {}
    for key, _, _, _, length, _, bad in rows:
        if bad:
            failed[key["destination"]] = failed.get(key["destination"], D(0)) + length
    for length in failed.values():
        if seconds:
            yield {"cause": "unrated"}, "GBP", rounded(length * (retail / seconds)), None
    for _, c in people(book):
        for _, x, lost, _ in RULES["negative_margin_loss"](c, month):
            yield {"cause": "under_price"}, x, lost, None
    for _, currency, steps in of(book, "leaks")[:1]:
        yield {"cause": "unbilled"}, currency, oracle_leaks.unbilled(steps, month), None


def of_files(slug: str, book: Row, month: date) -> Iterator[Line]:
    """Yield the parts of figures of usage files."""
    for who, day, rows, again, bad, wait, _ in of(book, "files"):
        if o.inside(day, month):
            top, bottom = {
                "duplicate_rate": (again, rows),
                "reject_rate": (bad, rows),
                "rating_latency": (wait or 0, int(wait is not None)),
            }[slug]
            yield {"carrier": f"K{who}"}, "", D(top), D(bottom)


def silent(book: Row, month: date) -> Iterator[Line]:
    """Yield the days on which the carrier to wait for was not heard of."""
    heard = {d for who, *_, days in of(book, "files") if who == 1 for d in days}
    last = min(o.close(month), LAST) - timedelta(days=2)
    at = max(month, min(heard)) if heard else last + timedelta(days=1)
    while at <= last:
        if at not in heard:
            yield {"carrier": "K1"}, "", D(1), None
        at += timedelta(days=1)


def outdated(book: Row, month: date) -> Iterator[tuple[Row, Line]]:
    """Yield active customers with a tariff that another has replaced."""
    day = o.close(month)
    for place, c in people(book):
        old = any(
            who == place
            and o.on((first, first + timedelta(days=length) if length else None), day)
            and until is not None
            and first + timedelta(days=until) <= day
            for who, first, length, until in of(book, "tariffs")
        )
        if old and o.active(c, day):
            yield c, ({}, "", D(1), None)


def left_out(book: Row, month: date) -> Iterator[tuple[Row, Line]]:
    """Yield the customers runs made no invoice for."""
    for day, _, _, reasons in of(book, "runs"):
        for place, c in people(book):
            if o.inside(day, month) and place in reasons:
                yield c, ({"why": reasons[place]}, "", D(1), None)


def sent(book: Row, month: date) -> Iterator[Line]:
    """Yield runs sent, with the days since their period was over."""
    for day, wait, until, _ in of(book, "runs"):
        if until is not None and o.inside(day + timedelta(days=until), month):
            yield {}, "", D(wait + until), D(1)


#: Which checks before billing stand behind which figure.
CHECKED = {
    "customers_without_tariff": ("customers_without_tariff", "customers_without_tariff_or_calls"),
    "numbers_unlinked": ("numbers_without_customer", "supplied_without_customer"),
    "tariffs_with_gaps": ("tariff_gaps", "tariff_overlaps"),
    "mandates_missing": ("mandates_missing",),
    "zero_rate_lines": ("zero_rates",),
    "services_past_contract_end": ("past_contract_end",),
    "negative_margin_rates": ("negative_margins",),
}


def checked(slug: str, book: Row, month: date) -> Iterator[Line]:
    """Yield what the checks before billing found of the month: standing, at stake or fixed."""
    for check, level, state, day, monthly, to_date, currency in of(book, "found"):
        if not o.inside(day, month):
            continue
        if slug == "prebilling_fixed" and state == "fixed" and level != "information":
            yield {}, "", D(1), None
        if slug == "prebilling_exposure" and state != "fixed" and level != "information" and currency:
            yield {}, currency, D(monthly if monthly is not None else to_date or 0), None
        if check in CHECKED.get(slug, ()) and state != "fixed":
            yield {}, "", D(1), None


def whose(slug: str, book: Row, month: date) -> Iterator[tuple[Row | None, Line]]:
    """Yield every part with its customer, None where it is nobody's."""
    with_customer = {"old_tariff_customers": outdated, "invoices_not_produced": left_out}
    if slug in ("gross_profit", "gross_margin_customer"):
        yield from profit(slug, book, month)
    elif slug in with_customer:
        yield from with_customer[slug](book, month)
    else:
        rows: Iterator[Line]
        if slug in (
            "supplier_cost",
            "supplier_cost_unallocated",
            "leakage_total",
            "missing_files",
            "bill_cycle_time",
        ):
            rows = {
                "supplier_cost": paid, "supplier_cost_unallocated": unallocated, "leakage_total": leaks,
                "missing_files": silent, "bill_cycle_time": sent,
            }[slug](book, month)  # fmt: skip
        elif slug in CHECKED or slug.startswith("prebilling_"):
            rows = checked(slug, book, month)
        elif slug in ("duplicate_rate", "reject_rate", "rating_latency"):
            rows = of_files(slug, book, month)
        else:
            rows = of_calls(slug, book, month)
        for line in rows:
            yield None, line


def spread(slug: str, book: Row) -> Cells:
    """Return how the cost of suppliers is spread over them."""
    found: Cells = {}
    for month in MONTHS:
        sums: dict[tuple[str, str], D] = {}
        for key, currency, amount, _ in paid(book, month):
            at = (currency, key["carrier"])
            sums[at] = sums.get(at, D(0)) + amount
        for currency in {x for x, _ in sums}:
            xs = [a for (x, _), a in sums.items() if x == currency and a]
            up = [x for x in xs if x > 0]
            if slug == "supplier_concentration":
                pair = (max([*up, D(0)]), sum(xs, D(0)))
            else:
                pair = (10000 * sum((x * x for x in up), D(0)), sum(up, D(0)) ** 2)
            if xs:
                found["", month, currency] = pair
    return found


BOOKS = {
    *("gross_profit", "gross_margin_customer", "supplier_cost", "supplier_cost_unallocated", "missing_files"),
    *("old_tariff_customers", "invoices_not_produced", "leakage_total", "bill_cycle_time", "unrated_calls"),
    *("duplicate_rate", "reject_rate", "rating_latency", "gross_margin_destination", "cdr_error_rate"),
    *("unrated_rate", "prebilling_exposure", "prebilling_fixed", *CHECKED),
}
SPREAD = {"supplier_concentration", "supplier_hhi"}


def expected(slug: str, book: Row, dimension: str) -> Cells:
    """Return the parts of a figure of the whole book, without zero rows."""
    if slug in SPREAD:
        return spread(slug, book)
    found: Cells = {}
    for month in MONTHS:
        for c, (own, currency, top, bottom) in whose(slug, book, month):
            key = "" if not dimension else own.get(dimension, "")
            if dimension and dimension not in own and c is not None:
                key = o.key_of(c, month, dimension)
            old = found.get((key, month, currency), (D(0), None))
            below = None if bottom is None else bottom + (old[1] or D(0))
            found[key, month, currency] = (old[0] + top, below)
    return {cell: pair for cell, pair in found.items() if any(pair)}
