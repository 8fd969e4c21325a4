"""Says in words why a call costs what it costs: line, customer, tariff, rate, increments, allowance, limits, rounding.

Every figure is worked out again from the rate as it stands now, in fractions; where that differs from what the call
holds, it is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from django.db.models import Q

from billing.models import (
    Bundle,
    Call,
    Feature,
    NumberAssignment,
    Tariff,
    TariffAssignment,
    TariffMarkup,
    TariffRate,
)
from billing.rating.book import MAX_PARENTS
from billing.rating.why_allowance import allowance_steps
from billing.rating.why_price import priced_steps
from billing.rating.words import amount_words, band_words, increments_words
from billing.rating.worked import marked_up
from resellerkpi.core.columns import day as day_words
from resellerkpi.core.models import Reseller

REMEDIES = {
    Call.Reason.UNKNOWN_CLI: "No number of the book is known as “{party}”. Add it as a number of its customer, or as"
    " another name of a number; then the call is priced.",
    Call.Reason.INACTIVE: "Number {party} is in the book but belonged to nobody on {day}. Give it to its customer from"
    " that day or earlier, or end the service at the supplier.",
    Call.Reason.NO_TARIFF: "Neither the number nor the customer has a tariff on {day}, and there is no default tariff."
    " Give the customer a tariff from that day.",
    Call.Reason.NO_RATE: "{tariff} has no rate for {target} in force on {day}, neither has a tariff it inherits"
    " from, and no markup over cost applies. Add the rate.",
    Call.Reason.UNKNOWN_TYPE: "The record names neither a number nor a charge code that a rate could be found by. Add a"
    " rate that serves every destination, or mend the source's layout.",
}
FREE = {
    Call.Reason.UNANSWERED: "The call was not answered, so it is free.",
    Call.Reason.INBOUND: "The call came in, so the customer pays nothing for it.",
    Call.Reason.INTERNAL: "The call stayed inside the customer's own system, so it is left out.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences on the retail price and on the wholesale cost, and the price worked out again (None: not priced)."""

    retail: tuple[str, ...]
    wholesale: tuple[str, ...]
    amount: Fraction | None


def explain(call: Call, reseller: Reseller, *, show_cost: bool = True) -> Explanation:
    """Return why the call costs what it does, line by line; without `show_cost` no wholesale figure is named."""
    day = call.started_at.astimezone(reseller.zone).date()
    sentences = [*_line_steps(call, day)]
    amount: Fraction | None = None
    if call.state == Call.State.ERROR:
        sentences.append(_remedy(call, day))
    elif call.reason in FREE and call.state != Call.State.RATED:
        sentences.append(FREE[Call.Reason(call.reason)])
    elif call.rate_id:
        rate = TariffRate.objects.select_related("tariff").get(pk=call.rate_id)
        sentences += [*_tariff_steps(call, rate.tariff, day), rate_words(call, rate)]
        if rate.is_service_charge:
            sentences.append(_access_words(call, rate, day))
        steps, amount = priced_steps(call, rate, reseller.zone, _bundle(call))
        sentences += [*allowance_steps(call, reseller, day), *steps]
        paid, amount = _also_money(call, amount, day)
        sentences += paid
    elif call.state == Call.State.RATED:
        steps, amount = _markup_steps(call, day, show_cost)
        sentences += steps
    if amount is not None:
        sentences.append(_result(call, amount))
    return Explanation(tuple(sentences), tuple(_wholesale_steps(call, reseller.zone)), amount)


def rate_words(call: Call, rate: TariffRate) -> str:
    """Return one sentence on the rate that prices a call."""
    if rate.key_kind == TariffRate.KeyKind.CODE:
        found = f"the supplier's charge code {rate.key}"
    elif rate.key:
        found = f"prefix {rate.key}, the longest that {call.dialled} begins with"
    else:
        found = "the rate for every destination"
    name = f" ({rate.destination})" if rate.destination else ""
    until = f" until {day_words(rate.valid_to)}" if rate.valid_to else ""
    per = {"voice": " a minute", "sms": " a message", "data": ""}[rate.service]
    if rate.service == TariffRate.Service.DATA:
        per = f" for each {rate.tariff.data_unit_mb.normalize():f} MB"
    price = ("service charge " if rate.is_service_charge else "") + amount_words(
        rate.price, rate.tariff.currency
    )
    return (
        f"Its rate is found by {found}{name}{band_words(rate)}, in force from {day_words(rate.valid_from)}{until}:"
        f" {price}{per}{increments_words(rate)}."
    )


def _line_steps(call: Call, day: date) -> Iterator[str]:
    number = call.number
    if number is None:
        yield f"The file names the line “{call.billed_party}”."
        return
    same = number.number.lstrip("+") == call.billed_party.lstrip("+")
    yield f"The file names the line “{call.billed_party}”, " + (
        "which is a number of the book." if same else f"another name of number {number.number}."
    )
    held = (
        NumberAssignment.objects.filter(number=number)
        .filter(_in_force(day, "start_date", "end_date"))
        .select_related("customer")
        .first()
    )
    if held is not None and call.customer_id == held.customer_id:
        yield (
            f"On {day_words(day)} it belonged to {held.customer.name} ({held.customer.code}),"
            f" since {day_words(held.start_date)}."
        )
    elif call.customer is not None:
        yield f"It was rated for {call.customer.name} ({call.customer.code})."


def _tariff_steps(call: Call, owner: Tariff, day: date) -> Iterator[str]:
    """Say which tariff was chosen and why, and whether the rate comes from a parent."""
    for chosen, why in _candidates(call, day):
        line = _line_of(chosen)
        if owner.pk in {tariff.pk for tariff in line}:
            yield f"Tariff {chosen.name} applies: {why}."
            if chosen.pk != owner.pk:
                yield f"It has no rate of its own for this call and inherits that of {owner.name}."
            return
    yield f"The rate belongs to tariff {owner.name}, which was in force for the call when it was rated."


def _access_words(call: Call, rate: TariffRate, day: date) -> str:
    """Say both parts of the price of a minute: the called provider's and what the customer's tariff adds."""
    currency = rate.tariff.currency
    service = (
        f"The service charge of {amount_words(rate.price, currency)} a minute is set by the called provider"
    )
    held = call.access_charge
    if not held:
        return f"{service}; the customer's tariff adds no access charge to it."
    total, access = amount_words(rate.price + held, currency), amount_words(held, currency)
    lines = (_line_of(chosen) for chosen, _ in _candidates(call, day))
    line: list[Tariff] = next((found for found in lines if rate.tariff in found), [])
    owner = next((tariff for tariff in line if tariff.access_charge is not None), None)
    whose = "which was the access charge when the call was rated"
    if owner is not None and owner.access_charge == held:
        whose = f"the access charge of tariff {line[0].name}"
        whose += "" if owner == line[0] else f", inherited from {owner.name}"
    return f"{service}; to it comes {access} a minute, {whose}: {total} a minute."


def _candidates(call: Call, day: date) -> Iterator[tuple[Tariff, str]]:
    """Yield the tariffs that may apply, in the order in which they are chosen."""
    chosen = (
        TariffAssignment.objects.filter(_in_force(day, "start_date", "end_date"))
        .filter(Q(number_id=call.number_id, number__isnull=False) | Q(customer_id=call.customer_id))
        .select_related("tariff")
        .order_by("-start_date", "-pk")
    )
    rows = list(chosen)
    for whose, mine in (
        ("number", [r for r in rows if r.number_id]),
        ("customer", [r for r in rows if r.customer_id]),
    ):
        for row in [r for r in mine if r.call_class and r.call_class == call.call_class]:
            since = day_words(row.start_date)
            yield row.tariff, f"the {whose} has it for {row.call_class} calls since {since}"
        for row in [r for r in mine if not r.call_class]:
            yield row.tariff, f"the {whose} has it since {day_words(row.start_date)}"
    defaults = Tariff.objects.filter(is_default=True, kind=Tariff.Kind.RETAIL).filter(
        Q(superseded_on__isnull=True) | Q(superseded_on__gt=day)
    )
    number_type = call.number.type if call.number else ""
    for row in sorted(
        defaults.filter(Q(carrier_id=call.carrier_id) | Q(carrier__isnull=True)),
        key=lambda t: (t.carrier_id is None, t.default_number_type == ""),
    ):
        if row.default_number_type in ("", number_type):
            yield row, "it is the default, because neither number nor customer has one of its own"


def _line_of(tariff: Tariff) -> list[Tariff]:
    line = [tariff]
    while line[-1].parent is not None and len(line) < MAX_PARENTS:
        line.append(line[-1].parent)
    return line


def _markup_steps(call: Call, day: date, show_cost: bool) -> tuple[list[str], Fraction | None]:
    """Explain a price made of the wholesale cost and a markup."""
    for chosen, why in _candidates(call, day):
        percent, of_class = _markup(call, _line_of(chosen))
        if percent is None:
            continue
        usable = call.cost is not None and call.cost_currency in ("", chosen.currency)
        cost = call.cost if usable else call.expected_cost
        if cost is None:
            continue
        amount = marked_up(cost, chosen, percent)
        bundle = _bundle(call)
        steps = [
            f"Tariff {chosen.name} applies: {why}.",
            f"It has no rate for {call.dialled or 'this call'}; "
            + (
                f"its markup of {percent.normalize():f} %{of_class} over the wholesale cost of"
                f" {amount_words(cost, chosen.currency)} makes {amount_words(amount, chosen.currency)}."
                if show_cost
                else f"its markup{of_class} makes {amount_words(amount, chosen.currency)}."
            ),
        ]
        if bundle is not None and bundle.unit == Bundle.Unit.MONEY:
            amount -= Fraction(call.drawn)
            steps.append(
                f"{amount_words(call.drawn, chosen.currency)} came out of the allowance of {bundle.feature_type}."
            )
        return steps, amount
    return ["It was priced by a markup over cost that is no longer in the book."], None


def _markup(call: Call, line: list[Tariff]) -> tuple[Decimal | None, str]:
    """Return the markup of a tariff and its parents for the call's class, else the general one, and whose in words."""
    rows = TariffMarkup.objects.filter(tariff__in=line, call_class=call.call_class).exclude(call_class="")
    by_tariff = {row.tariff_id: row.percent for row in rows}
    for tariff in line:
        if tariff.pk in by_tariff:
            return by_tariff[tariff.pk], f" for {call.call_class} calls"
    return next((t.markup_percent for t in line if t.markup_percent is not None), None), ""


def _also_money(call: Call, amount: Fraction, day: date) -> tuple[list[str], Fraction]:
    """Say what a money allowance paid of a call that drew from another allowance first."""
    rest = amount - Fraction(call.retail)
    if rest <= 0 or call.bundle_id is None:
        return [], amount
    packages = Feature.objects.filter(_in_force(day, "start_date", "end_date"), customer_id=call.customer_id)
    money = Bundle.objects.filter(
        unit=Bundle.Unit.MONEY, feature_type_id__in=packages.values("feature_type_id")
    ).exclude(pk=call.bundle_id)
    found = money.select_related("feature_type").first()
    if found is None:
        return [], amount
    drawn = amount_words(rest, call.currency)
    return [f"{drawn} came out of the money allowance of {found.feature_type}."], Fraction(call.retail)


def _result(call: Call, amount: Fraction) -> str:
    held = amount_words(call.retail, call.currency)
    if amount == Fraction(call.retail):
        return f"Price: {held}."
    now = amount_words(amount, call.currency)
    return f"The call holds {held}; by the rate and allowances as they stand now it would be {now}."


def _wholesale_steps(call: Call, zone: ZoneInfo) -> Iterator[str]:
    """Say what the supplier charged, and what its tariff says."""
    if call.cost is not None:
        yield f"The supplier charges {amount_words(call.cost, call.cost_currency)}."
        if call.surcharge:
            yield f"{amount_words(call.surcharge, call.cost_currency)} of that is a surcharge."
    else:
        yield "The supplier's file names no cost."
    rate = (
        TariffRate.objects.select_related("tariff").filter(pk=call.cost_rate_id).first()
        if call.cost_rate_id
        else None
    )
    if rate is None or call.expected_cost is None:
        yield "There is no wholesale rate to check it against."
        return
    yield f"Wholesale tariff {rate.tariff.name} gives another figure to check by. {rate_words(call, rate)}"
    steps, _ = priced_steps(call, rate, zone, None, wholesale=True)
    yield from steps
    expected = amount_words(call.expected_cost, rate.tariff.currency)
    if call.cost is None or rate.tariff.currency != call.cost_currency:
        yield f"Expected cost: {expected}."
        return
    difference = call.cost - call.expected_cost
    if difference:
        more = f"{amount_words(abs(difference), call.cost_currency)} {'more' if difference > 0 else 'less'}"
        yield f"Expected cost: {expected}; the supplier charges {more}."
    else:
        yield f"Expected cost: {expected}, as charged."


def _remedy(call: Call, day: date) -> str:
    target = f"{call.dialled or 'an unnamed destination'}"
    if call.charge_code:
        target += f" (charge code {call.charge_code})"
    chosen = next(_candidates(call, day), None) if call.reason == Call.Reason.NO_RATE else None
    return REMEDIES[Call.Reason(call.reason)].format(
        party=call.billed_party,
        day=day_words(day),
        target=target,
        tariff=f"Tariff {chosen[0].name}" if chosen else "The tariff",
    )


def _bundle(call: Call) -> Bundle | None:
    return (
        Bundle.objects.select_related("feature_type").filter(pk=call.bundle_id).first()
        if call.bundle_id
        else None
    )


def _in_force(day: date, start: str, end: str) -> Q:
    return Q(**{f"{start}__lte": day}) & (Q(**{f"{end}__isnull": True}) | Q(**{f"{end}__gt": day}))
