"""Which parameters of a request a page reads, so that tests try those and no others."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.http import QueryDict


class Asked(QueryDict):
    """What came with a request; notes which names the answer depends on."""

    read: ClassVar[set[str]] = set()
    #: Stands for a page that goes through whatever came.
    ALL = "*"

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.read.add(self.ALL)
        return super().__iter__()

    def appendlist(self, key: Any, value: Any) -> None:
        """Take what came, without a note."""
        self.setlist(key, [*super().getlist(key), value])

    def getlist(self, key: str, default: Any = None) -> Any:
        """Note the name."""
        self.read.add(key)
        return super().getlist(key, default)

    def lists(self) -> Any:
        """Note that whatever came is read."""
        self.read.add(self.ALL)
        return super().lists()

    def items(self) -> Any:
        """Note that whatever came is read."""
        self.read.add(self.ALL)
        return super().items()
