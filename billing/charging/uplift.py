"""Rises of prices by an index or a fixed per cent: kept as a draft, applied once, taken back while no bill has them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q

from billing.charging.uplift_later import reprice_later, same_price_later
from billing.charging.uplift_plan import UpliftPlan, plan_uplift
from billing.models import Charge, Feature, FeaturePrice, Observation, PriceUplift
from billing.models.continued import continue_from, take_back_one
from billing.models.locks import hold_money
from resellerkpi.core import audit
from resellerkpi.core.columns import day
from resellerkpi.core.periods import local_day
from resellerkpi.core.scope import current

#: The indices whose figures are kept as observations: metric and name.
INDICES = {"cpi": "CPI", "rpi": "RPI"}


class UpliftRefused(ValueError):
    """A rise that cannot be applied or taken back, with the reason for the user."""


def index_figure(index: str, on: date) -> Observation | None:
    """Return the latest figure of an index (its annual rise in per cent) up to a day."""
    return Observation.objects.filter(metric=index, date__lte=on, dimension="").order_by("-date").first()


def apply_uplift(uplift_id: int, *, now: datetime) -> PriceUplift:
    """Put an uplift in force, once: list prices end and begin anew, own prices change from its day on.

    Changes entered for later that keep the old price get the new one. Its summary then holds what was done. Raises
    UpliftRefused when it would change nothing, begins before today or was discarded.
    """
    uplift = _held(uplift_id)
    if uplift.applied_at is not None:
        return uplift
    refuse_past(uplift.effective_date, today=local_day(now, uplift.reseller.zone))
    hold_money(uplift.reseller_id)
    plan = plan_uplift(uplift)
    if not plan.prices and not plan.own_prices:
        raise UpliftRefused("No price would change.")
    changes = {pk: {"price": price} for pk, price in plan.own_prices.items()}
    made = continue_from(uplift.reseller_id, uplift.effective_date, changes)
    reprice_later(
        uplift, {row.pk: (row, row.continues.price, row.price) for row in made.values() if row.continues}
    )
    prices = _put_in_force(uplift, plan)
    uplift.summary = _summary(plan) | {
        "price_ids": prices,
        "feature_ids": sorted(feature.pk for feature in made.values()),
    }
    uplift.applied_at, uplift.applied_by_id = now, current().user_id
    uplift.save(update_fields=["summary", "applied_at", "applied_by"])
    audit.record(
        "uplift.applied", uplift, percent=uplift.percent, on=uplift.effective_date, prices=len(prices),
        features=len(made),
    )  # fmt: skip
    return uplift


def _held(uplift_id: int) -> PriceUplift:
    """Return an uplift as it is now, nobody else's until the end of the transaction."""
    rows = PriceUplift.objects.select_for_update(of=("self",)).select_related("reseller")
    uplift: PriceUplift | None = rows.filter(pk=uplift_id).first()
    if uplift is None:
        raise UpliftRefused("This price rise has been discarded meanwhile; no price was changed.")
    return uplift


def refuse_past(on: date, *, today: date) -> None:
    """Refuse a rise from a day that is gone: its days are charged at list prices, while own prices would be redone."""
    if on < today:
        raise UpliftRefused("A price rise begins today or later: days gone by are charged already.")


def _put_in_force(uplift: PriceUplift, plan: UpliftPlan) -> list[int]:
    """End the list prices and begin the new ones; return the ids of the new."""
    on = uplift.effective_date
    old = {
        price.pk: price for price in FeaturePrice.objects.filter(pk__in=[new.price_id for new in plan.prices])
    }
    FeaturePrice.objects.filter(pk__in=old).update(valid_to=on)
    made = FeaturePrice.objects.bulk_create(
        FeaturePrice(
            reseller_id=uplift.reseller_id, feature_type_id=new.type_id, price=new.new, cost=old[new.price_id].cost,
            valid_from=on, valid_to=old[new.price_id].valid_to,
        )
        for new in plan.prices
    )  # fmt: skip
    return [price.pk for price in made]


def _summary(plan: UpliftPlan) -> dict[str, Any]:
    """Return what the page of an applied uplift shows, as JSON holds it."""
    money = ("before", "after", "difference")
    return {
        "types": [row | {name: str(row[name]) for name in money} for row in plan.sums("type")],
        "customers": [row | {name: str(row[name]) for name in money} for row in plan.sums("customer")],
        "left_out": dict(plan.left_out),
        "prices": [
            {"id": new.type_id, "name": new.name, "old": str(new.old), "new": str(new.new)}
            for new in plan.prices
        ],
    }


def take_back_uplift(uplift_id: int) -> PriceUplift:
    """Undo an uplift that no bill carries yet; features changed or ended since keep that change, at the old price.

    Raises UpliftRefused once a bill, draft or issued, carries a new price.
    """
    uplift = _held(uplift_id)
    if uplift.applied_at is None:
        raise UpliftRefused("It is not in force.")
    hold_money(uplift.reseller_id)
    back = _way_back(uplift)
    charges = _charged_since(uplift, [*back, *same_price_later(uplift, back)])
    if charges.filter(invoice_line__isnull=False).exists():
        raise UpliftRefused(
            "A bill carries the new prices already. Undo that bill run first, or correct the prices."
        )
    charges.delete()
    _restore_prices(uplift)
    reprice_later(uplift, back)
    features = take_back_one(uplift.reseller_id, [row for row, _, _ in back.values()])
    uplift.summary, uplift.applied_at, uplift.applied_by = {}, None, None
    uplift.save(update_fields=["summary", "applied_at", "applied_by"])
    audit.record("uplift.taken_back", uplift, on=uplift.effective_date, features=features)
    return uplift


def _way_back(uplift: PriceUplift) -> dict[int, tuple[Feature, Decimal | None, Decimal | None]]:
    """Return the features it made that are there still, with their price and the own price before, by id."""
    rows = Feature.objects.filter(pk__in=uplift.summary["feature_ids"]).select_related("continues")
    return {row.pk: (row, row.price, row.continues.price) for row in rows if row.continues}


def _charged_since(uplift: PriceUplift, features: list[int]) -> Any:
    """Return the charges made since for days from the uplift's on, of features whose price it changed."""
    types = [price["id"] for price in uplift.summary["prices"]]
    touched = Q(feature__in=features) | Q(feature__feature_type__in=types)
    return Charge.objects.filter(
        touched, created_at__gt=uplift.applied_at, service_end__gt=uplift.effective_date,
        source_key__startswith="feature:",
    )  # fmt: skip


def _restore_prices(uplift: PriceUplift) -> None:
    """Take the new list prices away and let the old ones go on; one that was ended since is kept as it is."""
    on = uplift.effective_date
    for price in FeaturePrice.objects.filter(pk__in=uplift.summary["price_ids"]).order_by("pk"):
        until, kind = price.valid_to, price.feature_type_id
        price.delete()
        FeaturePrice.objects.filter(feature_type_id=kind, valid_to=on).update(valid_to=until)


def describe(uplift: PriceUplift) -> str:
    """Return how an uplift's per cent came about, in words."""
    if not uplift.index:
        return f"{uplift.percent.normalize():f} %"
    plus = f" plus {uplift.plus_percent.normalize():f} %" if uplift.plus_percent else ""
    return f"{INDICES[uplift.index]} {uplift.index_percent.normalize():f} %{plus}, from {day(uplift.effective_date)}"
