"""Parts of KPIs out of facts: one query per source, whatever the number of KPIs, months and dimensions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from kpis.asked import Asked, Cell, Figure, Figures
from kpis.kpi import Kpi, Part
from kpis.measures import Measure
from kpis.sources import Source

ZERO = Decimal(0)
Sums = dict[Cell, tuple[Decimal, ...]]


def compute(kpis: Sequence[Kpi], asked: Asked, dimensions: Iterable[str] = ("",)) -> dict[str, Figures]:
    """Return the parts of KPIs that are not derived, per slug and cell; zero rows are left out."""
    plain = [k for k in kpis if not k.shape.measure]
    wanted: dict[str, tuple[Source, dict[str, None], set[str]]] = {}
    for kpi in plain:
        for dimension in {"", *dimensions} & {"", *kpi.by}:
            for part in sides(kpi, dimension):
                source, values, splits = wanted.setdefault(part.source.name, (part.source, {}, set()))
                values[part.value] = None
                if part.source.column(dimension):
                    splits.add(dimension)
    sums: dict[str, Sums] = {}
    positions: dict[str, list[str]] = {}
    for family in _families([source for source, _, _ in wanted.values()]):
        summed = list(dict.fromkeys(v for s in family for v in wanted[s.name][1]))
        by = set[str]().union(*(wanted[s.name][2] for s in family))
        found_of = _sum(family, summed, sorted(by), asked)
        for source in family:
            sums[source.name], positions[source.name] = found_of[bool(source.currency)], summed
    found = {kpi.slug: _assemble(kpi, set(dimensions), sums, positions) for kpi in plain}
    return found | _spread([k for k in kpis if k.shape.measure], asked, dimensions)


def _families(sources: Sequence[Source]) -> list[list[Source]]:
    """Group sources of the same rows, so that one query serves money and counts; of several currencies, the first."""
    families: list[list[Source]] = []
    for source in sorted(sources, key=lambda s: not s.currency):
        akin = (f for f in families if not source.currency and _are_akin(f, source))
        family = next(akin, None)
        if family is None:
            families.append([source])
        else:
            family.append(source)
    return families


def _are_akin(family: Sequence[Source], other: Source) -> bool:
    same = [
        (s.rows, s.tables, s.window, s.of_customers)
        == (other.rows, other.tables, other.window, other.of_customers)
        for s in family
    ]
    return all(same) and all(
        s.own[d] == other.own[d] for s in family for d in s.own.keys() & other.own.keys()
    )


def sides(kpi: Kpi, dimension: str) -> list[Part]:
    """Return the parts a KPI takes for a dimension: what is divided, and by what when it is a ratio."""
    both = [kpi.shape.top, kpi.shape.bottom]
    return [part.at(dimension) for part in both if part is not None]


def _sum(
    family: Sequence[Source], values: Sequence[str], splits: Sequence[str], asked: Asked
) -> dict[bool, Sums]:
    """Run the one query of a family: sums by month and each dimension alone, with their currency and without."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(family, values, splits, asked), asked.parameters(family[0].window))
        rows = cursor.fetchall()
    found: dict[bool, Sums] = {True: {}, False: {}}
    everything = 2 ** len(splits) - 1
    for month, currency, without, mask, *rest in rows:
        keys, sums = rest[: len(splits)], rest[len(splits) :]
        at = "" if mask == everything else splits[len(splits) - (everything ^ mask).bit_length()]
        key = "" if not at else str(keys[splits.index(at)])
        cell = Cell(at, key, month, "" if without else currency)
        found[not without][cell] = tuple(Decimal(s or 0) for s in sums)
    return found


def _statement(family: Sequence[Source], values: Sequence[str], splits: Sequence[str], asked: Asked) -> str:
    """Return the SQL: rows are summed once by all dimensions together, then those few sums by each alone."""
    source = family[0]
    dims = [f"d{i}" for i in range(len(splits))]
    keys = ["month", "currency", *dims]
    sums = [f", sum(v{i}) AS v{i}" for i in range(len(values))]
    columns = [next(c for s in family if (c := s.column(split))) for split in splits]
    leading = [
        f"month{', currency' if s.currency else ''}" for s in {bool(s.currency): s for s in family}.values()
    ]
    sets = ", ".join(f"({lead}{extra})" for lead in leading for extra in ["", *[f", {d}" for d in dims]])
    rows = [
        "(SELECT r.month,",
        f"{source.currency or repr('')}::text AS currency",
        *[f", ({column})::text AS {d}" for column, d in zip(columns, dims, strict=True)],
        *[f", {value} AS v{i}" for i, value in enumerate(values)],
        *asked.rows(source, splits),
        ") q",
    ]
    finest = ["(SELECT", ", ".join(keys), *sums, "FROM", *rows, "GROUP BY", ", ".join(keys), ") p"]
    mask = f"GROUPING({', '.join(dims)})" if dims else "0"
    without = "GROUPING(currency)" if source.currency else "1"
    select = [
        "SELECT month,",
        "currency" if source.currency else "''",
        ",",
        without,
        ",",
        ", ".join([mask, *dims]),
    ]
    return " ".join(
        [asked.tables(source, splits), *select, *sums, "FROM", *finest, f"GROUP BY GROUPING SETS ({sets})"]
    )


def _spread(kpis: Sequence[Kpi], asked: Asked, dimensions: Iterable[str]) -> dict[str, Figures]:
    """Return the parts of distributions: one query per summed value, whatever the measures and dimensions."""
    found: dict[str, Figures] = {kpi.slug: {} for kpi in kpis}
    wanted: dict[tuple[str, str], tuple[Part, dict[str, list[Kpi]]]] = {}
    for kpi in kpis:
        for dimension in {"", *dimensions} & {"", *kpi.by}:
            (part,) = sides(kpi, dimension)
            _, by = wanted.setdefault((part.source.name, part.value), (part, defaultdict(list)))
            by[dimension].append(kpi)
    for part, by in wanted.values():
        splits = sorted(by)
        measures = list(dict.fromkeys(k.shape.measure for of in by.values() for k in of if k.shape.measure))
        for month, currency, at, key, base, *parts in _ranked(part, measures, splits, asked):
            cell = Cell(splits[at], key or "", month, currency)
            for kpi in by[splits[at]]:
                place = 2 * measures.index(kpi.shape.measure) if kpi.shape.measure else 0
                top, bottom = (Decimal(p or 0) for p in parts[place : place + 2])
                found[kpi.slug][cell] = Figure(top, bottom, Decimal(base))
    return found


def _ranked(
    part: Part, measures: Sequence[Measure], splits: Sequence[str], asked: Asked
) -> list[tuple[Any, ...]]:
    """Run one query: the rows are summed once by item, the amounts counted by each dimension alone, and ranked."""
    source, dims = part.source, [f"d{i}" for i in range(len(splits))]
    columns = [source.column(split) if split else repr("") for split in splits]
    finest = [
        "item_sums AS MATERIALIZED (SELECT r.month,",
        f"{source.currency or repr('')}::text AS currency, {source.item} AS item, sum({part.value}) AS x",
        *[f", ({column})::text AS {d}" for column, d in zip(columns, dims, strict=True)],
        *asked.rows(source, [split for split in splits if split]),
        f"GROUP BY {', '.join(str(i) for i in (1, 2, 3, *range(5, 5 + len(dims))))})",
    ]
    again = any(split in source.own for split in splits)
    alone = " UNION ALL ".join(_amounts(at, d, source, again=again) for at, d in enumerate(dims))
    within = "PARTITION BY at, month, currency, key"
    parts = ", ".join(f"{m.top}, {m.bottom}" for m in measures)
    statement = [
        asked.tables(source, splits),
        ",",
        *finest,
        f"SELECT month, currency, at, key, sum(c), {parts} FROM",
        f"(SELECT *, sum(c) OVER ({within} ORDER BY x DESC ROWS UNBOUNDED PRECEDING) AS upto, sum(c) OVER ({within})",
        f"AS n FROM ({alone}) a) s GROUP BY at, month, currency, key",
    ]
    with connection.cursor() as cursor:
        cursor.execute(" ".join(statement), asked.parameters(source.window))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _amounts(at: int, dimension: str, source: Source, *, again: bool) -> str:
    """Return how many items have each amount, by one dimension; `again` where an item stands under several keys."""
    of, by = "item_sums", f"GROUP BY month, currency, {dimension}"
    if again:
        of = " ".join(
            ["(SELECT month, currency,", dimension, ", sum(x) AS x FROM item_sums", by, ", item) once"]
        )
    counted = f"{at} AS at, {dimension} AS key, x, count(*)::int AS c FROM"
    some = "" if source.counts_zero else "WHERE x <> 0"
    return " ".join(["SELECT month, currency,", counted, of, some, by, ", x"])


def _assemble(
    kpi: Kpi, dimensions: set[str], sums: Mapping[str, Sums], positions: Mapping[str, list[str]]
) -> Figures:
    figures: Figures = {}
    for dimension in {"", *dimensions} & {"", *kpi.by}:
        parts = sides(kpi, dimension)
        values = [_side(part, dimension, sums, positions) for part in parts]
        if len(parts) == 1:
            figures |= {cell: Figure(value) for cell, value in values[0].items() if value}
        else:
            figures |= _divide(parts[1].source, dimension, *values, alike=alike(parts))
    return figures


def alike(parts: Sequence[Part]) -> bool:
    """Say whether both sides have or lack a currency, so that a base without a top is a row of its own."""
    return bool(parts[0].source.currency) == bool(parts[1].source.currency)


def _divide(
    below: Source, dimension: str, top: Mapping[Cell, Decimal], bottom: Mapping[Cell, Decimal], *, alike: bool
) -> Figures:
    """Pair each top with its base; a base that lacks the dimension or the currency serves every key and currency."""
    split, money = not dimension or bool(below.column(dimension)), bool(below.currency)
    cells = set(top) | (set(bottom) if split and alike else set())
    figures: Figures = {}
    for cell in cells:
        at, key = (dimension, cell.key) if split else ("", "")
        pair = Figure(
            top.get(cell, ZERO), bottom.get(Cell(at, key, cell.month, cell.currency if money else ""), ZERO)
        )
        if (pair.top or pair.bottom) and (split or pair.top):
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
            asked.tables(part.source, ()),
            "SELECT c.id, c.code, c.name, c.status, p.currency, p.value, p.customers FROM (SELECT r.customer_id,",
            f"{part.source.currency or repr('')}::text AS currency, sum({part.value}) AS value,",
            "count(*) OVER () AS customers",
            *asked.rows(part.source, ()),
            f"GROUP BY 1, 2 HAVING sum({part.value}) <> 0 ORDER BY value DESC, 1 LIMIT %(limit)s) p",
            "JOIN billing_customer c ON c.id = p.customer_id AND c.reseller_id = %(reseller)s",
            "ORDER BY p.value DESC, c.name, c.id",
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(select, {**asked.parameters(part.source.window), "limit": limit})
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def by_customer(part: Part, asked: Asked) -> list[tuple[int, date, str, Decimal]]:
    """Return what each customer gives to a part at each close: customer, month, currency ("" of a count), sum."""
    select = [
        asked.tables(part.source, ()),
        "SELECT r.customer_id, r.month,",
        f"{part.source.currency or repr('')}::text, sum({part.value})",
        *asked.rows(part.source, ()),
        "GROUP BY 1, 2, 3",
    ]
    with connection.cursor() as cursor:
        cursor.execute(" ".join(select), asked.parameters(part.source.window))
        return [(who, month, currency, Decimal(value or 0)) for who, month, currency, value in cursor]


def observed_months(reseller_id: int, metrics: Iterable[str], until: date = date.max) -> dict[str, set[date]]:
    """Return the months in which each metric was observed, by lines up to a day."""
    found: dict[str, set[date]] = defaultdict(set)
    names = sorted(set(metrics))
    if not names:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT metric, date_trunc('month', date)::date FROM billing_observation"
            " WHERE reseller_id = %s AND metric = ANY(%s) AND date <= %s",
            [reseller_id, names, until],
        )
        for metric, month in cursor.fetchall():
            found[metric].add(month)
    return found
