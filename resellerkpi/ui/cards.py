"""Cards on the first page that upper apps add: each is asked for a panel, and may have none to show."""

from collections.abc import Callable
from datetime import datetime

from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope
from resellerkpi.ui.panels import Panel

Card = Callable[[Reseller, Scope, datetime], Panel | None]
CARDS: dict[str, Card] = {}


def card(slug: str) -> Callable[[Card], Card]:
    """Register a card of the first page under a name; the page shows them in the order of their names."""

    def register(made: Card) -> Card:
        if slug in CARDS:
            raise ValueError(f"There are two cards “{slug}”.")
        CARDS[slug] = made
        return made

    return register


def cards(reseller: Reseller, scope: Scope, now: datetime) -> list[Panel]:
    """Return the panels of the cards that have something to show the scope's holder."""
    made = [CARDS[slug](reseller, scope, now) for slug in sorted(CARDS)]
    return [panel for panel in made if panel is not None]
