"""A registry of declarations: KPIs, reports, supplier formats, jobs."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things in the order of declaration; a duplicate name fails at import."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._items: dict[str, T] = {}

    def add(self, slug: str, item: T) -> T:
        """Register an item under its slug; raises ValueError when the slug is taken."""
        if slug in self._items:
            raise ValueError(f"There is already a {self.what} called “{slug}”.")
        self._items[slug] = item
        return item

    def remove(self, slug: str) -> None:
        """Take an item out again: for tests that add one."""
        self._items.pop(slug)

    def get(self, slug: str) -> T:
        """Return the item; raises LookupError with a sentence naming what exists."""
        try:
            return self._items[slug]
        except KeyError:
            known = ", ".join(sorted(self._items))
            raise LookupError(f"There is no {self.what} called “{slug}”. Known: {known}.") from None

    def __contains__(self, slug: str) -> bool:
        return slug in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._items.values()))

    def __len__(self) -> int:
        return len(self._items)

    def slugs(self) -> list[str]:
        """Return the slugs in the order of declaration."""
        return list(self._items)
