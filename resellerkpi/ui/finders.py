"""Static files out of installed packages: Plotly.js and HTMX, and the style sheet Plotly.js would write inline."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

PREFIX = "vendor"
STYLES = "plotly.css"


def package(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The package {name} is not installed.")
    return Path(spec.origin).parent


PLOTLY = package("plotly") / "package_data"
HTMX = package("django_htmx") / "static" / "django_htmx"
_RULES = re.compile(r'\{("X,X div":.*?)\};for\(')
#: The id of an element whose presence keeps the bundle from writing the style sheet of its maps inline.
_GUARD = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
_PAIR = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\w+)\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
)


class BundleUnknown(RuntimeError):
    """Raised when the installed Plotly.js no longer carries its style rules where we read them."""


def plotly_styles(bundle: str) -> str:
    """Return the style sheet Plotly.js adds at run time, read out of its bundle (last rule first, as it does)."""
    found = _RULES.search(bundle)
    if not found:
        raise BundleUnknown(
            "The installed Plotly.js keeps its style rules somewhere else; look at finders.py."
        )
    rules = [(_plain(selector), _plain(body)) for selector, body in _PAIR.findall(found[1])]
    lines = [f"{_selector(selector)}{{{body}}}" for selector, body in reversed(rules)]
    guard = _GUARD.search(bundle)
    if guard:
        lines.append(f':root{{--plotly-guard:"{guard[1]}"}}')
    return "\n".join(lines) + "\n"


def _plain(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1]) if literal[:1] in "\"'" else literal


def _selector(text: str) -> str:
    text = re.sub(r"^,", " ,", text).replace("X", ".js-plotly-plot .plotly")
    return text.replace("Y", ".plotly-notifier")


@cache
def generated() -> Path:
    """Write the style sheet of the installed bundle under VAR_DIR once per process and return its folder."""
    folder = Path(settings.VAR_DIR) / "vendor"
    folder.mkdir(parents=True, exist_ok=True)
    text = plotly_styles((PLOTLY / "plotly.min.js").read_text(encoding="utf-8"))
    target = folder / STYLES
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
    return folder


class PackageStorage(FileSystemStorage):
    """A folder of an installed package, seen under `vendor/`."""

    prefix = PREFIX


class PackageAssetFinder(BaseFinder):
    """Finds `vendor/plotly.min.js`, `vendor/plotly.css` and `vendor/htmx-2.min.js`."""

    def check(self, **kwargs: Any) -> list[Any]:
        """Nothing to configure."""
        return []

    def _places(self) -> dict[str, Path]:
        return {"plotly.min.js": PLOTLY, STYLES: generated(), "htmx-2.min.js": HTMX}

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, PackageStorage]]:
        """Yield each file with the storage it lies in."""
        for name, folder in self._places().items():
            yield name, PackageStorage(location=folder)

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Return where a file under `vendor/` lies, [] when it is none of ours."""
        name = path.removeprefix(f"{PREFIX}/")
        place = self._places().get(name) if name != path else None
        if place is None:
            return []
        found = str(place / name)
        return [found] if find_all or kwargs.get("all") else found
