"""Which role does and sees what: made from the roles, the reports and the tables themselves, so that it cannot lag."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from reports.registry import REPORTS
from resellerkpi.core.access import CAPABILITIES, Capability, Role
from resellerkpi.core.columns import Column, Text
from resellerkpi.ui.panels import Panel, TablePanel
from resellerkpi.ui.views import Page

APPS = ("billing", "kpis", "reports")


@dataclass(frozen=True)
class Guarded:
    """A column that not everybody sees: where it stands, its heading, what a role needs."""

    place: str
    column: str
    needs: Capability


class RolesPage(Page):
    """The matrix of roles and what they may do, and of roles and guarded columns."""

    capability = Capability.MANAGE
    title = "Roles and columns"
    purpose = "What each role may do, and which columns of reports, pages and files it sees."
    template = "ui/detail.html"

    def get_context(self) -> dict[str, Any]:
        """Return both tables."""
        return {"panels": panels()}


def panels() -> list[Panel]:
    """Return what roles may do, and the columns that ask for something."""
    flags = [Text(name=role.value, label=str(role.label), sortable=False) for role in Role]
    doing = [{"what": str(capability.label), **_roles_with(capability)} for capability in Capability]
    seeing = [
        {"place": g.place, "column": g.column, "needs": str(g.needs.label), **_roles_with(g.needs)}
        for g in guarded()
    ]
    heads = [
        Text(name="place", label="Where", sortable=False),
        Text(name="column", label="Column", sortable=False),
        Text(name="needs", label="Asks for", sortable=False),
    ]
    return [
        TablePanel("What a role may do", [Text(name="what", label="May", sortable=False), *flags], doing),
        TablePanel("Columns that not everybody sees", [*heads, *flags], seeing),
    ]


def _roles_with(capability: Capability) -> dict[str, str]:
    return {role.value: "Yes" if capability in CAPABILITIES[role] else "" for role in Role}


def guarded() -> list[Guarded]:
    """Return every guarded column of reports and pages, once per place."""
    found: dict[Guarded, None] = {}
    for place, columns in places():
        for column in columns:
            if column.needs is not None:
                found[Guarded(place, column.title, column.needs)] = None
    return list(found)


def places() -> Iterator[tuple[str, Sequence[Column]]]:
    """Yield each report and each module of pages with the columns it declares."""
    for report in REPORTS:
        groups = [column for dimension in report.dimensions for column in dimension.columns]
        yield f"Report: {report.name}", [*report.columns, *groups]
    for module in _pages():
        name = module.__name__.rpartition(".")[2].replace("_", " ").capitalize()
        yield name, [column for columns in _declared(module) for column in columns]


def _pages() -> list[ModuleType]:
    """Return the modules of pages, all of which the addresses have loaded."""
    names = [n for n in sys.modules if n.partition(".")[0] in APPS and ".web." in n]
    return [sys.modules[name] for name in sorted(names)]


def _declared(module: ModuleType) -> Iterator[Iterable[Column]]:
    """Yield the lists of columns that a module and its pages declare."""
    holders: list[Mapping[str, Any]] = [vars(module)]
    holders += [
        vars(v) for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__
    ]
    for holder in holders:
        for value in holder.values():
            if isinstance(value, list | tuple) and value and all(isinstance(c, Column) for c in value):
                yield value
