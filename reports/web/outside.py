"""The page outside the house: a shared result for whoever holds its link.

Whatever is wrong with a link, the answer is the same bytes. A stranger's scope is empty, so the link's reseller is
looked up by its hash and the page is made in an outsider's scope of that one reseller, whoever reads it.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt

from reports import sharing
from reports.models import ShareView
from reports.render import existing, export, files_made
from reports.run import MOST_AT_ONCE
from reports.web.result import download
from reports.web.table import PAGE_SIZES, frozen_table
from resellerkpi.core.limits import count, taken
from resellerkpi.core.scope import enter
from resellerkpi.ui.htmx import is_partial
from resellerkpi.ui.panels import Facts
from resellerkpi.ui.views import Page

MOST_MISSES, MISS_SECONDS = 30, 600
PROOF = "shared-result"
OPENED = (ShareView.What.PAGE, ShareView.What.CSV, ShareView.What.XLSX)
HEADERS = {
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store, private",
}


@method_decorator(csrf_exempt, name="dispatch")
class SharedView(Page):
    """Opens a link: page, CSV and XLSX of the same frozen rows with the same columns.

    Without a referrer a browser sends no origin either, so the password form cannot be checked for its origin; it acts
    on nothing but the password.
    """

    public = True
    needs_reseller = False
    template = "reports/shared.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in the outsider's scope of the link's reseller, always with the headers of an outside page."""
        token, address = request.GET.get("id", ""), str(request.META.get("REMOTE_ADDR", ""))
        reseller_id = sharing.reseller_of(token, now=timezone.now())
        if too_many(address) or reseller_id is None:
            count_miss(address)
            response: HttpResponseBase = closed()
        else:
            with enter(sharing.outsider_scope(reseller_id)) as scope:
                self.scope = scope
                self.link = sharing.opened(token)
                response = super().dispatch(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show the result or send its file; ask for the password first when there is one."""
        link = self.link
        if link.password and not sharing.proven(link, self.kept_proof()):
            return self.ask()
        kind = request.GET.get("as", ShareView.What.PAGE)
        if kind not in OPENED:
            return closed()
        if not is_partial(request, "list"):
            user_id = request.user.pk if request.user.is_authenticated else None
            address = str(request.META.get("REMOTE_ADDR", ""))
            sharing.log_opening(link, kind, address=address, user_id=user_id, now=timezone.now())
        return self.page() if kind == ShareView.What.PAGE else self.file(kind)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Take the password; a wrong one learns nothing."""
        link, tries = self.link, f"share:{self.link.pk}"
        right = bool(link.password) and not too_many(tries)
        if not right or not sharing.right_password(link, request.POST.get("password", "")):
            self.missed(tries)
            return closed()
        response = HttpResponse(status=303, headers={"Location": request.get_full_path()})
        response.set_cookie(
            PROOF,
            sharing.proof(link),
            max_age=3600,
            httponly=True,
            secure=request.is_secure(),
            samesite="Lax",
            path=request.path,
        )
        return response

    def missed(self, tries: str) -> None:
        """Count a wrong password against the link and the address, and tell the link's owner."""
        address = str(self.request.META.get("REMOTE_ADDR", ""))
        if not too_many(tries):
            sharing.log_opening(
                self.link, ShareView.What.MISS, address=address, user_id=None, now=timezone.now()
            )
        count_miss(tries)
        count_miss(address)

    def kept_proof(self) -> str:
        """Return what the browser keeps of a password given before."""
        return str(self.request.COOKIES.get(PROOF, ""))

    def ask(self) -> HttpResponse:
        """Ask for the password without naming anything."""
        self.title = "This page asks for a password"
        return self.render({"reseller": None, "brand": "0f5c8c"}, template="reports/password.html")

    def page(self) -> HttpResponse:
        """Show the frozen result."""
        link, query = self.link, self.request.GET
        showing = sharing.showing_of(link, query.get("sort", ""))
        self.title = link.run.title
        context: dict[str, Any] = {
            "link": link,
            "run": link.run,
            "reseller": link.reseller,
            "brand": link.reseller.colour.lstrip("#").lower(),
            "table": frozen_table(showing, query),
            "sizes": PAGE_SIZES,
            "filters": showing.filters,
            "facts": Facts("About this result", showing.about, wide=True),
            "definitions": [c for c in showing.columns if c.help],
            "age": (timezone.now() - link.run.as_of).days,
            "files": files_made(showing, ("csv", "xlsx")),
            "asked_sha": query.get("sha", "").strip()[:80],
        }
        if context["asked_sha"]:
            context["known_sha"] = sharing.made_here(
                link.run, context["asked_sha"], sharing.showings_of(link)
            )
        part = "reports/_rows.html" if is_partial(self.request, "list") else ""
        return self.render(context, template=part)

    def file(self, kind: str) -> HttpResponseBase:
        """Send the same rows and columns as a file."""
        showing = sharing.showing_of(self.link, self.request.GET.get("sort", ""))
        large = self.link.run.row_count > MOST_AT_ONCE
        plain = sharing.showing_of(self.link) if large else showing
        if large and existing(plain, kind) is None:
            words = "The file is being made. Try again in a minute."
            return HttpResponse(words, status=503, content_type="text/plain", headers={"Retry-After": "60"})
        return download(export(plain, kind), self.link.run, kind)


def closed() -> HttpResponse:
    """Return the one answer to whatever does not open."""
    return HttpResponse(render_to_string("reports/closed.html"), status=404)


def too_many(who: str) -> bool:
    """Say whether somebody missed too often of late."""
    return taken(f"share-miss:{who}") >= MOST_MISSES


def count_miss(who: str) -> None:
    """Count a miss."""
    count(f"share-miss:{who}", seconds=MISS_SECONDS)
