"""Decks that name destinations and have no prefixes: the names are looked up in a tariff that has both."""

import difflib
import re
from collections import defaultdict
from typing import Self, TypeAlias

from billing.importing.decks.options import DeckOptions
from billing.importing.refused import FileRefused
from billing.models import Tariff, TariffRate

Keys: TypeAlias = list[tuple[str, str]]
LEFT_OUT = "-"
_WORDS = {
    "cellular": "mobile",
    "mob": "mobile",
    "cell": "mobile",
    "fixed": "",
    "landline": "",
    "proper": "",
    "and": "",
}
_PREFIXES = re.compile(r"\+?\d{1,15}(?:[\s,;]+\+?\d{1,15})*")


def plain_name(name: str) -> str:
    """Return a destination's name without case, punctuation, order of words and the trade's synonyms."""
    words = (_WORDS.get(word, word) for word in re.findall(r"\w+", name.casefold()))
    return " ".join(sorted(word for word in words if word))


class Names:
    """Keys by destination, as the tariff of the names has them in force at the end, and matches made by hand."""

    def __init__(self, keys: dict[str, Keys], names: dict[str, str], matches: dict[str, str]) -> None:
        self.keys, self.names = keys, names
        self.matches = {plain_name(name): match.strip() for name, match in matches.items()}

    @classmethod
    def of(cls, tariff: Tariff, options: DeckOptions) -> Self:
        """Read the names of the tariff that the options name, else of the deck's own; raises FileRefused."""
        like = Tariff.objects.filter(name=options.names_like).first() if options.names_like else tariff
        rates = TariffRate.objects.filter(tariff=like, service="voice", valid_to__isnull=True).exclude(
            destination=""
        )
        if like is None or not rates.exists():
            raise FileRefused(
                "The deck has neither prefixes nor charge codes: say which tariff’s destinations its names are."
            )
        keys: dict[str, Keys] = defaultdict(list)
        names: dict[str, str] = {}
        for kind, key, name in rates.values_list("key_kind", "key", "destination").distinct():
            keys[plain_name(name)].append((kind, key))
            names[plain_name(name)] = name
        return cls(dict(keys), names, dict(options.matches))

    def find(self, name: str) -> Keys | None:
        """Return the keys a name stands for, none at all for one left out; None when nothing is known of it."""
        match = self.matches.get(plain_name(name), "")
        if match == LEFT_OUT:
            return []
        if match and _PREFIXES.fullmatch(match):
            return [("prefix", prefix.lstrip("+")) for prefix in re.split(r"[\s,;]+", match)]
        return self.keys.get(plain_name(match or name))

    def nearest(self, name: str) -> str:
        """Return the destination that a name is most like, "" for none."""
        close = difflib.get_close_matches(plain_name(name), list(self.names), n=1, cutoff=0.6)
        return self.names[close[0]] if close else ""
