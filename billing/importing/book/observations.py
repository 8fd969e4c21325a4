"""Import of observations: what billing cannot know, such as marketing spend, visits or survey scores."""

from billing.importing.tables.fields import Field, currency, day, exact, text
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.staging import upsert
from billing.models import Observation
from billing.observed import (
    Metric,
    NotObserved,
    as_chosen,
    check_currency,
    check_day,
    check_value,
    find,
    place,
)

_KEY = ("metric", "date", "dimension", "key", "currency")


def check(rows: list[Row], work: Work) -> None:
    """Refuse metrics, dimensions, keys, values and days that nothing would read, each with what it should be."""
    chosen: dict[str, Metric] = {}
    for row in rows:
        try:
            metric = find(row["metric"])
            if metric.slug not in chosen:
                chosen[metric.slug] = as_chosen(metric, work.reseller)
            metric = chosen[metric.slug]
            row["dimension"], row["key"] = place(metric, row["dimension"] or "", row["key"] or "")
            check_value(metric, row["value"])
            check_currency(metric, row["currency"] or "")
            check_day(row["date"], work.today)
        except NotObserved as refused:
            work.refuse(row, refused.field, str(refused))


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new observations and correct known ones."""
    values = [
        {**{name: row[name] or "" for name in _KEY}, "date": row["date"], "value": row["value"]}
        for row in rows
    ]
    return upsert(Observation, values, key=_KEY, reseller_id=work.reseller.pk)


KIND = Kind(
    slug="observations",
    title="Observations",
    purpose="What billing cannot know: spend per campaign, visits per source, support contacts, survey scores.",
    order=100,
    key=_KEY,
    check=check,
    load=load,
    days=("date",),
    fields=(
        Field(name="metric", parse=text(60), required=True, aliases=("measure",), example="marketing_spend",
              help="As its template names it, under “What billing cannot know”."),
        Field(name="date", parse=day, required=True, aliases=("day", "month"), example="2026-10-01",
              help="Any day of the month it belongs to."),
        Field(name="value", parse=exact(6), required=True, aliases=("amount", "count"), example="1250.00"),
        Field(name="dimension", parse=text(40), example="campaign", help="What the key names: campaign, score…"),
        Field(name="key", parse=text(80), aliases=("campaign", "source"), example="Autumn mailing"),
        Field(name="currency", parse=currency, example="GBP", help="For money only."),
    ),
)  # fmt: skip
