"""The leakage register: where money is lost, what is behind each finding, and what was done about it."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q, QuerySet, Sum
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.checks.declare import Rows
from billing.checks.ledger import document_page, movements
from billing.checks.register import ask_of
from billing.checks.registry import CHECKS, of_family
from billing.models import Finding, FindingEvent
from billing.web import leakage_acts as acts
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import (
    BY_ROW,
    DASH,
    Bucket,
    Choice,
    Code,
    Column,
    DateTime,
    Money,
    Text,
    Words,
    figure,
)
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import local_day, month_of
from resellerkpi.core.scope import Scope
from resellerkpi.ui.cards import card
from resellerkpi.ui.filters import OneOf, ScopedFilterSet, SearchFilter, YesNoFilter
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState, Facts, HtmlPanel, Panel, TablePanel
from resellerkpi.ui.tables import mark
from resellerkpi.ui.templatetags.ui import day, moment, money
from resellerkpi.ui.views import DetailPage, ListPage

MARGIN, WORK = Capability.VIEW_MARGIN, Capability.BILL
State, LEAKAGE = Finding.State, Finding.Family.LEAKAGE
NAMES = [(c.slug, c.name) for c in of_family(LEAKAGE)]


class StateFilter(OneOf):
    """What still has to be dealt with, unless a state is asked for."""

    def filter(self, qs: Any, value: Any) -> Any:
        """Narrow to a state; to open and accepted findings when none is chosen."""
        return qs.filter(state=value) if value else qs.filter(state__in=Finding.STANDING)


class FindingFilters(ScopedFilterSet):
    """Which findings to list."""

    q = SearchFilter("label", "subject", "customer__code", "customer__name", label="What or whose")
    check = OneOf("check_slug", NAMES, label="Kind of leak")
    state = StateFilter("state", State.choices, label="State", empty_label="Open and accepted")
    mine = YesNoFilter("is_mine", label="Given to me")


class Register(ListPage):
    """Every leak that was found, what it costs, and where it stands."""

    capability = MARGIN
    title = "Leakage register"
    filterset = FindingFilters
    row_url = "finding"
    order = ("-money_per_month", "label")
    empty = EmptyState(
        "No leak is open. The checks run after each call file, each bill run and every night.",
        "See what is checked",
        "/leakage/checks/",
    )
    columns = (
        Text(name="label", label="What"),
        Choice(name="check_slug", label="Kind of leak", choices=NAMES),
        Text(name="customer", source="customer__name"),
        Bucket(name="period", label="Since", grain="month", help="The month in which it began."),
        Money(name="money_per_month", label="A month", help="What it costs in a month, at least."),
        Money(name="money_to_date", label="To date", help="What it has cost since it began, at least."),
        Money(name="recovered", label="Got back", hidden=True),
        Code(name="currency"),
        Choice(name="state", choices=State.choices),
        Text(name="owner", label="With", source="owner__name"),
        Words(name="why", label="Why", hidden=True),
        DateTime(name="first_seen", label="First found", hidden=True, seconds=False),
        DateTime(name="last_seen", label="Last found", hidden=True, seconds=False),
    )

    @property
    def purpose(self) -> str:  # type: ignore[override]  # says what stands open now
        """Say what is open in all, and what this month brought."""
        moved = this_month(self.reseller, timezone.now())
        said = "; ".join(f"{money(f, c)} found and {money(b, c)} got back" for c, (f, b) in moved.items())
        month = f" This month: {said}." if said else ""
        return f"Where money is lost, and what was done about it. {in_words(standing())}{month}"

    def queryset(self) -> QuerySet[Any]:
        """Return the findings of leakage; the filter leaves closed ones out."""
        mine = Q(owner=self.scope.user_id) if self.scope.user_id else Q(pk__in=[])
        return Finding.objects.filter(family=LEAKAGE).annotate(
            is_mine=ExpressionWrapper(mine, output_field=BooleanField())
        )

    def ordering(self) -> list[Any]:
        """Return the dearest a month first; what costs nothing by the month comes last."""
        return [F("money_per_month").desc(nulls_last=True), "-money_to_date", "label", "pk"]

    def actions(self) -> Sequence[Action]:
        """Lead to the trend of what stands open, and to the checks and their limits."""
        trend = address("kpi", "leaks_open")
        checks = Action("What is checked", reverse("leakage-checks"))
        return (*([Action("Trend", trend)] if trend else []), checks)


def this_month(reseller: Reseller, now: datetime) -> dict[str, tuple[Decimal, Decimal]]:
    """Return by currency what was found and what came back in the reseller's month so far."""
    month = month_of(local_day(now, reseller.zone), reseller.zone)
    return movements(month.starts_at, month.ends_at)


def standing() -> list[dict[str, Any]]:
    """Return how many leaks are open in each currency, with their money, without what came back of them before.

    Accepted ones are not counted.
    """
    rows = Finding.objects.filter(family=LEAKAGE, state=State.OPEN).order_by("currency")
    sums = {"monthly": Sum("money_per_month"), "to_date": Sum("open_money")}
    return list(rows.values("currency").annotate(findings=Count("pk"), **sums))


def in_words(rows: Sequence[dict[str, Any]]) -> str:
    """Return what is open as a sentence, money of different currencies beside each other."""
    count = sum(row["findings"] for row in rows)
    if not count:
        return "Nothing is open."
    parts = [
        f"{money(row['monthly'] or 0, row['currency'])} a month, {money(row['to_date'] or 0, row['currency'])} to date"
        for row in rows
    ]
    return f"{count:,} open: {'; '.join(parts)}."


@card("leakage")
def leakage_card(reseller: Reseller, scope: Scope, now: Any) -> Panel | None:
    """Return the money that leaks, for who may see margins."""
    if not scope.can(MARGIN):
        return None
    register = Action("Leakage register", reverse("leakage"))
    items = [
        item
        for row in standing()
        for item in (
            ("Open", f"{row['findings']:,}"),
            ("A month", money(row["monthly"] or 0, row["currency"])),
            ("To date", money(row["to_date"] or 0, row["currency"])),
        )
    ]
    for currency, (_, back) in this_month(reseller, now).items():
        items.append(("Got back this month", money(back, currency) if back else ""))
    return Facts("Money that leaks", items or [("Open", "Nothing")], actions=(register,))


HISTORY: tuple[Column, ...] = (
    DateTime(name="at", label="When", seconds=False),
    Choice(name="kind", label="What happened", choices=FindingEvent.Kind.choices),
    Text(name="who", label="Who", source="by__name"),
    Text(name="text", label="Words"),
    Money(name="amount", label="Money", currency="currency"),
    Text(name="document", label="On", url=BY_ROW),
)


def history(finding: Finding) -> list[dict[str, Any]]:
    """Return what happened to a finding, the latest first, as many as are worth showing."""
    names = ("at", "kind", "by__name", "text", "amount", "invoice_id", "invoice__number")
    notes = ("credit_note_id", "credit_note__number")
    rows = finding.events.order_by("-at", "-pk").values(*names, *notes)[:100]
    return [
        {
            "at": row["at"],
            "kind": row["kind"],
            "who": row["by__name"],
            "text": row["text"],
            "amount": row["amount"],
            "currency": finding.currency,
            "document": row["invoice__number"] or row["credit_note__number"] or "",
            "document_url": document_page(row["invoice_id"], row["credit_note_id"]),
            "document_id": row["invoice_id"] or row["credit_note_id"],
        }
        for row in rows
    ]


class FindingPage(DetailPage):
    """One finding: why, the rows behind it, the page that repairs it, and its history."""

    capability = MARGIN
    model = Finding
    related = ("customer", "owner", "accepted_by")

    def get_context(self) -> dict[str, Any]:
        """Say why it is a leak; lead back to the register."""
        return {"back": ("Leakage register", reverse("leakage")), "purpose": self.object.why}

    def actions(self) -> Sequence[Action]:
        """Lead to the page that repairs it, and offer what can be done with it."""
        finding: Finding = self.object
        where = repair_url(finding)
        found = [Action("Repair it", where, primary=True)] if where else []
        if not self.scope.can(WORK):
            return found
        names = ["finding-recover", "finding-owner", "finding-note"]
        if finding.state in Finding.STANDING:
            names = ["finding-accept", *names]
            names = ["finding-look", *names] if finding.family == LEAKAGE else names
        return [*(Action(acts.LABELS[n], reverse(n, args=[finding.pk])) for n in names), *found]

    def panels(self) -> list[Panel]:
        """Return the facts, what is behind it, and the history."""
        finding: Finding = self.object
        events = history(finding)
        return [self.facts(finding, events), *self.behind(finding), TablePanel("History", HISTORY, events)]

    def facts(self, finding: Finding, events: Sequence[dict[str, Any]]) -> Facts:
        """Return what it costs, where it stands and on what its money came back."""
        check = CHECKS.get(finding.check_slug) if finding.check_slug in CHECKS else None
        customer = reverse("customer", args=[finding.customer_id]) if finding.customer_id else ""
        state = mark(finding.state, str(finding.get_state_display()))
        accepted = finding.state == State.ACCEPTED
        went_on = finding.state == State.OPEN and finding.recovered_at_money
        amounts = [
            (label, money(value, finding.currency) if value is not None else None)
            for label, value in (("A month", finding.money_per_month), ("To date", finding.money_to_date))
        ]
        return Facts(
            "The finding",
            [
                ("State", state),
                ("Accepted", f"{finding.accepted_for}: {finding.accepted_reason}" if accepted else ""),
                ("Accepted by", str(finding.accepted_by or "") if accepted else ""),
                ("Kind of leak", check.name if check else finding.check_slug),
                ("Customer", finding.customer, customer),
                ("Since", f"{finding.period:%B %Y}"),
                *amounts,
                ("Got back", money(finding.recovered, finding.currency) if finding.recovered else ""),
                *(
                    ("Got back on", e["document"], reverse(e["document_url"], args=[e["document_id"]]))
                    for e in events
                    if e["document"]
                ),
                ("Since it came back", money(finding.open_money, finding.currency) if went_on else ""),
                ("With", str(finding.owner or "Nobody")),
                ("First found", moment(finding.first_seen, self.reseller)),
                ("Last found", moment(finding.last_seen, self.reseller)),
                ("Closed", moment(finding.closed_at, self.reseller) if finding.closed_at else ""),
            ],
        )

    def behind(self, finding: Finding) -> list[Panel]:
        """Return the rows that an open finding comes from, if its check can show them."""
        check = CHECKS.get(finding.check_slug) if finding.check_slug in CHECKS else None
        if check is None or check.behind is None or finding.state not in Finding.STANDING:
            return []
        found = check.behind(ask_of(self.reseller, check, now=timezone.now()), finding)
        return [
            HtmlPanel("billing/_finding_rows.html", _cells(found, self.reseller), title="What is behind it")
        ]


def _cells(found: Rows, reseller: Reseller) -> dict[str, Any]:
    """Return headings and cells as text, each with whether it is a figure; a column's amounts have the same places."""
    places = [_places(column) for column in zip(*found.rows, strict=True)]
    rows = [[_cell(value, reseller, n) for value, n in zip(row, places, strict=True)] for row in found.rows]
    figures = [any(row[n][1] for row in rows) for n in range(len(found.headings))]
    return {"headings": list(zip(found.headings, figures, strict=True)), "rows": rows}


def _places(column: Sequence[Any]) -> int:
    """Return how many decimals the amounts of a column need, two at least."""
    needed = (-int(value.normalize().as_tuple().exponent) for value in column if isinstance(value, Decimal))
    return max(2, *needed, 2)


def _cell(value: Any, reseller: Reseller, places: int) -> tuple[str, bool]:
    if value is None or value == "":
        return DASH, False
    if isinstance(value, datetime):
        return moment(value, reseller), False
    if isinstance(value, date):
        return day(value), False
    if isinstance(value, Decimal):
        return figure(value, places), True
    return (figure(value, 0), True) if isinstance(value, int) else (str(value), False)


def repair_url(finding: Finding) -> str:
    """Return the address of the page that repairs a finding, "" for none."""
    where = address(finding.page, *finding.page_args) if finding.page else ""
    return f"{where}?{finding.page_query}" if where and finding.page_query else where


urls: list[URLPattern] = [
    path("leakage/", Register.as_view(), name="leakage"),
    path("leakage/checks/", acts.Checks.as_view(), name="leakage-checks"),
    path("leakage/checks/<slug:slug>/", acts.Limits.as_view(), name="leakage-limits"),
    path("leakage/<int:pk>/", FindingPage.as_view(), name="finding"),
    path("leakage/<int:pk>/accept/", acts.Accept.as_view(), name="finding-accept"),
    path("leakage/<int:pk>/look/", acts.LookAgain.as_view(), name="finding-look"),
    path("leakage/<int:pk>/note/", acts.Note.as_view(), name="finding-note"),
    path("leakage/<int:pk>/owner/", acts.Owner.as_view(), name="finding-owner"),
    path("leakage/<int:pk>/recover/", acts.Recover.as_view(), name="finding-recover"),
]
