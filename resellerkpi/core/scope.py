"""The tenancy scope: which resellers' rows this piece of work may touch.

A scope lives in a ContextVar (for the loud Python net) and in a transaction-local PostgreSQL setting
(for row-level security). `enter` sets both together and restores both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.db import connections, transaction

from resellerkpi.core.access import Capability, Role, capabilities

SETTING = "rk.resellers"


class ScopeMissing(RuntimeError):
    """Raised when tenant data is asked for outside any scope: a defect in the caller, never a user's fault."""


@dataclass(frozen=True)
class Scope:
    """The resellers a piece of work may see and, inside them, an optional dealer or portal customer.

    `why` says what the work is ("web", "job", "command import_cdrs", "share link").
    """

    reseller_ids: tuple[int, ...]
    role: Role | None = None
    user_id: int | None = None
    dealer_id: int | None = None
    customer_id: int | None = None
    why: str = ""
    capabilities: frozenset[Capability] = field(default=frozenset())

    @classmethod
    def of(
        cls,
        *reseller_ids: int,
        role: Role = Role.OWNER,
        user_id: int | None = None,
        dealer_id: int | None = None,
        customer_id: int | None = None,
        why: str = "",
    ) -> "Scope":
        """Build a scope with the capabilities of a role."""
        return cls(
            reseller_ids=tuple(reseller_ids),
            role=role,
            user_id=user_id,
            dealer_id=dealer_id,
            customer_id=customer_id,
            why=why,
            capabilities=capabilities(role),
        )

    @property
    def reseller_id(self) -> int:
        """The one reseller of this scope; raises ScopeMissing when there are several or none."""
        if len(self.reseller_ids) != 1:
            raise ScopeMissing("This work needs exactly one reseller.")
        return self.reseller_ids[0]

    def can(self, capability: Capability) -> bool:
        """Say whether the scope's holder has the capability."""
        return capability in self.capabilities


_current: ContextVar[Scope | None] = ContextVar("scope", default=None)


def current() -> Scope:
    """Return the scope in force; raises ScopeMissing outside any."""
    scope = _current.get()
    if scope is None:
        raise ScopeMissing("No scope: enter(Scope(...)) first.")
    return scope


@contextmanager
def enter(scope: Scope, *, using: str = "default") -> Iterator[Scope]:
    """Open a transaction in which only the scope's resellers exist; nested scopes restore the outer one."""
    outer = _current.get()
    with transaction.atomic(using=using):
        _tell_database(scope, using)
        token = _current.set(scope)
        try:
            yield scope
        finally:
            _current.reset(token)
        if connections[using].needs_rollback:
            return
        if outer is not None:
            _tell_database(outer, using)
        elif connections[using].savepoint_ids:
            _tell_database(Scope(()), using)


def _tell_database(scope: Scope, using: str) -> None:
    ids = "{" + ",".join(str(int(i)) for i in scope.reseller_ids) + "}"
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, ids])
