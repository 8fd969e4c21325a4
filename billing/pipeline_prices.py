"""Questions about prices and their answers as plain values: pricing calls again, what-if, the effect of a deck.

Above billing.pipeline: it asks rating and importing together and reads names for people.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.models import Carrier, Customer, Invoice, Tariff
from billing.models.freshness import fingerprint
from billing.pipeline import rerate_calls
from billing.rating.book_rows import read_tariffs
from billing.rating.corrections import Proposal, propose
from billing.rating.overlay import Change, Overlay, proposed_tariff
from billing.rating.rerate import RerateResult
from billing.rating.selection import RerateSelection
from billing.rating.whatif import Answer, Question, amounts, ask, by_currency
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period

Progress = Callable[[int, int, str], None]
#: What a proposed correction says in money.
FIGURES = ("billed", "right", "before", "credited", "amount")
NOBODY = ("", "Nobody’s calls")


class QuestionRefused(ValueError):
    """A question that cannot be answered, with the reason for the user."""


# Pricing calls again


def selection_of(reseller: Reseller, params: Mapping[str, Any]) -> RerateSelection:
    """Return which calls are meant: plain values as a page or a command has them.

    A tariff stands for those that look further in it too; a default tariff also for those it looks further in.
    """
    chosen = {name: params[name] for name in params if name not in ("tariff_id", "place")}
    if params.get("tariff_id"):
        chosen["tariff_ids"] = _family(reseller, int(params["tariff_id"]))
    place = str(params.get("place") or "").strip()
    if place.lstrip("+").isdigit():
        chosen["prefixes"] = ["+" + place.lstrip("+"), place.lstrip("+")]
    elif place:
        chosen["destination"] = place
    return RerateSelection.from_params(chosen)


def preview_rerate(
    reseller: Reseller, params: Mapping[str, Any], *, now: datetime, progress: Progress | None = None
) -> dict[str, Any]:
    """Say what pricing calls again would do, and what bills should have been; nothing is kept of it."""
    where = selection_of(reseller, params)
    stamp = fingerprint(reseller.pk)
    result = rerate_calls(reseller=reseller, where=where, apply=False, now=now, progress=progress)
    proposal = propose(reseller, where, progress) if result.billed else Proposal()
    return {**_rerated(result), **_proposed(proposal), "where": dict(params), "fingerprint": stamp}


def apply_rerate(
    reseller: Reseller, params: Mapping[str, Any], *, now: datetime, progress: Progress | None = None
) -> dict[str, Any]:
    """Price calls again that are not billed, and say what it did."""
    where = selection_of(reseller, params)
    result = rerate_calls(reseller=reseller, where=where, apply=True, now=now, progress=progress)
    return {**_rerated(result), "where": dict(params)}


def _rerated(result: RerateResult) -> dict[str, Any]:
    names = customer_names(effect.customer_id for effect in result.effects)
    rows = []
    for effect in result.effects:
        code, name = names.get(effect.customer_id, NOBODY)
        figures = ("old_retail", "new_retail", "old_cost", "new_cost")
        rows.append(
            {"customer_id": effect.customer_id, "code": code, "name": name, "currency": effect.currency}
            | {figure: f"{getattr(effect, figure):f}" for figure in figures}
        )
    counts = {"looked_at": result.looked_at, "changed": result.changed, "billed": result.billed}
    return {**counts, "applied": result.applied, "rows": rows}


def _proposed(proposal: Proposal) -> dict[str, Any]:
    names = customer_names(row.customer_id for row in proposal.corrections)
    numbers = dict(
        Invoice.objects.filter(pk__in=[row.invoice_id for row in proposal.corrections]).values_list(
            "pk", "number"
        )
    )
    rows = []
    for row in proposal.corrections:
        code, name = names[row.customer_id]
        rows.append(
            {
                "invoice_id": row.invoice_id,
                "invoice": numbers[row.invoice_id],
                "customer_id": row.customer_id,
                "code": code,
                "name": name,
                "currency": row.currency,
                "calls": row.calls,
                **{part: f"{getattr(row, part):f}" for part in FIGURES},
            }
        )
    return {"corrections": rows, "drafts": proposal.drafts, "left": proposal.left}


def _family(reseller: Reseller, tariff_id: int) -> list[int]:
    rows = {row.id: row for row in read_tariffs(reseller)}
    found = {tariff_id}
    while more := {row.id for row in rows.values() if row.parent_id in found} - found:
        found |= more
    at = tariff_id
    while rows[tariff_id].is_default and rows[at].parent_id and rows[at].parent_id not in found:
        at = rows[at].parent_id
        found.add(at)
    return sorted(found)


# What would have been


def what_if(
    reseller: Reseller,
    params: Mapping[str, Any],
    *,
    laid: Overlay | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answer a what-if of plain values (see `question_of`) with tables by customer and destination."""
    question = question_of(reseller, params, laid)
    answer = ask(reseller, question, progress)
    return {**answered(answer), "asked": dict(params), "buying": question.buying}


def question_of(reseller: Reseller, params: Mapping[str, Any], laid: Overlay | None = None) -> Question:
    """Return a question from plain values; raises QuestionRefused.

    first, end: the months (end exclusive) · kind: "move" customers (customer_ids, or the users of instead_of) to
    tariff_id; "change" prices of tariff_id by changes; "wholesale": buy from carrier_id by tariff_id; "moves":
    customer_ids from old tariffs to new ones, pairs of ids in `moves`; "deck": an overlay that is `laid` · as_of: the
    day whose prices of the proposed tariff count.
    """
    period = Period(date.fromisoformat(params["first"]), date.fromisoformat(params["end"]), reseller.zone)
    if period.start.day != 1 or period.end.day != 1:
        raise QuestionRefused("Ask about whole months: allowances are given by the month.")
    kind = params["kind"]
    carriers = [int(params["carrier_id"])] if params.get("carrier_id") else None
    if laid is not None:
        buying = bool(laid.bought) or bool(params.get("buying"))
        return Question(period=period, overlay=laid, carriers=carriers if buying else None, buying=buying)
    if kind == "moves":
        return _moves(reseller, params, period)
    tariff = Tariff.objects.filter(pk=params.get("tariff_id")).first()
    if tariff is None:
        raise QuestionRefused("The proposed tariff is gone; choose another.")
    day = date.fromisoformat(params["as_of"])
    changes = [_change(change) for change in params.get("changes") or ()]
    rates = proposed_tariff(reseller, tariff.pk, day, changes, int(params.get("places", 4)))
    if not any(rates.values()):
        raise QuestionRefused(f"“{tariff}” has no prices on {day.day} {day:%B %Y}.")
    if kind == "wholesale":
        if not carriers:
            raise QuestionRefused("Say from which carrier the calls would be bought by that tariff.")
        overlay = Overlay(rates=rates, bought={carriers[0]: tariff.pk})
        return Question(period=period, overlay=overlay, carriers=carriers, buying=True)
    customers = [int(pk) for pk in params.get("customer_ids") or ()] or None
    if kind == "change":
        return Question(period=period, overlay=Overlay(rates=rates), customers=customers)
    if customers:
        overlay = Overlay(rates=rates, customers=dict.fromkeys(customers, tariff.pk))
        return Question(period=period, overlay=overlay, customers=customers)
    if not params.get("instead_of"):
        raise QuestionRefused("Say which customers would move: name them, or the tariff that they are on.")
    return Question(period=period, overlay=Overlay(rates=rates, moved={int(params["instead_of"]): tariff.pk}))


def _moves(reseller: Reseller, params: Mapping[str, Any], period: Period) -> Question:
    """Return the question what customers would pay if each of several tariffs gave way to another."""
    moved = {int(old): int(new) for old, new in params["moves"]}
    day = date.fromisoformat(params["as_of"])
    rates: dict[int, Any] = {}
    for new in sorted({*moved.values()}):
        rates |= proposed_tariff(reseller, new, day)
    customers = [int(pk) for pk in params["customer_ids"]]
    return Question(period=period, overlay=Overlay(rates=rates, moved=moved), customers=customers)


def answered(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain values, money as text."""
    names = customer_names(customer for customer, _ in answer.by_customer)
    customers = []
    for (customer, currency), figures in answer.by_customer.items():
        code, name = names.get(customer, NOBODY)
        customers.append(
            {"customer_id": customer, "code": code, "name": name, "currency": currency, **_plain(figures)}
        )
    destinations = [
        {"destination": destination, "currency": currency, **_plain(figures)}
        for (destination, currency), figures in answer.by_destination.items()
    ]
    totals = {
        currency: {name: _text(value) for name, value in sums.items()}
        for currency, sums in by_currency(answer).items()
    }
    return {
        "calls": answer.calls,
        "unpriced": answer.unpriced,
        "uncovered": answer.uncovered,
        "stale": answer.stale,
        "customers": sorted(customers, key=lambda row: (row["name"], row["customer_id"], row["currency"])),
        "destinations": sorted(destinations, key=lambda row: (row["destination"], row["currency"])),
        "totals": totals,
    }


def customer_names(ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Return code and name of customers."""
    rows = Customer.objects.filter(pk__in=set(ids)).values_list("pk", "code", "name")
    return {pk: (code, name) for pk, code, name in rows}


def carrier_of(tariff: Tariff) -> Carrier | None:
    """Return the carrier whose calls a wholesale tariff prices."""
    return tariff.carrier if tariff.kind == Tariff.Kind.WHOLESALE else None


def _change(values: Mapping[str, Any]) -> Change:
    given = {
        name: Decimal(values[name]) for name in ("percent", "price") if values.get(name) not in (None, "")
    }
    return Change(match=str(values.get("match") or ""), **given)


def _plain(figures: Sequence[int]) -> dict[str, Any]:
    return {name: _text(value) for name, value in amounts(figures).items()}


def _text(value: Any) -> Any:
    return f"{value:f}" if isinstance(value, Decimal) else value
