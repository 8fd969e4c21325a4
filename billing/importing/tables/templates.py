"""Templates to download for a kind of import, made from its fields: headings, an example line, how to fill it."""

import csv
from io import BytesIO, StringIO

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from billing.importing.tables.kind import Kind

_BOLD = Font(bold=True)
_HOW = (
    "Overwrite the example line. Columns you do not need may go; an empty cell leaves what is in the book as it is. "
    "Write dates as 2026-11-22."
)


def template_csv(kind: Kind) -> bytes:
    """Return the template as CSV that spreadsheets open as UTF-8."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([f.title for f in kind.fields])
    writer.writerow([f.example for f in kind.fields])
    return out.getvalue().encode("utf-8-sig")


def template_xlsx(kind: Kind) -> bytes:
    """Return the template as a workbook with a sheet that explains each column; every cell is text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(kind.title[:31])
    sheet.freeze_panes = "A2"
    sheet.append([_cell(sheet, f.title, bold=True) for f in kind.fields])
    sheet.append([_cell(sheet, f.example) for f in kind.fields])
    notes = book.create_sheet("How to fill")
    notes.column_dimensions["A"].width, notes.column_dimensions["C"].width = 28, 90
    notes.append([_cell(notes, kind.purpose)])
    notes.append([_cell(notes, _HOW)])
    notes.append([_cell(notes, head, bold=True) for head in ("Column", "Needed", "Meaning", "Example")])
    for f in kind.fields:
        needed = "yes" if f.required else "no"
        notes.append([_cell(notes, text) for text in (f.title, needed, f.help, f.example)])
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(sheet: WriteOnlyWorksheet, text: str, *, bold: bool = False) -> Cell:
    cell: Cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    cell.number_format = "@"
    if bold:
        cell.font = _BOLD
    return cell
