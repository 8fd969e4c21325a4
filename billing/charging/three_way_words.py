"""What each finding of the three-way match means and what to do about it, in words for the clerk."""

from billing.models.matching import ServiceMatch

Finding = ServiceMatch.Finding

#: Finding: (what it means, what to do).
WORDS: dict[str, tuple[str, str]] = {
    Finding.AGREES: (
        "It was provided, the customer is billed and the supplier charges as agreed.",
        "Nothing.",
    ),
    Finding.SUPPLIER_MORE: (
        "The supplier charges more than the cost in the catalogue.",
        "Dispute it with the supplier, or put the new cost (and a new price) into the catalogue.",
    ),
    Finding.SUPPLIER_UNITS: (
        "The supplier charges for more units or days than were provided.",
        "Compare the supplier’s lines with the feature: a line charged twice, or a quantity never raised here.",
    ),
    Finding.BILLED_FEWER: (
        "The customer was billed for fewer units or days than were provided.",
        "Look at the feature’s charges; charge what is missing by hand if it cannot be generated.",
    ),
    Finding.BELOW_COST: (
        "The customer pays less than the supplier charges.",
        "Raise the price or change the supplier.",
    ),
    Finding.NO_SUPPLIER: (
        "It has no supplier or no cost, so no supplier’s bill is expected.",
        "Nothing; name its supplier if there is one.",
    ),
    Finding.NOT_ITEMISED: (
        "Bills of this supplier never list this product.",
        "Nothing, if the supplier does not charge for it.",
    ),
    Finding.BILL_MISSING: (
        "No bill of its supplier for this month is loaded, so nothing can be said yet.",
        "Load the supplier’s bill.",
    ),
    Finding.NO_CHARGE: (
        "The supplier’s bill of the month is loaded and does not have it; it may still be charged for later.",
        "Look among the supplier’s lines that are to be allocated; else keep the cost in mind.",
    ),
    Finding.MARKED_FREE: (
        "It is provided and marked as not charged.",
        "Charge for it, or make the customer a test account if it is our own.",
    ),
    Finding.PRICE_ZERO: (
        "It is provided at a price of 0 of its own.",
        "Give it the list’s price, or end it.",
    ),
    Finding.NOT_BILLED: (
        "It was provided, and bills of the month are made without it.",
        "Generate charges in the next bill run; if none comes, give it a price.",
    ),
    Finding.NO_RENTAL: (
        "The customer has the number, a supplier stands behind it, and no feature rents it.",
        "Add the feature that rents the number, or end its use.",
    ),
    Finding.BILL_WAITS: (
        "The customer’s bill that charges for this month is not made yet.",
        "Nothing until the bill run.",
    ),
    Finding.NOTHING_DUE: ("Neither a price nor a supplier’s charge belongs to it.", "Nothing."),
    Finding.OWN_USE: ("The customer is a test account: it is not billed.", "Nothing."),
    Finding.BILLED_ENDED: (
        "The customer is billed for days on which it was not in service.",
        "Credit the customer, or set the day on which it really ended.",
    ),
    Finding.STILL_CHARGED: (
        "The supplier charges for days on which it was not in service for any customer.",
        "Cease it at the supplier and ask for the money back, or say whose it is.",
    ),
    Finding.OPEN: (
        "Nobody knows yet what this line of a supplier’s bill is for.",
        "Say what it is for, or leave it out with the reason.",
    ),
    Finding.LEFT_OUT: ("Somebody decided that it is for no customer.", "Nothing."),
}

#: How a service stands that needs nobody, in a few words for the pages of customers and numbers.
SHORT: dict[str, str] = {
    Finding.AGREES: "Billed and on the supplier’s bill",
    Finding.NO_SUPPLIER: "Billed; no supplier charges for it",
    Finding.NOT_ITEMISED: "Billed; suppliers’ bills do not list it",
    Finding.BILL_MISSING: "Billed; the supplier’s bill is not here yet",
    Finding.BILL_WAITS: "Waits for the customer’s next bill",
    Finding.NOTHING_DUE: "Nothing to bill or to pay",
    Finding.OWN_USE: "Test or own use, not billed",
    Finding.LEFT_OUT: "Left out by hand",
}

#: State: (provided, billed to the customer, charged by the supplier).
THREE: dict[str, tuple[bool, bool, bool]] = {
    state: ("p" in state, "b" in state, "s" in state) for state in ("pbs", "pb", "ps", "p", "bs", "b", "s")
}
