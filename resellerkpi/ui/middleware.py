"""The transaction and the scope around a whole response."""

from collections.abc import Callable
from datetime import UTC

from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User
from resellerkpi.core.scope import Scope, enter
from resellerkpi.ui.errors import unavailable

Handler = Callable[[HttpRequest], HttpResponse]
#: Addresses that answer without database, session or scope.
OUTSIDE = ("/healthz", "/readyz", "/brand/")


class ScopeMiddleware:
    """Opens one transaction in the person's scope around view and rendering; a failed response rolls back.

    Streaming responses would render outside of it and are banned for tenant data.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request inside its scope; people who are not signed in get an empty one."""
        if request.path.startswith(OUTSIDE):
            return self.get_response(request)
        try:
            scope, reseller = standing(request.user)
            request.scope, request.reseller = scope, reseller  # type: ignore[attr-defined]
            with enter(scope), timezone.override(reseller.zone if reseller else UTC):
                response = self.get_response(request)
                if response.status_code >= 500:
                    transaction.set_rollback(True)
        except OperationalError:
            return unavailable(request)
        return response


def scope_for(user: User | AnonymousUser) -> Scope:
    """Return the scope of a person: the reseller it stands in, with its role there; nothing for strangers."""
    return standing(user)[0]


def standing(user: User | AnonymousUser) -> tuple[Scope, Reseller | None]:
    """Return a person's scope and the reseller it stands in, None for strangers and people without a reseller."""
    if not isinstance(user, User):
        return Scope((), why="stranger"), None
    if user.is_operator and user.current_reseller_id:
        scope = Scope.of(user.current_reseller_id, role=Role.OPERATOR, user_id=user.pk, why="web")
        return scope, user.current_reseller
    memberships = Membership.objects.filter(user=user).select_related("reseller").order_by("pk")
    found = sorted(memberships, key=lambda m: m.reseller_id != user.current_reseller_id)
    if not found:
        role = Role.OPERATOR if user.is_operator else Role.CUSTOMER
        return Scope.of(role=role, user_id=user.pk, why="web without reseller"), None
    mine = found[0]
    scope = Scope.of(
        mine.reseller_id,
        role=Role(mine.role),
        user_id=user.pk,
        dealer_id=mine.dealer_id,
        customer_id=mine.customer_id,
        why="web",
    )
    return scope, mine.reseller
