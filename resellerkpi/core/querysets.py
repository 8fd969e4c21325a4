"""The scoped manager: fails loudly without a scope, narrows to it otherwise."""

from typing import Any

from django.db import models

from resellerkpi.core.scope import current


class ScopedQuerySet(models.QuerySet[Any]):
    """A queryset of tenant rows."""

    def scoped(self) -> "ScopedQuerySet":
        """Narrow to the scope in force: its resellers, then its dealer or portal customer.

        A model says in `dealer_path` / `customer_path` how it reaches a dealer or customer ("" = open to all
        of the reseller, None = closed to dealers and portal customers).
        """
        scope = current()
        rows = (
            self.filter(reseller_id=scope.reseller_ids[0])
            if len(scope.reseller_ids) == 1
            else self.filter(reseller_id__in=scope.reseller_ids)
        )
        for wanted, path in (
            (scope.dealer_id, getattr(self.model, "dealer_path", None)),
            (scope.customer_id, getattr(self.model, "customer_path", None)),
        ):
            if wanted is not None and path is None:
                return rows.none()
            if wanted is not None and path:
                rows = rows.filter(_through(self.model, path, wanted))
        return rows


def _through(model: type[models.Model], path: str, wanted: int) -> models.Q:
    """Return the narrowing condition; a path over a many-relation goes by primary key so that rows stay single."""
    if "assignments__" not in path:
        return models.Q(**{path: wanted})
    return models.Q(pk__in=model._base_manager.filter(**{path: wanted}).values("pk"))


class ScopedManager(models.Manager[Any]):
    """The `objects` of every tenant model; raises ScopeMissing when no scope is in force."""

    def get_queryset(self) -> ScopedQuerySet:
        """Return the rows of the scope in force."""
        return self.queryset_class()(self.model, using=self._db).scoped()

    def everyone(self) -> ScopedQuerySet:
        """Return all rows the database lets through; greppable, allowed only where the rules test lists it."""
        return self.queryset_class()(self.model, using=self._db)

    def queryset_class(self) -> type[ScopedQuerySet]:
        """Return the model's queryset class (its `query` attribute) or the plain scoped one."""
        return getattr(self.model, "query_class", ScopedQuerySet)
