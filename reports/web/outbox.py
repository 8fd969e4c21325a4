"""The outbox: each mail with a report as it was sent, to whom, when, and what became of it."""

import base64
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.clickjacking import xframe_options_sameorigin

from reports.letters import CHART
from reports.models import MailDelivery
from resellerkpi.core.access import Capability
from resellerkpi.core.artifacts import path_of
from resellerkpi.core.columns import Choice, Code, DateTime, Int, Text
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.panels import EmptyState, Facts, TablePanel
from resellerkpi.ui.templatetags.ui import moment
from resellerkpi.ui.views import ListPage, Page

#: The mail's own styles and its picture, nothing else: no script, no other address, only inside the house's page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
FILES = [
    Text(name="name", label="File"),
    Int(name="rows", label="Rows"),
    Text(name="size", label="Size"),
    Code(name="sha256", label="SHA-256"),
]


class OutboxFilters(ScopedFilterSet):
    """Which mails to list."""

    q = SearchFilter("recipient", "run__title", label="Address or report")
    period = PeriodFilter("asked_at", instant=True, label="When")
    state = OneOf("state", MailDelivery.State.choices, label="State")


class Outbox(ListPage):
    """Every mail with a report."""

    capability = Capability.SHARE
    title = "Outbox"
    purpose = "Every mail with a report: to whom, when, and what became of it."
    filterset = OutboxFilters
    row_url = "outbox-mail"
    order = ("-asked_at", "-pk")
    columns = (
        Text(name="recipient", label="To"),
        Text(name="title", label="Report", source="run__title"),
        Choice(name="state", label="State", choices=MailDelivery.State.choices),
        DateTime(name="asked_at", label="Asked for"),
        DateTime(name="sent_at", label="Sent"),
        Text(name="asked_by", label="By", source="asked_by__name"),
        Int(name="attempts", label="Attempts", hidden=True),
        Text(name="error", label="What the server said"),
    )
    empty = EmptyState(
        "No report has been mailed yet. Run one, look at its result, then press Mail or Schedule there.",
        "Choose a report",
        "/reports/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the mails."""
        return MailDelivery.objects.all()


def find_mail(pk: int) -> MailDelivery:
    """Return a mail of the scope with its letter; raises Http404."""
    mails = MailDelivery.objects.select_related("letter__picture", "asked_by", "run")
    found: MailDelivery | None = mails.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


class OutboxMail(Page):
    """One mail as it was sent."""

    capability = Capability.SHARE
    template = "reports/outbox_mail.html"
    back = ("Outbox", "/reports/outbox/")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the mail in a frame of its own, its state and its files."""
        mail = find_mail(kwargs["pk"])
        letter = mail.letter
        self.title = letter.subject if letter else mail.run.title
        files = [sized(file) for file in letter.files] if letter else []
        facts = Facts("How it went", self.facts(mail), wide=True)
        return self.render(
            {
                "mail": mail,
                "letter": letter,
                "facts": facts,
                "files": TablePanel("Attached", FILES, files) if files else None,
                "body_url": reverse("outbox-body", args=[mail.pk]),
            }
        )

    def facts(self, mail: MailDelivery) -> list[tuple[Any, ...]]:
        """Return state, people and times."""
        return [
            ("State", mail.get_state_display()),
            ("What the server said", mail.error),
            ("To", mail.recipient),
            ("From", mail.letter.sender if mail.letter else ""),
            ("Asked for by", str(mail.asked_by or "")),
            ("Asked for", moment(mail.asked_at, self.reseller)),
            ("Sent", moment(mail.sent_at, self.reseller) if mail.sent_at else ""),
            ("Attempts", str(mail.attempts)),
            ("Result", mail.run.title, reverse("run-result", args=[mail.run_id])),
        ]


def sized(file: dict[str, Any]) -> dict[str, Any]:
    """Return an attached file as a row."""
    return file | {"size": f"{-(-file['size'] // 1024):,} kB"}


@method_decorator(xframe_options_sameorigin, name="dispatch")
class OutboxBody(Page):
    """The HTML of a mail alone, locked away: it runs nothing, loads nothing and leads nowhere by itself."""

    capability = Capability.SHARE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send the body with its picture inside."""
        letter = find_mail(kwargs["pk"]).letter
        if letter is None:
            raise Http404
        html = letter.html
        if letter.picture is not None:
            picture = base64.b64encode(path_of(letter.picture).read_bytes()).decode()
            html = html.replace(f"cid:{CHART}", f"data:image/png;base64,{picture}")
        return HttpResponse(html, headers={"Content-Security-Policy": POLICY})


urlpatterns: list[URLPattern] = [
    path("reports/outbox/", Outbox.as_view(), name="outbox"),
    path("reports/outbox/<int:pk>/", OutboxMail.as_view(), name="outbox-mail"),
    path("reports/outbox/<int:pk>/body", OutboxBody.as_view(), name="outbox-body"),
]
