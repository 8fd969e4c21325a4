"""A list as a file: exactly the rows and columns on the page, in its order."""

import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpResponse

from resellerkpi.core import audit, sheets
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column
from resellerkpi.ui.tables import make_table, queryset_totals

FORMATS = ("csv", "xlsx")


def answer(
    page: Any, columns: Sequence[Column], rows: QuerySet[Any] | Sequence[Mapping[str, Any]]
) -> HttpResponse:
    """Return a list as CSV or XLSX and note who took it; a list that is too long says so instead.

    Rows that are no queryset are in their order already.
    """
    format_name = page.request.GET["as"]
    if format_name not in FORMATS:
        raise Http404
    if not page.scope.can(Capability.RUN_REPORTS):
        raise PermissionDenied
    ordered = not isinstance(rows, QuerySet)
    count = rows.count() if isinstance(rows, QuerySet) else len(rows)
    if count > page.max_export:
        words = (
            f"This list has {count:,} rows; narrow it to {page.max_export:,} or fewer to take it as a file."
        )
        return HttpResponse(words, status=413, content_type="text/plain; charset=utf-8")
    sort = None if ordered else page.request.GET.get("sort")
    table = make_table(columns, rows, scope=page.scope, order_by=sort, with_totals=False)
    data = list(table.data)
    audit.record("list.exported", page.title, format=format_name, rows=len(data))
    content = _csv(columns, data) if format_name == "csv" else _xlsx(page, columns, rows, data)
    response = HttpResponse(content, content_type=sheets.MEDIA[format_name])
    name = re.sub(r"[^a-z0-9]+", "-", page.title.lower()).strip("-") or "list"
    response["Content-Disposition"] = f'attachment; filename="{name}.{format_name}"'
    return response


def _csv(columns: Sequence[Column], data: Sequence[Any]) -> str:
    out = io.StringIO()
    sheets.write_csv(columns, data, out)
    return out.getvalue()


def _xlsx(page: Any, columns: Sequence[Column], rows: Any, data: Sequence[Any]) -> bytes:
    summed = any(c.total for c in columns) and isinstance(rows, QuerySet)
    totals = queryset_totals(columns, rows) if summed else []
    about = [("List", page.title), ("Reseller", str(page.reseller))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.xlsx"
        sheets.write_xlsx(columns, data, path, title=page.title, totals=totals, about=about)
        return path.read_bytes()
