"""Why an amount, or an average, changed between two periods: the arithmetic of parts that add up exactly."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP
from decimal import Decimal as D
from typing import Any

NOTE = "credit_note"
CENT = D("0.01")
PARTS = {
    "new": ("New customers", "Customers with nothing in the earlier period."),
    "lost": ("Lost customers", "Customers with nothing in the later period."),
    "price": ("Price", "What each unit of the same recurring product costs now, on today's quantity."),
    "quantity": ("Quantity and features", "More or fewer of the same products, products taken or dropped."),
    "volume": ("Usage volume", "More or fewer minutes, messages and data, at the earlier average price."),
    "rate": ("Usage rate and mix", "Dearer or cheaper calls, and calls of other classes, at today's volume."),
    "one_off": ("One-offs", "Activations, hardware and other single charges."),
    "credit": ("Credits", "Credit lines and credit notes."),
    "rest": ("Pass-through and manual", "Suppliers' charges passed on and charges entered by hand."),
}
INVOICES = "invoices"
#: An average has one part more: the same money on more or fewer invoices.
OF_AVERAGE = {
    INVOICES: ("Number of invoices", "The same customers' money on more or fewer invoices."),
    **PARTS,
}
#: What moves recurring revenue.
OF_MRR = {name: PARTS[name] for name in ("new", "lost", "price", "quantity")}
#: What a line is for: its kind, product or service, and class of call.
What = tuple[str, Any]


@dataclass
class Side:
    """What a customer had in one period: amount and units by what it was for, and on how many invoices."""

    name: str = ""
    code: str = ""
    sums: dict[What, tuple[D, D]] = field(default_factory=dict)
    invoices: int = 0

    @property
    def total(self) -> D:
        """All of it."""
        return sum((amount for amount, _ in self.sums.values()), D(0))


#: A customer before and after.
Pair = tuple[Side | None, Side | None]


def bridge(before: Side | None, after: Side | None) -> dict[str, D]:
    """Return the parts of a customer's change; they add up to it to the last digit."""
    parts = dict.fromkeys(PARTS, D(0))
    if before is None or after is None:
        parts["lost" if after is None else "new"] = (after or Side()).total - (before or Side()).total
        return parts
    for what in {*before.sums, *after.sums}:
        (was, had), (now, has) = before.sums.get(what, (D(0), D(0))), after.sums.get(what, (D(0), D(0)))
        kind, change = what[0], now - was
        if kind in ("recurring", "usage"):
            more, dearer = ("quantity", "price") if kind == "recurring" else ("volume", "rate")
            moved = (was * has / had - was).quantize(CENT) if had > 0 and has > 0 else change
            parts[more] += moved
            parts[dearer] += change - moved
        else:
            parts[{"one_off": "one_off", "credit": "credit", NOTE: "credit"}.get(kind, "rest")] += change
    return parts


def average(amount: D, invoices: int) -> D:
    """Return an average to the penny, half up; of nothing it is nought."""
    return (amount / invoices).quantize(CENT, ROUND_HALF_UP) if invoices else D(0)


def bridge_of_average(pairs: Iterable[Pair]) -> dict[str, D]:
    """Return the parts of the change of an average over customers; they add up to it to the penny.

    Step by step from the earlier average: without those who left, on the later number of invoices of those who stayed,
    with each change of what they pay, and with those who came. A part is what its step does to the average.
    """
    found, last = dict.fromkeys(OF_AVERAGE, D(0)), None
    for name, amount, invoices in _steps(list(pairs)):
        value = average(amount, invoices)
        if last is not None:
            found[name] = value - last
        last = value
    return found


def _steps(pairs: list[Pair]) -> Iterator[tuple[str, D, int]]:
    """Yield the part, and what the amount and the number of invoices are after it; the first is where it starts."""
    stayed = [(was, now) for was, now in pairs if was is not None and now is not None]
    amount = sum((was.total for was, _ in pairs if was is not None), D(0))
    yield "", amount, sum(was.invoices for was, _ in pairs if was is not None)
    amount = sum((was.total for was, _ in stayed), D(0))
    yield "lost", amount, sum(was.invoices for was, _ in stayed)
    invoices = sum(now.invoices for _, now in stayed)
    yield INVOICES, amount, invoices
    parts = [bridge(was, now) for was, now in stayed]
    for name in PARTS:
        if name not in ("new", "lost"):
            amount += sum((part[name] for part in parts), D(0))
            yield name, amount, invoices
    came = [now for was, now in pairs if was is None and now is not None]
    yield "new", amount + sum((now.total for now in came), D(0)), invoices + sum(now.invoices for now in came)
