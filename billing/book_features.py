"""Features of customers: starting, changing from a day on, ending, going on after all.

Each is one transaction, audited, refused in one clear sentence; an end is the first day without the feature.
"""

from datetime import date
from decimal import Decimal
from typing import Any

from billing.book import BookRefused, act, has_number
from billing.charging.termination import termination_amount, terms_of
from billing.models import Charge, Customer, Feature, FeatureType, Number
from billing.models.continued import continue_from, take_back_after
from billing.models.locks import hold_money
from resellerkpi.core import audit
from resellerkpi.core.columns import day
from resellerkpi.core.periods import add_months


def start_feature(
    *,
    customer: Customer,
    feature_type: FeatureType,
    start: date,
    number: Number | None = None,
    term_months: int | None = None,
    termination_percent: Decimal | None = None,
    **terms: Any,
) -> Feature:
    """Give a customer something of the catalogue from a day on.

    No own price means the list price; no term or percentage, the catalogue's. `terms` are other fields of a feature.
    """
    _refuse_without_number(feature_type, customer, number, start)
    months = feature_type.minimum_term_months if term_months is None else term_months
    percent = feature_type.termination_percent if termination_percent is None else termination_percent
    with act():
        feature = Feature.objects.create(
            reseller_id=customer.reseller_id,
            customer=customer,
            number=number,
            feature_type=feature_type,
            start_date=start,
            minimum_term_end=add_months(start, months) if months else None,
            termination_percent=percent if months else Decimal(0),
            **terms,
        )
        shown = {name: terms.get(name) for name in ("quantity", "price")}
        audit.record("feature.started", feature, start=start, **shown)
    return feature


def _refuse_without_number(
    feature_type: FeatureType, customer: Customer, number: Number | None, on: date
) -> None:
    if feature_type.per_number and number is None:
        raise BookRefused(f"{feature_type} goes with a number: say which.", field="number")
    if number is not None and not has_number(customer, number, on):
        raise BookRefused(f"{number} does not belong to {customer} on {day(on)}.", field="number")


def change_feature(feature: Feature, *, on: date, **changes: Any) -> Feature:
    """Change quantity, price, cost, discount_percent or feature_type of a feature from a day on; return the new row.

    The feature ends on the day and another continues it: no activation, no early-termination charge, the same term.
    A price of None is the list price. What was charged beyond the day is credited, the new terms charged from it.
    """
    with act():
        feature = _held(feature)
        _refuse_change(feature, on, changes)
        kind = changes.pop("feature_type", None)
        if kind is not None:
            changes["feature_type_id"] = kind.pk
        was = {f"{name}_was": getattr(feature, name) for name in changes}
        new = continue_from(feature.reseller_id, on, {feature.pk: changes})[feature.pk]
        audit.record("feature.changed", new, on=on, **was, **changes)
    return new


def _held(feature: Feature) -> Feature:
    """Return a feature as it is now, nobody else's until the end of the transaction.

    Money is held first, as by bills and price rises, so that neither waits for the other.
    """
    hold_money(feature.reseller_id)
    rows = Feature.objects.select_for_update(of=("self",)).select_related("feature_type", "continues")
    held: Feature | None = rows.filter(pk=feature.pk).first()
    if held is None:
        raise BookRefused("This has been taken back meanwhile; look at the customer again.")
    return held


def _refuse_change(feature: Feature, on: date, changes: dict[str, Any]) -> None:
    kind = feature.feature_type
    new_kind = changes.get("feature_type") or kind
    if kind.interval == FeatureType.Interval.ONCE:
        raise BookRefused(f"{kind} is charged once; charge or credit the difference instead.")
    if on <= feature.start_date:
        raise BookRefused(
            f"The change must come after {day(feature.start_date)}, when this began.", field="on"
        )
    if feature.end_date and on >= feature.end_date:
        raise BookRefused(f"{kind} ends on {day(feature.end_date)} already.", field="on")
    if new_kind.currency != kind.currency or new_kind.interval == FeatureType.Interval.ONCE:
        raise BookRefused(f"{kind} cannot become {new_kind}.", field="feature_type")
    if new_kind.per_number and feature.number_id is None:
        raise BookRefused(f"{new_kind} goes with a number; start it for that number.", field="feature_type")
    if all(getattr(feature, name) == value for name, value in changes.items()):
        raise BookRefused("Nothing would change: give another quantity or price.")


def end_feature(*, feature: Feature, on: date, waive: str = "") -> Feature:
    """End a feature; `on` is the first day without it. `waive` is the reason for asking no early-termination charge.

    Changes dated on or after that day are taken back, earlier ones stay. Return the feature that runs up to the day.
    """
    with act():
        last = _running_before(_held(feature), on)
        take_back_after(last.reseller_id, [last.pk])
        amount = ending_costs([last], on=on)[last.pk]
        last.end_date = on
        last.termination_waived = bool(waive and amount)
        if last.termination_waived:
            audit.record("feature.termination_waived", last, amount=amount, reason=waive)
        last.save(update_fields=["end_date", "termination_waived"])
        audit.record("feature.ended", last, date=on, termination=0 if waive else amount)
    return last


def _running_before(feature: Feature, on: date) -> Feature:
    """Return the feature, or the one it continues or that continues it, that began last before a day."""
    while on <= feature.start_date and feature.continues is not None:
        feature = feature.continues
    while later := Feature.objects.filter(continues=feature, start_date__lt=on).first():
        feature = later
    return feature


def reopen_feature(feature: Feature) -> Feature:
    """Let an ended feature go on after all; what its end brought (credit, charge, waiver) is taken back with it."""
    with act():
        feature = _held(feature)
        if Feature.objects.filter(continues=feature).exists():
            raise BookRefused(
                "It goes on already under other terms; end that one later, or take its change back."
            )
        if feature.number is not None and not has_number(
            feature.customer, feature.number, feature.end_date or date.max
        ):
            raise BookRefused(f"{feature.number} does not belong to {feature.customer} any more.")
        feature.end_date, feature.termination_waived = None, False
        feature.save(update_fields=["end_date", "termination_waived"])
        audit.record("feature.reopened", feature)
    return feature


def take_back_change(feature: Feature) -> Feature:
    """Undo the dated change that made this feature: the one it continues goes on in its place."""
    with act():
        feature = _held(feature)
        before = feature.continues
        if before is None:
            raise BookRefused("This is how the feature began; end it instead.")
        if Feature.objects.filter(continues=feature).exists():
            raise BookRefused("It was changed again later; take that change back first.")
        if Charge.objects.filter(feature=feature, invoice_line__isnull=False).exists():
            raise BookRefused("It is on a bill already; change it again from another day.")
        take_back_after(before.reseller_id, [before.pk])
        before.end_date = feature.end_date
        before.save(update_fields=["end_date"])
        audit.record("feature.change_taken_back", before, on=feature.start_date)
    return before


def ending_costs(features: list[Feature], *, on: date) -> dict[int, Decimal]:
    """Return the early-termination charge of each feature if it ends on a day, before VAT, by id."""
    costs = {feature.pk: Decimal(0) for feature in features}
    for pk, (terms, term) in terms_of(costs).items():
        if term is not None:
            costs[pk] = termination_amount(terms, term, on=on)
    return costs
