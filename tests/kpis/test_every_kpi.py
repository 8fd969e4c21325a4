"""Every KPI: declared whole, equal to the naive oracle on random books, live = snapshot, versions kept."""

import json
import os
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpis.asked import Asked, Figures
from kpis.compute import compute
from kpis.dictionary import markdown, whole
from kpis.facts import first_month
from kpis.kpi import KPIS, Kpi, Undeclared, Unit, flow, kpi
from kpis.models import KpiSettings, Snapshot
from kpis.options import Options
from kpis.reading import Reader, live
from kpis.snapshots import read, refresh
from resellerkpi.core.models import Reseller
from resellerkpi.core.scope import Scope, enter
from tests.kpis import oracle_rules, worlds

BASE = [k for k in KPIS if not k.shape.needs]
DIMENSIONS = sorted({d for k in BASE for d in k.by})
ROLLING = (
    "customers_active", "customers_new", "customers_reactivated", "customers_lost", "customers_net",
    "customers_moved_in", "numbers_total", "numbers_added", "numbers_removed",
)  # fmt: skip
VERSIONS = Path(__file__).with_name("versions.json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "kpi-dictionary.md"


class Undo(Exception):
    """Raised to roll a world back."""


def with_world(book: dict[str, Any], check: Any) -> None:
    """Load a world, run a check inside its scope, and take it back."""
    try:
        with transaction.atomic():
            house = Reseller.objects.create(code="w", name="World")
            with enter(Scope.of(house.pk)):
                worlds.load(book, house)
                check(house)
            raise Undo
    except Undo:
        pass


def cells(figures: Figures, dimension: str) -> dict[tuple[str, date, str], tuple[Decimal, Decimal | None]]:
    """Drop the dimension from the cells of one dimension."""
    return {
        (c.key, c.month, c.currency): (p.top, p.bottom)
        for c, p in figures.items()
        if c.dimension == dimension
    }


@pytest.mark.parametrize("declared", list(KPIS), ids=lambda k: k.slug)
def test_a_kpi_is_declared_whole(declared: Kpi) -> None:
    assert len(declared.formula) > 40
    assert declared.name
    assert declared.version >= 1
    assert declared.summary.endswith(".")
    for dimension in declared.by:
        for part in declared.parts()[:1]:
            assert part.at(dimension).source.column(dimension), f"{declared.slug} by {dimension}"
    if declared.unit is Unit.PERCENT:
        assert declared.is_ratio


def test_a_kpi_without_a_formula_is_refused() -> None:
    with pytest.raises(Undeclared, match="no docstring"):
        kpi(name="Silent")(lambda: flow(BASE[0].parts()[0]))
    assert "<lambda>" not in KPIS


def test_a_changed_kpi_has_a_new_version() -> None:
    """Run with KPI_VERSIONS=write after raising the version of what changed."""
    now = {k.slug: [k.version, k.fingerprint] for k in KPIS}
    if os.environ.get("KPI_VERSIONS") == "write":
        VERSIONS.write_text(json.dumps(now, indent=1) + "\n")
    kept = json.loads(VERSIONS.read_text())
    moved = [s for s in now if s in kept and now[s][1] != kept[s][1] and now[s][0] == kept[s][0]]
    assert moved == [], "their figures may change: raise their version, then write versions.json"
    assert now == kept


def test_the_document_of_the_dictionary_is_true() -> None:
    """Run with KPI_VERSIONS=write after adding or changing a KPI."""
    told = markdown(whole())
    if os.environ.get("KPI_VERSIONS") == "write":
        DOCUMENT.write_text(told, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == told


@pytest.mark.django_db
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world(), st.sampled_from([0, 1, 3]))
def test_every_kpi_equals_the_oracle_and_its_snapshot(book: dict[str, Any], lag: int) -> None:
    book["cac_lag_months"] = lag

    def check(house: Reseller) -> None:
        KpiSettings.objects.update_or_create(reseller=house, defaults={"cac_lag_months": lag})
        asked = Asked.months(house.pk, worlds.MONTHS, worlds.LAST, options=Options.of(house))
        found = compute(BASE, asked, DIMENSIONS)
        for declared in BASE:
            for dimension in ("", *declared.by):
                wanted = oracle_rules.expected(declared.slug, book, dimension)
                assert cells(found[declared.slug], dimension) == wanted, (declared.slug, dimension)
        refresh(house, now=worlds.NOW)
        stored, first = read(BASE, worlds.MONTHS, DIMENSIONS), first_month(house.pk) or worlds.NOW.date()
        held = {s: {cell: f for cell, f in of.items() if cell.month >= first} for s, of in found.items()}
        assert {s: dict(f) for s, f in stored.items()} == held

    with_world(book, check)


@pytest.mark.django_db
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world(), st.sampled_from(["", "dealer", "segment"]))
def test_the_book_rolls_forward(book: dict[str, Any], dimension: str) -> None:
    """Open + new + reactivated + moved in − lost = close; for numbers open + added − removed = close."""

    def check(house: Reseller) -> None:
        rolling = [KPIS.get(slug) for slug in ROLLING]
        found = live(rolling, house, Scope.of(house.pk), worlds.MONTHS, worlds.NOW, dimension)
        value = {
            (s, p.key, p.month): p.value or 0 for s, points in found.items() for p in points if not p.currency
        }
        keys = {(p.key, p.month) for p in found["customers_active"] + found["numbers_total"]}
        for key, month in keys:
            if month == worlds.MONTHS[0]:
                continue
            past = date(month.year, month.month - 1, 1)

            def at(slug: str, when: date = month, key: str = key) -> Any:
                return value.get((slug, key, when), 0)

            net = at("customers_new") + at("customers_reactivated") - at("customers_lost")
            assert at("customers_net") == net
            assert at("customers_active", past) + net + at("customers_moved_in") == at("customers_active")
            assert at("numbers_total", past) + at("numbers_added") - at("numbers_removed") == at(
                "numbers_total"
            )

    with_world(book, check)


@pytest.mark.django_db
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.world())
def test_derived_kpis_and_readers_agree(book: dict[str, Any]) -> None:
    """Live, from snapshots, and from stored facts give the same points; a dealer's are those of his customers."""

    def check(house: Reseller) -> None:
        scope = Scope.of(house.pk)
        now = {d: live(list(KPIS), house, scope, worlds.MONTHS, worlds.NOW, d) for d in ("", "dealer")}
        refresh(house, now=worlds.NOW)
        kept = Reader(house, scope, worlds.NOW).points(list(KPIS), worlds.MONTHS, ["", "dealer"])
        for slug in KPIS.slugs():
            assert kept[slug][""] == now[""][slug]
            if "dealer" in KPIS.get(slug).by:
                assert kept[slug]["dealer"] == now["dealer"][slug]
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM billing_dealer WHERE code = 'D1' AND reseller_id = %s", [house.pk])
            dealer = cursor.fetchone()[0]
        own = Reader(house, Scope.of(house.pk, dealer_id=dealer), worlds.NOW)
        mine = {k.slug: k for k in own.visible(KPIS)}
        assert not {"cac", "cac_campaign", "marketing_spend"} & set(mine)
        others_out = [
            c if c["dealer"] == "D1" else {**c, "is_test": True, "others": not c["is_test"]}
            for c in book["customers"]
        ]
        only = {**book, "customers": others_out}
        found = compute([k for k in BASE if k.slug in mine], own.closes_of(worlds.MONTHS))
        for slug, figures in found.items():
            assert cells(figures, "") == oracle_rules.expected(slug, only, ""), slug

    with_world(book, check)


@pytest.mark.django_db
def test_snapshots_follow_what_changed_and_can_be_made_from_nothing() -> None:
    house = Reseller.objects.create(code="w", name="World")
    account = {
        "code": "C0", "dealer": "", "client_type": "client", "segment": "", "campaign": "", "currency": "GBP",
        "status": "active", "imported": False, "is_test": False, "events": {}, "features": [], "invoices": [],
        "attempts": [], "numbers": [("N1", "mobile", (date(2026, 1, 10), None))],
    }  # fmt: skip
    with enter(Scope.of(house.pk)):
        made = worlds.load({"customers": [account], "spend": {}}, house)
        assert refresh(house, now=worlds.NOW).months == 5
        assert refresh(house, now=worlds.NOW).months == 0
        assert refresh(house, now=worlds.NOW + timedelta(days=1)).months == 1
        made.customers["C0"].assignments.update(end_date=date(2026, 3, 10))
        made.customers["C0"].assignments.filter().update(start_date=date(2026, 2, 10))
        refresh(house, now=worlds.NOW)
        kept = list(
            Snapshot.objects.order_by("kpi", "dimension", "key", "month").values_list(
                "kpi", "month", "numerator"
            )
        )
        assert ("customers_lost", date(2026, 3, 1), 1) in kept
        refresh(house, now=worlds.NOW, full=True)
        again = list(
            Snapshot.objects.order_by("kpi", "dimension", "key", "month").values_list(
                "kpi", "month", "numerator"
            )
        )
        assert again == kept
        made.customers["C0"].assignments.all().delete()
        assert refresh(house, now=worlds.NOW).snapshots == 0
        assert not Snapshot.objects.exists()
