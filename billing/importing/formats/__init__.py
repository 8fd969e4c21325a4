"""One module per supplier layout; importing this package registers them all in FORMATS."""

from importlib import import_module
from pkgutil import iter_modules

from billing.importing.registry import FORMATS

__all__ = ["FORMATS"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
