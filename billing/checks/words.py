"""The words of findings: counts of things and money."""

from decimal import Decimal

from resellerkpi.core.columns import figure


def counted(count: int, noun: str) -> str:
    """Return a number of things in words, such as 1,204 calls."""
    return f"{figure(count, 0)} {noun}{'' if count == 1 else 's'}"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount with two decimals and its currency."""
    return f"{figure(amount, 2)} {currency}".strip()


def at_least(cost: Decimal, currency: str) -> str:
    """Return what calls cost at least as the end of a sentence; nothing when no cost is known."""
    return f" and cost {money(cost, currency)} at least" if cost else ""
