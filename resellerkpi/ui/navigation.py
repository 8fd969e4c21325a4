"""The side bar of eight, each with its pages; a person sees what the role includes."""

from dataclasses import dataclass
from functools import cache

from django.urls import NoReverseMatch, get_script_prefix, reverse

from resellerkpi.core.access import Capability
from resellerkpi.core.scope import Scope

_C = Capability


@dataclass(frozen=True)
class Entry:
    """A page in the menu: label, url name and what it needs."""

    label: str
    url: str
    needs: Capability


@dataclass(frozen=True)
class Section:
    """One of the eight places of the side bar with its pages; the first page it may show is where it leads."""

    label: str
    icon: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class MenuEntry:
    """A page as shown: label, address, whether it is the one being read."""

    label: str
    url: str
    here: bool


@dataclass(frozen=True)
class MenuSection:
    """A place as shown: its pages are listed while one of them is being read."""

    label: str
    icon: str
    url: str
    here: bool
    entries: tuple[MenuEntry, ...]


SECTIONS: tuple[Section, ...] = (
    Section("Overview", "overview", (Entry("Overview", "overview", _C.VIEW_KPIS),)),
    Section(
        "KPIs",
        "kpis",
        (
            Entry("All KPIs", "kpi-list", _C.VIEW_KPIS),
            Entry("Dictionary", "kpi-dictionary", _C.VIEW_KPIS),
            Entry("Closed months", "kpi-closing", _C.VIEW_KPIS),
            Entry("Campaigns", "campaign-list", _C.VIEW_MARGIN),
            Entry("Funnel", "funnel", _C.VIEW_KPIS),
            Entry("Why they leave and stay", "why-leave", _C.VIEW_KPIS),
            Entry("What billing cannot know", "observation-metrics", _C.IMPORT),
            Entry("Connect other tools", "kpi-connect", _C.VIEW_KPIS),
            Entry("How KPIs are counted", "kpi-settings", _C.MANAGE),
        ),
    ),
    Section(
        "Customers",
        "customers",
        (
            Entry("Customers", "customer-list", _C.VIEW_BOOK),
            Entry("Numbers", "number-list", _C.VIEW_BOOK),
            Entry("Features", "feature-list", _C.VIEW_BOOK),
            Entry("Dealers", "dealer-list", _C.VIEW_BOOK),
        ),
    ),
    Section(
        "Usage",
        "usage",
        (
            Entry("Call files", "cdr-file-list", _C.VIEW_USAGE),
            Entry("Calls", "call-list", _C.VIEW_USAGE),
            Entry("Fraud watch", "fraud-watch", _C.VIEW_USAGE),
            Entry("Spend limits", "spend-limit-list", _C.VIEW_MONEY),
            Entry("Allowances", "allowance-list", _C.VIEW_BOOK),
            Entry("Billing errors", "billing-errors", _C.EDIT_BOOK),
            Entry("Price calls again", "price-again", _C.BILL),
        ),
    ),
    Section(
        "Pricing and suppliers",
        "pricing",
        (
            Entry("Tariffs", "tariff-list", _C.VIEW_BOOK),
            Entry("What if", "what-if", _C.VIEW_MARGIN),
            Entry("Feature types", "feature-type-list", _C.VIEW_BOOK),
            Entry("Price rises", "uplift-list", _C.VIEW_MONEY),
            Entry("Carriers", "carrier-list", _C.EDIT_BOOK),
            Entry("Carrier bills", "carrier-bill-list", _C.VIEW_WHOLESALE),
            Entry("Three-way match", "match", _C.VIEW_WHOLESALE),
        ),
    ),
    Section(
        "Billing and money",
        "money",
        (
            Entry("Bill runs", "run-list", _C.VIEW_MONEY),
            Entry("Invoices", "invoice-list", _C.VIEW_MONEY),
            Entry("Credit notes", "credit-note-list", _C.VIEW_MONEY),
            Entry("Payments", "payment-list", _C.VIEW_MONEY),
            Entry("Mandates", "mandate-list", _C.VIEW_MONEY),
            Entry("Aged debt", "aged-debt", _C.VIEW_MONEY),
            Entry("Exchange rates", "exchange-rates", _C.VIEW_MONEY),
        ),
    ),
    Section(
        "Reports",
        "reports",
        (
            Entry("All reports", "report-list", _C.RUN_REPORTS),
            Entry("Schedules", "schedule-list", _C.SHARE),
            Entry("Shared links", "link-list", _C.SHARE),
            Entry("Outbox", "outbox", _C.SHARE),
        ),
    ),
    Section(
        "Review",
        "review",
        (
            Entry("Reviews", "review", _C.VIEW_REVIEW),
            Entry("Leakage register", "leakage", _C.VIEW_MARGIN),
            Entry("Actions", "review-actions", _C.VIEW_REVIEW),
            Entry("Steps and days", "review-steps", _C.VIEW_REVIEW),
        ),
    ),
)

#: Pages under the person's name.
SETTINGS: tuple[Entry, ...] = (Entry("Roles and columns", "roles", _C.MANAGE),)


def settings_menu(scope: Scope, path: str) -> list[MenuEntry]:
    """Return the settings the scope's holder may open, marking the one at `path`."""
    pages = [
        (e.label, url) for e in SETTINGS if scope.can(e.needs) and (url := _place(e.url, get_script_prefix()))
    ]
    return [MenuEntry(label, url, path.startswith(url)) for label, url in pages]


def menu(scope: Scope, path: str) -> list[MenuSection]:
    """Return the places and pages the scope's holder may open, marking the one at `path`."""
    places, prefix = [], get_script_prefix()
    for section in SECTIONS:
        pages = [(e, url) for e in section.entries if scope.can(e.needs) and (url := _place(e.url, prefix))]
        if not pages:
            continue
        here = _nearest(path, [url for _, url in pages])
        entries = tuple(MenuEntry(e.label, url, url == here) for e, url in pages)
        places.append(MenuSection(section.label, section.icon, pages[0][1], bool(here), entries))
    return _only_deepest(places)


def home(scope: Scope) -> str:
    """Return the first page a person may open, "" for nobody's."""
    places = menu(scope, "")
    return places[0].url if places else ""


def address(name: str, *args: object) -> str:
    """Return the address of a page, "" for one that is not in this release."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


@cache
def _place(name: str, prefix: str) -> str:
    """Return the address of a page of the menu, asked for once under each prefix the house is served at."""
    return address(name)


def _nearest(path: str, urls: list[str]) -> str:
    matching = [u for u in urls if path == u or (u != "/" and path.startswith(u))]
    return max(matching, key=len, default="")


def _only_deepest(places: list[MenuSection]) -> list[MenuSection]:
    """Leave the mark on one place only: of nested addresses (/usage/, /usage/calls/) the deepest wins."""
    marked = [(len(e.url), s.label) for s in places for e in s.entries if e.here]
    best = max(marked, default=(0, ""))[1]
    return [s if s.label == best or not s.here else _unmarked(s) for s in places]


def _unmarked(place: MenuSection) -> MenuSection:
    entries = tuple(MenuEntry(e.label, e.url, False) for e in place.entries)
    return MenuSection(place.label, place.icon, place.url, False, entries)
