"""Asterisk's Master.csv and the exports of FreePBX: the same record with and without a heading line."""

from collections.abc import Iterable

from billing.importing.registry import FORMATS, Format, Mask, Rows

MASTER = (
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "calldate",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
)
#: A custom writer without an account code that starts with the caller's name, as seen in the field.
NO_ACCOUNT = (*MASTER[4:5], *MASTER[1:4], *MASTER[5:16], "userfield", "uniqueid", "peeraccount", "sequence")

#: Legs that reach no phone outside: dialled things that are no number, and ringing of the house's own phones.
NOT_A_NUMBER = r"^\+?[0-9]{3,}$"
OWN_PHONE = r"^(?:PJSIP|SIP|IAX2|SCCP|DAHDI|Local)/(?P<it>[^@/-]+)(?:-[0-9a-f]+)?$"
INBOUND = r"^(?:from-(?:pstn|trunk|did)|ivr-)"


def incoming(rows: Rows) -> Mask:
    """Calls that came in from a trunk."""
    return rows.matches("dcontext", INBOUND)


def not_billed(rows: Rows) -> Iterable[tuple[Mask, str]]:
    """Incoming calls; legs to a phone of the house, to a feature code, or to an application."""
    yield incoming(rows), "inbound"
    yield ~rows.matches("dst", NOT_A_NUMBER), "internal"
    yield rows.matches("dstchannel", r"^Local/"), "internal"
    yield rows.same("dst", rows.extract("dstchannel", OWN_PHONE)), "internal"
    answered_by_house = rows.matches("disposition", "^ANSWERED$") & ~rows.matches("lastapp", "^(?:Dial)?$")
    yield answered_by_house, "internal"


ASTERISK = FORMATS.add(
    "asterisk",
    Format(
        name="asterisk",
        label="Asterisk or FreePBX",
        about="Master.csv (16, 18 or 21 columns, no heading line) or an export of FreePBX with its heading line.",
        headings={16: MASTER[:16], 17: MASTER[:17], 18: MASTER[:18], 19: NO_ACCOUNT, 21: MASTER},
        columns={
            "uid": ("uniqueid",),
            "group_uid": ("linkedid",),
            "cli": ("src",),
            "dialled": ("dst",),
            "started_at": ("calldate", "start"),
            "duration": ("billsec",),
            "answered": ("disposition",),
        },
        identities=(("accountcode",), ("src",)),
        key=("uniqueid", "src", "dst", "channel", "dstchannel", "duration", "billsec", "disposition"),
        required=("dialled", "duration", "answered"),
        answered_values=("ANSWERED",),
        direction_in=incoming,
        excluded=not_billed,
        sample="asterisk.csv",
    ),
)
