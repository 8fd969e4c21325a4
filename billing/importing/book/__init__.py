"""The book's imports, one module for each kind; a new module with a `KIND` is found by itself."""

import importlib
import pkgutil

from billing.importing.tables.kind import Kind
from resellerkpi.core.registry import Registry

BOOK_KINDS: Registry[Kind] = Registry("kind of import")

_found: list[Kind] = [
    importlib.import_module(f"{__name__}.{module.name}").KIND for module in pkgutil.iter_modules(__path__)
]
for _kind in sorted(_found, key=lambda kind: kind.order):
    BOOK_KINDS.add(_kind.slug, _kind)
