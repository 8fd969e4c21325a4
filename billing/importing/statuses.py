"""The dated events of a customer's status as an import gives them, checked against those in the book."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import F, OuterRef, QuerySet, Subquery

from billing.importing.tables.kind import Row, Work, last_days
from billing.importing.tables.staging import upsert
from billing.models import Customer, CustomerEvent, Feature, NumberAssignment
from billing.models.continued import take_back_after

_STATUS = Customer.Status
_DATES = (
    ("active_from", _STATUS.ACTIVE),
    ("suspended_on", _STATUS.SUSPENDED),
    ("ceased_on", _STATUS.CEASED),
)


@dataclass(frozen=True, order=True)
class Event:
    """A status from a day on."""

    date: date
    status: str


def check_events(rows: list[Row], work: Work) -> None:
    """Set each row's new `events` and resulting `status`; refuse dates that contradict each other or the book."""
    last_days(rows, work, first="active_from", end="ceased_on")
    known = _known_events([row["code"] for row in rows])
    for row in rows:
        row["events"] = []
        given = [Event(row[name], status) for name, status in _DATES if row[name] is not None]
        if [event.date for event in given] != sorted({event.date for event in given}):
            work.refuse(
                row, "active_from", "A customer is active, then suspended, then ceased, each on a later day."
            )
        elif row["code"] not in known:
            _new_customer(row, given, work)
        else:
            _known_customer(row, given, known[row["code"]], work)


def _known_events(codes: list[str]) -> dict[str, list[Event]]:
    known: dict[str, list[Event]] = {
        code: [] for code in Customer.objects.filter(code__in=codes).values_list("code", flat=True)
    }
    events = CustomerEvent.objects.filter(customer__code__in=codes).order_by("date")
    for code, day, status in events.values_list("customer__code", "date", "status"):
        known[code].append(Event(day, status))
    return known


def _new_customer(row: Row, given: list[Event], work: Work) -> None:
    status = row["status"]
    if status not in (None, _STATUS.PROSPECT) and row["active_from"] is None:
        work.refuse(row, "active_from", "Say since when the customer is active.")
    elif given and row["active_from"] is None:
        work.refuse(row, "active_from", "Say since when the customer was active before.")
    elif status == _STATUS.CEASED and row["ceased_on"] is None:
        work.refuse(row, "ceased_on", "Say when the customer left: ceased on, or the last day of service.")
    elif status == _STATUS.SUSPENDED and row["suspended_on"] is None:
        work.refuse(row, "suspended_on", "Say when the customer was suspended.")
    else:
        row["events"] = given
        _settle(row, given, work)


def _known_customer(row: Row, given: list[Event], known: list[Event], work: Work) -> None:
    fresh = [event for event in given if event not in known]
    for event in fresh:
        problem = _clash(event, [*known, *(e for e in fresh if e != event)])
        if problem:
            work.refuse(row, "active_from", problem)
            return
    row["events"] = fresh
    if not fresh and not known and row["status"] in (_STATUS.ACTIVE, _STATUS.CEASED, _STATUS.SUSPENDED):
        work.refuse(row, "active_from", "Say since when the customer is active.")
    elif fresh or known:
        _settle(row, sorted([*known, *fresh]), work)


def _clash(event: Event, others: list[Event]) -> str:
    label = _STATUS(event.status).label.lower()
    earlier = [other for other in others if other.date <= event.date]
    later = [other for other in others if other.date > event.date]
    if any(other.date == event.date for other in earlier):
        return f"The customer's status changes on {event.date} already."
    if earlier and max(earlier).status == event.status:
        return (
            f"The customer is {label} since {max(earlier).date} already; change that on the customer's page."
        )
    if later and min(later).status == event.status:
        return (
            f"The customer is {label} from {min(later).date} in the book; change that on the customer's page."
        )
    return ""


def _settle(row: Row, events: list[Event], work: Work) -> None:
    """Set the status that the events give today, and refuse a written one that says otherwise."""
    past = [event for event in events if event.date <= work.today]
    found = max(past).status if past else _STATUS.PROSPECT
    if row["status"] not in (None, found) and (past or row["status"] != _STATUS.ACTIVE):
        said, dated = _STATUS(row["status"]).label.lower(), _STATUS(found).label.lower()
        work.refuse(row, "status", f"The status says {said}, but by its dates the customer is {dated}.")
    row["status"] = str(found)


def load_events(rows: list[Row], work: Work) -> None:
    """Add the new events of the rows' customers."""
    ids = dict(Customer.objects.filter(code__in=[row["code"] for row in rows]).values_list("code", "pk"))
    values: dict[tuple[int, date], dict[str, object]] = defaultdict(dict)
    for row in rows:
        for event in row["events"]:
            left = event.status == _STATUS.CEASED
            values[ids[row["code"]], event.date] = {
                "customer_id": ids[row["code"]],
                "date": event.date,
                "status": str(event.status),
                "reason": (row["cease_reason"] or "") if left else "",
                "words": (row["cease_words"] or "") if left else "",
                "competitor": (row["competitor"] or "") if left else "",
            }
    upsert(
        CustomerEvent,
        list(values.values()),
        key=("customer_id", "date"),
        reseller_id=work.reseller.pk,
        update=False,
    )
    end_services(ids.values())


def end_services(customers: Iterable[int]) -> None:
    """End what is open of customers that have left, numbers and features, on the first day without service.

    What the carriers supply stays as it is: they charge until they are told.
    """
    wanted = set(customers)
    last = CustomerEvent.objects.filter(customer_id=OuterRef("customer_id")).order_by("-date")
    day = Subquery(last.values("date")[:1])
    services: tuple[QuerySet[NumberAssignment] | QuerySet[Feature], ...] = (
        NumberAssignment.objects.filter(customer_id__in=wanted),
        Feature.objects.filter(customer_id__in=wanted),
    )
    _take_back_changes(wanted, last)
    for held in services:
        left = held.filter(end_date=None).annotate(
            last_status=Subquery(last.values("status")[:1]), left_on=day
        )
        left.filter(last_status=_STATUS.CEASED, start_date__lt=F("left_on")).update(end_date=day)


def _take_back_changes(customers: set[int], last: QuerySet[CustomerEvent]) -> None:
    """Take back changes of features dated on or after the day their customer left, and end what they continued."""
    rows = Feature.objects.filter(customer_id__in=customers).annotate(
        last_status=Subquery(last.values("status")[:1]), left_on=Subquery(last.values("date")[:1])
    )
    rows = rows.filter(
        last_status=_STATUS.CEASED, start_date__lt=F("left_on"), continued_by__start_date__gte=F("left_on")
    )
    kept: dict[int, dict[int, date]] = defaultdict(dict)
    for feature in rows:
        kept[feature.reseller_id][feature.pk] = feature.left_on
    for reseller_id, ends in kept.items():
        take_back_after(reseller_id, list(ends))
        features = [Feature(pk=pk, end_date=left_on) for pk, left_on in ends.items()]
        Feature.objects.bulk_update(features, ["end_date"], batch_size=1000)
