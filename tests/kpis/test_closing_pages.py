"""Closed months on their pages: how each stands, closing one by hand, and what is another today."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError

from billing.models import BillingRun, CdrFile, Customer, Dealer, Invoice
from kpis.models import Close, Fill
from kpis.months import standings, usage_held
from kpis.options import Options
from kpis.snapshots import refresh
from resellerkpi.core.access import Role
from resellerkpi.core.models import AuditEvent, Job, Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import worlds, worlds_units
from tests.kpis.test_kpi_command import run
from tests.kpis.test_kpi_pages import alpha, someone

pytestmark = pytest.mark.django_db
PAGE = "/kpis/closing/"
MARCH = date(2026, 3, 1)


@pytest.fixture(autouse=True)
def _noon() -> Any:
    with time_machine.travel(worlds.NOW, tick=False):
        yield


def table_rows(page: str) -> list[str]:
    """Return the rows of the first table as words."""
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


def rows(page: str) -> dict[str, str]:
    """Return the rows of the first table by month."""
    return {" ".join(row.split()[:2]): row for row in table_rows(page)}


def late_invoice(made: Reseller) -> None:
    """Bring in an invoice of March and have the figures made."""
    with enter(Scope.of(made.pk)):
        Invoice.objects.create(
            reseller=made, customer=Customer.objects.get(code="bob"), number="late", state="issued",
            invoice_date=date(2026, 3, 9), due_date=date(2026, 3, 9), currency="GBP", net=10, gross=10,
        )  # fmt: skip
        refresh(made, now=worlds.NOW)


def test_a_month_is_closed_by_hand_and_says_what_changed_since() -> None:
    made = alpha()
    finance, viewer = someone(made, Role.FINANCE), someone(made, Role.VIEWER)
    table = rows(finance.get(PAGE).content.decode())
    assert table["May 2026"].startswith("May 2026 Still open – Closes by itself on 6 Jun 2026")
    assert table["Mar 2026"].startswith("Mar 2026 Not closed – Over before figures were kept")
    assert 'href="/kpis/closing/2026-03/close/"' in finance.get(f"{PAGE}2026-03/").content.decode()
    asked = finance.get(f"{PAGE}2026-03/close/").content.decode()
    assert "The figures of March 2026 are kept as they are, taken 20 May 2026 13:00" in asked
    assert finance.post(f"{PAGE}2026-03/close/").status_code == 302
    late_invoice(made)

    table = rows(viewer.get(PAGE).content.decode())
    page = viewer.get(f"{PAGE}2026-03/").content.decode()
    assert table["Mar 2026"].startswith("Mar 2026 Closed 20 May 2026 By hand 20 May 2026")
    changed = table_rows(page.split("Restated since", 1)[1])
    assert "Total invoiced £100.00 £110.00" in changed
    assert not [row for row in changed if row.startswith("Active customers")]
    assert int(table["Mar 2026"].split("20 May 2026")[2].split()[0]) == len(changed)
    with enter(Scope.of(made.pk)):
        assert list(AuditEvent.objects.filter(action="kpi_month.closed").values_list("subject")) == [
            ("March 2026",)
        ]
    kpi = viewer.get("/kpis/total_invoiced/?month=2026-03").content.decode()
    assert re.search(r"When closed</dt>\s*<dd>£100.00", kpi)
    assert re.search(r'<a href="/kpis/closing/2026-03/">Closed 20 May 2026</a>', kpi)
    assert "Something that belongs to the month came in or changed after it was closed." in kpi
    told = {
        r["month"]: r for r in viewer.get("/kpis/total_invoiced.json?from=2026-02&to=2026-03").json()["rows"]
    }
    assert (told["2026-03"]["marks"], told["2026-02"]["marks"]) == (["restated"], [])


def test_what_cannot_be_closed_says_why() -> None:
    made = alpha()
    finance = someone(made, Role.FINANCE)
    assert "May 2026 is not over yet." in finance.post(f"{PAGE}2026-05/close/").content.decode()
    assert 'href="/kpis/closing/2026-05/close/"' not in finance.get(f"{PAGE}2026-05/").content.decode()
    with enter(Scope.of(made.pk)):
        Customer.objects.filter(code="bob").update(segment="smb")
    refused = finance.post(f"{PAGE}2026-03/close/")
    assert refused.status_code == 422
    assert "Something changed since the figures were taken" in refused.content.decode()
    with enter(Scope.of(made.pk)):
        assert Job.objects.filter(kind="kpis.refresh").count() == 1
        assert not Close.objects.exists()
    with pytest.raises(CommandError, match="Something changed since"):
        run("--close", "2026-03", "--reseller", "alpha")
    with enter(Scope.of(made.pk)):
        refresh(made, now=worlds.NOW)
    assert run("--close", "2026-03", "--reseller", "alpha")["closed"] == "2026-03"
    assert "March 2026 is already closed." in finance.post(f"{PAGE}2026-03/close/").content.decode()
    assert (
        "There are no figures of January 2011 to keep"
        in finance.post(f"{PAGE}2011-01/close/").content.decode()
    )
    assert "No figures of it are kept" in finance.get(f"{PAGE}2011-01/").content.decode()
    for strange in ("2026-13", "soon", "9999-12", "0000-00"):
        assert finance.get(f"{PAGE}{strange}/").status_code in (200, 404)
        assert finance.post(f"{PAGE}{strange}/close/").status_code in (404, 422)
    with enter(Scope.of(made.pk)):
        dealer = Dealer.objects.get(code="D2")
    for client in (someone(made, Role.VIEWER), someone(made, Role.DEALER, dealer_id=dealer.pk)):
        assert client.get(f"{PAGE}2026-03/").status_code == 200
        assert client.post(f"{PAGE}2026-02/close/").status_code == 403
    assert "Call files" not in client.get(PAGE).content.decode()


def test_without_figures_it_says_so() -> None:
    made = Reseller.objects.create(code="empty", name="Empty")
    assert "There are no figures to close yet" in someone(made, Role.OWNER).get(PAGE).content.decode()


def test_a_month_waits_for_its_bill_runs_and_counts_its_usage() -> None:
    made = Reseller.objects.create(code="w", name="World")
    with enter(Scope.of(made.pk)):
        fill = Fill.objects.create(
            reseller=made, first_month=date(2026, 1, 1), last_month=date(2026, 5, 1), versions="", as_of=worlds.NOW,
            since=date(2026, 2, 3),
        )  # fmt: skip
        for day, state in ((date(2026, 3, 2), "billed"), (date(2026, 4, 1), "sent")):
            BillingRun.objects.create(
                reseller=made,
                name=f"{day}",
                period_start=day.replace(day=1, month=day.month - 1),
                period_end=day,
                invoice_date=day,
                state=state,
            )
        for place, (first, last) in enumerate(((3, 3), (3, 4), (4, 4))):
            CdrFile.objects.create(
                reseller=made, carrier=worlds_units.carrier(made, place % 2), state="loaded", size=1,
                rows=place + 1, unpriced=place + 1,
                first_call_at=datetime(2026, first, 2, tzinfo=UTC), last_call_at=datetime(2026, last, 3, tzinfo=UTC),
                sha256=f"{place}",
            )  # fmt: skip
        found = {s.month.month: s for s in standings(fill, Options(), date(2026, 5, 3))}
        assert [(m, s.state, s.why) for m, s in found.items()] == [
            (5, "Still open", "Closes by itself on 6 Jun 2026"),
            (4, "Not closed", "Closes by itself on 6 May 2026"),
            (3, "Not closed", "Waits for a bill run to be confirmed"),
            (2, "Not closed", "Closes when the figures are made next"),
            (1, "Not closed", "Over before figures were kept"),
        ]
        assert usage_held([MARCH, date(2026, 4, 1), date(2026, 5, 1)]) == {
            MARCH: {"files": 2, "carriers": 2, "unpriced": 3},
            date(2026, 4, 1): {"files": 2, "carriers": 2, "unpriced": 5},
            date(2026, 5, 1): {"files": 0, "carriers": 0, "unpriced": 0},
        }
