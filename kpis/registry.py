"""Every KPI of the house: each module in `kpis/definitions` is found by itself, so that a KPI is one file."""

import pkgutil
from importlib import import_module

from kpis import definitions
from kpis.kpi import KPIS, Family, Kpi

__all__ = ["KPIS", "by_family", "load"]


def load() -> None:
    """Import every definition; running it again changes nothing."""
    for module in sorted(m.name for m in pkgutil.iter_modules(definitions.__path__)):
        import_module(f"{definitions.__name__}.{module}")


def by_family(kpis: list[Kpi]) -> dict[Family, list[Kpi]]:
    """Group KPIs by family, in the order of the families and of their slugs' declaration."""
    return {f: found for f in Family if (found := [k for k in kpis if k.family is f])}
