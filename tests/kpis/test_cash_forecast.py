"""The cash forecast by hand: shares of methods, the payer curve, the range, and how far off it was."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Customer, Invoice, PaymentAttempt, Tariff, TariffRate
from kpis.kpi import KPIS
from kpis.reading import live
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds
from tests.kpis.test_kpi_refresh import account
from tests.kpis.test_published_more import MONTH, bill, combined, figures

D = Decimal


@pytest.mark.django_db
def test_direct_debits_come_at_the_share_that_came_before_and_late_ones_as_they_were_regained() -> None:
    """Of four first tries three were paid: 0.75 of what falls due comes; nothing failed was regained."""
    tries = [
        (date(2026, 3, d), "failed" if d == 4 else "paid", "direct_debit", D(9), 1) for d in (1, 2, 3, 4)
    ]
    due, late = bill(date(2026, 4, 20), 100), bill(date(2026, 3, 1), 60)
    beyond = bill(date(2026, 4, 29), 500)
    people = [account("C0", payment_method="direct_debit", invoices=[due, late, beyond], attempts=tries)]
    found = figures(
        people, ["cash_expected", "cash_expected_item", "cash_expected_low", "cash_expected_high"]
    )
    assert found["cash_expected"] == {"": D(75)}
    assert found["cash_expected_item"] == {"": D(25)}
    assert round(found["cash_expected_low"][""], 6) == round(75 - D("1.645") * D(1875).sqrt(), 6)
    assert round(found["cash_expected_high"][""], 6) == round(75 + D("1.645") * D(1875).sqrt(), 6)


@pytest.mark.django_db
def test_a_failed_debit_paid_again_within_four_weeks_counts_as_regained() -> None:
    """All of what is late is expected then, but for what is over 90 days late."""
    house = Reseller.objects.create(code="p", name="Published")
    with enter(Scope.of(house.pk)) as scope:
        old = bill(date(2026, 1, 1), 40, terms=28)
        people = [account("C0", payment_method="direct_debit", invoices=[bill(date(2026, 3, 1), 60), old])]
        worlds.load({"customers": people, "spend": {}}, house)
        customer, invoice = Customer.objects.get(), Invoice.objects.get(gross=60)
        for n, outcome, day in ((1, "failed", 5), (2, "paid", 20)):
            PaymentAttempt.objects.create(
                reseller=house, customer=customer, invoice=invoice, method="direct_debit", presentation=n, amount=60,
                currency="GBP", submitted_date=date(2026, 3, day), outcome=outcome, outcome_date=date(2026, 3, day),
            )  # fmt: skip
        (point,) = live([KPIS.get("cash_expected")], house, scope, [MONTH], worlds.NOW)["cash_expected"]
    assert (point.value, point.marks) == (D(60), ("estimated",))


@pytest.mark.django_db
def test_transfers_come_as_payers_by_it_did() -> None:
    """Half of February's 200 came by its day and 60 within 30 days: 0.8 of what is due, 0.6 of what is late."""
    old = bill(date(2026, 1, 1), 200, terms=40)
    old["paid"] = [(10, "0.50", None), (50, "0.30", None)]
    people = [
        account("C0", invoices=[old]),
        account("C1", invoices=[bill(date(2026, 4, 20), 100), bill(date(2026, 3, 1), 10)]),
    ]
    found = figures(people, ["cash_expected"], "method")["cash_expected"]
    assert found == {"transfer": D(80) + D(6) + D(24)}


@pytest.mark.django_db
def test_without_any_history_all_of_it_is_expected() -> None:
    people = [account("C0", payment_method="cheque", invoices=[bill(date(2026, 4, 20), 100)])]
    assert figures(people, ["cash_expected"])["cash_expected"] == {"": D(100)}


def test_the_error_of_the_forecast_is_the_mean_over_months_with_cash() -> None:
    """110 came of 100, 90 of 99, nothing of 50: errors of 10 ÷ 110 and 9 ÷ 90, their mean; the third is left out."""
    expected = [(100, None), (99, None), (50, None)] + [(0, None)] * 9
    came = [(110, None), (90, None), (0, None)] + [(0, None)] * 9
    wanted = (D(10) / D(110) + D(9) / D(90)) / 2
    assert round(combined("cash_forecast_error", *expected, *came), 12) == round(wanted, 12)
    assert combined("cash_forecast_error", *[(0, None)] * 24) is None


def test_the_low_figure_never_falls_below_nought() -> None:
    assert combined("cash_expected_low", (10, None), (10_000, 10)) == 0


@pytest.mark.django_db
def test_a_destination_dearer_since_it_was_priced_loses_the_rise_on_its_minutes() -> None:
    """A minute rose by a penny beside a price that stayed: half a penny, on a third of three minutes a month."""
    called: list[Any] = [(0, date(2026, 3, 1) + timedelta(days=d), "0.10", "0.05") for d in (1, 2, 40)]
    units = {
        "bought": [(date(2026, 1, 1), "0.01"), (date(2026, 3, 15), "0.02")],
        "sold": [(date(2026, 1, 1), "0.02")],
    }
    house = Reseller.objects.create(code="p", name="Published")
    with enter(Scope.of(house.pk)) as scope:
        worlds.load({"customers": [account("C0", calls=called)], "spend": {}, "units": units}, house)
        TariffRate.objects.create(
            reseller=house, tariff=Tariff.objects.get(kind="wholesale"), key="349", destination="Spain",
            price=D("0.03"), valid_from=date(2026, 1, 1),
        )  # fmt: skip
        found = live(
            [KPIS.get("stale_tariffs"), KPIS.get("stale_tariffs_loss")], house, scope, [MONTH], worlds.NOW
        )
        assert [p.value for points in found.values() for p in points] == [1, D("0.005")]
        TariffRate.objects.filter(tariff__kind="retail").update(valid_from=date(2026, 4, 1))
        assert (
            live([KPIS.get("stale_tariffs")], house, scope, [MONTH], worlds.NOW)["stale_tariffs"][0].value
            == 0
        )
