"""A reseller with customers, numbers and tariffs in the database, and a way to store rated calls: tests of rating."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from billing.importing.load import make_partitions, make_stage, store
from billing.models import (
    Bundle,
    Call,
    Carrier,
    CdrFile,
    Customer,
    Feature,
    FeatureType,
    Number,
    NumberAssignment,
    RatingBatch,
    Tariff,
    TariffAssignment,
    TariffRate,
)
from billing.rating.book import RatingBook
from billing.rating.rate import rate_calls
from resellerkpi.core.models import Reseller

START = date(2026, 1, 1)


@dataclass
class World:
    """One reseller, its carrier, and what tests add."""

    reseller: Reseller
    carrier: Carrier
    files: int = 0
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(cls, code: str = "alpha") -> "World":
        """Make a reseller and a carrier."""
        reseller = Reseller.objects.create(code=code, name=code.title())
        return cls(
            reseller, Carrier(reseller=reseller, code="gamma", name="Gamma"), own={"reseller": reseller}
        )

    def begin(self) -> "World":
        """Save what needs a scope."""
        self.carrier.save()
        return self

    def customer(self, code: str = "C1", **fields: Any) -> Customer:
        """Add a customer."""
        return Customer.objects.create(**self.own, code=code, name=f"Customer {code}", **fields)

    def number(self, text: str, customer: Customer, start: date = START, end: date | None = None) -> Number:
        """Add a number assigned to a customer."""
        number, _ = Number.objects.get_or_create(**self.own, number=text)
        NumberAssignment.objects.create(
            **self.own, number=number, customer=customer, start_date=start, end_date=end
        )
        return number

    def tariff(self, name: str = "Retail", **fields: Any) -> Tariff:
        """Add a tariff."""
        return Tariff.objects.create(**self.own, name=name, **fields)

    def rate(self, tariff: Tariff, key: str, price: str, **fields: Any) -> TariffRate:
        """Add a rate from the start."""
        return TariffRate.objects.create(
            **self.own, tariff=tariff, key=key, price=price, **{"valid_from": START, **fields}
        )

    def assign(self, tariff: Tariff, **fields: Any) -> TariffAssignment:
        """Give a customer or number a tariff."""
        return TariffAssignment.objects.create(**self.own, tariff=tariff, **{"start_date": START, **fields})

    def package(self, code: str = "PACK", **bundles: str) -> FeatureType:
        """Add a package with an allowance per unit."""
        kind = FeatureType.objects.create(**self.own, code=code, name=code, kind="package")
        for unit, amount in bundles.items():
            Bundle.objects.create(**self.own, feature_type=kind, unit=unit, amount=amount)
        return kind

    def feature(self, kind: FeatureType, customer: Customer, start: date = START, **fields: Any) -> Feature:
        """Give a customer a feature."""
        return Feature.objects.create(
            **self.own, feature_type=kind, customer=customer, start_date=start, **fields
        )

    def supply(self, chunk: pd.DataFrame, carrier: Carrier | None = None) -> CdrFile:
        """Rate and store a chunk as one file, without drawing allowances."""
        self.files += 1
        carrier = carrier or self.carrier
        days = [datetime.fromtimestamp(int(t), UTC).date() for t in chunk["started_at"]]
        book = RatingBook.load(
            self.reseller, carrier, min(days) - timedelta(days=1), max(days) + timedelta(days=1)
        )
        file = CdrFile.objects.create(
            **self.own,
            carrier=carrier,
            format="test",
            name=f"file {self.files}",
            size=1,
            sha256=str(self.files),
        )
        batch = RatingBatch.objects.create(**self.own, kind="import", file=file)
        make_stage()
        make_partitions(chunk["started_at"].to_numpy(), set())
        store(rate_calls(chunk, book), file, batch)
        return file


def calls(*fields: str) -> list[tuple[Any, ...]]:
    """Return the fields of all calls in the order of start and content."""
    return list(Call.objects.order_by("started_at", "dedupe_key").values_list(*fields))


def total(field_name: str = "retail") -> Decimal:
    """Return the sum of a field over all calls."""
    return sum((row[0] for row in calls(field_name)), Decimal(0))
