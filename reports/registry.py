"""All reports: every class of `reports/definitions/` that declares a slug."""

import pkgutil
from importlib import import_module

from reports import definitions
from reports.report import REPORTS

for _module in pkgutil.iter_modules(definitions.__path__):
    import_module(f"{definitions.__name__}.{_module.name}")

__all__ = ["REPORTS"]
