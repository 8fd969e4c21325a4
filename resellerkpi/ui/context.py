"""What every page knows."""

from typing import Any

from django.http import HttpRequest


def house(request: HttpRequest) -> dict[str, Any]:
    """Return the scope in force for templates."""
    return {"scope": getattr(request, "scope", None)}
