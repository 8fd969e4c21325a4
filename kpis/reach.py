"""What a change reaches: the facts that follow from a table, and the KPIs and months that read what moved of them.

Everything is read off the SQL: tables by their names, columns by their words. A word that is no column costs a look
that was not needed, never a figure.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from kpis.facts_book import ACCOUNT
from kpis.facts_sql import FACTS, told
from kpis.kpi import Kpi, Part
from kpis.sources import Source

_TABLE = re.compile(r"\b(?:billing|kpis)_\w+")
#: The name under which the keys of customers stand beside the facts.
ACCOUNTS = "account"
#: Stands for every column of a row that came or went.
ROW = "*"

#: Which columns moved, of a fact and a month; of accounts the month is None.
Moved = Mapping[tuple[str, date | None], frozenset[str]]


def tables_in(text: str) -> frozenset[str]:
    """Return the tables named in an SQL text."""
    return frozenset(_TABLE.findall(text))


_OF_ACCOUNT = tables_in(ACCOUNT)


def _reads_account(text: str) -> bool:
    return re.search(rf"\b{ACCOUNTS}\b", text) is not None


#: By whether recurring revenue keeps suspended customers.
_FACT_TABLES = {
    kept: {
        name: tables_in(told(text, suspended=kept))
        | (_OF_ACCOUNT if _reads_account(text) else frozenset[str]())
        for name, text in FACTS.items()
    }
    for kept in (True, False)
}


def moves_accounts(tables: Collection[str]) -> bool:
    """Say whether the keys of customers follow from any of these tables."""
    return not _OF_ACCOUNT.isdisjoint(tables)


def facts_of(
    tables: Collection[str], among: Iterable[str] = tuple(FACTS), *, suspended: bool = True
) -> list[str]:
    """Return the facts that follow from any of these tables, as suspended customers are kept or left out."""
    return [name for name in among if not _FACT_TABLES[suspended][name].isdisjoint(tables)]


@dataclass(frozen=True)
class Reads:
    """What a part of a KPI reads by all its dimensions: tables as they are, facts, words, months back; accounts.

    `suspended` says whether recurring revenue keeps customers that are.
    """

    tables: frozenset[str]
    facts: frozenset[str]
    words: frozenset[str]
    window: int
    accounts: bool
    suspended: bool

    @classmethod
    def of(cls, kpi: Kpi, part: Part, months: Callable[[Source], int], *, suspended: bool) -> "Reads":
        """Read it off the SQL; `months` tells a source's window."""
        source = part.source
        rows = told(source.rows, suspended=suspended)
        text = " ".join([rows, source.currency, source.item, part.value])
        dimensions = " ".join(source.column(d) or "" for d in kpi.by)
        facts = {*source.tables}
        if source.of_customers and "status" in kpi.by:
            facts.add("customerfact")
        words = {ROW, "holder", *re.findall(r"\w+", f"{text} {dimensions}")}
        accounts = source.of_customers or _reads_account(text)
        reads = tables_in(text), frozenset(facts), frozenset(words), months(source)
        return cls(*reads, accounts=accounts, suspended=suspended)

    def follows(self, tables: Collection[str]) -> bool:
        """Say whether any of it follows from any of these tables."""
        return (
            not self.tables.isdisjoint(tables)
            or bool(facts_of(tables, self.facts, suspended=self.suspended))
            or (self.accounts and moves_accounts(tables))
        )

    def reached(self, tables: Collection[str], moved: Moved, span: Sequence[date]) -> set[date]:
        """Return the months of a span it has to be looked at for, when tables were written to and facts moved."""
        if not self.tables.isdisjoint(tables):
            return set(span)
        found: set[date] = set()
        for (name, month), columns in moved.items():
            if self.words.isdisjoint(columns):
                continue
            if month is None:
                found |= set(span) if self.accounts else set()
            elif name in self.facts:
                found |= {m for m in span if 0 <= _between(month, m) <= self.window}
        return found


def _between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


def reached(
    kpi: Kpi,
    tables: Collection[str],
    moved: Moved,
    span: Sequence[date],
    months: Callable[[Source], int],
    *,
    suspended: bool,
) -> set[date]:
    """Return the months of a span a KPI may have moved in."""
    parts = [Reads.of(kpi, part, months, suspended=suspended) for part in kpi.parts()]
    return set().union(*(part.reached(tables, moved, span) for part in parts))


def follows(kpi: Kpi, tables: Collection[str], *, suspended: bool) -> bool:
    """Say whether any part of a KPI follows from any of these tables."""
    return any(Reads.of(kpi, part, lambda _: 0, suspended=suspended).follows(tables) for part in kpi.parts())
