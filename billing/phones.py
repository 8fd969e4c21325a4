"""Telephone numbers as E.164 by a country's dialling rules; what is no full number survives as it is written."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SPACING = re.compile(r"[\s().\-/\u00a0]+")
_DIGITS = re.compile(r"\+?[0-9]+")
MAX_DIGITS = 15


def to_e164(text: str, country: str, *, strip_prefix: str = "", only_valid: bool = False) -> str:
    """Return a number as E.164 with its +; extensions, short codes and words such as “withheld” come back as they are.

    National, trunk (0…) and international (+, 00, 011…) forms are understood by the country (ISO code). A
    `strip_prefix` stands before the digits of an international number. What stands for a line may be a reference of
    another kind, so there `only_valid` numbers count, as they do when numbers are entered in the book; what was
    dialled is any number of a possible length.
    """
    if _E164.fullmatch(text):
        return text
    plain = _SPACING.sub("", text)
    if not _DIGITS.fullmatch(plain):
        return text.strip()
    digits = plain.removeprefix("+")
    if strip_prefix and digits.startswith(strip_prefix):
        rest = "+" + digits[len(strip_prefix) :]
        if _E164.fullmatch(rest):
            return rest
    if plain.startswith("+"):
        return plain
    return _parsed(plain, country, only_valid) or _parsed_abroad(plain) or plain


def _parsed(plain: str, country: str, only_valid: bool) -> str:
    try:
        number = phonenumbers.parse(plain, country)
    except NumberParseException:
        return ""
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return ""
    if only_valid and not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _parsed_abroad(plain: str) -> str:
    for prefix in ("00", "011"):
        rest = "+" + plain.removeprefix(prefix)
        if plain.startswith(prefix) and _E164.fullmatch(rest):
            return rest
    return ""


class PhoneBook:
    """Remembers the numbers of one country that were worked out, so that each is worked out once a file."""

    def __init__(
        self, country: str, strip_prefix: str = "", *, only_valid: bool = False, keep: int = 500_000
    ) -> None:
        self.country, self.strip_prefix, self.only_valid, self.keep = country, strip_prefix, only_valid, keep
        self.known: dict[str, str] = {}

    def e164(self, text: str) -> str:
        """Return the number as E.164 where it is a full number."""
        found = self.known.get(text)
        if found is None:
            found = to_e164(text, self.country, strip_prefix=self.strip_prefix, only_valid=self.only_valid)
            if len(self.known) < self.keep:
                self.known[text] = found
        return found
