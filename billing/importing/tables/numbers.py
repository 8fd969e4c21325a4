"""Numbers in imports: E.164 where they are phone numbers, references as they are."""

import re

import phonenumbers
from phonenumbers import PhoneNumberType

from billing.importing.tables.fields import Reading, words
from billing.importing.tables.reading import Cell
from billing.models import Number

_TYPES = {
    PhoneNumberType.MOBILE: Number.Type.MOBILE,
    PhoneNumberType.TOLL_FREE: Number.Type.FREEPHONE,
    PhoneNumberType.FIXED_LINE: Number.Type.GEOGRAPHIC,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Number.Type.GEOGRAPHIC,
}
_DIALLABLE = re.compile(r"[+(]?[\d\s()./-]+")


def number(cell: Cell, reading: Reading) -> str:
    """Read a number: a phone number becomes E.164, any other reference stays as it is written."""
    value = words(cell)
    parsed = _phone(value, reading.country)
    value = (
        value if parsed is None else phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    )
    if len(value) > 60:
        raise ValueError(f"“{value[:30]}…” is longer than 60 characters.")
    return value


def type_of(value: str) -> str:
    """Return the type of number that a stored number is by its own form; references are of type other."""
    parsed = _phone(value, None)
    if parsed is None:
        return Number.Type.OTHER
    return _TYPES.get(phonenumbers.number_type(parsed), Number.Type.NON_GEOGRAPHIC)


def _phone(value: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    if not _DIALLABLE.fullmatch(value):
        return None
    try:
        parsed = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None
