"""Bill runs: the list, and one run with its next steps."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.billrun.gates import Gate, GateState, check
from billing.models import BillingRun, ChargeKind, Invoice, InvoiceLine, NotProduced
from billing.web.run_steps import (
    ChangeRun,
    CheckRun,
    ConfirmRun,
    PrepareRun,
    ProduceRun,
    SendRun,
    UndoRun,
    next_month,
)
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import SUM, Choice, Code, Date, Int, Minutes, Money, Percent, Text
from resellerkpi.core.scope import current
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.tables import mark
from resellerkpi.ui.templatetags.ui import day, moment
from resellerkpi.ui.views import DetailPage, ListPage

State = BillingRun.State
VIEW, BILL, COST = Capability.VIEW_MONEY, Capability.BILL, Capability.VIEW_WHOLESALE
MARKS = {
    GateState.OK: ("done", "In order"),
    GateState.WARN: ("pending", "Look"),
    GateState.ERROR: ("error", "Stops the run"),
}


class RunList(ListPage):
    """All bill runs, the newest first."""

    capability = VIEW
    title = "Bill runs"
    purpose = "Each month's bills, from the checks to the sending."
    row_url = "run"
    order = ("-period_start", "cycle")
    columns = (
        Text(name="name", label="Run"),
        Choice(name="state", choices=State.choices),
        Date(name="invoice_date", label="Dated"),
        Int(name="bills", label="Invoices"),
        Int(name="skipped", label="Not produced"),
        Money(name="own_net", label="Before VAT", currency="currency"),
        Money(name="own_gross", label="Total", currency="currency"),
        Code(name="currency", source="reseller__currency"),
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the runs with what they come to in the reseller's own currency."""
        every = Invoice.objects.filter(run=OuterRef("pk")).order_by()
        mine = every.filter(currency=OuterRef("reseller__currency"))
        skipped = NotProduced.objects.filter(run=OuterRef("pk")).order_by().values("run")
        return BillingRun.objects.annotate(
            own_net=Subquery(mine.values("run").annotate(sum=Sum("net")).values("sum")),
            own_gross=Subquery(mine.values("run").annotate(sum=Sum("gross")).values("sum")),
            skipped=Subquery(skipped.annotate(count=Count("pk")).values("count")),
            bills=Coalesce(Subquery(every.values("run").annotate(count=Count("pk")).values("count")), 0),
        )

    def actions(self) -> Sequence[Action]:
        """Offer the next month's run."""
        if not self.scope.can(BILL):
            return ()
        words = f"Prepare {next_month(self.today):%B %Y}"
        return (Action(words, reverse("run-prepare"), primary=True),)


class RunPage(DetailPage):
    """One run: what is in order, what comes next, what it came to."""

    capability = VIEW
    model = BillingRun
    related = ("reseller", "checked_by", "confirmed_by")
    purpose = "What is in order, what comes next, and what the bills come to."

    @property
    def back(self) -> tuple[str, str]:  # type: ignore[override]
        """Lead back to the list."""
        return ("Bill runs", reverse("run-list"))

    def panels(self) -> list[Panel]:
        """Return the next steps, the facts, and the figures once there are bills."""
        run: BillingRun = self.object
        panels: list[Panel] = [next_steps(run, may=self.scope.can(BILL)), facts(run)]
        if run.state not in (State.DRAFT, State.CHECKED):
            panels += [totals(run), by_kind(run), not_produced(run), invoices(run)]
        return panels


def next_steps(run: BillingRun, *, may: bool) -> HtmlPanel:
    """Return the gates of a run that is not billed yet, and the buttons of what comes next."""
    open_run = run.state in (State.DRAFT, State.CHECKED)
    gates = [_gate(gate) for gate in check(run, now=timezone.now())] if open_run else []
    steps = [_step(run, *step) for step in STEPS[run.state]] if may else []
    context = {"gates": gates, "steps": steps, "states": _states(run), "run": run}
    return HtmlPanel("billing/_run_steps.html", context, title="Next steps")


STEPS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    State.DRAFT: (("run-check", "Mark as checked", True), ("run-change", "Change dates and message", False)),
    State.CHECKED: (
        ("run-produce", "Produce the bills", True),
        ("run-check", "Check again", False),
        ("run-change", "Change dates and message", False),
    ),
    State.BILLED: (
        ("post-billing", "Look at what was billed", True),
        ("run-confirm", "Confirm and number", False),
        ("run-undo", "Undo", False),
    ),
    State.CONFIRMED: (
        ("run-send", "Mark as sent", True),
        ("post-billing", "Post-billing report", False),
        ("run-undo", "Undo", False),
    ),
    State.SENT: (),
}


def _step(run: BillingRun, name: str, label: str, primary: bool) -> Action:
    return Action(label, reverse(name, args=[run.pk]), primary=primary)


def _states(run: BillingRun) -> list[tuple[str, str, bool]]:
    """Return every state's label, the meaning of its colour, and whether the run stands there."""
    order = [state.value for state in State]
    at = order.index(run.state)
    done = at + 1 if run.state == State.SENT else at
    return [
        (State(value).label, "good" if place < done else "attention" if place == at else "quiet", place == at)
        for place, value in enumerate(order)
    ]


def _gate(gate: Gate) -> dict[str, Any]:
    code, label = MARKS[gate.state]
    return {
        "name": gate.name,
        "mark": mark(code, label),
        "words": gate.words,
        "url": _mending(gate),
        "verb": "See the report" if gate.run_id else "Mend it",
    }


def _mending(gate: Gate) -> str:
    """Return where a gate is mended; the report of a run can be read whatever it says."""
    if gate.run_id:
        return address(gate.page, gate.run_id) if current().can(BILL) else ""
    return "" if gate.state == GateState.OK or not gate.page else address(gate.page)


def facts(run: BillingRun) -> Facts:
    """Return the dates, the people and the message of a run."""
    zone = run.reseller
    return Facts(
        "The run",
        [
            ("State", mark(run.state, run.get_state_display())),
            ("Usage and charges until", day(run.period_end)),
            ("Invoices dated", day(run.invoice_date)),
            ("Due", day(run.due_date) if run.due_date else "By each customer's terms"),
            ("Message on the bills", run.message or "None"),
            ("Checked by", run.checked_by or ("Nobody yet" if run.state == State.DRAFT else "")),
            ("Errors accepted because", run.accepted_errors or "None accepted"),
            ("Produced", moment(run.billed_at, zone)),
            ("Confirmed", f"{moment(run.confirmed_at, zone)} {run.confirmed_by or ''}".strip()),
            ("Sent", moment(run.sent_at, zone)),
        ],
    )


def totals(run: BillingRun) -> TablePanel:
    """Return what the bills come to in each currency."""
    sums = (
        Invoice.objects.filter(run=run)
        .values("currency")
        .annotate(bills=Count("pk"), net=Sum("net"), vat=Sum("vat"), gross=Sum("gross"), cost=Sum("cost"))
        .order_by("currency")
    )
    rows = [row | {"margin": row["net"] - row["cost"]} for row in sums]
    columns = (
        Code(name="currency"),
        Int(name="bills", label="Invoices"),
        Money(name="net", label="Before VAT"),
        Money(name="vat", label="VAT"),
        Money(name="gross", label="Total"),
        Money(name="cost", label="Supplier cost", needs=COST),
        Percent(name="share", label="Margin", parts=("margin", "net"), needs=Capability.VIEW_MARGIN),
    )
    return TablePanel("What the bills come to", columns, rows, empty=EmptyState("No bill was produced."))


def by_kind(run: BillingRun) -> TablePanel:
    """Return what the bills are made of."""
    sums = (
        InvoiceLine.objects.filter(invoice__run=run)
        .values("kind", "call_class", currency=F("invoice__currency"))
        .annotate(lines=Count("pk"), calls=Sum("calls"), seconds=Sum("seconds"), net=Sum("net"))
        .order_by("kind", "call_class", "currency")
    )
    columns = (
        Choice(name="kind", choices=ChargeKind.choices),
        Text(name="call_class", label="Class"),
        Int(name="lines"),
        Int(name="calls"),
        Minutes(name="seconds", label="Time billed"),
        Money(name="net", label="Before VAT", total=SUM),
        Code(name="currency"),
    )
    return TablePanel("What they are made of", columns, list(sums))


def not_produced(run: BillingRun) -> TablePanel:
    """Return the customers without a bill, and why."""
    rows = NotProduced.objects.filter(run=run).order_by("reason", "customer__name", "pk")
    columns = (
        Text(name="customer", source="customer__name", url="customer"),
        Choice(name="reason", choices=NotProduced.Reason.choices),
        Money(name="amount", label="Waiting"),
        Code(name="currency"),
    )
    empty = EmptyState("Every customer of the run has a bill.")
    return TablePanel("Not produced", columns, rows, limit=50, empty=empty)


def invoices(run: BillingRun) -> TablePanel:
    """Return the largest bills of the run and the way to all."""
    columns = (
        Text(name="customer", source="customer__name"),
        Code(name="number", label="Invoice"),
        Date(name="due_date", label="Due"),
        Money(name="net", label="Before VAT"),
        Money(name="gross", label="Total"),
        Code(name="currency"),
    )
    rows = Invoice.objects.filter(run=run).order_by("-gross", "pk")
    more = f"{reverse('invoice-list')}?run={run.pk}"
    return TablePanel("Largest bills", columns, rows, row_url="invoice", limit=20, more_url=more)


urls: list[URLPattern] = [
    path("billing/", RunList.as_view(), name="run-list"),
    path("billing/prepare/", PrepareRun.as_view(), name="run-prepare"),
    path("billing/runs/<int:pk>/", RunPage.as_view(), name="run"),
    path("billing/runs/<int:pk>/change/", ChangeRun.as_view(), name="run-change"),
    path("billing/runs/<int:pk>/check/", CheckRun.as_view(), name="run-check"),
    path("billing/runs/<int:pk>/produce/", ProduceRun.as_view(), name="run-produce"),
    path("billing/runs/<int:pk>/confirm/", ConfirmRun.as_view(), name="run-confirm"),
    path("billing/runs/<int:pk>/send/", SendRun.as_view(), name="run-send"),
    path("billing/runs/<int:pk>/undo/", UndoRun.as_view(), name="run-undo"),
]
