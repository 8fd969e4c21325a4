"""One KPI: figure, trend, table, breakdown, the customers behind it, definition; the same as CSV and JSON."""

import io
import json
from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, ClassVar

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.observed import METRICS
from kpis import longer
from kpis.compare import compound
from kpis.compute import behind
from kpis.facts import months_between
from kpis.kpi import KPIS, Kpi, UnknownDimension
from kpis.labels import labels, order
from kpis.longer import LENGTHS
from kpis.models import Close
from kpis.ranks import Ranks, ranks
from kpis.reading import Reader, read_day
from kpis.series import Point, roots
from kpis.web.asked import Query, hidden, read_query
from kpis.web.columns import columns, rank_cells, row, value_column, with_rank
from kpis.web.dictionary import entry_of, links
from kpis.web.kpi_rows import ranked
from kpis.web.observations import ask_for
from kpis.web.tiles import at_month, change, current, main_line, words
from kpis.words import DIMENSIONS, MARKS, MARKS_TOLD, OVERLAPS, SPACE, month, plain, shown
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Line
from resellerkpi.core.columns import Choice, Code, Decimal, Text, bucket, day, figure
from resellerkpi.core.periods import BadPeriod, add_months, local_day
from resellerkpi.core.sheets import write_csv
from resellerkpi.ui.panels import Action, ChartPanel, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.views import Page

BEHIND = 25
MOST_LINES = 6


class KpiPage(Page):
    """What a page and the files of one KPI share: who may see it and what was asked."""

    capability: ClassVar[Capability | None] = Capability.VIEW_KPIS
    template = "kpis/detail.html"

    def find(self, day: date | None = None) -> tuple[Kpi, Reader]:
        """Return the KPI of the address and a reader; a KPI the role may not see is not found."""
        reader = Reader(self.reseller, self.scope, timezone.now(), day=day)
        slug = self.kwargs["slug"]
        if slug not in KPIS or not reader.visible([KPIS.get(slug)]):
            raise Http404
        return KPIS.get(slug), reader

    def asked(self) -> tuple[Kpi, Reader, Query]:
        """Return what the address asks for; raises BadPeriod or UnknownDimension with a sentence."""
        given = self.request.GET.dict()
        kpi, reader = self.find(read_day(given.get("on", ""), local_day(timezone.now(), self.reseller.zone)))
        return kpi, reader, read_query(kpi, given, reader)


class KpiDetail(KpiPage):
    """How a figure developed, what it is made of and how it is counted."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page; an address that makes no sense says why and shows the usual months."""
        problem = ""
        try:
            kpi, reader, query = self.asked()
        except (BadPeriod, UnknownDimension) as wrong:
            kpi, reader = self.find()
            problem, query = str(wrong.args[0]), read_query(kpi, {}, reader)
        self.title, self.purpose, self.back = kpi.name, kpi.summary, ("KPIs", reverse("kpi-list"))
        panels: list[Panel] = [HtmlPanel("kpis/_choose.html", _choices(kpi, query, problem, reader))]
        return self.render({"panels": panels + _panels(kpi, reader, query)}, status=400 if problem else 200)

    def actions(self) -> Sequence[Action]:
        """Offer the same figures as files."""
        asked = self.request.GET.urlencode()
        tail = f"?{asked}" if asked else ""
        slug = self.kwargs["slug"]
        return [
            Action("CSV", reverse("kpi-csv", args=[slug]) + tail),
            Action("JSON", reverse("kpi-json", args=[slug]) + tail),
        ]


def _choices(kpi: Kpi, query: Query, problem: str, reader: Reader) -> dict[str, Any]:
    return {
        "first": f"{query.months[0]:%Y-%m}",
        "last": f"{query.months[-1]:%Y-%m}",
        "by": query.by,
        "dimensions": [(d, DIMENSIONS[d]) for d in kpi.by if d not in hidden(reader)],
        "problem": problem,
        "lengths": [(name, name.capitalize()) for name in LENGTHS],
        "per": query.per,
        "on": reader.day.isoformat() if reader.day else "",
    }


def _panels(kpi: Kpi, reader: Reader, query: Query) -> list[Panel]:
    if query.per != "month":
        return _longer_panels(kpi, reader, query)
    months = months_between(add_months(query.months[0], -12), query.months[-1])
    wide = reader.points([kpi], months, ["", query.by] if query.by else [""])[kpi.slug]
    totals = wide[""]
    if not any(p.numerator or p.denominator for p in totals):
        return [*_nothing(kpi, totals, reader), _definition(kpi, reader)]
    line = main_line(totals, reader.reseller.currency)
    looked = query.month or _looked(line, reader)
    inside = set(query.months)
    shown_points = [p for p in wide[query.by] if p.month in inside]
    names = labels(query.by, {p.key for p in shown_points}) if query.by else {}
    panels: list[Panel] = [
        _headline(
            kpi, line, looked, _beside(kpi, reader, looked), _closed(looked, reader), _day(looked, reader)
        ),
        _trend(kpi, shown_points, query.by, names),
    ]
    if query.by:
        near = [p for p in wide[query.by] if p.month in (looked, add_months(looked, -1))]
        panels.append(_breakdown(kpi, shown_points, query.by, names, looked, ranks(near)))
    table = sorted(
        (row(p, names) for p in totals if p.month in inside), key=lambda r: r["month"], reverse=True
    )
    panels.append(TablePanel("By month", columns(kpi, totals, ""), table))
    marks = {m for p in (*shown_points, *totals) if p.month in inside for m in p.marks}
    return [*panels, *_behind(kpi, reader, looked), _definition(kpi, reader, marks)]


def _looked(line: Sequence[Point], reader: Reader) -> date:
    """Return the month to look into: that of the day asked for, else the last full one."""
    return reader.today.replace(day=1) if reader.day else line[current(line, reader.began)].month


def _longer_panels(kpi: Kpi, reader: Reader, query: Query) -> list[Panel]:
    """Return trend and tables over quarters or years."""
    found = longer.points(kpi, reader, query.months, ["", query.by] if query.by else [""], query.per)
    if not any(p.numerator or p.denominator for p in found[""]):
        return [*_nothing(kpi, found[""], reader), _definition(kpi, reader)]
    names = labels(query.by, {p.key for p in found[query.by]}) if query.by else {}
    panels: list[Panel] = [_trend(kpi, found[query.by], query.by, names, query.per)]
    for dimension in ("", query.by) if query.by else ("",):
        rows = sorted((row(p, names) for p in found[dimension]), key=lambda r: r["month"], reverse=True)
        title = f"By {query.per}{' and ' + DIMENSIONS[dimension].lower() if dimension else ''}"
        panels.append(TablePanel(title, columns(kpi, found[dimension], dimension, query.per), rows))
    marks = {m for of in found.values() for p in of for m in p.marks}
    return [*panels, _definition(kpi, reader, marks)]


def _nothing(kpi: Kpi, totals: Sequence[Point], reader: Reader) -> list[Panel]:
    """Say why there is nothing, and where missing data are entered."""
    empty = EmptyState("There is nothing to count in these months.")
    lacking = [p.month for p in totals if "needs_data" in p.marks]
    if lacking:
        closed = [p.month for p in totals if not p.is_open]
        empty = ask_for(kpi, reader.scope, closed[-1] if closed else lacking[-1], reader.options)
    return [HtmlPanel("kpis/_empty.html", {"empty": empty})]


def _beside(kpi: Kpi, reader: Reader, looked: Any) -> list[tuple[Any, ...]]:
    """Return how far off the figure may be, by the KPI that says so, and what of it is of a month before."""
    lags = {METRICS.get(m).name: getattr(reader.options, name) for m, name in kpi.shape.ago.items()}
    earlier = [(f"{name} of", month(add_months(looked, -ago))) for name, ago in lags.items() if ago]
    if not kpi.beside:
        return earlier
    other = KPIS.get(kpi.beside)
    (point, *_) = reader.points([other], [looked])[other.slug][""]
    return [(other.name, f"± {shown(other, point.value)}", reverse("kpi", args=[other.slug])), *earlier]


def _headline(
    kpi: Kpi,
    line: Sequence[Point],
    looked: Any,
    beside: Sequence[tuple[Any, ...]],
    closed: str,
    as_of: date | None,
) -> Facts:
    now = at_month(line, looked) or line[-1]
    when = f"{looked:%B %Y}" if as_of is None else f"At the end of {day(as_of)}"
    items: list[tuple[Any, ...]] = [(when, shown(kpi, now.value, now.currency)), *beside]
    part = "so_far" in now.marks and kpi.shape.kind != "stock"
    for ago, label in () if part else ((1, "On the month before"), (12, "On a year before")):
        moved = change(kpi, now, at_month(line, add_months(looked, -ago)))
        items.append((label, f"{moved.arrow} {moved.amount} {moved.word}".strip() if moved else "n/a"))
    items += [] if part else _compounded(kpi, line, looked)
    if now.marks:
        items.append(("Remarks", ", ".join(words(kpi, now))))
    if "restated" in now.marks:
        items.append(("When closed", shown(kpi, now.kept, now.currency)))
    return Facts("In short", [*items, ("Month", closed, reverse("kpi-month", args=[f"{looked:%Y-%m}"]))])


def _day(looked: date, reader: Reader) -> date | None:
    """Return the day the figure is as of, when one was asked for in the month looked at."""
    return reader.day if reader.day and reader.day.replace(day=1) == looked else None


def _closed(looked: Any, reader: Reader) -> str:
    """Say whether the month looked at is closed, "" when no figures of it are kept."""
    if reader.began is None or looked < reader.began:
        return ""
    made = Close.objects.filter(month=looked).first()
    if made:
        return f"Closed {day(local_day(made.closed_at, reader.reseller.zone))}"
    return "Still open" if add_months(looked, 1) > reader.today else "Not closed"


def _compounded(kpi: Kpi, line: Sequence[Point], looked: Any) -> list[tuple[Any, ...]]:
    """Return the compound growth of a month over three and twelve months, where there is one."""
    now, found = at_month(line, looked), []
    for months in (3, 12):
        growth = compound(kpi, now, at_month(line, add_months(looked, -months)), months)
        if growth is not None:
            sign = "+" if growth > 0 else ""
            text = f"{sign}{figure(growth * 100, 1)}{SPACE}% a month"
            found.append((f"Compound growth over {months} months", text))
    return found


def _trend(
    kpi: Kpi, points: Sequence[Point], by: str, names: dict[str, str], per: str = "month"
) -> ChartPanel:
    """Return the lines over closed months, the six largest of a breakdown; the open month is in the tables only."""
    lines, left_out = _largest(points)
    rows = [row(p, names) for p in points if not p.is_open and (p.key, p.currency) in lines]
    many = len({p.currency for p in points}) > 1
    series = "label" if by else "currency" if many else ""
    if by and many:
        for found in rows:
            found["label"] = f"{found['label']} ({found['currency']})"
    open_months = sorted({bucket(p.month, per) for p in points if p.is_open})
    note = f"{', '.join(open_months)} is not over and left out." if open_months else ""
    if left_out:
        note = f"{note} The {MOST_LINES} largest of {MOST_LINES + left_out} are drawn.".strip()
    note = f"{note} {OVERLAPS.get(by, '')}".strip()
    chart = Line(x="month", y=("value",), series=series, title=kpi.name)
    return ChartPanel("Trend", chart, rows, columns(kpi, points, by, per), note=note)


def _largest(points: Sequence[Point]) -> tuple[set[tuple[str, str]], int]:
    """Return the lines with the largest latest figures and how many are left out."""
    latest: dict[tuple[str, str], Point] = {}
    for point in points:
        if point.value is not None or (point.key, point.currency) not in latest:
            latest[point.key, point.currency] = point
    ranked = sorted(latest, key=lambda k: (-(latest[k].value or 0), k))
    return set(ranked[:MOST_LINES]), len(ranked[MOST_LINES:])


def _breakdown(
    kpi: Kpi, points: Sequence[Point], by: str, names: dict[str, str], looked: Any, places: Ranks
) -> TablePanel:
    here = [p for p in points if p.month == looked and (p.numerator or p.denominator)]
    place = {key: n for n, key in enumerate(order(by, {p.key for p in here}))}
    found = [
        row(p, names) | {"rank_words": str(places.get((p.key, p.currency, looked), ""))}
        for p in sorted(here, key=lambda p: place[p.key])
    ]
    shown_columns = with_rank([c for c in columns(kpi, here, by) if c.name != "month"], in_words=True)
    return TablePanel(f"By {DIMENSIONS[by].lower()}, {month(looked)}", shown_columns, found)


def _behind(kpi: Kpi, reader: Reader, looked: Any) -> list[Panel]:
    root = roots([kpi])[0]
    found = behind(root, reader.closes_of([looked]), limit=BEHIND)
    if not found or not reader.scope.can(Capability.VIEW_BOOK):
        return []
    count = found[0]["customers"]
    more = f", the largest {BEHIND} of {count:,}" if count > BEHIND else ""
    statuses = labels("status", {r["status"] for r in found})
    listed = [
        Text(name="name", label="Customer"),
        Code(name="code", label="Account"),
        Choice(name="status", label="Status", choices=list(statuses.items())),
        *([Text(name="currency", label="Currency")] if found[0]["currency"] else []),
        _part_column(root, found),
    ]
    rows = [{**r, "pk": r["id"]} for r in found]
    return [TablePanel(f"Customers behind it, {month(looked)}{more}", listed, rows, row_url="customer")]


def _part_column(kpi: Kpi, rows: Sequence[dict[str, Any]]) -> Any:
    """Return the column of a customer's numerator: money, else what is counted, whole where it is."""
    top = kpi.shape.top
    if top is not None and top.source.currency:
        return value_column(KPIS.get("total_invoiced"), label="Amount")
    whole = all(r["value"] == int(r["value"]) for r in rows)
    return Decimal(name="value", label="Counted", decimals=0 if whole else 2)


def _definition(kpi: Kpi, reader: Reader, marks: Collection[str] = ()) -> HtmlPanel:
    """Return the KPI's entry of the dictionary with the settings in force, and what the marks met here mean."""
    met = [(MARKS[m], told) for m, told in MARKS_TOLD.items() if m in marks]
    told = {"marks": met, "entry": entry_of(kpi, reader), "as_of": reader.as_of, **links(reader.scope)}
    whole = Action("In the dictionary", f"{reverse('kpi-dictionary')}#{kpi.slug}")
    return HtmlPanel("kpis/_definition.html", told, title="How it is counted", actions=[whole])


class KpiCsv(KpiPage):
    """The figures of a KPI's page as CSV."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return month, key, currency, figure, parts and marks."""
        try:
            kpi, reader, query = self.asked()
        except (BadPeriod, UnknownDimension) as wrong:
            return HttpResponse(str(wrong.args[0]), status=400, content_type="text/plain; charset=utf-8")
        points, places = ranked(kpi, query, reader)
        names = labels(query.by, {p.key for p in points}) if query.by else {}
        told = columns(kpi, points, query.by, query.per)
        if query.by and query.per == "month":
            told = with_rank(told, in_words=False)
        rows = [row(p, names) | rank_cells(places.get((p.key, p.currency, p.month))) for p in points]
        out = io.StringIO()
        write_csv(told, rows, out)
        response = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{kpi.slug}.csv"'
        return response


class KpiJson(KpiPage):
    """The figures of a KPI's page as JSON."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the KPI and its rows: money as strings, months as 2026-10, percentages as ratios."""
        try:
            kpi, reader, query = self.asked()
        except (BadPeriod, UnknownDimension) as wrong:
            return _json({"error": str(wrong.args[0])}, status=400)
        points, places = ranked(kpi, query, reader)
        rows = [plain(kpi, p) for p in points]
        if query.by and query.per == "month":
            for told, p in zip(rows, points, strict=True):
                told |= rank_cells(places.get((p.key, p.currency, p.month)))
        return _json(
            {
                "slug": kpi.slug,
                "name": kpi.name,
                "unit": kpi.unit.value,
                "version": kpi.version,
                "formula": " ".join(kpi.formula.split()),
                "from": query.months[0].isoformat(),
                "until": query.until.isoformat(),
                "by": query.by,
                "per": query.per,
                "on": reader.day.isoformat() if reader.day else None,
                "as_of": reader.as_of.isoformat(timespec="seconds"),
                "rows": rows,
            }
        )


def _json(data: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(data, ensure_ascii=False), status=status, content_type="application/json")
