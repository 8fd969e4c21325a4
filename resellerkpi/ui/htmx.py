"""Partial answers to HTMX."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers


def is_partial(request: HttpRequest, target: str = "") -> bool:
    """Say whether HTMX asks for a part of the page (of that element, when named), not for history."""
    htmx: Any = getattr(request, "htmx", None)
    if not htmx or htmx.boosted or htmx.history_restore_request:
        return False
    return not target or htmx.target == target


def varies(response: HttpResponse) -> HttpResponse:
    """Tell caches that a part and the whole page share one address."""
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
