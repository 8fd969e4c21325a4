"""Finds rates by longest prefix over columns of dialled numbers, and by the supplier's charge code.

A dialled number is written as a number of 17 digits to the base 13 (0 is "ended", then 0-9, * and #), so that a
prefix is a range and the longest prefix of any number is one binary search. Keys with other characters, or longer
ones, are rare and compared as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

NONE = -1
WIDTH = 17
BASE = 13
SIGNS = "0123456789*#"

_DIGIT = np.zeros(256, dtype=np.int64)
_DIGIT[[ord(sign) for sign in SIGNS]] = np.arange(1, len(SIGNS) + 1)
_PLUS = ord("+")


@dataclass(frozen=True, slots=True)
class Distinct:
    """A text column as positions in its distinct values."""

    codes: Ints
    values: list[str]

    @classmethod
    def of(cls, column: Any) -> "Distinct":
        """Read a text column; missing is empty."""
        texts = as_text(column)
        if not pc.max(pc.binary_length(texts)).as_py():
            return cls(np.zeros(len(texts), dtype=np.int64), [""])
        encoded = texts.dictionary_encode()
        return cls(encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist())

    def take(self, rows: Ints) -> "Distinct":
        """Return the rows named."""
        return Distinct(self.codes[rows], self.values)

    def is_blank(self) -> NDArray[np.bool_]:
        """Say per row whether the text is empty."""
        return np.array([not value for value in self.values], dtype=bool)[self.codes]


@dataclass(frozen=True, slots=True)
class Dialled:
    """A column of dialled numbers, as codes and as text."""

    codes: Ints
    texts: pa.Array

    @classmethod
    def of(cls, column: Any) -> "Dialled":
        """Read a column of dialled numbers; a leading + does not count."""
        texts = as_text(column)
        return cls(_encode(texts), texts)

    def take(self, rows: Ints) -> "Dialled":
        """Return the rows named."""
        return Dialled(self.codes[rows], self.texts.take(pa.array(rows)))


@dataclass(frozen=True, slots=True)
class PrefixTable:
    """Prefixes of one tariff, service, day and band with the position of each one's rate."""

    bounds: Ints
    owners: Ints
    lengths: Ints
    odd: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, keys: Sequence[str], values: Sequence[int]) -> "PrefixTable":
        """Build from distinct prefixes and their values; the empty prefix matches everything."""
        plain, odd = [], []
        for key, value in zip((key.removeprefix("+") for key in keys), values, strict=True):
            if len(key) <= WIDTH and not key.strip(SIGNS):
                start = _code(key)
                plain.append((start, len(key), start + BASE ** (WIDTH - len(key)), value))
            else:
                odd.append((key, value))
        bounds, owners, lengths = _flatten(sorted(plain))
        return cls(bounds, owners, lengths, tuple(sorted(odd, key=lambda row: len(row[0]))))

    def find(self, dialled: Dialled) -> Ints:
        """Return the value of the longest prefix of each number, NONE where there is none."""
        at = np.searchsorted(self.bounds, dialled.codes, side="right") - 1
        found = self.owners[at]
        if self.odd:
            length = self.lengths[at].copy()
            texts = pc.utf8_ltrim(dialled.texts, characters="+")
            for key, value in self.odd:
                hit = pc.starts_with(texts, pattern=key).to_numpy(zero_copy_only=False) & (length < len(key))
                found[hit], length[hit] = value, len(key)
        return found


@dataclass(frozen=True, slots=True)
class CodeTable:
    """Charge codes of one tariff, service, day and band with the position of each one's rate."""

    values: dict[str, int]

    def find(self, codes: Distinct) -> Ints:
        """Return the value of each row's charge code, NONE where there is none."""
        return np.array([self.values.get(code, NONE) for code in codes.values], dtype=np.int64)[codes.codes]


def as_text(column: Any) -> pa.Array:
    """Return a text column as one Arrow array of strings; missing is empty."""
    array = column if isinstance(column, pa.Array) else pa.array(column)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if array.type != pa.large_string():
        array = array.cast(pa.large_string())
    return array.fill_null("") if array.null_count else array


def _encode(texts: pa.Array) -> Ints:
    """Write each number in the base, read straight from the text buffer."""
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    signs = np.frombuffer(data or b"", dtype=np.uint8)
    signs = np.append(signs, np.zeros(WIDTH + 1, dtype=np.uint8))
    begin, end = edges[:-1], edges[1:]
    begin = begin + ((signs[begin] == _PLUS) & (end > begin))
    codes = np.zeros(len(texts), dtype=np.int64)
    for position in range(WIDTH):
        at = begin + position
        codes *= BASE
        codes += np.where(at < end, _DIGIT[signs[at]], 0)
    return codes


def _code(key: str) -> int:
    code = 0
    for sign in key:
        code = code * BASE + SIGNS.index(sign) + 1
    return code * BASE ** (WIDTH - len(key))


def _flatten(ranges: list[tuple[int, int, int, int]]) -> tuple[Ints, Ints, Ints]:
    """Return where the longest prefix changes, and its value and length from there on, out of nested ranges."""
    marks: dict[int, tuple[int, int]] = {0: (NONE, 0)}
    open_: list[tuple[int, int, int]] = [(BASE**WIDTH + 1, NONE, 0)]
    for start, length, end, value in ranges:
        while open_[-1][0] <= start:
            ended = open_.pop()[0]
            marks[ended] = open_[-1][1:]
        marks[start] = (value, length)
        open_.append((end, value, length))
    while len(open_) > 1:
        ended = open_.pop()[0]
        marks[ended] = open_[-1][1:]
    bounds = sorted(marks)
    return (
        np.array(bounds, dtype=np.int64),
        np.array([marks[bound][0] for bound in bounds], dtype=np.int64),
        np.array([marks[bound][1] for bound in bounds], dtype=np.int64),
    )
