"""Why a row differs: what the books hold of it since the run, found for many rows at once from dated tables."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q

from billing.models import Allocation, Call, CdrFile, Invoice, RatingBatch
from reports.differences import ADDED, CHANGED, REMOVED, Cell, Entry
from reports.models import Run
from reports.report import Report
from resellerkpi.core.columns import Column, Number, day, figure
from resellerkpi.core.models import AuditEvent
from resellerkpi.core.periods import midnight
from resellerkpi.ui.navigation import address

PAID, CREDITED, RERATED, LATE, EDITED = "paid", "credited", "rerated", "late", "edited"
MONEY_MOVERS = (PAID, CREDITED, RERATED, LATE, EDITED)
MOST_TOLD = 3
UNKNOWN = "Edited, or entered with an earlier date: no dated event says more."
GONE = "It does not match the query any more."
NEW = "It matches the query since then."


@dataclass(frozen=True)
class Event:
    """Something that happened since: its kind, in words, where it can be seen, and its share of the difference."""

    kind: str
    words: str
    url: str = ""
    amount: D | None = None
    at: int = 0
    since: bool = True


@dataclass
class Evidence:
    """What the books hold for some rows: by invoice, by customer, for everything of the interval."""

    invoices: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    issued: dict[int, Event] = field(default_factory=dict)
    customers: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    subjects: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    usage: list[Event] = field(default_factory=list)


class Causes:
    """Explains the differences between a run and a fresh one in the scope in force."""

    def __init__(self, run: Run, report: Report, columns: Sequence[Column]) -> None:
        self.run, self.report, self.columns = run, report, columns
        self.since = run.as_of
        self.day = run.as_of.astimezone(ZoneInfo(run.zone)).date()
        self.batches = {batch.pk: _batch_event(batch) for batch in self._batches()}

    def _batches(self) -> list[RatingBatch]:
        """Return what was loaded or priced again since, if it touches the run's days."""
        since = RatingBatch.objects.filter(created_at__gt=self.since).select_related("file")
        if self.run.period_start and self.run.period_end:
            zone = ZoneInfo(self.run.zone)
            since = since.filter(
                Q(last_call_at__isnull=True) | Q(last_call_at__gte=midnight(self.run.period_start, zone)),
                Q(first_call_at__isnull=True) | Q(first_call_at__lt=midnight(self.run.period_end, zone)),
            )
        return list(since.order_by("pk"))

    def of(self, entries: Sequence[Entry]) -> list[list[Event]]:
        """Return the causes of each cell of each entry, in their order; one for an entry without cells."""
        evidence = self._evidence(entries)
        return [self._one(entry, evidence) for entry in entries]

    def _one(self, entry: Entry, evidence: Evidence) -> list[Event]:
        happened = self._happened(entry, evidence)
        if entry.kind == CHANGED:
            return [self._cell(cell, happened) for cell in entry.cells]
        invoice = self._ids(entry, "invoice")
        if entry.kind == ADDED and invoice & set(evidence.issued):
            cause = evidence.issued[min(invoice)]
        else:
            recent = [event for event in happened if event.since]
            words = NEW if entry.kind == ADDED else GONE
            cause = _together(recent, head=f"{words} ") if recent else Event(EDITED, words)
        return [cause] * max(1, len(entry.cells))

    def _cell(self, cell: Cell, happened: Sequence[Event]) -> Event:
        """Choose what moved a cell: events whose amounts make up the difference, else those of its kinds since then."""
        kinds = self.report.moved_by.get(cell.column.name) or _usual(cell.column)
        fitting = [event for event in happened if event.kind in kinds]
        for kind in kinds:
            exact = _adding_up([e for e in fitting if e.kind == kind], cell.difference)
            if exact:
                return _together(exact)
        recent = [event for event in fitting if event.since]
        return _together(recent) if recent else Event(EDITED, UNKNOWN)

    def _happened(self, entry: Entry, evidence: Evidence) -> list[Event]:
        found: list[Event] = []
        for invoice in sorted(self._ids(entry, "invoice")):
            found += evidence.invoices.get(invoice, [])
        customers = self._ids(entry, "customer")
        for customer in sorted(customers):
            found += evidence.customers.get(customer, [])
        if not customers:
            found += evidence.usage
        for subject in _subjects(entry, self.columns):
            found += evidence.subjects.get(subject, [])
        return list(dict.fromkeys(found))

    def _ids(self, entry: Entry, kind: str) -> set[int]:
        values = (entry.row.get(f"{c.name}_id") for c in self.columns if c.url == kind)
        return {int(value) for value in values if value is not None}

    def _evidence(self, entries: Sequence[Entry]) -> Evidence:
        found = Evidence(usage=list(self.batches.values()))
        invoices = {i for entry in entries for i in self._ids(entry, "invoice")}
        customers = {c for entry in entries for c in self._ids(entry, "customer")}
        self._money(found, invoices)
        self._issued(found, invoices)
        self._calls(found, customers)
        self._edits(found, {s for entry in entries for s in _subjects(entry, self.columns)})
        return found

    def _money(self, found: Evidence, invoices: Iterable[int]) -> None:
        """Read what payments and credit notes settle of the invoices, the newest entries first."""
        rows = Allocation.objects.filter(invoice__in=invoices).annotate(
            note=F("credit_note__number"), reference=F("payment__reference")
        )
        for row in rows.order_by("-pk"):
            ended = row.ended_date is not None and row.ended_date >= self.day
            found.invoices[row.invoice_id].append(
                _settled(row, since=row.date >= self.day or ended, ended=ended)
            )

    def _issued(self, found: Evidence, invoices: Iterable[int]) -> None:
        rows = Invoice.objects.filter(pk__in=invoices, issued_at__gt=self.since).select_related("run")
        for invoice in rows:
            by = f" by the bill run “{invoice.run}”" if invoice.run else ""
            words = f"New: issued on {day(_local(invoice.issued_at, self.run))}{by}."
            found.issued[invoice.pk] = Event("new", words, address("invoice", invoice.pk))

    def _calls(self, found: Evidence, customers: Iterable[int]) -> None:
        """Read which customers' calls were loaded late or priced again since."""
        if not self.batches or not customers:
            return
        calls = Call.objects.filter(customer__in=customers, batch__in=list(self.batches))
        if self.run.period_start and self.run.period_end:
            zone = ZoneInfo(self.run.zone)
            calls = calls.filter(
                started_at__gte=midnight(self.run.period_start, zone),
                started_at__lt=midnight(self.run.period_end, zone),
            )
        for customer, batch in calls.order_by().values_list("customer_id", "batch_id").distinct():
            found.customers[customer].append(self.batches[batch])

    def _edits(self, found: Evidence, subjects: set[str]) -> None:
        events = AuditEvent.objects.filter(at__gt=self.since, subject__in=subjects).select_related("user")
        for event in events.order_by("at", "pk")[:1_000]:
            who = f" by {event.user}" if event.user else ""
            did = event.action.replace("_", " ").replace(".", ": ")
            words = f"Edited on {day(_local(event.at, self.run))}{who} ({did})."
            found.subjects[event.subject].append(Event(EDITED, words))


def _local(instant: datetime, run: Run) -> date:
    return instant.astimezone(ZoneInfo(run.zone)).date()


def _settled(row: Any, *, since: bool, ended: bool) -> Event:
    amount = -row.amount if ended else row.amount
    if row.credit_note_id:
        words = f"Credited: {figure(row.amount, 2)} by {row.note} on {day(row.date)}."
        return Event(CREDITED, words, address("credit-note", row.credit_note_id), amount, row.pk, since)
    told = f" ({row.reference})" if row.reference else ""
    words = f"Paid: {figure(row.amount, 2)} on {day(row.date)}{told}."
    if ended:
        words = f"Payment taken back: {figure(row.amount, 2)} on {day(row.ended_date)}{told}."
    return Event(PAID, words, address("payment", row.payment_id), amount, row.pk, since)


def _batch_event(batch: RatingBatch) -> Event:
    at = day(batch.created_at.date())
    file: CdrFile | None = batch.file
    if file is not None:
        return Event(LATE, f"Late calls: {file.name} was loaded on {at}.", address("cdr-file", file.pk))
    what = "1 call was" if batch.calls == 1 else f"{batch.calls:,} calls were"
    words = f"Rerated: {what} priced again on {at}."
    return Event(RERATED, words, address("price-again"))


def _subjects(entry: Entry, columns: Sequence[Column]) -> set[str]:
    """Return the names under which the audit log would speak of a row."""
    linked = (entry.row.get(c.name) for c in columns if c.url)
    return {str(value)[:200] for value in linked if value}


def _usual(column: Column) -> Sequence[str]:
    return MONEY_MOVERS if isinstance(column, Number) or column.parts else (EDITED, CREDITED)


def _adding_up(events: Sequence[Event], difference: D | None) -> list[Event]:
    """Return the newest events whose amounts make up a difference exactly, either way; none when they do not."""
    chosen, total = [], D(0)
    for event in sorted(events, key=lambda e: -e.at):
        if event.amount is None or not difference:
            break
        chosen.append(event)
        total += event.amount
        if abs(total) == abs(difference):
            return chosen
    return []


def _together(events: Sequence[Event], *, head: str = "") -> Event:
    told = [event.words for event in events[:MOST_TOLD]]
    more = len(events) - len(told)
    words = head + " ".join(told) + (f" And {more:,} more." if more > 0 else "")
    return Event(events[0].kind, words, next((e.url for e in events if e.url), ""))


def kinds() -> Mapping[str, str]:
    """Return the kinds of difference by their words."""
    return {CHANGED: "Changed", ADDED: "New", REMOVED: "Gone"}
