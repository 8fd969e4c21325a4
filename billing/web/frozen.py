"""Pages over rows that a job has left behind: sorted, narrowed and exported like a list, asking nothing anew."""

import io
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from billing.results import read_result
from resellerkpi.core import audit, sheets
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column, totals, visible
from resellerkpi.core.models import Job
from resellerkpi.ui.htmx import is_partial, varies
from resellerkpi.ui.panels import NOTHING, EmptyState
from resellerkpi.ui.tables import HouseTable, make_table
from resellerkpi.ui.views import PAGE_SIZES, Page, tidy

Row = Mapping[str, Any]


class Narrow(forms.Form):
    """Base of the filters: words, and what subclasses add."""

    q = forms.CharField(required=False, label="Name", widget=forms.TextInput(attrs={"type": "search"}))

    def keeps(self, row: Row, chosen: Mapping[str, Any]) -> bool:
        """Say whether a row stays."""
        words = str(chosen.get("q") or "").casefold().split()
        text = " ".join(str(value) for value in row.values()).casefold() if words else ""
        return all(word in text for word in words)


class Filters:
    """The filters of the page as the toolkit's templates read them."""

    def __init__(self, form: Narrow) -> None:
        self.form = form
        self.chosen: dict[str, Any] = form.cleaned_data if form.is_valid() else {}

    def narrowed(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that stay."""
        return [row for row in rows if self.form.keeps(row, self.chosen)]

    def chips(self) -> list[tuple[str, str, str]]:
        """Return the filters in force as (parameter, label, words)."""
        found = []
        for name, field in self.form.fields.items():
            value = self.chosen.get(name)
            if value and name != "by":
                choices = dict(getattr(field, "choices", ()))
                found.append((name, str(field.label), str(choices.get(value, value))))
        return found


class FrozenPage(Page):
    """The result of one job: panels above, then its rows as a list."""

    template = "billing/frozen.html"
    job_kind: str = ""
    form_class: type[Narrow] = Narrow
    row_url: str = ""
    order: str = ""
    empty: EmptyState = NOTHING
    job: Job
    found: dict[str, Any]

    def load(self, pk: UUID) -> None:
        """Take the job and its result; raises Http404."""
        job = Job.objects.filter(pk=pk, kind=self.job_kind).first()
        found = read_result(job) if job is not None else None
        if job is None or found is None:
            raise Http404
        self.job, self.found = job, found

    def columns(self) -> Sequence[Column]:
        """Return the columns of the rows."""
        raise ImproperlyConfigured(f"{type(self).__name__} does not say which columns it has.")

    def rows(self) -> list[Row]:
        """Return the rows before filters."""
        raise ImproperlyConfigured(f"{type(self).__name__} does not say which rows it shows.")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the result, only its table when HTMX asks, or export it."""
        self.load(kwargs["pk"])
        self.filters = Filters(self.form_class(request.GET))
        rows = self.filters.narrowed(self.rows())
        if request.GET.get("as"):
            return self.export(rows)
        partial = is_partial(request, "list")
        response = varies(self.show(rows, template="ui/_list.html" if partial else ""))
        if partial:
            usual = [column.name for column in self.allowed()[1:] if not column.hidden]
            response["HX-Push-Url"] = tidy(request, usual)
        return response

    def show(self, rows: list[Row], *, template: str = "", status: int = 200) -> HttpResponse:
        """Render the page with some rows."""
        context = {
            "filters": self.filters,
            "table": self.table(rows),
            "empty": self.empty,
            "filtered": bool(self.filters.chips()),
            "all_columns": self.allowed(),
            "shown": {column.name for column in self.shown()},
            "sizes": PAGE_SIZES,
            "may_export": self.scope.can(Capability.RUN_REPORTS),
            **({} if template else self.get_context()),
        }
        return self.render(context, template=template, status=status)

    def allowed(self) -> list[Column]:
        """Return the columns the role may see."""
        return visible(self.columns(), self.scope.capabilities)

    def shown(self) -> list[Column]:
        """Return the columns chosen in the address, else those not hidden at first."""
        chosen = set(self.request.GET.getlist("col"))
        allowed = self.allowed()
        if chosen & {column.name for column in allowed}:
            return [c for at, c in enumerate(allowed) if at == 0 or c.name in chosen]
        return [column for column in allowed if not column.hidden]

    def sorted(self, rows: list[Row]) -> list[Row]:
        """Return the rows in the order of the address, empty values last."""
        sort = self.request.GET.get("sort") or self.order
        column = next((c for c in self.allowed() if c.name == sort.lstrip("-") and c.sortable), None)
        if column is None:
            return rows
        known = [row for row in rows if column.value(row) not in (None, "")]
        rest = [row for row in rows if column.value(row) in (None, "")]
        return [*sorted(known, key=column.value, reverse=sort.startswith("-")), *rest]

    def table(self, rows: list[Row]) -> HouseTable:
        """Return a page of the rows as a table."""
        table = make_table(self.shown(), self.sorted(rows), scope=self.scope, row_url=self.row_url)
        asked = {name: _whole(self.request.GET.get(name)) for name in ("rows", "page")}
        table.paginate(per_page=asked["rows"] if asked["rows"] in PAGE_SIZES else PAGE_SIZES[0])
        table.page = table.paginator.get_page(asked["page"] or 1)
        return table

    def export(self, rows: list[Row]) -> HttpResponse:
        """Answer with the rows as CSV or XLSX and note who took them."""
        kind = self.request.GET["as"]
        if kind not in ("csv", "xlsx"):
            raise Http404
        if not self.scope.can(Capability.RUN_REPORTS):
            raise PermissionDenied
        audit.record("list.exported", self.title, format=kind, rows=len(rows))
        columns, data = self.shown(), self.sorted(rows)
        content = _csv(columns, data) if kind == "csv" else _xlsx(self, columns, data)
        name = re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "result"
        answer = HttpResponse(content, content_type=sheets.MEDIA[kind])
        answer["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
        return answer


def _csv(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    out = io.StringIO()
    sheets.write_csv(columns, rows, out)
    return out.getvalue()


def _xlsx(page: FrozenPage, columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    about = [("List", page.title), ("Reseller", str(page.reseller))]
    summed = totals(columns, rows) if any(column.total for column in columns) and rows else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.xlsx"
        sheets.write_xlsx(columns, rows, path, title=page.title, totals=summed, about=about)
        return path.read_bytes()


def exact(row: Row, names: Iterable[str]) -> dict[str, Any]:
    """Return a row of a result with the fields named as exact numbers."""
    return {**row, **{name: _decimal(row.get(name)) for name in names}}


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value in (None, "") else Decimal(str(value))
    except InvalidOperation:
        return None


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else 0
