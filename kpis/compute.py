"""Parts of KPIs out of facts: one query per source, whatever the number of KPIs, months and dimensions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection

from kpis.facts import close_of, computed, stored
from kpis.facts_sql import DAYS
from kpis.kpi import Kpi, Part, Parts
from kpis.sources import Source

ZERO = Decimal(0)


class Cell(NamedTuple):
    """Where a figure stands: dimension ("" = all), key, month and currency ("" = a count)."""

    dimension: str
    key: str
    month: date
    currency: str


Figures = dict[Cell, Parts]
Sums = dict[Cell, tuple[Decimal, ...]]


@dataclass(frozen=True)
class Asked:
    """Whose figures, for which closes, out of stored facts or computed; a dealer's or customer's own when named."""

    reseller_id: int
    days: tuple[date, ...]
    dealer_id: int | None = None
    customer_id: int | None = None
    from_store: bool = False

    @classmethod
    def months(cls, reseller_id: int, months: Iterable[date], today: date, **more: Any) -> "Asked":
        """Ask for months: each at its last day, the open one at today."""
        return cls(reseller_id, tuple(close_of(m, today) for m in months if m <= today), **more)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of every query."""
        return {
            "reseller": self.reseller_id,
            "days": list(self.days),
            "months": [d.replace(day=1) for d in self.days],
            "dealer": self.dealer_id,
            "customer": self.customer_id,
        }


def compute(kpis: Sequence[Kpi], asked: Asked, dimensions: Iterable[str] = ("",)) -> dict[str, Figures]:
    """Return the parts of KPIs that are not derived, per slug and cell; zero rows are left out."""
    wanted: dict[str, tuple[Source, dict[str, None], set[str]]] = {}
    for kpi in kpis:
        for dimension in {"", *dimensions} & {"", *kpi.by}:
            for part in _sides(kpi, dimension):
                source, values, splits = wanted.setdefault(part.source.name, (part.source, {}, set()))
                values[part.value] = None
                if part.source.column(dimension):
                    splits.add(dimension)
    sums = {
        name: _sum(source, list(values), sorted(splits), asked)
        for name, (source, values, splits) in wanted.items()
    }
    positions = {name: list(values) for name, (_, values, _) in wanted.items()}
    return {kpi.slug: _assemble(kpi, set(dimensions), sums, positions) for kpi in kpis}


def _sides(kpi: Kpi, dimension: str) -> list[Part]:
    sides = [kpi.shape.top, kpi.shape.bottom]
    return [part.at(dimension) for part in sides if part is not None]


def _sum(source: Source, values: Sequence[str], splits: Sequence[str], asked: Asked) -> Sums:
    """Run the one query of a source: sums of its values by month, currency and each dimension alone."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(source, values, splits, asked), asked.parameters())
        rows = cursor.fetchall()
    found: Sums = {}
    everything = 2 ** len(splits) - 1
    for month, currency, mask, *rest in rows:
        keys, sums = rest[: len(splits)], rest[len(splits) :]
        at = "" if mask == everything else splits[len(splits) - (everything ^ mask).bit_length()]
        key = "" if not at else str(keys[splits.index(at)])
        found[Cell(at, key, month, currency)] = tuple(Decimal(s or 0) for s in sums)
    return found


def _statement(source: Source, values: Sequence[str], splits: Sequence[str], asked: Asked) -> str:
    """Return the SQL: rows are summed once by all dimensions together, then those few sums by each alone."""
    dims = [f"d{i}" for i in range(len(splits))]
    keys = ["month", "currency", *dims]
    sums = [f", sum(v{i}) AS v{i}" for i in range(len(values))]
    sets = ", ".join(f"(month, currency{extra})" for extra in ["", *[f", {d}" for d in dims]])
    rows = [
        "(SELECT r.month,",
        f"{source.currency or repr('')}::text AS currency",
        *[f", ({source.column(split)})::text AS {d}" for split, d in zip(splits, dims, strict=True)],
        *[f", {value} AS v{i}" for i, value in enumerate(values)],
        *_from(source, splits, asked),
        ") q",
    ]
    finest = ["(SELECT", ", ".join(keys), *sums, "FROM", *rows, "GROUP BY", ", ".join(keys), ") p"]
    mask = f"GROUPING({', '.join(dims)})" if dims else "0"
    return " ".join(
        [
            "WITH",
            ", ".join([DAYS, *_tables(source, splits, asked)]),
            "SELECT month, currency,",
            ", ".join([mask, *dims]),
            *sums,
            "FROM",
            *finest,
            f"GROUP BY GROUPING SETS ({sets})",
        ]
    )


def _tables(source: Source, splits: Sequence[str], asked: Asked) -> list[str]:
    tables = [*source.tables]
    if "status" in splits and source.of_customers and "customerfact" not in tables:
        tables.append("customerfact")
    return stored(tables) if asked.from_store else computed(tables)


def _from(source: Source, splits: Sequence[str], asked: Asked) -> list[str]:
    """Return FROM and WHERE of a source's rows, joined with what the dimensions and the scope need."""
    parts = ["FROM", source.rows, "r"]
    if not source.of_customers:
        return [*parts, *(["WHERE false"] if asked.dealer_id or asked.customer_id else [])]
    if asked.dealer_id or asked.customer_id or "c." in source.currency or set(splits) - set(source.own):
        parts.append("JOIN billing_customer c ON c.id = r.customer_id AND c.reseller_id = %(reseller)s")
    if "status" in splits:
        parts.append("LEFT JOIN customerfact f ON f.customer_id = r.customer_id AND f.month = r.month")
    if "dealer" in splits:
        parts.append(
            "LEFT JOIN billing_dealer dealer ON dealer.id = c.dealer_id AND dealer.reseller_id = %(reseller)s"
        )
    parts.append("WHERE true")
    if asked.dealer_id:
        parts.append("AND c.dealer_id = %(dealer)s")
    if asked.customer_id:
        parts.append("AND c.id = %(customer)s")
    return parts


def _assemble(
    kpi: Kpi, dimensions: set[str], sums: Mapping[str, Sums], positions: Mapping[str, list[str]]
) -> Figures:
    figures: Figures = {}
    for dimension in {"", *dimensions} & {"", *kpi.by}:
        sides = _sides(kpi, dimension)
        values = [_side(part, dimension, sums, positions) for part in sides]
        if len(sides) == 1:
            figures |= {cell: (value, None) for cell, value in values[0].items() if value}
        else:
            figures |= _divide(sides[1].source, dimension, *values, alike=_alike(sides))
    return figures


def _alike(sides: Sequence[Part]) -> bool:
    """Say whether both sides have or lack a currency, so that a base without a top is a row of its own."""
    return bool(sides[0].source.currency) == bool(sides[1].source.currency)


def _divide(
    below: Source, dimension: str, top: Mapping[Cell, Decimal], bottom: Mapping[Cell, Decimal], *, alike: bool
) -> Figures:
    """Pair each top with its base; a base that lacks the dimension or the currency serves every key and currency."""
    split, money = not dimension or bool(below.column(dimension)), bool(below.currency)
    cells = set(top) | (set(bottom) if split and alike else set())
    figures: Figures = {}
    for cell in cells:
        at, key = (dimension, cell.key) if split else ("", "")
        pair = (
            top.get(cell, ZERO),
            bottom.get(Cell(at, key, cell.month, cell.currency if money else ""), ZERO),
        )
        if any(pair) and (split or pair[0]):
            figures[cell] = pair
    return figures


def _side(
    part: Part, dimension: str, sums: Mapping[str, Sums], positions: Mapping[str, list[str]]
) -> dict[Cell, Decimal]:
    index = positions[part.source.name].index(part.value)
    wanted = dimension if part.source.column(dimension) else ""
    return {cell: row[index] for cell, row in sums[part.source.name].items() if cell.dimension == wanted}


def behind(kpi: Kpi, asked: Asked, *, limit: int) -> list[dict[str, Any]]:
    """Return the customers behind a KPI's numerator at one close, the largest first."""
    part = kpi.shape.top
    if part is None or not part.source.of_customers:
        return []
    select = " ".join(
        [
            "WITH",
            ", ".join([DAYS, *_tables(part.source, (), asked)]),
            "SELECT c.id, c.code, c.name, c.status, p.currency, p.value, p.customers FROM (SELECT r.customer_id,",
            f"{part.source.currency or repr('')}::text AS currency, sum({part.value}) AS value,",
            "count(*) OVER () AS customers",
            *_from(part.source, (), asked),
            f"GROUP BY 1, 2 HAVING sum({part.value}) <> 0 ORDER BY value DESC, 1 LIMIT %(limit)s) p",
            "JOIN billing_customer c ON c.id = p.customer_id AND c.reseller_id = %(reseller)s",
            "ORDER BY p.value DESC, c.name, c.id",
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(select, {**asked.parameters(), "limit": limit})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def observed_months(reseller_id: int, metrics: Iterable[str]) -> dict[str, set[date]]:
    """Return the months in which each metric was observed."""
    found: dict[str, set[date]] = defaultdict(set)
    names = sorted(set(metrics))
    if not names:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT metric, date_trunc('month', date)::date FROM billing_observation"
            " WHERE reseller_id = %s AND metric = ANY(%s)",
            [reseller_id, names],
        )
        for metric, month in cursor.fetchall():
            found[metric].add(month)
    return found
