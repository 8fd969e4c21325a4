"""Every reference case of rounding and VAT whose semantics the product has; the rest is listed in
oracle_exemptions_money.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from billing.charging.book import FeatureRow, Terms, own_prices
from billing.charging.prorate import part_amount
from billing.charging.recurring import charges_of
from billing.invoicing.tax import VatPoint, vat_of, vat_per_rate
from resellerkpi.core.money import allocate, quantise, round_half_up
from tests.billing.oracle_exemptions_money import TAX
from tests.billing.reference import MISSING, REFERENCE, exempt_ids, load_cases

CASES = {case["id"]: case for case in load_cases("tax_rounding_cases.json")}
TESTED = [case for case in CASES if case not in exempt_ids(TAX)]
CENT = Decimal("0.01")
JANUARY = date(2026, 1, 1)
#: Steps before a discounted total that upstream shows and rounds; the product has only the total.
ROUNDED_UPSTREAM = {"discount", "sum"}
Values = Mapping[str, Any]
D = Decimal


def num(value: Any) -> Decimal:
    return D(str(value))


def of_base(given: Values) -> Values:
    """VAT of one amount, given in one of several ways."""
    base = next(num(given[name]) for name in ("taxable", "base", "net", "line_net") if name in given)
    base += num(given.get("shipping", 0)) - num(given.get("discount", 0))
    rates = given.get("rates_pct", [given.get("rate_pct")])
    taxes = [vat_of(base, num(rate), given.get("currency", "GBP")) for rate in rates]
    shown: dict[str, Any] = {f"tax_{n}": tax for n, tax in enumerate(taxes, 1)}
    tax = sum(taxes, D(0))
    return {**shown, "tax": tax, "total_tax": tax, "net": base, "gross": base + tax, "total": base + tax}


def of_cents(given: Values) -> Values:
    """The same in cents."""
    base = num(given.get("net_cents", given.get("credit_cents"))) * CENT
    tax = vat_of(base, num(given["rate_pct"]), "EUR")
    return {"tax": tax / CENT, "total": (base + tax) / CENT}


def of_lines(given: Values) -> Values:
    """VAT per rate of several lines."""
    scale, name = (CENT, "lines_cents") if "lines_cents" in given else (D(1), "lines")
    pairs = [line if isinstance(line, list) else [line, given["rate_pct"]] for line in given[name]]
    amounts = vat_per_rate([(num(net) * scale, num(rate)) for net, rate in pairs], "EUR")
    base, tax = sum(a.net for a in amounts), sum(a.vat for a in amounts)
    found = {"base": base, "tax": tax, "total_tax": tax, "total": base + tax}
    return {key: value / scale for key, value in found.items()}


def of_document(given: Values) -> Values:
    """A whole invoice: lines, allowances and charges by rate, VAT of each, what is to be paid."""
    lines = [(num(n), num(r or 0)) for n, r in zip(given["line_net"], given["line_rate"], strict=True)]
    extra = [
        (num(e["amount"]) * (1 if e["charge"] == "true" else -1), num(e["rate"] or 0))
        for e in given["document_allowances_charges"]
    ]
    amounts = vat_per_rate(lines + extra, given["currency"])
    net, vat = sum(a.net for a in amounts), sum(a.vat for a in amounts)
    due = net + vat - num(given["prepaid"] or 0) + num(given["payable_rounding"] or 0)
    return {
        "line_total": sum(n for n, _ in lines),
        "tax_exclusive": net,
        "vat_total": vat,
        "tax_inclusive": net + vat,
        "payable": due,
        "rates": sorted((a.rate.normalize(), a.net, a.vat) for a in amounts if a.net or a.vat),
    }


def of_credit(given: Values) -> Values:
    """A credit for the unused part, and its VAT, each rounded on its own."""
    if "unused" in given:
        credit = part_amount(num(given["net"]), Fraction(given["unused"]))
        tax = vat_of(credit, num(given["rate_pct"]), "EUR")
        whole = num(given["net"]) + vat_of(num(given["net"]), num(given["rate_pct"]), "EUR")
        return {"credit": credit + tax, "invoice_total": whole}
    share = Fraction(given["unused_days"], given["period_days"])
    credit = part_amount(num(given["price_cents"]) * CENT, share)
    tax = vat_of(credit, num(given["rate_pct"]), "EUR")
    return {"credit": credit / CENT, "tax": tax / CENT, "total": (credit + tax) / CENT}


def of_amounts(given: Values) -> Values:
    """Amounts rounded as lines are, then added."""
    currency = given.get("currency", "USD")
    if "quantity" in given:
        return {"amount": quantise(num(given["quantity"]) * num(given["unit_price"]), currency)}
    if "lines" in given:
        return {"subtotal": sum(quantise(num(line), currency) for line in given["lines"])}
    rounded = quantise(num(given["amount"]), currency)
    return {"rounded": rounded, "subtotal": rounded * given.get("count", 1)}


def of_pence(given: Values) -> Values:
    """Published prices in pence and thousandths."""
    if "vat_pence_unrounded" in given:
        return {"vat_pence": round_half_up(num(given["vat_pence_unrounded"]), 0)}
    return {"gross_pence": round_half_up(num(given["net_pence"]) * (100 + num(given["rate_pct"])) / 100, 3)}


def of_split(given: Values) -> Values:
    """An amount in cents shared by weights."""
    shares = allocate(num(given["total_cents"]) * CENT, given["ratios"], "EUR")
    return {f"part_{n}": share / CENT for n, share in enumerate(shares, 1)}


def of_discount(given: Values) -> Values:
    """A discount before tax."""
    taxable = num(given["subtotal"]) - num(given["discount"])
    tax = vat_of(taxable, num(given["rate_pct"]), "USD")
    return {"taxable": taxable, "tax": tax, "total": taxable + tax}


def of_inclusive_price(given: Values) -> Values:
    """The same price several times, sold at its net: VAT once for the rate, or on each line."""
    net = quantise(num(given["gross"]) * 100 / (100 + num(given["rate_pct"])), "EUR")
    point = VatPoint.LINE if given["mode"] == "line" else VatPoint.INVOICE
    (amount,) = vat_per_rate([(net, num(given["rate_pct"]))] * given["count"], "EUR", point)
    return {"net": amount.net, "tax": amount.vat, "gross": amount.net + amount.vat}


def of_percent_off(given: Values) -> Values:
    """What is charged after a discount in per cent; the product never rounds the discount by itself."""
    price, percent = num(given.get("originalPrice", given.get("price"))), given.get("percentageOff")
    off = num(given["discount_pct"] if percent is None else percent)
    row = FeatureRow(
        id=1, customer_id=1, number_id=None, type_id=1, quantity=int(given.get("quantity", 1)), start=JANUARY,
        end=None, price=price, cost=None, discount=off, name="", kind="feature", interval="month",
        timing="advance", prorate="actual", currency=given.get("currency", "usd").upper(), activation_fee=D(0),
        anchor_day=1, continues=None,
    )  # fmt: skip
    (charge,) = charges_of(Terms(row, own_prices(row, []), JANUARY), JANUARY)
    return {"final": charge.amount, "total": charge.amount}


def of_discount_before_tax(given: Values) -> Values:
    """A fixed discount, then VAT."""
    net = num(given["net"]) - num(given["discount_excl"])
    return {"total_incl": net + vat_of(net, num(given["rate_pct"]), "GBP")}


KINDS: list[tuple[set[str], Callable[[Values], Values]]] = [
    ({"line_net", "line_rate"}, of_document),
    ({"gross", "count", "mode"}, of_inclusive_price),
    ({"originalPrice"}, of_percent_off),
    ({"discount_pct"}, of_percent_off),
    ({"discount_excl"}, of_discount_before_tax),
    ({"unused"}, of_credit),
    ({"unused_days"}, of_credit),
    ({"subtotal", "discount"}, of_discount),
    ({"net_cents"}, of_cents),
    ({"credit_cents"}, of_cents),
    ({"lines_cents"}, of_lines),
    ({"lines", "currency"}, of_amounts),
    ({"lines"}, of_lines),
    ({"quantity"}, of_amounts),
    ({"amount"}, of_amounts),
    ({"net_pence"}, of_pence),
    ({"vat_pence_unrounded"}, of_pence),
    ({"ratios"}, of_split),
    ({"taxable"}, of_base),
    ({"base"}, of_base),
    ({"net"}, of_base),
    ({"line_net"}, of_base),
]


@pytest.mark.skipif(not REFERENCE, reason=MISSING)
@pytest.mark.parametrize("case", TESTED)
def test_the_case_comes_out(case: str) -> None:
    given, expected = CASES[case]["inputs"], dict(CASES[case]["expected"])
    found = next(work for names, work in KINDS if names <= set(given))(given)
    breakdown = expected.pop("vat_breakdown", None)
    if breakdown is not None:
        rates: dict[Decimal, list[Decimal]] = {}
        for row in breakdown:
            sums = rates.setdefault(num(row["rate"] or 0).normalize(), [D(0), D(0)])
            sums[0], sums[1] = sums[0] + num(row["base"]), sums[1] + num(row["tax"])
        assert found["rates"] == sorted((r, n, v) for r, (n, v) in rates.items() if n or v)
    for step in ROUNDED_UPSTREAM & set(expected) - set(found):
        del expected[step]
    assert expected or breakdown
    assert {key: num(found[key]) for key in expected} == {key: num(v or 0) for key, v in expected.items()}


@pytest.mark.skipif(not REFERENCE, reason=MISSING)
def test_every_case_is_tested_or_listed_once() -> None:
    assert exempt_ids(TAX) <= set(CASES)
    assert {case for case, about in CASES.items() if not about["verified"]} <= exempt_ids(TAX)
