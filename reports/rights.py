"""What a person may do in a reseller's house now, for work that is done in its name later."""

from dataclasses import replace

from resellerkpi.core.access import Role, capabilities
from resellerkpi.core.models import Membership, User
from resellerkpi.core.scope import Scope


class RightsLost(PermissionError):
    """Raised when a person may not do any more what is done in its name; the sentence says what was lost."""


def rights_of(user: User | None, reseller_id: int, *, why: str) -> Scope:
    """Return a person's scope in a house as it is today; raises RightsLost for somebody who left."""
    if user is None or not user.is_active:
        raise RightsLost("The person who set it up has left.")
    if user.is_operator:
        return Scope.of(reseller_id, role=Role.OPERATOR, user_id=user.pk, why=why)
    here = Membership.objects.filter(user=user, reseller_id=reseller_id).first()
    if here is None:
        raise RightsLost(f"{user} does not belong to this reseller any more.")
    return Scope.of(
        reseller_id,
        role=Role(here.role),
        user_id=user.pk,
        dealer_id=here.dealer_id,
        customer_id=here.customer_id,
        why=why,
    )


def narrowed(scope: Scope, *, role: str, dealer_id: int | None) -> Scope:
    """Return what a scope and earlier rights both allow; raises RightsLost for two different dealers."""
    if dealer_id is not None and scope.dealer_id not in (None, dealer_id):
        raise RightsLost("The person who set it up looks after another dealer's customers now.")
    return replace(
        scope,
        dealer_id=scope.dealer_id if dealer_id is None else dealer_id,
        capabilities=scope.capabilities & capabilities(role),
    )
