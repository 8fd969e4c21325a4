"""Numbers in imports: E.164 where they are phone numbers, references as they are; the same as in call files."""

import phonenumbers
from phonenumbers import PhoneNumberType

from billing.importing.tables.fields import Reading, words
from billing.importing.tables.reading import Cell
from billing.models import Number
from billing.phones import to_e164

_TYPES = {
    PhoneNumberType.MOBILE: Number.Type.MOBILE,
    PhoneNumberType.TOLL_FREE: Number.Type.FREEPHONE,
    PhoneNumberType.FIXED_LINE: Number.Type.GEOGRAPHIC,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Number.Type.GEOGRAPHIC,
}


def number(cell: Cell, reading: Reading) -> str:
    """Read a number: a phone number becomes E.164, any other reference stays as it is written."""
    value = to_e164(words(cell), reading.country, only_valid=True)
    if len(value) > 60:
        raise ValueError(f"“{value[:30]}…” is longer than 60 characters.")
    return value


def type_of(value: str) -> str:
    """Return the type of number that a stored number is by its own form; references are of type other."""
    try:
        parsed = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return Number.Type.OTHER
    if not phonenumbers.is_valid_number(parsed):
        return Number.Type.OTHER
    return _TYPES.get(phonenumbers.number_type(parsed), Number.Type.NON_GEOGRAPHIC)
