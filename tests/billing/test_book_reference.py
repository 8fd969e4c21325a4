"""The real data sets go through the imports of the book."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from billing.importing.tables.mapping import Mapping
from billing.models import (
    Allocation,
    Bundle,
    Customer,
    CustomerEvent,
    ExchangeRate,
    Feature,
    FeatureType,
    Invoice,
    LedgerEntry,
    NumberAssignment,
    Payment,
    Tariff,
    TariffAssignment,
)
from billing.pipeline_book import BookOutcome, import_book
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)
LEDGER = "data/ar/ibm_accounts_receivable_2466.csv"
MEGALINE = "data/customers/megaline/"

IBM_CUSTOMERS = {
    "columns": {"code": "customerID", "name": "customerID", "active_from": {"value": "2012-01-01"},
                "currency": {"value": "USD"}, "terms_days": {"value": "30"}},
    "once": True,
}  # fmt: skip
IBM_INVOICES = {
    "columns": {"customer": "customerID", "number": "invoiceNumber", "disputed": "Disputed"},
    "day_first": False,
}
IBM_PAYMENTS = {
    "columns": {"customer": "customerID", "date": "SettledDate", "amount": "InvoiceAmount", "invoice": "invoiceNumber",
                "reference": "invoiceNumber"},
    "date_format": "%m/%d/%Y",
}  # fmt: skip


def load(house: Reseller, kind: str, path: Path, **mapping: Any) -> BookOutcome:
    """Load a file and insist that it goes in."""
    outcome = import_book(kind, path, reseller=house, mapping=Mapping.of(mapping), today=TODAY)
    assert [p.as_dict() for p in outcome.problems[:3]] == []
    return outcome


def make_house(currency: str) -> Reseller:
    """Make a reseller."""
    return Reseller.objects.create(code="real", name="Real", currency=currency, country="US")


def test_the_ibm_ledger_goes_in_as_opening_invoices_and_payments(reference: Path) -> None:
    house = make_house("USD")
    with enter(Scope.of(house.pk)):
        assert load(house, "customers", reference / LEDGER, **IBM_CUSTOMERS).counts.new == 100
        assert load(house, "opening-invoices", reference / LEDGER, **IBM_INVOICES).counts.new == 2466
        assert load(house, "payments", reference / LEDGER, **IBM_PAYMENTS).counts.new == 2466
        assert Invoice.objects.aggregate(total=Sum("gross"))["total"] == Decimal("147703.18")
        day = date(2013, 6, 30)
        balance = LedgerEntry.objects.filter(date__lte=day).aggregate(total=Sum("amount"))["total"]
        assert balance == Decimal("5119.85")
        settled = Allocation.objects.filter(date__lte=day).values("invoice")
        open_then = Invoice.objects.filter(invoice_date__lte=day).exclude(pk__in=settled)
        late = open_then.filter(due_date__lt=day)
        assert (open_then.count(), late.count()) == (84, 12)
        assert late.aggregate(total=Sum("gross"))["total"] == Decimal("835.56")
        loaded = {"customers": IBM_CUSTOMERS, "opening-invoices": IBM_INVOICES, "payments": IBM_PAYMENTS}
        for kind, mapping in loaded.items():
            again = load(house, kind, reference / LEDGER, **mapping)
            assert (again.counts.new, again.counts.changed) == (0, 0)
        assert Payment.objects.count() == 2466


def test_slashed_dates_are_never_guessed(reference: Path) -> None:
    house = make_house("USD")
    with enter(Scope.of(house.pk)):
        load(house, "customers", reference / LEDGER, **IBM_CUSTOMERS)
        unsaid = {"columns": IBM_INVOICES["columns"]}
        outcome = import_book(
            "opening-invoices", reference / LEDGER, reseller=house, mapping=Mapping.of(unsaid), today=TODAY
        )
        assert (outcome.loaded, len(outcome.problems)) == (0, 1)
        assert "day/month or month/day" in outcome.problems[0].error
        assert not Invoice.objects.exists()


def test_megaline_moves_in(reference: Path) -> None:
    house = make_house("USD")
    users, plans = reference / MEGALINE / "megaline_users.csv", reference / MEGALINE / "megaline_plans.csv"
    dates = {"date_format": "%m/%d/%Y"}
    with enter(Scope.of(house.pk)):
        Tariff.objects.create(reseller=house, name="surf", currency="USD")
        Tariff.objects.create(reseller=house, name="ultimate", currency="USD")
        service = {"active_from": "reg_date", "last_day": "churn_date"}
        people = {"code": "user_id", "name": ["first_name", "last_name"], **service}
        load(house, "customers", users, columns=people, **dates)
        assert Customer.objects.count() == 500
        assert Customer.objects.get(code="1000").name == "Anamaria Bauer"
        left = CustomerEvent.objects.filter(status="ceased")
        assert left.count() == 34
        assert {event.date for event in left.filter(customer__code="1006")} == {date(2018, 12, 19)}
        priced = {"price": "usd_monthly_pay", "prorate": {"value": "none"}}
        load(house, "feature-types", plans, columns={"code": "plan_name", "name": "plan_name", **priced})
        surf = FeatureType.objects.get(code="surf")
        assert (surf.kind, surf.currency, surf.prices.get().price) == ("package", "USD", Decimal(20))
        amounts = dict(Bundle.objects.filter(feature_type=surf).values_list("unit", "amount"))
        assert amounts == {"seconds": Decimal(30000), "sms": Decimal(50), "data": Decimal(15360)}
        held = {"customer": "user_id", "start_date": "reg_date", "last_day": "churn_date"}
        same = {"columns": {"number": "user_id", **held}}
        load(house, "numbers", users, **same, **dates)
        assert NumberAssignment.objects.get(number__number="1006").end_date == date(2018, 12, 19)
        taken = {"columns": held}
        assert load(house, "features", users, **taken, **dates).counts.new == 500
        assert load(house, "tariff-assignments", users, **taken, **dates).counts.new == 500
        on_surf = TariffAssignment.objects.filter(tariff__name="surf")
        assert on_surf.count() == Feature.objects.filter(feature_type=surf).count() == 339
        for kind in ("numbers", "features", "tariff-assignments"):
            again = load(house, kind, users, **(same if kind == "numbers" else taken), **dates).counts
            assert (again.new, again.changed) == (0, 0)


def test_the_ecb_file_goes_in_as_it_is(reference: Path) -> None:
    house = make_house("GBP")
    with enter(Scope.of(house.pk)):
        load(house, "exchange-rates", reference / "data/fx/eurofxref-hist.csv")
        rates = ExchangeRate.objects.filter(base="EUR")
        assert rates.values("date").distinct().count() == 7126
        assert rates.get(date=date(2013, 6, 28), currency="USD").rate == Decimal("1.3080")
        assert rates.get(date=date(2018, 12, 31), currency="GBP").rate == Decimal("0.89453")


def test_mappings_are_json(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(IBM_PAYMENTS))
    assert Mapping.from_file(path) == Mapping.of(IBM_PAYMENTS)
