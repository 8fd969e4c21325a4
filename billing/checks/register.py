"""The register: merges what checks find into findings, set by set, so that a run twice is a run once.

A finding opens when it is first found, is touched while it is found, closes (fixed) when its check passes and opens
again when it comes back, keeping its history. One that is accepted stays so until its date. One that is recovered
opens again only when the leak has grown since. Queries do not grow with the findings, and one reseller's register is
written by one worker at a time.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from django.db.models import Q

from billing.checks.declare import Ask, Check, Found
from billing.checks.ledger import entered, has_moved
from billing.checks.registry import CHECKS
from billing.checks.thresholds import thresholds
from billing.models import Finding, FindingEvent
from billing.models.locks import hold_findings
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period, local_day, month_of

PENNY = Decimal("0.01")
BATCH = 2_000
State, Kind = Finding.State, FindingEvent.Kind
Key = tuple[str, str]

#: What a run brings up to date of a finding that is there already.
TOUCHED = (
    "family", "level", "label", "customer", "period", "why", "money_per_month", "money_to_date", "currency",
    "count", "about", "page", "page_args", "page_query", "last_seen", "state", "closed_at", "recovered_at_money",
    "open_money", "open_since",
)  # fmt: skip
#: What of it says whether a finding is other than it was.
COMPARED = ("customer_id", *(name for name in TOUCHED if name not in ("customer", "last_seen")))


@dataclass
class Outcome:
    """What came of a run, by count."""

    found: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, int]:
        """Return the counts for a job's row."""
        return {"found": self.found, **{kind: self.events[kind] for kind in ("opened", "reopened", "fixed")}}


def run(
    reseller: Reseller, checks: Iterable[Check] | None = None, *, now: datetime, period: Period | None = None
) -> Outcome:
    """Run checks (all of them unless named) and bring the register up to what they find; `period` as in `Ask`."""
    chosen = list(CHECKS if checks is None else checks)
    hold_findings(reseller.pk)
    today = local_day(now, reseller.zone)
    asked = period or month_of(today, reseller.zone).previous()
    settings = thresholds(chosen)
    found: list[tuple[Check, Found]] = []
    for one in chosen:
        ask = Ask(reseller, now, today, asked, settings[one.slug])
        found += [(one, value) for value in one.find(ask)]
    return _merge(reseller, chosen, found, now=now, period=asked)


def ask_of(reseller: Reseller, check: Check, *, now: datetime, period: Period | None = None) -> Ask:
    """Return what a check is asked at an instant, with the reseller's thresholds."""
    today = local_day(now, reseller.zone)
    asked = period or month_of(today, reseller.zone).previous()
    return Ask(reseller, now, today, asked, thresholds([check])[check.slug])


def _merge(
    reseller: Reseller,
    checks: Sequence[Check],
    found: list[tuple[Check, Found]],
    *,
    now: datetime,
    period: Period,
) -> Outcome:
    """Bring the findings of checks up to what they found: new, still there, back again, gone."""
    existing, today = _existing(checks, period), local_day(now, reseller.zone)
    seen: set[Key] = set()
    new: list[Finding] = []
    touched: list[Finding] = []
    same: list[int] = []
    events: list[FindingEvent] = []
    for check, value in found:
        key = (check.slug, value.subject)
        row = existing.pop(key, None)
        if key in seen:
            raise ValueError(f"The check “{check.slug}” found “{value.subject}” twice.")
        seen.add(key)
        before = row and _content(row)
        if row is None:
            row = Finding(reseller=reseller, check_slug=check.slug, subject=value.subject, first_seen=now)
            new.append(row)
        event = _meet(row, check, value, now=now, period=period, today=today)
        events += [event] if event else []
        if before == _content(row):
            same.append(row.pk)
        elif before:
            touched.append(row)
    gone = [row for row in existing.values() if row.state in Finding.STANDING]
    for row in gone:
        was, row.state, row.closed_at = row.state, State.FIXED, now
        events.append(entered(_event(row, Kind.FIXED, now), was=was))
    Finding.objects.bulk_create(new, batch_size=BATCH)
    _update([*touched, *gone])
    if same:
        Finding.objects.filter(pk__in=same).update(last_seen=now)
    FindingEvent.objects.bulk_create(events, batch_size=BATCH)
    return Outcome(len(found), Counter(str(event.kind) for event in events))


def _meet(
    row: Finding, check: Check, value: Found, *, now: datetime, period: Period, today: date
) -> FindingEvent | None:
    """Bring a finding, new or known, up to what was found, and return the event of it, None for nothing new."""
    is_new = row.pk is None
    kind, was = (Kind.OPENED, "") if is_new else (_next(row, value, today), row.state)
    _fill(row, check, value, now, period)
    if kind:
        row.state, row.closed_at = State.OPEN, None
    if not kind and not has_moved(row):
        return None
    found_on = today if kind in (Kind.OPENED, Kind.REOPENED) else None
    return entered(_event(row, kind or Kind.CHANGED, now), was=was, found_on=found_on)


def _existing(checks: Sequence[Check], period: Period) -> dict[Key, Finding]:
    """Return the findings a run may touch or close: of a check per period only those of the period asked.

    Their rows are held from here on, so that what a person does with one meanwhile is either seen or waits.
    """
    single = [c.slug for c in checks if not c.per_period]
    rows = Finding.objects.filter(
        Q(check_slug__in=single) | Q(check_slug__in=[c.slug for c in checks], period=period.start)
    )
    held = rows.select_for_update().order_by("period", "pk")
    return {(row.check_slug, row.subject): row for row in held}


def _next(row: Finding, value: Found, today: date) -> str:
    """Return what being found does to a known finding, "" for nothing: an open one stays open."""
    if row.state == State.FIXED:
        return Kind.REOPENED
    if row.state == State.RECOVERED:
        before, after = row.recovered_at_money, money(value.money_to_date)
        return Kind.REOPENED if (after or Decimal(0)) > (before or Decimal(0)) else ""
    lapsed = row.state == State.ACCEPTED and row.accepted_until is not None and row.accepted_until <= today
    return Kind.LAPSED if lapsed else ""


def money(amount: Decimal | None) -> Decimal | None:
    """Round an amount half-up to the penny; None stays None."""
    return None if amount is None else amount.quantize(PENNY, ROUND_HALF_UP)


def _fill(row: Finding, check: Check, value: Found, now: datetime, period: Period) -> None:
    row.family, row.level = check.family, value.level or check.level
    row.label, row.why, row.count = value.label[:200], value.why[:400], value.count
    row.customer_id = value.customer_id
    row.period = period.start if check.per_period else value.period
    row.money_per_month = money(value.money_per_month)
    row.money_to_date = money(value.money_to_date)
    row.currency, row.about = value.currency, dict(value.about)
    row.page, row.page_args, row.page_query = value.page or check.page, list(value.args), value.query
    row.last_seen = now


def _content(row: Finding) -> list[object]:
    """Return all that a run may bring up to date of a finding but when it was seen."""
    return [getattr(row, name) for name in COMPARED]


def _event(row: Finding, kind: str, now: datetime) -> FindingEvent:
    return FindingEvent(reseller_id=row.reseller_id, finding=row, at=now, kind=kind, amount=row.money_to_date)


def _update(rows: Sequence[Finding]) -> None:
    """Write findings back, a statement for each batch of them, whatever of them changed."""
    if rows:
        Finding.objects.bulk_create(
            rows, batch_size=BATCH, update_conflicts=True, unique_fields=["id"], update_fields=TOUCHED
        )
