"""What the pages that change the book share."""

from typing import Any

from django.contrib import messages
from django.db import models
from django.http import Http404
from django.urls import reverse

from billing.book import BookRefused, keep
from resellerkpi.core.access import Capability
from resellerkpi.core.scope import Scope
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action
from resellerkpi.ui.views import FormPage


def find(model: type[models.Model], pk: int, *related: str) -> Any:
    """Return a row of the scope by primary key; raises Http404."""
    row = model.objects.select_related(*related).filter(pk=pk).first()  # type: ignore[attr-defined]
    if row is None:
        raise Http404
    return row


def list_actions(scope: Scope, kind: str, *, add_label: str = "", add_url: str = "") -> list[Action]:
    """Return the head buttons of a list of the book: import and add, for those who may."""
    actions = []
    start = address("import-start", kind)
    if start and scope.can(Capability.IMPORT):
        actions.append(Action("Import from a spreadsheet", start))
    if add_url and scope.can(Capability.EDIT_BOOK):
        actions.append(Action(add_label, reverse(add_url), primary=True))
    return actions


class BookForm(FormPage):
    """A form that changes the book; refusals of the book are shown at their field."""

    capability = Capability.EDIT_BOOK
    refusals: tuple[type[Exception], ...] = (BookRefused,)
    done: str = "Saved."

    def succeed(self, url: str, words: str = "") -> str:
        """Say that it worked and return where to go on."""
        messages.success(self.request, words or self.done)
        return url


class RecordForm(BookForm):
    """Adding or changing one row by a model form: `list_url` and `detail_url` are url names, `what` its noun."""

    model: Any = None
    what: str = ""
    list_url: str = ""
    detail_url: str = ""

    def instance(self) -> Any:
        """Return the row of the address, a new one without a primary key in it."""
        return find(self.model, self.kwargs["pk"]) if "pk" in self.kwargs else self.model()

    def form_kwargs(self) -> dict[str, Any]:
        """Bind the row, and set title and way back."""
        row = self.instance()
        new = row._state.adding
        self.title = f"Add {self.what}" if new else f"Change {row}"
        self.submit = "Add" if new else "Save"
        self.cancel_url = reverse(self.list_url) if new or not self.detail_url else self.url_of(row)
        return {"instance": row}

    def url_of(self, row: Any) -> str:
        """Return the address of a row's page."""
        return reverse(self.detail_url, args=[row.pk])

    def save(self, form: Any) -> str:
        """Keep the row."""
        row = keep(form.save(commit=False), changed=form.changed_data)
        form.save_m2m()
        return self.succeed(
            self.url_of(row) if self.detail_url else reverse(self.list_url), f"{row} is saved."
        )
