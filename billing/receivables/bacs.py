"""Direct Debit reason codes of ARUDD, ADDACS and AUDDIS: what each means and what to do about it."""

from typing import NamedTuple


class Reason(NamedTuple):
    """What a code says and what the biller does next."""

    meaning: str
    action: str


_RETRY = "Present it again when the payer expects it; tell the payer first."
_NEW_MANDATE = "Ask the payer for a new Direct Debit mandate and collect this bill another way."
_ASK = "Stop collecting and ask the payer."
_OURS = "Mend our record, then present it again."

#: Unpaid Direct Debits returned by the payer's bank.
ARUDD = {
    "0": Reason("Refer to payer", _RETRY),
    "1": Reason("Instruction cancelled by the payer", _NEW_MANDATE),
    "2": Reason("Payer deceased", "Stop collecting and write to the estate."),
    "3": Reason("Account transferred", "Take the new account from the ADDACS report, then present it again."),
    "4": Reason("Advance notice disputed", _ASK),
    "5": Reason("No account, or wrong account type", _NEW_MANDATE),
    "6": Reason("No instruction", _NEW_MANDATE),
    "7": Reason("Amount differs from the notice", _OURS),
    "8": Reason("Amount not yet due", "Present it again on the day of the notice."),
    "9": Reason("Presentation overdue", "Give new notice, then present it again."),
    "A": Reason("Service user differs", _OURS),
    "B": Reason("Account closed", _NEW_MANDATE),
}

#: Changes and cancellations of instructions advised by the payer's bank.
ADDACS = {
    "0": Reason("Instruction cancelled: refer to payer", _NEW_MANDATE),
    "1": Reason("Instruction cancelled by the payer", _NEW_MANDATE),
    "2": Reason("Payer deceased", "Stop collecting and write to the estate."),
    "3": Reason("Account moved to another bank", "Take the new account over before the next collection."),
    "B": Reason("Account closed", _NEW_MANDATE),
    "C": Reason("Account moved to another branch", "Take the new account over before the next collection."),
    "D": Reason("Advance notice disputed", _ASK),
    "E": Reason("Instruction amended", "Take the amended details over before the next collection."),
    "R": Reason("Instruction reinstated", "Collect again as before."),
}

#: New instructions that were refused.
AUDDIS = {
    "1": Reason("Instruction cancelled by the payer", _NEW_MANDATE),
    "2": Reason("Payer deceased", "Stop collecting and write to the estate."),
    "3": Reason("Account transferred", "Set the instruction up on the new account."),
    "5": Reason("No account", _NEW_MANDATE),
    "6": Reason("No instruction", "Nothing to cancel: check our record."),
    "B": Reason("Account closed", _NEW_MANDATE),
    "C": Reason("Account moved to another branch", "Set the instruction up on the new account."),
    "F": Reason("Account type does not take Direct Debits", _NEW_MANDATE),
    "G": Reason("The bank allows no Direct Debits on this account", _NEW_MANDATE),
    "H": Reason("Instruction expired", "Set the instruction up again; nothing was collected for too long."),
    "I": Reason("Reference of the payer is not unique", _OURS),
    "K": Reason("Instruction cancelled by the bank", _NEW_MANDATE),
    "L": Reason("Payer's details are wrong", "Check name and account with the payer, then set it up again."),
}

SCHEMES = {"ARUDD": ARUDD, "ADDACS": ADDACS, "AUDDIS": AUDDIS}


def decode(code: str, scheme: str = "ARUDD") -> Reason:
    """Return what a reason code means and what to do; an unknown one says so."""
    found = SCHEMES[scheme].get(code.strip().upper())
    return found or Reason(f"Reason {code or 'not given'}", _ASK)
