"""How large the demo is, whose it is, and over which months it runs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random

from resellerkpi.core.periods import add_months


@dataclass(frozen=True)
class Size:
    """How much to make for one reseller: customers ever, numbers ever, calls over the whole time."""

    customers: int
    numbers: int
    calls: int
    dealers: int


@dataclass(frozen=True)
class House:
    """One fictional reseller of the demo."""

    code: str
    name: str
    legal_name: str
    address: str
    vat_number: str
    colour: str
    invoice_prefix: str
    account_prefix: str
    mail_host: str
    size: Size
    months: int
    has_leaks: bool


SIZES = {
    "full": (Size(236, 1430, 144_000, 5), Size(16, 80, 6_000, 2)),
    "small": (Size(34, 190, 17_800, 5), Size(5, 16, 1_000, 1)),
}


def houses(size: str) -> tuple[House, House]:
    """Return the two resellers of a size ("full" or "small")."""
    first, second = SIZES[size]
    return (
        House(
            "harbour",
            "Harbour Telecom",
            "Harbour Telecom Limited",
            "4 Customs Quay\nBristol\nBS1 0ZZ",
            "GB000000000",
            "#0f5c8c",
            "HT-",
            "HT",
            "harbour.example",
            first,
            months=25,
            has_leaks=True,
        ),
        House(
            "moorland",
            "Moorland Voice",
            "Moorland Voice Limited",
            "19 Peat Lane\nSheffield\nS1 0ZZ",
            "GB000000001",
            "#5b4a8a",
            "MV-",
            "MV",
            "moorland.example",
            second,
            months=13,
            has_leaks=False,
        ),
    )


@dataclass(frozen=True)
class Calendar:
    """The demo's time: billed months from `first` up to `current`, whose days before `today` are loaded unbilled.

    `now` is the time of day where the demo is built for the day on which it is built, so that nothing lies ahead of it.
    """

    first: date
    current: date
    today: date
    now: datetime | None = None

    @classmethod
    def ending_before(cls, today: date, months: int = 25, *, now: datetime | None = None) -> "Calendar":
        """Return the calendar of so many billed months whose last one is the month before a day."""
        current = today.replace(day=1)
        return cls(add_months(current, -months), current, today, now)

    def noon(self, day: date) -> datetime:
        """Return noon of a day in UTC, or now where that is still to come."""
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        return min(noon, self.now) if self.now else noon

    @property
    def months(self) -> list[date]:
        """First days of the billed months."""
        count = (self.current.year - self.first.year) * 12 + self.current.month - self.first.month
        return [add_months(self.first, index) for index in range(count)]

    def ago(self, months: int) -> date:
        """First day of the month so many months before the current one."""
        return add_months(self.current, -months)

    @property
    def price_rises(self) -> list[date]:
        """The first of April of each year inside the billed months: list prices rise on them."""
        years = range(self.first.year, self.current.year + 1)
        return [day for year in years if self.first < (day := date(year, 4, 1)) < self.current]


def stream(seed: int, *topic: object) -> Random:
    """Return a source of randomness of its own for a topic, so that one part does not move another."""
    return Random(":".join(str(part) for part in (seed, *topic)))
