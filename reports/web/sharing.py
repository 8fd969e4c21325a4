"""Links of a run: made, rotated, revoked, and who opened them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from reports import sharing
from reports.models import Run, ShareLink, ShareView
from reports.render import Showing
from reports.web.forms import ShareForm
from reports.web.result import find_run
from reports.web.table import frozen_table
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import DateTime, Text, day
from resellerkpi.ui.panels import EmptyState, TablePanel
from resellerkpi.ui.views import FormPage, Page

OPENINGS = [
    DateTime(name="at", label="When", sortable=False),
    Text(name="link", label="Link"),
    Text(name="what", label="What"),
    Text(name="who", label="Who"),
    Text(name="network", label="Network"),
]
#: Rows of the preview.
PREVIEWED = 10
MISSED = Q(views__what=ShareView.What.MISS)
NEVER = EmptyState("Nobody has opened a link to this result yet.")


class SharePage(FormPage):
    """The links to a run, each opening, and a form for a new one; a new token is shown once."""

    capability = Capability.SHARE
    form_class = ShareForm
    template = "reports/share.html"
    title = "Share with outsiders"
    purpose = (
        "Whoever holds a link sees this result as it was frozen, without signing in, until the link expires."
    )
    submit = "Make a link"
    new_url = ""
    chosen: Sequence[str] | None = None

    def form_kwargs(self) -> dict[str, Any]:
        """Offer the columns the sharer may see."""
        self.run = find_run(self, self.kwargs["pk"])
        if not self.run.is_ready:
            raise Http404
        self.back = (self.run.title, reverse("run-result", args=[self.run.pk]))
        return {"offered": sharing.offered(self.run)}

    def save(self, form: ShareForm) -> HttpResponse:
        """Make the link and show its address, which nobody can read again; or only what its holder would see."""
        if "preview" in self.request.POST:
            self.chosen = form.cleaned_data["columns"]
            form.fields["password"].widget.render_value = True  # type: ignore[attr-defined]  # of PasswordInput
            return self.show(form)
        _, token = sharing.mint(self.run, now=timezone.now(), **form.cleaned_data)
        self.new_url = sharing.address_of(token)
        return self.show(ShareForm(**self.form_kwargs()))

    def get_context(self) -> dict[str, Any]:
        """Return the links and who opened them."""
        return {
            "run": self.run,
            "new_url": self.new_url,
            "links": links_of(self.run),
            "second": ("preview", "Show what they will see"),
            "preview": preview_of(self.run, self.chosen),
            "openings": TablePanel("Openings", OPENINGS, openings_of(self.run), empty=NEVER),
        }


def preview_of(run: Run, chosen: Sequence[str] | None) -> dict[str, Any]:
    """Return a result as the holder of a link with the chosen columns, or the usual ones, would see it."""
    offered = [(c, usual) for c, usual in sharing.offered(run) if not c.hidden]
    names = [c.name for c, usual in offered if (usual if chosen is None else c.name in chosen)]
    showing = Showing(run, tuple(names), outside=True)
    told = {label for label, _ in showing.filters}
    return {
        "table": frozen_table(showing, QueryDict(), first=PREVIEWED),
        "hidden": [c.title for c, _ in offered if c.name not in names],
        "unheld": [label for label, *_ in run.filters if label not in told],
    }


def links_of(run: Any) -> list[dict[str, Any]]:
    """Return a run's links, the newest first, with their state and how often they were opened."""
    now = timezone.now()
    counted = ShareLink.objects.filter(run=run).annotate(
        opened=Count("views", filter=~MISSED), misses=Count("views", filter=MISSED), last=Max("views__at")
    )
    return [
        {
            "link": link,
            "state": "Revoked" if link.revoked_at else "Expired" if link.expires_at <= now else "Open",
            "live": link.revoked_at is None and link.expires_at > now,
            "opened": link.opened,
            "misses": link.misses,
            "last": link.last,
            "columns": len(link.columns),
        }
        for link in counted.select_related("created_by").order_by("-created_at", "-pk")
    ]


def openings_of(run: Any) -> list[dict[str, Any]]:
    """Return the latest openings of a run's links: who, or a stranger by a mark that tells visitors apart."""
    views = ShareView.objects.filter(link__run=run).select_related("link", "user").order_by("-at", "-pk")
    return [
        {
            "pk": view.pk,
            "at": view.at.astimezone(run.reseller.zone),
            "link": view.link.label or f"Link of {day(view.link.created_at)}",
            "what": view.get_what_display(),
            "who": str(view.user) if view.user else f"Stranger {view.visitor[:4]}",
            "network": view.network,
        }
        for view in views[:50]
    ]


class RevokeLink(Page):
    """Kills a link."""

    capability = Capability.SHARE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Revoke and go back to the links."""
        link = find_link(kwargs["pk"])
        sharing.revoke(link, now=timezone.now())
        messages.success(request, "The link opens nothing any more.")
        return redirect("run-share", pk=link.run_id)


class RotateLink(SharePage):
    """Gives a link a new address; the old one dies."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Rotate and show the new address once."""
        link = find_link(kwargs["pk"])
        self.kwargs = {"pk": link.run_id}
        form = ShareForm(**self.form_kwargs())
        try:
            self.new_url = sharing.address_of(sharing.rotate(link, now=timezone.now()))
        except sharing.BadLink as dead:
            messages.error(request, str(dead))
        return self.show(form)


def find_link(pk: int) -> ShareLink:
    """Return a link of the scope; raises Http404."""
    link: ShareLink | None = ShareLink.objects.select_related("run").filter(pk=pk).first()
    if link is None:
        raise Http404
    return link
