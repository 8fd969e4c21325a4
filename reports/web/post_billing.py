"""The page of a run's post-billing report: what its bills come to, what needs a look, what they will bring."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal as D
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from billing.models import BillingRun, Call, ChargeKind, Customer, NotProduced
from billing.receivables.forecast_facts import came_since
from reports.jobs import ask_for_post_billing
from reports.models import PostBilling
from reports.postbilling.make import BILLED
from reports.web import post_billing_columns as columns
from resellerkpi.core.access import Capability
from resellerkpi.core.chartspec import Bar, Stack
from resellerkpi.core.columns import figure
from resellerkpi.ui.job_page import job_redirect
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, ChartPanel, EmptyState, HtmlPanel, Panel, TablePanel, TilesPanel
from resellerkpi.ui.templatetags.ui import day, money, percent
from resellerkpi.ui.tiles import Change, Tile
from resellerkpi.ui.views import DetailPage

State = BillingRun.State
LABELS = {
    "invoices": "Invoices",
    "net": "Before VAT",
    "average": "Average invoice before VAT",
    "vat": "VAT",
    "gross": "Total",
    **dict(ChargeKind.choices),
}
AMOUNTS = (
    *("this", "previous", "mean", "year", "net", "gross", "off", "spread", "unpaid", "waiting", "amount"),
    *("net_sum", "vat_sum", "cost_sum", "rate", "open", "low", "expected", "high", "error", "came"),
)
METHODS = dict(Customer.Method.choices)


class PostBillingPage(DetailPage):
    """Look at what was billed before it leaves the house, then confirm it."""

    capability = Capability.VIEW_MONEY
    model = BillingRun
    related = ("reseller",)
    purpose = (
        "What the bills come to, what needs a look, and what they will bring. Look here before you send them."
    )

    def get_object(self) -> Any:
        """Return the run, and find its report."""
        run = super().get_object()
        self.back, self.title = (run.name, reverse("run", args=[run.pk])), f"Post-billing of {run.name}"
        self.kept = PostBilling.objects.filter(run=run).first() if run.state in BILLED else None
        return run

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Have the report made, or made again."""
        return job_redirect(ask_for_post_billing(self.get_object()))

    def actions(self) -> Sequence[Action]:
        """Offer the report's rows, and to confirm what was looked at."""
        run = self.object
        if self.kept is None:
            return ()
        rows = Action("All bills as a report", f"{reverse('report', args=['post-billing'])}?run={run.pk}")
        if run.state != State.BILLED or not self.scope.can(Capability.BILL):
            return (rows,)
        return (Action("Confirm and number", reverse("run-confirm", args=[run.pk]), primary=True), rows)

    def panels(self) -> list[Panel]:
        """Return the report, or why there is none and what to do."""
        if self.kept is None:
            return [_missing(self.object)]
        found = self.kept.figures
        return [
            _summary(found),
            *_compared(found),
            *_look(self.object, found),
            _failed(found),
            _vat(found),
            *_forecast(found["forecast"], self._came(found["forecast"])),
            HtmlPanel(
                "reports/_post_billing_made.html",
                {
                    "kept": self.kept,
                    "run": self.object,
                    "as_of": day(date.fromisoformat(found["forecast"]["made_on"])),
                },
            ),
        ]

    def _came(self, made: dict[str, Any]) -> dict[tuple[str, str], D]:
        """Return what has come by method and currency since the forecast was made, up to its end."""
        made_on, until = date.fromisoformat(made["made_on"]), date.fromisoformat(made["until"])
        return came_since(self.object, made_on=made_on, until=min(until, self.today))


def read(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return kept rows with their amounts as numbers, their days as dates and labels for codes."""
    found = []
    for row in rows:
        typed = {k: D(v) if k in AMOUNTS and isinstance(v, str) else v for k, v in row.items()}
        for name in ("day", "month"):
            if isinstance(row.get(name), str):
                typed[name] = date.fromisoformat(row[name])
        if "what" in row:
            typed["what"] = LABELS[row["what"]]
        if "method" in row:
            typed["method"] = METHODS.get(row["method"], "All methods")
        found.append(typed)
    return found


def _missing(run: BillingRun) -> HtmlPanel:
    if run.state not in BILLED:
        state = EmptyState(
            "The bills of this run are not produced yet.", "Back to the run", reverse("run", args=[run.pk])
        )
        return HtmlPanel("kpis/_empty.html", {"empty": state})
    return HtmlPanel("reports/_post_billing_missing.html", {"run": run})


def _summary(found: dict[str, Any]) -> TilesPanel:
    """Return the four figures to look at first: invoices, net, calls without a price, cash expected."""
    totals = read(found["totals"])
    several = len({row["currency"] for row in totals}) > 1
    tiles = [
        _tile(row, found["runs"]["previous"], several)
        for row in totals
        if row["what"] in ("Invoices", "Before VAT")
    ]
    usage = found["usage"]
    share = D(usage["failed"]) / usage["calls"] if usage["calls"] else None
    tiles.append(
        Tile(
            label="Calls without a price",
            value=figure(usage["failed"], 0),
            unit=f"of {figure(usage['calls'], 0)}" + (f", {percent(share, 2)}" if share else ""),
            url=address("billing-errors"),
        )
    )
    for row in read(found["forecast"]["totals"]):
        until = date.fromisoformat(found["forecast"]["until"])
        tiles.append(
            Tile(
                label=f"Expected by {day(until)}",
                value=money(row["expected"], row["currency"]),
                unit=f"of {money(row['open'], row['currency'])} open",
                marks=("estimated",),
            )
        )
    return TilesPanel(tiles, title="At a glance")


def _tile(row: dict[str, Any], previous: str, several: bool) -> Tile:
    is_money = row["what"] != "Invoices"
    shown = money(row["this"], row["currency"]) if is_money else figure(row["this"], 0)
    change = None
    if row["previous"]:
        more = row["this"] - row["previous"]
        change = Change(
            amount=money(abs(more), row["currency"]) if is_money else figure(abs(more), 0),
            percent=percent(abs(more) / abs(row["previous"])),
            direction="up" if more > 0 else "down" if more else "flat",
            meaning="plain" if more else "flat",
            against=f"on {previous}",
        )
    return Tile(
        label=row["what"],
        value=shown,
        unit=row["currency"] if several and not is_money else "",
        change=change,
    )


def _compared(found: dict[str, Any]) -> list[Panel]:
    """Return the totals and the kinds of charge beside earlier runs, and a picture of the kinds."""
    runs = found["runs"]
    totals = [row for row in read(found["totals"]) if row["what"] != "Invoices"]
    kinds = read(found["kinds"])
    for row in (*totals, *kinds):
        row |= {name: _growth(row["this"], row[base]) for name, base in columns.GROWTHS.items()}
    panels: list[Panel] = [
        TablePanel("Against earlier runs", columns.compared(runs, "Figure"), totals),
        TablePanel("Before VAT by kind of charge", columns.compared(runs, "Kind"), kinds),
    ]
    home = {row["currency"] for row in kinds}
    if runs["previous"] and len(home) == 1:
        chart = Bar(x="what", y=("this", "previous"), title="Before VAT by kind of charge")
        shown = [
            c for c in columns.compared(runs, "Kind") if c.name in ("what", "this", "previous", "currency")
        ]
        panels.append(ChartPanel("Kinds of charge, this run and the one before", chart, kinds, shown))
    return panels


def _growth(now: D, before: D | None) -> D | None:
    return (now - before) / abs(before) if before else None


def _look(run: BillingRun, found: dict[str, Any]) -> list[Panel]:
    """Return the bills that need a look, and the customers without one."""
    report = f"{reverse('report', args=['post-billing'])}?run={run.pk}&look=on"
    counts = found["counts"]
    panels: list[Panel] = [
        TablePanel(
            f"{title} ({figure(counts[sort], 0)})" if counts[sort] else title,
            columns.BILLS[sort],
            read(found[sort]),
            row_url="invoice",
            empty=EmptyState(empty),
            more_url=report if counts[sort] > len(found[sort]) else "",
        )
        for sort, title, empty in columns.SORTS
    ]
    reasons = dict(NotProduced.Reason.choices)
    rows = [row | {"reason": reasons[row["reason"]]} for row in read(found["not_produced"])]
    every = EmptyState("Every customer of the run has a bill.")
    panels.append(
        TablePanel("Not produced", columns.NOT_PRODUCED, rows, empty=every, more_url=report if rows else "")
    )
    return panels


def _failed(found: dict[str, Any]) -> TablePanel:
    reasons = dict(Call.Reason.choices)
    rows = [
        row | {"reason": reasons.get(row["reason"], row["reason"])} for row in read(found["usage"]["reasons"])
    ]
    empty = EmptyState("Every call of the period is priced.")
    repair = address("billing-errors")
    actions = (Action("Repair them", repair),) if rows and repair else ()
    return TablePanel("Calls without a price", columns.FAILED, rows, empty=empty, actions=actions)


def _vat(found: dict[str, Any]) -> TablePanel:
    rows = [
        *({"what": f"VAT at {r['rate'].normalize():f} %", **r} for r in read(found["vat"])),
        *(
            {
                "what": f"{figure(r['notes'], 0)} credit note{'s' * (r['notes'] != 1)} since the run before",
                **r,
            }
            for r in read(found["credited"])
        ),
    ]
    return TablePanel(
        "VAT, and what was credited", columns.VAT, rows, empty=EmptyState("No bill was produced.")
    )


def _forecast(made: dict[str, Any], came: dict[tuple[str, str], D]) -> list[Panel]:
    """Return what is expected by method and by day, and how good the forecast was before."""
    until = day(date.fromisoformat(made["until"]))
    for row in made["methods"]:
        row["came"] = came.get((row["method"], row["currency"]), D(0))
    for row in made["totals"]:
        row["came"] = sum((a for (_, currency), a in came.items() if currency == row["currency"]), D(0))
    methods, totals, days = read(made["methods"]), read(made["totals"]), read(made["days"])
    empty = EmptyState("Nothing is open: no collection is expected.")
    note = ""
    if made["unlearnt"]:
        names = ", ".join(METHODS[m] for m in made["unlearnt"])
        note = f"Of {names} nothing is known yet: all of it is expected on its due date."
    panels: list[Panel] = [
        TablePanel(f"Expected collections up to {until}", columns.METHODS, [*methods, *totals], empty=empty)
    ]
    if len(totals) == 1 and days:
        chart = Stack(x="day", y=("expected",), series="method", title="Expected by day and method")
        panels.append(ChartPanel("Expected by day and method", chart, days, columns.DAYS, note=note))
    elif days:
        panels.append(TablePanel("Expected by day and method", columns.DAYS, days))
    trials = [row | {"off": row["came"] - row["expected"]} for row in read(made["trials"])]
    tried = EmptyState("There are not enough months yet to try the forecast on.")
    panels.append(TablePanel("The same forecast on earlier months", columns.TRIALS, trials, empty=tried))
    return panels


urlpatterns: list[URLPattern] = [
    path("billing/runs/<int:pk>/post-billing/", PostBillingPage.as_view(), name="post-billing"),
]
