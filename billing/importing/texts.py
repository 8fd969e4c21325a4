"""Asks about a block's columns of text, and makes the key that tells one call from another."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from billing.importing.layout import Layout
from billing.importing.registry import Format

SEPARATOR = "\x1f"
_E164 = r"^\+[1-9][0-9]{6,14}$"
_TIME_OF_PATTERN = re.compile(r"[ T](%[HI].*)$")


def blank(size: int) -> pa.Array:
    """Return blank text for each row."""
    return known("", size)


def known(text: str, size: int) -> pa.Array:
    """Return the same text for each row."""
    return pa.repeat(pa.scalar(text, pa.string()), size)


class BlockRows:
    """The text of a block, by heading or by field of the format."""

    def __init__(self, table: pa.Table, layout: Layout, nulls: Iterable[str]) -> None:
        self.table, self.layout = table, layout
        self.nulls = pa.array(list(nulls), pa.string())
        self.size = table.num_rows
        self.cache: dict[str, pa.Array] = {}

    def column(self, name: str | int) -> pa.Array:
        """Return a column's text, trimmed, blank where the file says it is empty or has no such column."""
        found = self.layout.find(name)
        if found is None:
            return blank(self.size)
        if found not in self.cache:
            text = self.table.column(found).combine_chunks()
            text = pc.utf8_trim_whitespace(text if isinstance(text, pa.Array) else text.chunk(0))
            if len(self.nulls):
                text = pc.if_else(pc.is_in(text, value_set=self.nulls), "", text)
            self.cache[found] = text
        return self.cache[found]

    def field(self, name: str, width: int | None = None) -> pa.Array:
        """Return a field's text, cut to a width."""
        if name not in self.layout.fields:
            return blank(self.size)
        text = self.column(self.layout.fields[name])
        return text if width is None else pc.utf8_slice_codeunits(text, 0, width)

    def filled(self, name: str) -> NDArray[np.bool_]:
        """Say of each row whether a field is given."""
        return _mask(pc.not_equal(self.field(name), ""))

    def matches(self, column: str, pattern: str) -> NDArray[np.bool_]:
        """Say of each row whether the column holds the pattern."""
        return _mask(pc.match_substring_regex(self.column(column), pattern))

    def same(self, one: Any, other: Any) -> NDArray[np.bool_]:
        """Say of each row whether two texts are the same."""
        return _mask(pc.equal(self._text(one), self._text(other)))

    def extract(self, column: str, pattern: str) -> pa.Array:
        """Return the pattern's group `it`, blank where it is not found."""
        found = pc.extract_regex(self.column(column), pattern)
        return pc.fill_null(pc.struct_field(found, "it"), "")

    def first_filled(self, *texts: Any) -> pa.Array:
        """Return for each row the first text that is not blank."""
        result = self._text(texts[0])
        for text in texts[1:]:
            result = pc.if_else(pc.equal(result, ""), self._text(text), result)
        return result

    def where(self, mask: Any, yes: str, no: str) -> pa.Array:
        """Return one text where the mask holds, else the other."""
        return pc.if_else(pa.array(mask), yes, no)

    def answered(self, values: tuple[str, ...]) -> NDArray[np.bool_]:
        """Say of each row whether the call was answered; a format without such a column has answered calls only."""
        if not values or "answered" not in self.layout.fields:
            return np.ones(self.size, dtype=bool)
        return _mask(pc.is_in(pc.utf8_upper(self.field("answered")), value_set=pa.array(values, pa.string())))

    def each(self, texts: pa.Array, work: Callable[[str], str], width: int) -> pa.Array:
        """Rewrite telephone numbers, each distinct text once; full numbers are left as they are."""
        full = pc.match_substring_regex(texts, _E164)
        if pc.all(full).as_py():
            return texts
        coded = texts.dictionary_encode()
        done = pa.array([work(text)[:width] for text in coded.dictionary.to_pylist()], pa.string())
        return done.take(coded.indices)

    def moments(self, pattern: str) -> tuple[pa.Array, pa.Array, str]:
        """Return the text of the day, the text of the time of day, and the pattern of the day alone."""
        fields = self.layout.fields
        if "date" in fields:
            return self.field("date"), self.field("time"), pattern
        text = self.field("started_at")
        clock = _TIME_OF_PATTERN.search(pattern)
        day_pattern = pattern[: clock.start()] if clock else pattern
        words = day_pattern.count(" ") + 1
        split = re.escape(" ").join(["[^ ]+"] * words) if words > 1 else "[^ T]+"
        found = pc.extract_regex(text, f"^(?P<day>{split})(?:[ T]+(?P<time>.*))?$")
        day = pc.if_else(pc.is_valid(found), pc.struct_field(found, "day"), text)
        return day, pc.fill_null(pc.struct_field(found, "time"), ""), day_pattern

    def _text(self, given: Any) -> pa.Array:
        return self.column(given) if isinstance(given, str | int) else given


def row_keys(rows: BlockRows, layout: Layout, fmt: Format, carrier_id: int) -> NDArray[np.int64]:
    """Return a 64-bit key for each row: the same for the same call of a carrier in any file, layout or machine.

    It is SipHash by pandas (a fixed key) over the service and the format's key columns, or over the whole row where
    those are blank or the format names none; the carrier's id is folded in.
    """
    texts = [rows.column(name) for name in layout.names] if not fmt.key else [rows.column(c) for c in fmt.key]
    keys = _joined(texts, fmt.service)
    if fmt.key and rows.size:
        lead = _mask(pc.equal(texts[0], ""))
        if lead.any():
            whole = _joined([rows.column(name) for name in layout.names], fmt.service)
            keys = pc.if_else(pa.array(lead), whole, keys)
    hashed = pd.util.hash_array(keys.to_numpy(zero_copy_only=False), categorize=False)
    with np.errstate(over="ignore"):
        mixed = hashed ^ (np.uint64(carrier_id) * np.uint64(0x9E3779B97F4A7C15))
    return mixed.view(np.int64)


def _joined(texts: list[pa.Array], service: str) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(service), *texts, SEPARATOR)


def _mask(values: Any) -> NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)
