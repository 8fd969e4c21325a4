"""Forms that show what they would do before they do it: the answer stands above the form, to be confirmed."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse

from billing.billrun.preview import Line
from billing.preview import BusyNow, Preview
from billing.web.editing import BookForm
from resellerkpi.core.columns import Code, Column, Date, Decimal, Money, Percent, Text
from resellerkpi.ui.panels import EmptyState, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import money

SEEN = "seen"
LINES: tuple[Column, ...] = (
    Text(name="description", label="Line"),
    Code(name="number"),
    Date(name="service_start", label="From"),
    Date(name="service_end", label="Until", help="The first day after it."),
    Decimal(name="quantity", decimals=0, label="Quantity or calls"),
    Money(name="net", label="Before VAT"),
    Percent(name="vat", label="VAT", decimals=0),
)


class ConfirmedForm(BookForm):
    """A form with consequences: when there are any, a second submit of the same answers is what does it.

    `consequences(form)` returns the panels to show, and may set `danger` to a sentence that asks for care.
    """

    template = "billing/confirm.html"
    confirm: str = ""

    def consequences(self, form: Any) -> Sequence[Panel]:
        """Return what to show before doing it; nothing, and it is done at once."""
        return ()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the consequences of a good form that was not shown with them yet; else do it."""
        form = self.form_class(request.POST, **self.form_kwargs())
        if not form.is_valid():
            return self.show(form, status=422)
        if request.POST.get(SEEN) == digest(form):
            return super().post(request, *args, **kwargs)
        refusals: tuple[type[Exception], ...] = (*self.refusals, BusyNow)
        try:
            panels = self.consequences(form)
        except refusals as refused:
            form.add_error(getattr(refused, "field", None), str(refused))
            return self.show(form, status=422)
        if not panels and not self.danger:
            return super().post(request, *args, **kwargs)
        self.submit = self.confirm or self.submit
        form.data = request.POST.copy()
        form.data[SEEN] = digest(form)
        form.fields[SEEN] = forms.CharField(required=False, widget=forms.HiddenInput())
        context = {"form": form, "submit": self.submit, "cancel_url": self.cancel_url, "danger": self.danger}
        return self.render(context | self.get_context() | {"consequences": panels})


def digest(form: Any) -> str:
    """Return a fingerprint of the answers, so that only what was shown is done."""
    answers = [(name, str(value)) for name, value in sorted(form.cleaned_data.items()) if name != SEEN]
    return sha256(repr(answers).encode()).hexdigest()[:16]


def bill_panels(preview: Preview, title: str, *, only: Callable[[Line], bool] | None = None) -> list[Panel]:
    """Return a table of each bill of a preview, its total in the title; `only` chooses lines."""
    panels: list[Panel] = []
    for bill in preview.bills:
        words = f"{title}: {money(bill.gross, bill.currency)} with VAT"
        rows = [
            line._asdict()
            | {
                "pk": index,
                "currency": bill.currency,
                "vat": line.vat_rate / 100,
                "number_id": line.number_id,
                "quantity": line.calls or line.quantity,
            }
            for index, line in enumerate(bill.lines)
            if only is None or only(line)
        ]
        if rows or only is None:
            panels.append(TablePanel(words, LINES, rows))
    return panels or [
        TablePanel(title, LINES, [], empty=EmptyState("The next bill would carry nothing of it."))
    ]
