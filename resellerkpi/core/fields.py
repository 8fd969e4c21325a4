"""Model fields of the house."""

from typing import Any

from django.db import models


class Link(models.ForeignKey):
    """A foreign key between tenant rows, without an index of its own: every tenant index leads with the reseller."""

    def __init__(self, to: Any, on_delete: Any, **options: Any) -> None:
        options.setdefault("db_index", False)
        super().__init__(to, on_delete, **options)
