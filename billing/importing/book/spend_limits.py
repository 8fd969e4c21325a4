"""Import of spend limits: what customers may spend on calls in a day or a month before people are told."""

from billing.importing.tables.fields import Field, choice, currency, day, exact, text, whole
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.models import SpendLimit

KEY = ("customer_id", "per", "covers", "destination", "start_date")
SET = ("amount", "currency", "warn_percent", "end_date")


def check(rows: list[Row], work: Work) -> None:
    """Refuse amounts of nothing, shares over 100 %, ends before the start and destinations without a name."""
    for row in rows:
        covers = row["covers"] or ("destination" if row["destination"] else "all")
        if row["amount"] is not None and row["amount"] <= 0:
            work.refuse(row, "amount", "A limit must be more than zero.")
        if row["warn_percent"] is not None and not 1 <= row["warn_percent"] <= 100:
            work.refuse(row, "warn_percent", "The warning share lies between 1 and 100 per cent.")
        if row["end_date"] and row["start_date"] and row["end_date"] <= row["start_date"]:
            work.refuse(row, "end_date", "The end must come after the start.")
        if (covers == "destination") != bool(row["destination"]):
            work.refuse(
                row, "destination", "Name a destination where one destination counts, and only there."
            )


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new limits and change known ones, in one statement for all."""
    wanted = [_limit(row, work) for row in rows]
    held = {_key(limit): limit for limit in SpendLimit.objects.filter(reseller=work.reseller)}
    new = sum(_key(limit) not in held for limit in wanted)
    changed = [
        limit
        for limit in wanted
        if (old := held.get(_key(limit))) and any(getattr(limit, n) != getattr(old, n) for n in SET)
    ]
    SpendLimit.objects.bulk_create(
        wanted,
        batch_size=2_000,
        update_conflicts=True,
        unique_fields=["reseller", "customer", "per", "covers", "destination", "start_date"],
        update_fields=list(SET),
    )
    return Counts(new, len(changed), len(wanted) - new - len(changed))


def _key(limit: SpendLimit) -> tuple[object, ...]:
    return tuple(getattr(limit, name) for name in KEY)


def _limit(row: Row, work: Work) -> SpendLimit:
    return SpendLimit(
        reseller=work.reseller,
        customer_id=row.get("customer_id"),
        per=row["per"],
        covers=row["covers"] or ("destination" if row["destination"] else "all"),
        destination=row["destination"] or "",
        amount=row["amount"],
        currency=row["currency"] or work.reseller.currency,
        warn_percent=row["warn_percent"] or 80,
        start_date=row["start_date"],
        end_date=row["end_date"],
    )


KIND = Kind(
    slug="spend-limits",
    title="Spend limits",
    purpose="What a customer may spend on calls in a day or a month before people are told.",
    order=95,
    key=("customer", "per", "covers", "destination", "start_date"),
    check=check,
    load=load,
    fields=(
        Field(name="customer", parse=text(60), reference="customer", aliases=("account", "customer code"),
              example="C1001", help="Empty: each customer that has no limit of its own."),
        Field(name="per", parse=choice(SpendLimit.Per), required=True, aliases=("span",), example="day"),
        Field(name="covers", parse=choice(SpendLimit.Covers, international="abroad"), aliases=("usage",), example="all",
              help="all, abroad, premium or destination."),
        Field(name="destination", parse=text(120), example="", help="As the tariff names it."),
        Field(name="amount", parse=exact(2), required=True, aliases=("limit",), example="80",
              help="Retail before VAT."),
        Field(name="currency", parse=currency, example="GBP", help="Your own when empty."),
        Field(name="warn_percent", parse=whole(0, 1_000), aliases=("warn at",), example="80",
              help="Share of the limit at which people are warned; 80 when empty."),
        Field(name="start_date", parse=day, required=True, aliases=("start", "from"), example="2026-10-01"),
        Field(name="end_date", parse=day, aliases=("end", "to"), example="", help="First day it no longer holds."),
    ),
)  # fmt: skip
