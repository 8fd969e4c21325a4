"""Bicom PBXware: 26 columns, the number sent to the trunk inside `lastdata`, NULL for what is empty."""

from collections.abc import Iterable
from typing import Any

from billing.importing.registry import FORMATS, Format, Mask, Rows

#: What was sent to a trunk: PJSIP/<digits>@<trunk>.
SENT = r"^(?:PJSIP|SIP)/\+?(?P<it>[0-9]+)@"


def dialled(rows: Rows) -> Any:
    """Return the number as it went out, else as it was dialled."""
    return rows.first_filled(rows.extract("lastdata", SENT), "dst")


def not_billed(rows: Rows) -> Iterable[tuple[Mask, str]]:
    """Legs that went to no trunk, and legs on a trunk that dialled no number (conferences)."""
    yield rows.matches("trunk", r"^(?:NULL)?$"), "internal"
    dial = rows.matches("lastapp", r"^(?:Dial)?$") | ~rows.matches("disposition", r"^ANSWERED$")
    yield ~dial, "internal"


PBXWARE = FORMATS.add(
    "pbxware",
    Format(
        name="pbxware",
        label="PBXware (26 columns)",
        about="Call records of Bicom PBXware; only legs on a trunk are billed.",
        columns={
            "uid": ("uniqueid",),
            "group_uid": ("linkedid",),
            "cli": ("src",),
            "dialled": ("dst",),
            "started_at": ("calldate",),
            "duration": ("billsec",),
            "answered": ("disposition",),
            "trunk": ("trunk",),
        },
        identities=(("accountcode",), ("src",)),
        key=("uniqueid", "sequence"),
        required=("dialled", "duration", "answered", "trunk"),
        answered_values=("ANSWERED",),
        nulls=("NULL",),
        dialled_from=dialled,
        excluded=not_billed,
        sample="pbxware.csv",
    ),
)
