"""The bill command: one JSON object, the same when asked again, going on from where the run stands."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from billing.models import Customer
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.billing.money import D, a_call, make_customer, make_house, rate_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> Reseller:
    made = make_house()
    with enter(Scope.of(made.pk)):
        ann = make_customer(made, "ANN", vat_rate=D(20))
        make_customer(made, "BOB")
        unpriced = {"state": "error", "reason": "no_rate"}
        rate_batch(
            made, a_call(ann, "2026-01-05 10:00", "10"), a_call(ann, "2026-01-05 11:00", "0", **unpriced)
        )
    return made


def run_command(*options: str, reseller: str = "alpha", period: str = "2026-01") -> dict[str, object]:
    out = StringIO()
    call_command("bill", "--reseller", reseller, "--period", period, *options, stdout=out, stderr=StringIO())
    return json.loads(out.getvalue().splitlines()[-1])


def test_it_prints_the_totals_and_goes_on_from_where_it_stands(house: Reseller) -> None:
    totals = {
        "currency": "GBP", "invoices": 1, "net": "10.00", "vat": "2.00", "gross": "12.00",
        "not_produced": {"empty": 1},
    }  # fmt: skip
    assert run_command() == totals
    for until in ("billed", "confirmed", "sent", "billed"):
        assert run_command("--until", until) == totals
    with enter(Scope.of(house.pk)):
        run = Customer.objects.get(code="ANN").invoices.get().run
        assert (run.state, run.accepted_errors) == ("sent", "accepted by command")


def test_it_says_what_is_wrong(house: Reseller) -> None:
    with pytest.raises(CommandError, match="no reseller “gamma”"):
        run_command(reseller="gamma")
    with pytest.raises(CommandError, match="not a month"):
        run_command(period="2026-13")
    run_command(period="2026-02")
    with pytest.raises(CommandError, match="February 2026 has been billed already"):
        run_command(period="2026-01")
