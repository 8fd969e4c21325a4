"""The bytes of a call file: opened, unpacked, turned into UTF-8 and cut into blocks of whole lines."""

import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from billing.importing.refused import FileRefused

#: Longest line that is still taken for a record.
MAX_LINE = 1 << 20
TOO_LONG = f"A line is longer than {MAX_LINE >> 20} MB: this is not a file of call records."
#: A packed file may unfold to this many times the upload limit, and to this many times its own size.
MAX_UNFOLD = 8
MAX_RATIO = 200
SAMPLE = 1 << 16
BINARY = (b"\x7fELF", b"%PDF", b"\x89PNG", b"SQLite format", b"\xd0\xcf\x11\xe0")
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Readable(Protocol):
    """What blocks are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to that many bytes, none at the end."""


@contextmanager
def unpacked(path: Path, *, limit: int) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a plain, gz or single-member zip file: its content, and the file on disk to tell how far it is read.

    Raises FileRefused when it is empty or over the limit.
    """
    size = path.stat().st_size
    if size == 0:
        raise FileRefused("The file is empty.")
    if size > limit:
        raise FileRefused(f"The file is larger than {limit // 1_048_576:,} MB.")
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if start[:2] == b"\x1f\x8b":
            with gzip.open(raw) as content:
                yield content, raw  # type: ignore[misc]
        elif start == b"PK\x03\x04":
            with zipfile.ZipFile(raw) as archive, _only_member(archive) as content:
                yield content, raw
        else:
            yield raw, raw


@contextmanager
def _only_member(archive: zipfile.ZipFile) -> Iterator[IO[bytes]]:
    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise FileRefused(f"The archive holds {len(members)} files; supply one call file at a time.")
    if members[0].flag_bits & 1:
        raise FileRefused("The archive is locked with a password.")
    with archive.open(members[0]) as content:
        yield content


class Text:
    """A stream of UTF-8 with plain line ends, out of bytes of a declared or recognised encoding."""

    def __init__(self, source: IO[bytes], *, encoding: str, packed_size: int, limit: int) -> None:
        self.source, self.limit, self.packed_size = source, limit, packed_size
        self.taken = 0
        head = self._take(SAMPLE)
        bom = next(((mark, name) for mark, name in BOMS if head.startswith(mark)), None)
        if bom:
            head, encoding = head[len(bom[0]) :], bom[1]
        elif head.startswith(BINARY) or _controls(head[:4096]) * 20 > len(head[:4096]):
            raise FileRefused("This is not a text file of call records.")
        plain = codecs.lookup(encoding).name in ("utf-8", "ascii")
        self.decoder = None if plain else codecs.getincrementaldecoder(encoding)(errors="replace")
        self.returns_only = b"\r" in head and b"\n" not in head
        self.waiting = self._turn(head)

    def _take(self, size: int) -> bytes:
        try:
            data = self.source.read(size)
        except (EOFError, zlib.error, zipfile.BadZipFile, lzma.LZMAError, OSError) as broken:
            raise FileRefused(
                "The file is cut short or damaged: it could not be unpacked to its end."
            ) from broken
        self.taken += len(data)
        if self.taken > self.limit * MAX_UNFOLD or (
            self.taken > 64 * 1_048_576 and self.taken > self.packed_size * MAX_RATIO
        ):
            raise FileRefused("The file unfolds to more than it may hold.")
        return data

    def _turn(self, data: bytes) -> bytes:
        if self.decoder is not None:
            data = self.decoder.decode(data, final=not data).encode()
        return data.replace(b"\r", b"\n") if self.returns_only else data

    def read(self, size: int, /) -> bytes:
        """Return about that many bytes of UTF-8, none at the end."""
        if self.waiting:
            data, self.waiting = self.waiting, b""
            return data
        data = self._take(size)
        return self._turn(data)


def _controls(data: bytes) -> int:
    """Count the bytes that no text holds."""
    return sum(byte < 32 and byte not in b"\t\r\n\x1a" for byte in data)


def blocks(source: Readable, size: int) -> Iterator[bytes]:
    """Cut a stream into blocks of about `size` bytes of whole lines; a quoted line break does not end a line.

    The last block lacks its line end when the file does. Raises FileRefused on a line longer than a record can be.
    """
    rest = b""
    while True:
        parts, have = [rest], len(rest)
        while have < size:
            data = source.read(size - have)
            if not data:
                break
            parts.append(data)
            have += len(data)
        buffer = b"".join(parts)
        if have < size:
            if len(buffer) - buffer.rfind(b"\n") > MAX_LINE:
                raise FileRefused(TOO_LONG)
            if buffer:
                yield buffer
            return
        cut = _end_of_record(buffer)
        yield buffer[:cut]
        rest = buffer[cut:]


def _end_of_record(buffer: bytes) -> int:
    """Return where the last whole record of a block ends: at a line end with all quotes closed, if one is near."""
    last = buffer.rfind(b"\n") + 1
    if last == 0 or len(buffer) - last > MAX_LINE:
        raise FileRefused(
            f"A line is longer than {MAX_LINE // 1_048_576} MB: this is not a file of call records."
        )
    if buffer.count(b'"', 0, last) % 2 == 0:
        return last
    cut, quotes = last, 0
    while cut > max(last - MAX_LINE, 0):
        previous = buffer.rfind(b"\n", 0, cut - 1) + 1
        quotes += buffer.count(b'"', previous, cut)
        if quotes % 2 and previous > 0:
            return previous
        cut = previous
        if previous == 0:
            break
    return last
