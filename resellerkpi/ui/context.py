"""What every page knows."""

from typing import Any

from django.http import HttpRequest

from resellerkpi.ui.navigation import address, menu, settings_menu

THEMES = ("auto", "light", "dark")
DEFAULT_COLOUR = "0f5c8c"


def house(request: HttpRequest) -> dict[str, Any]:
    """Return the scope, the reseller, the menu of the person's role and the chosen theme."""
    scope, reseller = getattr(request, "scope", None), getattr(request, "reseller", None)
    theme = request.COOKIES.get("theme", "auto")
    return {
        "scope": scope,
        "reseller": reseller,
        "brand": (reseller.colour if reseller else DEFAULT_COLOUR).lstrip("#").lower(),
        "menu": menu(scope, request.path) if scope and scope.reseller_ids else [],
        "settings_menu": settings_menu(scope, request.path) if scope and scope.reseller_ids else [],
        "search_url": address("search"),
        "theme": theme if theme in THEMES else "auto",
    }
