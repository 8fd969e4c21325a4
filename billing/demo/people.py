"""Who signs in to the demo: one person for each role, with passwords that are printed."""

from dataclasses import dataclass

from billing.models import Dealer
from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User

#: Printed for everybody to see: the demo has no secrets.
PASSWORD = "harbour-{}-demo"


@dataclass(frozen=True)
class Login:
    """A login of the demo, with its password in clear."""

    name: str
    email: str
    password: str
    role: str
    reseller: str

    def facts(self) -> dict[str, str]:
        """Return what the command prints."""
        return dict(vars(self))


FIRST_HOUSE = (
    ("Olivia Hart", "owner", Role.OWNER),
    ("Farid Noor", "finance", Role.FINANCE),
    ("Sally Penrose", "support", Role.SUPPORT),
    ("Dominic Bright", "dealer", Role.DEALER),
    ("Vera Lund", "viewer", Role.VIEWER),
)


def make_people(first: Reseller, second: Reseller, hosts: tuple[str, str], dealer: Dealer) -> list[Login]:
    """Make or renew the users and their memberships; return the logins."""
    logins = []
    for name, box, role in FIRST_HOUSE:
        login = Login(name, f"{box}@{hosts[0]}", PASSWORD.format(box), role.label, first.name)
        user = _user(login, first)
        _member(user, first, role, dealer.pk if role == Role.DEALER else None)
        logins.append(login)
    other = Login("Morgan Reeve", f"owner@{hosts[1]}", "moorland-owner-demo", Role.OWNER.label, second.name)
    _member(_user(other, second), second, Role.OWNER, None)
    operator = Login(
        "Ola Platt", "operator@platform.example", "platform-operator-demo", Role.OPERATOR.label, first.name
    )
    _user(operator, first, is_operator=True)
    return [*logins, other, operator]


def _user(login: Login, reseller: Reseller, *, is_operator: bool = False) -> User:
    user = User.objects.filter(email=login.email).first() or User.objects.create_user(
        login.email, login.password
    )
    user.name, user.current_reseller, user.is_operator = login.name, reseller, is_operator
    user.save()
    return user


def _member(user: User, reseller: Reseller, role: Role, dealer_id: int | None) -> None:
    Membership.objects.update_or_create(
        user=user, reseller=reseller, defaults={"role": role, "dealer_id": dealer_id}
    )
