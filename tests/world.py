"""The named world of the tests: Ana owns reseller Alpha, Bo owns Beta, Sam operates the platform.

Dee is a dealer of Alpha and Vic a viewer there. Every text of Beta carries its canary, so that one stray row shows.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal as D
from functools import cache

from django.contrib.auth.hashers import make_password

from billing.models import (
    Bundle,
    Carrier,
    Customer,
    CustomerEvent,
    CustomerNote,
    Dealer,
    Feature,
    FeaturePrice,
    FeatureType,
    Number,
    NumberAssignment,
    NumberIdentity,
    Supply,
    Tariff,
    TariffAssignment,
    TariffRate,
    TimeBand,
)
from resellerkpi.core.access import Role
from resellerkpi.core.models import Membership, Reseller, User
from resellerkpi.core.scope import Scope, enter

PASSWORD = "a long enough pass phrase"
CANARY = "Zeta-Canary-Beta"
START = date(2026, 1, 1)


@dataclass
class House:
    """A reseller with its book: two active customers with a dealer each, a suspended one, one tariff, one carrier."""

    reseller: Reseller
    dealers: list[Dealer] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    features: list[Feature] = field(default_factory=list)
    line: FeatureType | None = None
    package: FeatureType | None = None
    carrier: Carrier | None = None
    retail: Tariff | None = None
    wholesale: Tariff | None = None

    def scope(self, role: Role = Role.OWNER) -> Scope:
        """Return a scope in this house."""
        return Scope.of(self.reseller.pk, role=role, why="test")


@dataclass
class World:
    """Two houses and the people of the tests."""

    alpha: House
    beta: House
    ana: User
    bo: User
    sam: User
    dee: User
    vic: User


def make_world() -> World:
    """Make both houses and their people; call it inside a test with a database."""
    alpha = make_house("alpha", "Alpha Telecom", "Alpha", first="0120000")
    beta = make_house("beta", f"{CANARY} Telecom", CANARY, first="0130000")
    return World(
        alpha=alpha,
        beta=beta,
        ana=make_user("ana@alpha.example", "Ana Alder", alpha, Role.OWNER),
        bo=make_user("bo@beta.example", f"Bo {CANARY}", beta, Role.OWNER),
        sam=User.objects.create(
            email="sam@platform.example", name="Sam", is_operator=True, password=hashed(PASSWORD)
        ),
        dee=make_user("dee@alpha.example", "Dee Dale", alpha, Role.DEALER, dealer=alpha.dealers[0]),
        vic=make_user("vic@alpha.example", "Vic Vale", alpha, Role.VIEWER),
    )


@cache
def hashed(password: str) -> str:
    """Hash a password once per process."""
    return make_password(password)


def make_user(email: str, name: str, house: House, role: Role, *, dealer: Dealer | None = None) -> User:
    """Make a person with a role in a house; the password is PASSWORD."""
    user = User.objects.create(
        email=email, name=name, current_reseller=house.reseller, password=hashed(PASSWORD)
    )
    Membership.objects.create(
        user=user, reseller=house.reseller, role=role, dealer_id=dealer.pk if dealer else None
    )
    return user


def make_house(code: str, name: str, mark: str, *, first: str) -> House:
    """Make a reseller with its book; `mark` stands in every text, `first` begins its phone numbers."""
    house = House(Reseller.objects.create(code=code, name=name))
    with enter(house.scope()):
        _parties(house, mark)
        _catalogue(house, mark)
        _services(house, mark, first)
    return house


def _parties(house: House, mark: str) -> None:
    own = {"reseller": house.reseller}
    house.carrier = Carrier.objects.create(**own, code="CARR", name=f"{mark} Carrier")
    house.dealers = [
        Dealer.objects.create(
            **own,
            code=f"D{n}",
            name=f"{mark} Dealer {n}",
            commission_recurring=D("10"),
            commission_usage=D("5"),
        )
        for n in (1, 2)
    ]
    statuses = [Customer.Status.ACTIVE, Customer.Status.ACTIVE, Customer.Status.SUSPENDED]
    for n, status in enumerate(statuses, 1):
        customer = Customer.objects.create(
            **own,
            code=f"C{n:03}",
            name=f"{mark} Customer {n}",
            status=status,
            dealer=house.dealers[min(n, 2) - 1],
            email=f"accounts{n}@{code_of(mark)}.example",
            phone=f"0160{n:06}",
            address=f"{n} High Street",
            segment="Small business",
        )
        house.customers.append(customer)
        CustomerEvent.objects.create(**own, customer=customer, date=START, status=Customer.Status.ACTIVE)
        if status != Customer.Status.ACTIVE:
            CustomerEvent.objects.create(
                **own, customer=customer, date=date(2026, 6, 1), status=status, reason="non_payment"
            )
    CustomerNote.objects.create(
        **own,
        customer=house.customers[0],
        at=datetime(2026, 2, 3, 9, 30, tzinfo=UTC),
        text=f"{mark}: asked for a quote for two more lines.",
    )


def code_of(mark: str) -> str:
    """Return a mark as a part of an address."""
    return mark.lower()


def _catalogue(house: House, mark: str) -> None:
    own = {"reseller": house.reseller}
    house.retail = Tariff.objects.create(**own, name=f"{mark} Standard", is_default=True)
    house.wholesale = Tariff.objects.create(
        **own, name=f"{mark} Wholesale", kind=Tariff.Kind.WHOLESALE, carrier=house.carrier
    )
    for tariff, price in ((house.retail, D("0.05")), (house.wholesale, D("0.01"))):
        for key, place, factor in (("44", "UK", 1), ("447", "UK mobile", 3), ("1", "USA and Canada", 2)):
            TariffRate.objects.create(
                **own,
                tariff=tariff,
                key=key,
                destination=f"{mark} {place}",
                price=price * factor,
                valid_from=START,
            )
    TimeBand.objects.create(
        **own, tariff=house.retail, code="DAY", weekdays=31, start_minute=480, end_minute=1080
    )
    house.line = FeatureType.objects.create(
        **own, code="LINE", name=f"{mark} Line rental", kind=FeatureType.Kind.LINE, per_number=True
    )
    house.package = FeatureType.objects.create(
        **own, code="PACK", name=f"{mark} 500 minutes", kind=FeatureType.Kind.PACKAGE
    )
    for kind, listed, cost in ((house.line, "12.50", "8.25"), (house.package, "9.00", "0")):
        FeaturePrice.objects.create(
            **own,
            feature_type=kind,
            price=D(listed),
            cost=D(cost),
            valid_from=START,
            valid_to=date(2026, 4, 1),
        )
        FeaturePrice.objects.create(
            **own, feature_type=kind, price=D(listed) + 1, cost=D(cost), valid_from=date(2026, 4, 1)
        )
    Bundle.objects.create(
        **own, feature_type=house.package, unit=Bundle.Unit.SECONDS, amount=D(30_000), call_class="UK"
    )


def _services(house: House, mark: str, first: str) -> None:
    own = {"reseller": house.reseller}
    for n, customer in enumerate(house.customers, 1):
        number = Number.objects.create(
            **own, number=f"{first}{n:04}", description=f"{mark} main line", monthly_cost=D("8.25")
        )
        house.numbers.append(number)
        NumberAssignment.objects.create(**own, number=number, customer=customer, start_date=START)
        Supply.objects.create(**own, number=number, carrier=house.carrier, start_date=START)
        house.features += [
            Feature.objects.create(
                **own, customer=customer, number=number, feature_type=house.line, start_date=START
            ),
            Feature.objects.create(**own, customer=customer, feature_type=house.package, start_date=START),
        ]
        TariffAssignment.objects.create(**own, customer=customer, tariff=house.retail, start_date=START)
    NumberIdentity.objects.create(**own, number=house.numbers[0], identity=f"{mark}-CIRCUIT-1")
