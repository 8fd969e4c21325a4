"""What a query makes of a report: its columns with groups, changes and rates, its rows joined, the keys of its rows."""

from collections.abc import Iterable, Iterator, Sequence

from django.db.models import QuerySet

from reports import currency
from reports.comparing import Join, measures, with_changes
from reports.currency import Rates
from reports.filters import COVERS, ReportFilters
from reports.report import Report
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Code, Column, Money, Row, visible


def columns_of_query(report: Report, f: ReportFilters, held: frozenset[Capability]) -> list[Column]:
    """Return the columns of a query that a holder of these capabilities may see."""
    shown = visible(_plain(report, f), held)
    if f.compared_with is not None:
        shown = with_changes(shown, measures(shown, report.measures))
    return [*shown, *currency.columns(grouped=bool(f.groups))] if f.to_currency else shown


def _plain(report: Report, f: ReportFilters) -> list[Column]:
    """Return the columns before changes and rates are added; of groups those that still mean something."""
    shown = list(report.shown(f))
    if not f.groups:
        return shown
    codes = _codes(shown)
    kept = [c for c in shown if c.total or c.level or c.parts or c.name in codes]
    named = {c.name for c in kept}
    more = [Code(name=code, label="Currency") for code in codes if code not in named]
    return [*(c for d in f.groups for c in d.columns), *more, *kept]


def _codes(columns: Sequence[Column]) -> list[str]:
    """Return the fields in which rows hold the currencies of their amounts."""
    found = [c.currency for c in columns if isinstance(c, Money) and not c.currency.startswith("=")]
    return list(dict.fromkeys(found))


def keys(report: Report, f: ReportFilters, columns: Sequence[Column]) -> list[str]:
    """Return the fields that tell a query's rows apart: groups and currency, or the report's own keys."""
    if not f.groups:
        return list(report.keys)
    return [*(c.name for d in f.groups for c in d.columns), *_codes(columns)]


def rows_of_query(report: Report, f: ReportFilters, rates: Rates) -> Iterable[Row]:
    """Return the rows of a query: joined with those of the interval compared with, marked where rates lack."""
    since = f.compared_with
    if since is None:
        return _seen(report.rows(f), rates) if f.to_currency else report.rows(f)
    shown = _plain(report, f)
    compared, drop = measures(shown, report.measures), (*COVERS, report.dated)
    join = Join(shown, compared, keys(report, f, shown), drop, today=f.now.astimezone(f.tz).date())
    now, before = report.rows(f), report.rows(f.shifted())
    if f.to_currency:
        now, before = _seen(now, rates), _seen(before, rates)
    return join.rows(now, before, f.interval, since)


def _seen(rows: Iterable[Row], rates: Rates) -> Iterator[Row]:
    """Yield rows with their mark, counted."""
    for row in currency.marked(rows.iterator(chunk_size=2_000) if isinstance(rows, QuerySet) else rows):
        rates.add(row)
        yield row
