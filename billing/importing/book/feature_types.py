"""Import of feature types: the catalogue, its dated prices and the allowances of packages."""

from datetime import date
from decimal import Decimal
from typing import Any

from billing.importing.allowances import FIELDS, INCLUDED, check_allowances, load_allowances
from billing.importing.tables.fields import Field, choice, currency, day, exact, flag, text, whole
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.staging import upsert
from billing.models import FeaturePrice, FeatureType

FIRST_DAY = date(1990, 1, 1)
_COLUMNS = (
    "code", "name", "kind", "per_number", "currency", "interval", "timing", "prorate", "activation_fee",
    "minimum_term_months", "carrier_id", "carrier_product", "ladder", "level", "own_name", "own_bill", "own_support",
    "is_available",
)  # fmt: skip


def check(rows: list[Row], work: Work) -> None:
    """Refuse a price that would rewrite a past one, and set the price to start where it is new."""
    codes = [row["code"] for row in rows]
    known = set(FeatureType.objects.filter(code__in=codes).values_list("code", flat=True))
    held: dict[str, list[FeaturePrice]] = {}
    for price in FeaturePrice.objects.filter(feature_type__code__in=codes).select_related("feature_type"):
        held.setdefault(price.feature_type.code, []).append(price)
    for row in rows:
        if row["price"] is None:
            if row["code"] not in known:
                work.refuse(row, "price", "A new feature type needs a price (0 is one).")
            elif row["cost"] is not None or row["price_from"] is not None:
                work.refuse(row, "price", "Give the price together with its cost and its day.")
            continue
        _check_price(row, sorted(held.get(row["code"], []), key=lambda p: p.valid_from), work)
    check_allowances(rows, work)


def _check_price(row: Row, held: list[FeaturePrice], work: Work) -> None:
    start = row["price_from"]
    if start is None and held:
        last = held[-1]
        if (last.price, last.cost) != (row["price"], last.cost if row["cost"] is None else row["cost"]):
            work.refuse(row, "price_from", f"The price is {last.price.normalize():f} since {last.valid_from}: say from "
                        "which day it changes.")  # fmt: skip
        return
    start = start or FIRST_DAY
    in_force = next((p for p in reversed(held) if p.valid_from <= start), None)
    cost = row["cost"] if row["cost"] is not None else (in_force.cost if in_force else Decimal(0))
    if in_force and (in_force.price, in_force.cost) == (row["price"], cost):
        return
    if in_force and in_force.valid_from == start:
        work.refuse(row, "price_from", f"There is another price from {start} already; choose a later day.")
        return
    later = next((p.valid_from for p in held if p.valid_from > start), None)
    row["new_price"] = {"price": row["price"], "cost": cost, "valid_from": start, "valid_to": later}
    row["ended_price"] = in_force


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new feature types, update known ones, end prices and start new ones, set the allowances."""
    house = work.reseller
    known = set(FeatureType.objects.values_list("code", flat=True))
    values = []
    for row in rows:
        value: dict[str, Any] = {name: row.get(name) for name in _COLUMNS}
        if row["code"] not in known:
            value["currency"] = value["currency"] or house.currency
            packaged = any(row[name] for name in INCLUDED)
            value["kind"] = value["kind"] or (
                FeatureType.Kind.PACKAGE if packaged else FeatureType.Kind.FEATURE
            )
        values.append(value)
    counts = upsert(FeatureType, values, key=("code",), reseller_id=house.pk)
    ids = dict(FeatureType.objects.values_list("code", "pk"))
    _load_prices(rows, ids, house.pk)
    load_allowances(rows, ids, house.pk)
    return counts


def _load_prices(rows: list[Row], ids: dict[str, int], house: int) -> None:
    fresh = [row for row in rows if row.get("new_price")]
    ended = [row["ended_price"] for row in fresh if row["ended_price"] is not None]
    for price, row in zip(ended, [row for row in fresh if row["ended_price"] is not None], strict=True):
        price.valid_to = row["new_price"]["valid_from"]
    FeaturePrice.objects.bulk_update(ended, ["valid_to"], batch_size=1000)
    values = [{"feature_type_id": ids[row["code"]], **row["new_price"]} for row in fresh]
    upsert(FeaturePrice, values, key=("feature_type_id", "valid_from"), reseller_id=house, update=False)


KIND = Kind(
    slug="feature-types",
    title="Feature types",
    purpose="Your catalogue: lines, features, hardware and packages with allowances, with their dated prices.",
    order=50,
    key=("code",),
    check=check,
    load=load,
    days=("price_from",),
    fields=(
        Field(name="code", parse=text(60), required=True, aliases=("feature type", "product", "product code", "plan",
              "plan name"), example="CALLREC"),
        Field(name="name", parse=text(120), required=True, aliases=("product name", "description"),
              example="Call recording"),
        Field(name="kind", parse=choice(FeatureType.Kind), example="feature",
              help="Empty: a package when it includes an allowance, else a feature."),
        Field(name="price", parse=exact(6), aliases=("monthly price", "list price", "retail"), example="4.50",
              help="List price for each interval, without VAT."),
        Field(name="cost", parse=exact(6), aliases=("wholesale", "buy price"), example="1.20"),
        Field(name="price_from", parse=day, aliases=("effective date", "valid from"), example="",
              help="The day from which the price holds; needed when it changes."),
        Field(name="currency", parse=currency, example="GBP"),
        Field(name="interval", parse=choice(FeatureType.Interval), aliases=("frequency", "charge interval"),
              example="month"),
        Field(name="timing", parse=choice(FeatureType.Timing), example="advance"),
        Field(name="prorate", parse=choice(FeatureType.Prorate), example="actual",
              help="actual, 30 (a 30-day month) or none."),
        Field(name="activation_fee", parse=exact(4, digits=12, least=0), aliases=("setup fee", "connection fee"),
              example="0"),
        Field(name="minimum_term_months", parse=whole(0, 120), aliases=("minimum term",), example="12"),
        Field(name="per_number", parse=flag, example="no", help="Is it sold for each number?"),
        Field(name="carrier", parse=text(40), reference="carrier", aliases=("supplier",), example=""),
        Field(name="carrier_product", parse=text(80), example="", help="The carrier's product code."),
        Field(name="ladder", parse=text(40), example="hosted seats", help="Moves on a ladder are up or down."),
        Field(name="level", parse=whole(0, 100), example="1"),
        Field(name="own_name", parse=flag, example="yes"),
        Field(name="own_bill", parse=flag, example="yes"),
        Field(name="own_support", parse=flag, example="yes"),
        Field(name="is_available", parse=flag, label="Available", example="yes"),
        *FIELDS,
    ),
)  # fmt: skip
