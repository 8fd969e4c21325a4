"""Pages that take a call file: upload, look at how it is understood, load."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.importing.formats import FORMATS
from billing.importing.mapping import format_of
from billing.importing.peek import first_rows, layout_of
from billing.importing.refused import FileRefused
from billing.importing.registry import Format
from billing.importing.uploads import UploadRefused, keep, path_of
from billing.models import Carrier, SourceMapping
from billing.web.upload_forms import FIELDS, OWN, SAVED, CallFileForm, ColumnsForm
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Text
from resellerkpi.core.jobs import enqueue
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.panels import TablePanel
from resellerkpi.ui.views import FormPage, Page

SHOWN_ROWS, SHOWN_COLUMNS = 8, 24
DELIMITERS = (",", ";", "\t", "|")
LABELS = {name: label for name, label, _ in FIELDS} | {"date": "Date", "group_uid": "Group"}


class CallFileUpload(FormPage):
    """Take the file."""

    capability = Capability.IMPORT
    title = "Load a call file"
    purpose = "A carrier's file of calls, messages or data: each call is priced and counted once, whatever you supply."
    form_class = CallFileForm
    submit = "Go on"
    refusals = (UploadRefused,)

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the files."""
        return ("Call files", reverse("cdr-file-list"))

    def save(self, form: CallFileForm) -> str:
        """Keep the file and go on to see how it is understood."""
        given = form.cleaned_data["file"]
        token, _ = keep(given.chunks(), most=settings.UPLOAD_MAX_BYTES)
        about = {
            "name": given.name[:200],
            "reseller": self.reseller.pk,
            "carrier": form.cleaned_data["carrier"].pk,
            "layout": form.cleaned_data["layout"],
        }
        uploads = dict(list(self.request.session.get("call_files", {}).items())[-9:])
        self.request.session["call_files"] = {**uploads, token: about}
        return reverse("cdr-check", args=[token])


class CallFileCheck(Page):
    """Show the first rows under what they are taken for; load the file when asked."""

    capability = Capability.IMPORT
    template = "billing/upload_check.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show how the file is understood."""
        self.find()
        return self.show(self.columns_form(None))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Look again, or load the file by a job."""
        self.find()
        form = self.columns_form(request.POST)
        if form is not None and not form.is_valid():
            return self.show(form, status=422)
        problem, _ = self.understood(form)
        if problem or request.POST.get("do") != "load":
            return self.show(form, status=422 if problem else 200)
        spec = form.spec() if form is not None else self.saved_spec()
        if form is not None and form.cleaned_data["save_as"]:
            SourceMapping.objects.update_or_create(
                reseller=self.reseller, name=form.cleaned_data["save_as"], defaults={"spec": spec}
            )
        return self.load(spec)

    def find(self) -> None:
        """Find the upload; raises Http404 when it is not this person's in this house."""
        self.token = self.kwargs["token"]
        mine = self.request.session.get("call_files", {}).get(self.token)
        kept = path_of(self.token)
        if mine is None or kept is None or mine["reseller"] != self.reseller.pk:
            raise Http404
        self.about, self.path = mine, kept
        self.carrier = Carrier.objects.filter(pk=mine["carrier"]).first()
        if self.carrier is None:
            raise Http404
        self.title = f"Load {mine['name']}"
        self.purpose = f"Calls of {self.carrier.name}. Nothing is loaded before you say so."

    def saved_spec(self) -> dict[str, Any] | None:
        """Return the saved layout chosen, None for a known one; raises Http404 when it is gone."""
        layout = self.about["layout"]
        if not layout.startswith(SAVED):
            return None
        row = SourceMapping.objects.filter(pk=layout.removeprefix(SAVED)).first()
        if row is None:
            raise Http404
        return dict(row.spec)

    def columns_form(self, data: Any) -> ColumnsForm | None:
        """Return the form that declares a layout, None where a known one was chosen or the file is none."""
        if self.about["layout"] != OWN:
            return None
        try:
            first = first_rows(self.path, "\x00", limit=settings.UPLOAD_MAX_BYTES)
        except FileRefused:
            return None
        line = first[0][0] if first and first[0] else ""
        delimiter = max(DELIMITERS, key=line.count)
        return ColumnsForm(data, heads=line_cells(self.path, delimiter), delimiter=delimiter)

    def format(self, form: ColumnsForm | None) -> Format | None:
        """Return the format the file is read by, None while its columns are not named."""
        if form is not None:
            return format_of(form.spec()) if form.is_bound else None
        spec = self.saved_spec()
        return format_of(spec) if spec is not None else FORMATS.get(self.about["layout"])

    def understood(self, form: ColumnsForm | None) -> tuple[str, TablePanel | None]:
        """Return why the file cannot be loaded, and its first rows under what they are taken for."""
        try:
            fmt = self.format(form)
            delimiter = fmt.delimiter if fmt else form.delimiter if form else ","
            rows = first_rows(self.path, delimiter, limit=settings.UPLOAD_MAX_BYTES)
            if fmt is None:
                return "", preview(rows, {}, skip=0)
            layout = layout_of(self.path, fmt, limit=settings.UPLOAD_MAX_BYTES)
        except (FileRefused, LookupError) as refused:
            return str(refused), None
        taken = {name: LABELS.get(field, field) for field, name in layout.fields.items()}
        taken |= {name: LABELS["identity"] for columns in layout.identities for name in columns}
        heads = {at: taken.get(name, "") for at, name in enumerate(layout.names)}
        return "", preview(rows, heads, skip=layout.first_line - 1, names=layout.names)

    def load(self, spec: dict[str, Any] | None) -> HttpResponse:
        """Hand the file to a worker and show how far it is."""
        params = {
            "token": self.token,
            "name": self.about["name"],
            "carrier_id": self.about["carrier"],
            "format_name": "" if spec is not None else self.about["layout"],
            "mapping": spec,
        }
        return job_redirect(
            enqueue("usage.import", params, title=f"Load {self.about['name']}", back_url=self.request.path)
        )

    def show(self, form: ColumnsForm | None, *, status: int = 200) -> HttpResponse:
        """Render the page."""
        problem, table = ("", None) if form is not None and form.errors else self.understood(form)
        ready = not problem and (form is None or (form.is_bound and not form.errors))
        context = {"form": form, "problem": problem, "preview": table, "ready": ready}
        return self.render(context, status=422 if problem else status)


def line_cells(path: Any, delimiter: str) -> list[str]:
    """Return the cells of a file's first line."""
    rows = first_rows(path, delimiter, limit=settings.UPLOAD_MAX_BYTES)
    return rows[0] if rows else []


def preview(
    rows: list[list[str]], taken: dict[int, str], *, skip: int, names: tuple[str, ...] | None = None
) -> TablePanel:
    """Return the first rows as a table, each column headed by its name and what it is taken for."""
    width = max((len(row) for row in rows), default=0)
    order = sorted(range(width), key=lambda at: (not taken.get(at), at))[:SHOWN_COLUMNS]
    columns = []
    for at in order:
        name = names[at] if names and at < len(names) else f"Column {at + 1}"
        label = f"{taken[at]} ({name})" if taken.get(at) else name
        columns.append(Text(name=f"c{at}", label=label, sortable=False))
    body = [{f"c{at}": row[at] if at < len(row) else "" for at in order} for row in rows[skip:][:SHOWN_ROWS]]
    return TablePanel(title=f"The first {len(body)} rows", columns=columns, rows=body)


urls: list[URLPattern] = [
    path("usage/upload/", CallFileUpload.as_view(), name="cdr-upload"),
    path("usage/upload/<str:token>/", CallFileCheck.as_view(), name="cdr-check"),
]
