"""Pages that load lists and rate decks: upload, say which column is which, look at the first rows, load."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.importing.book import BOOK_KINDS
from billing.importing.decks.deck import DeckOptions, import_deck
from billing.importing.decks.fields import DECK
from billing.importing.refused import FileRefused
from billing.importing.tables.examine import Examined, examine
from billing.importing.tables.kind import Kind
from billing.importing.tables.problems import Problem
from billing.importing.tables.reading import Table, read_table
from billing.importing.tables.templates import template_csv, template_xlsx
from billing.importing.uploads import UploadRefused, forget, keep, path_of
from billing.pipeline_book import import_any
from billing.web.import_forms import DeckForm, MappingForm, UploadForm
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Column, Int, Text
from resellerkpi.core.columns import day as shown_day
from resellerkpi.core.jobs import enqueue
from resellerkpi.core.sheets import MEDIA
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, TablePanel
from resellerkpi.ui.views import FormPage, Page

PREVIEWED, EXAMINED, AT_ONCE, LISTED, UNMATCHED = 20, 20_000, 5_000, 50, 200
LISTS = {
    "customers": "customer-list", "dealers": "dealer-list", "carriers": "carrier-list", "numbers": "number-list",
    "features": "feature-list", "feature-types": "feature-type-list", "payments": "payment-list",
    "opening-invoices": "invoice-list", "tariff": "tariff-list", "carrier-charges": "carrier-bill-list",
}  # fmt: skip
TEMPLATES = {"csv": template_csv, "xlsx": template_xlsx}


def kinds() -> list[Kind]:
    """Return every kind of import in the order in which a reseller moves in."""
    return sorted([*BOOK_KINDS, DECK], key=lambda kind: kind.order)


def kind_of(slug: str) -> Kind:
    """Return a kind of import; raises Http404."""
    for kind in kinds():
        if kind.slug == slug:
            return kind
    raise Http404


class ImportList(Page):
    """Every list that can be loaded, in the order in which they build on each other."""

    capability = Capability.IMPORT
    title = "Load your data"
    purpose = "Lists from your old system, in the order in which they build on each other."
    template = "billing/import_list.html"

    def get_context(self) -> dict[str, Any]:
        """List the kinds."""
        return {"kinds": kinds()}


class ImportTemplate(Page):
    """The template of a kind, to download."""

    capability = Capability.IMPORT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the file."""
        kind, ending = kind_of(kwargs["kind"]), kwargs["ext"]
        if ending not in TEMPLATES:
            raise Http404
        name = f'attachment; filename="{kind.slug}.{ending}"'
        return HttpResponse(
            TEMPLATES[ending](kind), content_type=MEDIA[ending], headers={"Content-Disposition": name}
        )


class ImportStart(FormPage):
    """Takes the file of an import."""

    capability = Capability.IMPORT
    template = "billing/import_start.html"
    form_class = UploadForm
    submit = "Upload"

    @property
    def kind(self) -> Kind:
        """The kind of the address."""
        return kind_of(self.kwargs["kind"])

    def get_context(self) -> dict[str, Any]:
        """Show what the kind's columns mean."""
        return {"title": f"Load {self.kind.title.lower()}", "purpose": self.kind.purpose, "kind": self.kind}

    def actions(self) -> Sequence[Action]:
        """Offer the templates."""
        links = [reverse("import-template", args=[self.kind.slug, ending]) for ending in TEMPLATES]
        return [Action("Template as CSV", links[0]), Action("Template as a spreadsheet", links[1])]

    def save(self, form: UploadForm) -> str:
        """Keep the file for this person's session and go on to its columns."""
        upload = form.cleaned_data["file"]
        token, kept = keep(upload.chunks())
        try:
            read_table(kept)
        except FileRefused as refused:
            forget(token)
            raise UploadRefused(str(refused)) from None
        mine = self.request.session.get("imports", {})
        mine[token] = {"kind": self.kind.slug, "name": upload.name[:120], "reseller": self.reseller.pk}
        self.request.session["imports"] = mine
        return reverse("import-check", args=[self.kind.slug, token])


class ImportCheck(Page):
    """Which column is which field, the first rows as they will be loaded, and what is wrong."""

    capability = Capability.IMPORT
    template = "billing/import_check.html"

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Take the kind and the token from the address."""
        super().setup(request, *args, **kwargs)
        self.kind, self.token = kind_of(kwargs["kind"]), kwargs["token"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the columns as guessed, or as they were chosen last, and what comes of them."""
        kept = request.session.get("imports", {}).get(self.token, {}).get("chosen")
        form = self.form(kept)
        form.is_valid()
        return self.show(form, checked=None)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check what was chosen, or load it."""
        form = self.form(request.POST)
        if not form.is_valid():
            return self.show(form, checked=None, status=422)
        checked, problems = self.check(form)
        if request.POST.get("do") == "load" and checked is not None and not problems:
            return self.compare(form) if self.kind is DECK else self.load(form, checked)
        return self.show(form, checked=(checked, problems), status=422 if problems else 200)

    def form(self, data: Any) -> MappingForm:
        """Make the form out of the file's headings; raises Http404 when the upload is not this person's."""
        mine = self.request.session.get("imports", {}).get(self.token)
        kept, house = path_of(self.token), (self.kind.slug, self.reseller.pk)
        if mine is None or kept is None or (mine["kind"], mine["reseller"]) != house:
            raise Http404
        self.name, self.path = mine["name"], kept
        self.table: Table = read_table(kept)
        made = DeckForm if self.kind is DECK else MappingForm
        return made(data, kind=self.kind, heads=self.table.heads)

    def check(self, form: MappingForm) -> tuple[Examined | None, list[Problem]]:
        """Return the examined file, None when it cannot be read, and its problems."""
        about = {"reseller": self.reseller, "today": self.today}
        try:
            checked = examine(self.kind, self.path, form.read(), most=EXAMINED, **about)
        except FileRefused as refused:
            return None, [Problem(None, "", str(refused))]
        problems = list(checked.work.problems)
        if self.kind is DECK and form.is_bound and not problems and checked.total <= AT_ONCE:
            dry = DeckOptions.of(form.options(), dry_run=True)
            outcome = import_deck(self.path, mapping=form.read(), options=dry, **about)
            self.difference, problems = outcome.difference, list(outcome.problems)
            self.unmatched = outcome.unmatched
        return checked, problems

    def compare(self, form: MappingForm) -> HttpResponse:
        """Compare a deck with its tariff and last month's calls by a job; from its result the deck is loaded."""
        mine = self.request.session["imports"]
        mine[self.token]["chosen"] = self.request.POST.dict()
        self.request.session["imports"] = mine
        options = form.options()
        params = {
            "token": self.token,
            "mapping": form.mapping(),
            "options": options,
            "check_url": self.request.path,
        }
        title = f"{options['tariff']}: {self.name}"
        return job_redirect(enqueue("tariff.compare", params, title=title, back_url=self.request.path))

    def load(self, form: MappingForm, checked: Examined) -> HttpResponse:
        """Load the file now or, when it is long, by a job."""
        done_url = address(LISTS.get(self.kind.slug, "")) or reverse("import-list")
        params = {"kind": self.kind.slug, "mapping": form.mapping(), "options": form.options()}
        if checked.total > AT_ONCE:
            title, back = f"Load {self.kind.title.lower()} from {self.name}", self.request.path
            return job_redirect(
                enqueue(
                    "book.import",
                    {**params, "token": self.token, "url": done_url, "name": self.name},
                    title=title,
                    back_url=back,
                )
            )
        outcome = import_any(
            self.kind.slug, self.path, reseller=self.reseller, mapping=form.read(), options=form.options(),
            today=self.today, name=self.name,
        )  # fmt: skip
        if outcome.problems:
            return self.show(form, checked=(checked, list(outcome.problems)), status=422)
        forget(self.token)
        done = outcome.as_dict()
        messages.success(
            self.request,
            f"{self.kind.title}: {done['new']} new, {done['changed']} changed, {done['unchanged']} as they were.",
        )
        return HttpResponse(status=302, headers={"Location": done_url})

    def show(
        self, form: MappingForm, *, checked: tuple[Examined | None, list[Problem]] | None, status: int = 200
    ) -> HttpResponse:
        """Render the page with what the check found."""
        if checked is None and not form.errors:
            checked = self.check(form)
        examined, problems = checked or (None, [])
        context = {
            "title": f"Load {self.kind.title.lower()} from {self.name}",
            "purpose": "Say which column is which; nothing is loaded before every line is right.",
            "form": form,
            "total": examined.total if examined else len(self.table.lines),
            "difference": getattr(self, "difference", None),
            "unmatched": getattr(self, "unmatched", ())[:UNMATCHED],
            "is_deck": self.kind is DECK,
            "problem_count": len(problems),
            "problems": _problem_panel(problems) if problems else None,
            "preview": _preview(examined) if examined else None,
            "ready": examined is not None and not problems and (form.is_bound or self.kind is not DECK),
        }
        return self.render(context, status=status)


def _problem_panel(problems: list[Problem]) -> TablePanel:
    columns = [
        Int(name="line", label="Line"),
        Text(name="field", label="Column"),
        Text(name="error", label="What is wrong"),
    ]
    rows = [problem.as_dict() for problem in problems[:LISTED]]
    return TablePanel(title="What is wrong", columns=columns, rows=rows)


def _preview(examined: Examined) -> TablePanel:
    """Return the first rows as they will be loaded, with the problem of each."""
    shown = [f for f in examined.kind.fields if f.name in examined.sources]
    columns: list[Column] = [Int(name="line_number", label="Line")]
    columns += [Text(name=f.name, label=f.title, sortable=False) for f in shown]
    rows = []
    for row in examined.rows[:PREVIEWED]:
        values = {f.name: _said(row[f.name]) for f in shown}
        rows.append({"line_number": row["line"], **values})
    return TablePanel(title=f"The first {len(rows)} lines", columns=columns, rows=rows)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, tuple | list):
        return ", ".join(str(part) or "any" for part in value)
    if isinstance(value, date):
        return shown_day(value)
    return "" if value is None else str(value)


urls: list[URLPattern] = [
    path("import/", ImportList.as_view(), name="import-list"),
    path("import/<slug:kind>/", ImportStart.as_view(), name="import-start"),
    path("import/<slug:kind>/template.<str:ext>", ImportTemplate.as_view(), name="import-template"),
    path("import/<slug:kind>/<str:token>/", ImportCheck.as_view(), name="import-check"),
]
