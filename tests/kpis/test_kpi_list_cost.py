"""The page of all KPIs reads what is kept, in few queries; before anything is kept it says so and computes nothing."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from kpis.models import Fill
from kpis.snapshots import refresh
from resellerkpi.core.access import Role
from resellerkpi.core.scope import Scope, enter
from tests.kpis.test_kpi_pages import alpha, someone

pytestmark = pytest.mark.django_db


def test_all_kpis_are_read_in_few_queries_and_not_computed() -> None:
    made = alpha()
    client = someone(made, Role.OWNER)
    address = reverse("kpi-list")
    with enter(Scope.of(made.pk)):
        refresh(made, now=timezone.now())
    client.get(address)
    with CaptureQueriesContext(connection) as kept:
        page = client.get(address).content.decode()
    assert len(kept) <= 13
    assert "Customers lost" in page
    with enter(Scope.of(made.pk)):
        Fill.objects.update(versions="older")
    with CaptureQueriesContext(connection) as none:
        page = client.get(address).content.decode()
    assert len(none) < len(kept)
    assert "The figures are being made anew" in page
    assert "Customers lost" not in page
    assert "Import customers" not in page
    with enter(Scope.of(made.pk)):
        Fill.objects.all().delete()
    page = client.get(address).content.decode()
    assert "The figures are not made yet" in page
