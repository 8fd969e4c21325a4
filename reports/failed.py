"""What reports of calls without a price share: sections in repair order, the missing item, the call, its repair."""

from decimal import Decimal as D
from typing import Any

from django.db.models import Case, CharField, F, IntegerField, Max, Min, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Left, NullIf

from billing.models import Call, CdrFile
from billing.rating.errors import ORDER, error_span
from reports.calls import CallFilters, calls_of
from reports.currency import Billed
from reports.grouping import Dimension
from reports.report import TieOut
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import BY_ROW, Choice, Code, DateTime, Text
from resellerkpi.core.scope import current

Reason = Call.Reason
ERRORS = "Errors"
#: The cost of a call without a price is in its supplier's currency; of one without a cost, in the reseller's own.
BILLED = Billed(currency="costed_in", date="started_at", instant=True)
#: What to do about each reason, and the page where it is done.
REPAIRS = {
    Reason.UNKNOWN_CLI: ("Say whose number it is", "billing-errors"),
    Reason.INACTIVE: ("Give the number to its customer", "number"),
    Reason.NO_TARIFF: ("Give the customer a tariff", "customer"),
    Reason.NO_RATE: ("Add a rate: a call names the tariff", "call"),
    Reason.UNKNOWN_TYPE: ("See a call, then the layout of its file", "call"),
}
REPAIR = Text(
    name="repair",
    label="Repair",
    level=True,
    url=BY_ROW,
    help="What repairs it; the link leads to the page.",
)


def missing() -> Case:
    """Return the expression of what is missing for a call: a number, a customer's tariff, a destination, a type."""
    place = Coalesce(NullIf("destination", Value("")), NullIf("charge_code", Value("")), Left("dialled", 7))
    return Case(
        When(reason=Reason.UNKNOWN_CLI, then=F("billed_party")),
        When(reason=Reason.INACTIVE, then=Coalesce("number__number", "billed_party")),
        When(reason=Reason.NO_TARIFF, then=Coalesce("customer__name", "billed_party")),
        When(reason=Reason.NO_RATE, then=place),
        default=F("service"),
        output_field=CharField(),
    )


def _order(_: Any) -> Case:
    places = [When(reason=reason, then=Value(n)) for n, reason in enumerate(ORDER)]
    return Case(*places, default=Value(len(ORDER)), output_field=IntegerField())


FAILED = (
    Dimension(
        slug="section",
        label="Section",
        columns=(
            Choice(
                name="by_section",
                label="Section",
                choices=tuple((r, r.label) for r in ORDER),
                help="What is missing; sections stand in the order in which repairs help.",
            ),
        ),
        lookups={"section_order": _order, "by_section": "reason"},
        family=ERRORS,
    ),
    Dimension(
        slug="item",
        label="Item",
        columns=(
            Code(
                name="by_item",
                label="Item",
                help="The number, the customer without a tariff, the destination, charge code or first digits without "
                "a rate, or the type of record.",
            ),
        ),
        lookups={"item_reason": "reason", "by_item": lambda _: missing()},
        family=ERRORS,
    ),
    Dimension(
        slug="call",
        label="Call",
        columns=(
            DateTime(name="by_call", label="Call", url="call"),
            Code(name="by_from", label="From", needs=Capability.VIEW_PEOPLE),
            Code(name="by_to", label="To", needs=Capability.VIEW_PEOPLE),
        ),
        lookups={"by_call": "started_at", "by_call_id": "pk", "by_from": "cli", "by_to": "dialled"},
        family=ERRORS,
    ),
)


def repair_of() -> dict[str, Any]:
    """Return the aggregates that say of a group of one reason what repairs it, and where."""
    words = [When(reason=reason, then=Value(told)) for reason, (told, _) in REPAIRS.items()]
    pages = [When(reason=reason, then=Value(page)) for reason, (_, page) in REPAIRS.items()]
    rows = [
        When(reason=Reason.INACTIVE, then=F("number_id")),
        When(reason=Reason.NO_TARIFF, then=F("customer_id")),
        When(reason__in=[Reason.NO_RATE, Reason.UNKNOWN_TYPE], then=F("pk")),
    ]
    return {
        "repair": Min(Case(*words, output_field=CharField())),
        "repair_url": Min(Case(*pages, output_field=CharField())),
        "repair_id": Max(Case(*rows, output_field=IntegerField())),
    }


class FailedFilters(CallFilters):
    """Filters of calls, for reports of those without a price."""

    default_period = "this_year"

    @property
    def covers_all(self) -> bool:
        """Whether nothing is left out: no filter, and an interval that holds all files with errors."""
        span = error_span(self.reseller)
        if self.narrows or current().dealer_id or current().customer_id or span is None:
            return False
        return self.interval.starts_at <= span[0] and span[1] < self.interval.ends_at


def failed_calls(f: FailedFilters) -> QuerySet[Any]:
    """Return the calls without a price that a query asks for, with the currency of what they cost."""
    home = Value(f.reseller.currency)
    calls = calls_of(f).filter(state=Call.State.ERROR)
    return calls.annotate(costed_in=Coalesce(NullIf(F("cost_currency"), Value("")), home))


def tied(f: FailedFilters, ours: int) -> list[TieOut]:
    """Compare a number of calls with those that the call files count as unpriced, when nothing is left out."""
    if not f.covers_all:
        return []
    held = CdrFile.objects.aggregate(unpriced=Sum("unpriced", default=0))["unpriced"]
    return [TieOut("Calls without a price against the call files", "", D(ours), D(held))]
