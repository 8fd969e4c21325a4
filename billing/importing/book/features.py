"""Import of features: what customers have from the catalogue, over dates."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeAlias

from billing.importing.statuses import end_services
from billing.importing.tables.fields import Field, day, exact, flag, text, whole
from billing.importing.tables.kind import Counts, Kind, Row, Work, last_days
from billing.importing.tables.numbers import number
from billing.models import Feature, FeatureType, Supply
from billing.models.locks import hold_money

_Key: TypeAlias = tuple[Any, ...]
_FIXED = ("quantity", "price", "cost", "discount_percent")
_OTHERS = ("minimum_term_end", "not_charged", "reference")


def check(rows: list[Row], work: Work) -> None:
    """Find the features that are in the book already; refuse changes of dated ones other than their end."""
    last_days(rows, work, first="start_date", end="end_date")
    per_number = set(FeatureType.objects.filter(per_number=True).values_list("code", flat=True))
    by_reference, by_key = _in_book(row["customer_id"] for row in rows)
    for row in rows:
        if row["feature_type"] in per_number and row["number"] is None:
            work.refuse(row, "number", "This feature is sold for each number: name the number.")
        feature = by_key.get(_key(row))
        if feature is None and row["reference"]:
            feature = by_reference.get((row["customer_id"], row["reference"]))
        row["feature"] = feature
        if feature is not None:
            _check_known(row, feature, work)


def _in_book(customers: Iterable[int]) -> tuple[dict[_Key, Feature], dict[_Key, Feature]]:
    book = Feature.objects.filter(customer_id__in=set(customers))
    by_reference, by_key = {}, {}
    for feature in book:
        if feature.reference:
            by_reference[feature.customer_id, feature.reference] = feature
        key = (
            feature.customer_id,
            feature.feature_type_id,
            feature.number_id,
            feature.start_date,
            feature.reference,
        )
        by_key[key] = feature
    return by_reference, by_key


def _key(row: Row) -> _Key:
    return (
        row["customer_id"],
        row["feature_type_id"],
        row["number_id"],
        row["start_date"],
        row["reference"] or "",
    )


def _check_known(row: Row, feature: Feature, work: Work) -> None:
    if (feature.feature_type_id, feature.number_id, feature.start_date) != (
        row["feature_type_id"], row["number_id"], row["start_date"],
    ):  # fmt: skip
        work.refuse(row, "reference", f"“{row['reference']}” is another feature of this customer already.")
    for name in _FIXED:
        if row[name] is not None and row[name] != getattr(feature, name):
            work.refuse(row, name, f"The {name.replace('_', ' ')} of a running feature changes by ending it and "
                        "starting another.")  # fmt: skip
    if feature.end_date is not None and row["end_date"] not in (None, feature.end_date):
        work.refuse(row, "end_date", f"It ended on {feature.end_date} already; a past end is not moved.")


def load(rows: list[Row], work: Work) -> Counts:
    """Add new features and write the ends that open ones have got.

    Money is held before features are locked, as by bills and price rises, so that neither waits for the other.
    """
    hold_money(work.reseller.pk)
    fresh = [row for row in rows if row["feature"] is None]
    percents = dict(FeatureType.objects.values_list("pk", "termination_percent"))
    made = Feature.objects.bulk_create([_feature(row, work, percents) for row in fresh], batch_size=2000)
    types = dict(FeatureType.objects.exclude(carrier=None).values_list("pk", "carrier_id"))
    Supply.objects.bulk_create(
        [
            Supply(
                reseller=work.reseller,
                feature=feature,
                carrier_id=types[feature.feature_type_id],
                start_date=feature.start_date,
                end_date=feature.end_date,
            )
            for feature in made
            if feature.feature_type_id in types
        ],
        batch_size=2000,
    )
    changed = [row["feature"] for row in rows if row["feature"] is not None and _take_over(row)]
    Feature.objects.bulk_update(changed, ["end_date", *_OTHERS], batch_size=1000)
    end_services(row["customer_id"] for row in rows)
    return Counts(new=len(made), changed=len(changed), unchanged=len(rows) - len(made) - len(changed))


def _feature(row: Row, work: Work, percents: dict[int, Decimal]) -> Feature:
    given = {name: row[name] for name in (*_FIXED, *_OTHERS, "end_date") if row[name] is not None}
    return Feature(
        reseller=work.reseller,
        customer_id=row["customer_id"],
        feature_type_id=row["feature_type_id"],
        number_id=row["number_id"],
        start_date=row["start_date"],
        termination_percent=percents[row["feature_type_id"]] if row["minimum_term_end"] else Decimal(0),
        **given,
    )


def _take_over(row: Row) -> bool:
    changed = False
    for name in ("end_date", *_OTHERS):
        if row[name] is not None and getattr(row["feature"], name) != row[name]:
            setattr(row["feature"], name, row[name])
            changed = True
    return changed


KIND = Kind(
    slug="features",
    title="Features",
    purpose="What each customer has from the catalogue, since when, at what price.",
    order=60,
    key=("customer", "feature_type", "start_date", "number", "reference"),
    check=check,
    load=load,
    days=("start_date", "end_date"),
    fields=(
        Field(name="customer", parse=text(60), required=True, reference="customer", example="C1001",
              aliases=("account", "account code", "customer code")),
        Field(name="feature_type", parse=text(60), required=True, reference="feature type", example="CALLREC",
              aliases=("product", "product code", "plan", "feature")),
        Field(name="start_date", parse=day, required=True, aliases=("start", "from", "reg date"), example="2024-03-01"),
        Field(name="end_date", parse=day, aliases=("end", "to"), example="", help="First day without it."),
        Field(name="last_day", parse=day, aliases=("churn date", "last day of service"), example="",
              help="Instead of the end: the last day with it."),
        Field(name="number", parse=number, reference="number", aliases=("cli",), example="+442079460003"),
        Field(name="quantity", parse=whole(1), aliases=("qty",), example="1"),
        Field(name="price", parse=exact(6), example="", help="Instead of the list price."),
        Field(name="cost", parse=exact(6), example="", help="Instead of the catalogue's cost."),
        Field(name="discount_percent", parse=exact(2, digits=5, least=0, most=100), label="Discount %",
              aliases=("discount",), example=""),
        Field(name="minimum_term_end", parse=day, example="",
              help="The first day on which it may end free of an early-termination charge."),
        Field(name="not_charged", parse=flag, example="no", help="Given free of charge on purpose."),
        Field(name="reference", parse=text(80), aliases=("id", "order"), example="ORD-1001",
              help="Your reference; tells equal features of a customer apart."),
    ),
)  # fmt: skip
