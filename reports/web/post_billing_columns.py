"""The columns of the post-billing page's tables."""

from typing import Any

from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Code, Column, Date, Growth, Int, Money, Percent, Text

#: Columns of change and the figure each is the change on.
GROWTHS = {"on_previous": "previous", "on_mean": "mean", "on_year": "year"}
#: Bills that need a look: the kept list, its title, and what it says when nothing is in it.
SORTS = (
    ("stands_out", "Bills that stand out", "No bill is unusual against the customer's last three."),
    ("unpaid", "Customers with unpaid earlier bills", "Nobody with a bill has earlier ones to pay."),
    ("final", "Final bills", "No customer with a bill has left."),
)
_WHO: tuple[Column, ...] = (Text(name="customer"), Code(name="number", label="Invoice"))
BILLS: dict[str, tuple[Column, ...]] = {
    "stands_out": (
        *_WHO,
        Money(name="net", label="Before VAT"),
        Money(name="mean", label="Mean of three"),
        Money(name="off", label="Off the mean"),
        Money(name="spread", label="Usual spread", help="Standard deviation of the three bills before."),
        Code(name="currency"),
    ),
    "unpaid": (
        *_WHO,
        Money(name="gross", label="This bill"),
        Money(
            name="unpaid",
            label="Unpaid before",
            help="Open on earlier invoices when the bills were produced, over 5.00.",
        ),
        Code(name="currency"),
    ),
    "final": (
        *_WHO,
        Money(name="net", label="Before VAT"),
        Money(name="gross", label="Total"),
        Code(name="currency"),
    ),
}
NOT_PRODUCED: tuple[Column, ...] = (
    Text(name="reason"),
    Int(name="customers"),
    Money(name="waiting", label="Waiting", help="Not billed now; comes with a later bill."),
    Code(name="currency"),
)
FAILED: tuple[Column, ...] = (
    Text(name="reason"),
    Int(name="calls", total=SUM),
    Money(name="cost_sum", label="Cost at least", currency="cost_currency", needs=Capability.VIEW_WHOLESALE),
    Code(name="cost_currency", label="Currency", needs=Capability.VIEW_WHOLESALE),
)
VAT: tuple[Column, ...] = (
    Text(name="what", label="Rate"),
    Money(name="net_sum", label="Before VAT"),
    Money(name="vat_sum", label="VAT"),
    Code(name="currency"),
)
_RANGE: tuple[Column, ...] = (
    Money(name="low", label="Low"),
    Money(name="expected", label="Expected"),
    Money(name="high", label="High", help="In nine of ten cases it comes to between low and high."),
    Code(name="currency"),
)
METHODS: tuple[Column, ...] = (
    Text(name="method", label="Payment method"),
    Int(name="invoices"),
    Money(name="open", label="Open"),
    *_RANGE,
    Percent(
        name="error",
        label="Usual error",
        help="Of the same forecast on earlier months, where there are three.",
    ),
)
DAYS: tuple[Column, ...] = (Date(name="day"), Text(name="method", label="Payment method"), *_RANGE)
TRIALS: tuple[Column, ...] = (
    Date(name="month", label="Made as if on"),
    Money(name="expected", label="Expected"),
    Money(name="came", label="Came"),
    Money(name="off", label="More or less"),
    Growth(name="error", label="Error", parts=("off", "expected")),
    Code(name="currency"),
)


def compared(runs: dict[str, Any], first: str) -> tuple[Column, ...]:
    """Return the columns of figures beside those earlier runs that are there."""
    found: list[Column] = [Text(name="what", label=first), Money(name="this", label="This run")]
    for there, name, label, change in (
        (runs["previous"], "previous", runs["previous"], "on_previous"),
        (runs["three"], "mean", "Mean of three", "on_mean"),
        (runs["year"], "year", runs["year"], "on_year"),
    ):
        if there:
            found += [Money(name=name, label=label), Percent(name=change, label="Change")]
    return (*found, Code(name="currency"))
