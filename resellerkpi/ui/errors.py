"""Pages for what went wrong, in plain words."""

import sys

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from resellerkpi.ui.context import DEFAULT_COLOUR

#: What the page frame needs where neither session nor database may be touched.
BARE = {"brand": DEFAULT_COLOUR, "theme": "auto"}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a request nobody can mean (400)."""
    return HttpResponse(render_to_string("400.html", BARE), status=400)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer a page the person's role does not include (403)."""
    words = str(exception or "") or "Your role does not include this page."
    return render(request, "403.html", {"words": words}, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was too old or came from elsewhere (403)."""
    words = (
        "This form was open for too long or came from another site. Go back, load the page again and retry."
    )
    return render(request, "403.html", {"words": words}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an address that leads nowhere or to something of another reseller (404)."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a defect (500); says so plainly when the database or the cache is what is missing."""
    if isinstance(sys.exc_info()[1], OperationalError | ConnectionError):
        return unavailable(request)
    return HttpResponse(render_to_string("500.html", BARE), status=500)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Answer while the database or the cache does not (503)."""
    response = HttpResponse(render_to_string("503.html", BARE), status=503)
    response["Retry-After"] = "30"
    return response
