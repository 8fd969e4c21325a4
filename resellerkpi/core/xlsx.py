"""Workbooks written as a stream: a sheet's rows go straight to the compressed file, so that size costs no memory.

Written here because the library at hand takes four times as long per cell as the limit for 200,000 rows allows (see
ADR 0016). Texts are inline and typed as text, which no spreadsheet runs as a formula; numbers are written digit by
digit as they are; days are serial numbers. Readers of two makes read the files back in the tests.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

MOST_ROWS = 1_048_576
MOST_TEXT = 32_767
EPOCH = date(1899, 12, 30)
FIRST_DAY = date(1900, 3, 1)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
TEXT = "@"
EMPTY = "<c/>"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MARKUP = re.compile(r"[&<>\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]|^\s|\s$|\n")
_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")


@dataclass
class Book:
    """A workbook being written: sheets are added one by one, then it is closed."""

    path: Path
    _zip: ZipFile = field(init=False)
    _names: list[str] = field(init=False, default_factory=list)
    _styles: dict[tuple[str, bool], int] = field(init=False, default_factory=lambda: {("General", False): 0})

    def __enter__(self) -> "Book":
        """Open the file."""
        self._zip = ZipFile(self.path, "w", ZIP_DEFLATED, compresslevel=3)
        return self

    def __exit__(self, kind: Any, error: Any, at: Any) -> None:
        """Write what names the sheets, and close the file."""
        if kind is None:
            self._write_frame()
        self._zip.close()

    def style(self, number_format: str, *, bold: bool = False) -> int:
        """Return the number of a style, made when it is new."""
        return self._styles.setdefault((number_format, bold), len(self._styles))

    def sheet(self, title: str, rows: Iterable[str], *, widths: Sequence[int], frozen: bool = False) -> None:
        """Add a sheet of rows that are markup already; the first row of a `frozen` one stays in sight."""
        self._names.append(self._free_name(title))
        columns = "".join(
            f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>' for n, width in enumerate(widths, 1)
        )
        pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>' if frozen else ""
        with self._zip.open(f"xl/worksheets/sheet{len(self._names)}.xml", "w", force_zip64=True) as out:
            out.write(
                f'{HEAD}<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0">{pane}'.encode()
            )
            out.write(f"</sheetView></sheetViews><cols>{columns}</cols><sheetData>".encode())
            _pour(rows, out)
            out.write(b"</sheetData></worksheet>")

    def _free_name(self, title: str) -> str:
        plain = _NOT_XML.sub("", _SHEET_NAME.sub(" ", title)).strip().strip("'")[:27] or "Sheet"
        taken = {name.casefold() for name in self._names}
        found, n = plain, 1
        while found.casefold() in taken:
            n += 1
            found = f"{plain} {n}"
        return found

    def _write_frame(self) -> None:
        numbers = range(1, len(self._names) + 1)
        sheets = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>'
            for n, name in zip(numbers, self._names, strict=True)
        )
        self._add(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>{sheets}</sheets></workbook>',
        )
        related = [(f"worksheets/sheet{n}.xml", "worksheet") for n in numbers]
        self._add("xl/_rels/workbook.xml.rels", _related([*related, ("styles.xml", "styles")]))
        self._add("_rels/.rels", _related([("xl/workbook.xml", "officeDocument")]))
        self._add("xl/styles.xml", self._style_sheet())
        kinds = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
        kinds += [(f"/xl/worksheets/sheet{n}.xml", "worksheet") for n in numbers]
        parts = "".join(
            f'<Override PartName="{part}" ContentType="{TYPE}.{kind}+xml"/>' for part, kind in kinds
        )
        rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        xml = '<Default Extension="xml" ContentType="application/xml"/>'
        self._add("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{rels}{xml}{parts}</Types>')

    def _style_sheet(self) -> str:
        formats = list(dict.fromkeys(name for name, _ in self._styles))
        ids = {"General": 0, TEXT: 49} | {
            name: 164 + n for n, name in enumerate(formats) if name not in ("General", TEXT)
        }
        own = "".join(
            f'<numFmt numFmtId="{n}" formatCode={quoteattr(name)}/>' for name, n in ids.items() if n >= 164
        )
        count = sum(n >= 164 for n in ids.values())
        made = "".join(
            f'<xf numFmtId="{ids[name]}" fontId="{int(bold)}" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"'
            f' applyFont="{int(bold)}"/>'
            for name, bold in self._styles
        )
        font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
        return (
            f'<styleSheet xmlns="{MAIN}">'
            + (f'<numFmts count="{count}">{own}</numFmts>' if count else "")
            + f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
            '<fills count="2"><fill><patternFill patternType="none"/></fill>'
            '<fill><patternFill patternType="gray125"/></fill></fills>'
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
            '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
            f'<cellXfs count="{len(self._styles)}">{made}</cellXfs>'
            '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
        )

    def _add(self, name: str, text: str) -> None:
        self._zip.writestr(name, HEAD + text)


def _related(targets: Sequence[tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{LINKS}/{kind}" Target="{target}"/>'
        for n, (target, kind) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{links}</Relationships>'


def _pour(rows: Iterable[str], out: IO[bytes]) -> None:
    """Write rows in blocks: the compressor is called once for many."""
    held: list[str] = []
    for row in rows:
        held.append(row)
        if len(held) == 500:
            out.write("".join(held).encode())
            held.clear()
    out.write("".join(held).encode())


def text(value: str, style: int) -> str:
    """Return a text cell."""
    keep = ""
    if _MARKUP.search(value):
        value = escape(_NOT_XML.sub("", value)[:MOST_TEXT])
        keep = ' xml:space="preserve"'
    return f'<c s="{style}" t="inlineStr"><is><t{keep}>{value}</t></is></c>'


def number(value: Any, style: int) -> str:
    """Return a number cell: digits as they are."""
    return f'<c s="{style}"><v>{format(value, "f") if type(value) is Decimal else value}</v></c>'


def moment(value: date, style: int) -> str:
    """Return the cell of a day or a local date and time; a day the calendar of spreadsheets lacks is a text."""
    day = value.date() if isinstance(value, datetime) else value
    if day < FIRST_DAY:
        return text(value.isoformat(), style)
    serial: Any = (day - EPOCH).days
    if isinstance(value, datetime):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        serial = serial + Decimal(seconds) / 86_400
    return number(serial, style)


def cell(value: Any, style: int) -> str:
    """Return the cell of a value by its kind; of None an empty one."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return text(value, style)
    return moment(value, style) if isinstance(value, date) else number(value, style)


def rows_of(columns: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the markup of rows whose cells come column by column."""
    for row in zip(*columns, strict=True):
        yield f"<row>{''.join(row)}</row>"
