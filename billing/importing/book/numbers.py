"""Import of numbers with their customers over dates, their other identities and their carrier."""

from billing.importing.ranges import Held, check_ranges
from billing.importing.statuses import end_services
from billing.importing.tables.fields import Field, choice, day, exact, tags, text
from billing.importing.tables.kind import Counts, Kind, Row, Work, last_days
from billing.importing.tables.numbers import number, type_of
from billing.importing.tables.staging import upsert
from billing.models import Number, NumberAssignment, NumberIdentity, Supply

_NUMBER = ("number", "type", "description", "monthly_cost")


def check(rows: list[Row], work: Work) -> None:
    """Refuse assignments and supplies that overlap, and identities that another number has."""
    last_days(rows, work, first="start_date", end="end_date")
    for row in rows:
        if row["start_date"] is None and (row["customer"] or row["carrier"]):
            work.refuse(row, "start_date", "Say from which day the customer or carrier has the number.")
        if row["customer"] is None and row["end_date"] is not None:
            work.refuse(row, "customer", "An end needs a customer.")
    bad = work.problems.lines()
    good = [row for row in rows if row["line"] not in bad]
    _check_assignments([row for row in good if row["customer"]], work)
    _check_supplies([row for row in good if row["carrier"]], work)
    _check_identities(good, work)


def _check_assignments(rows: list[Row], work: Work) -> None:
    book = NumberAssignment.objects.filter(number__number__in={row["number"] for row in rows})
    names = ("number__number", "customer__code", "start_date", "end_date")
    held = [(key, Held(code, start, end)) for key, code, start, end in book.values_list(*names)]
    fresh = check_ranges(
        rows, work, thing=lambda row: row["number"], holder=lambda row: row["customer"], book=held, field="number",
        sentence="The number belongs to customer {holder} {range}.",
    )  # fmt: skip
    for row in fresh:
        row["assign"] = True


def _check_supplies(rows: list[Row], work: Work) -> None:
    book = Supply.objects.filter(number__number__in={row["number"] for row in rows})
    names = ("number__number", "carrier__code", "start_date", "end_date")
    held = [(key, Held(code, start, end)) for key, code, start, end in book.values_list(*names)]
    fresh = check_ranges(
        rows, work, thing=lambda row: row["number"], holder=lambda row: row["carrier"], book=held, field="carrier",
        sentence="Carrier {holder} supplies the number {range}.", same_holder_is_fine=True,
    )  # fmt: skip
    for row in fresh:
        row["supply"] = True


def _check_identities(rows: list[Row], work: Work) -> None:
    owners: dict[str, str] = {}
    wanted = {identity for row in rows for identity in row["identities"] or ()}
    book = NumberIdentity.objects.filter(identity__in=wanted).values_list("identity", "number__number")
    owners.update(dict(book))
    owners.update({n: n for n in Number.objects.filter(number__in=wanted).values_list("number", flat=True)})
    owners.update({row["number"]: row["number"] for row in rows})
    for row in rows:
        for identity in row["identities"] or ():
            owner = owners.setdefault(identity, row["number"])
            if owner != row["number"]:
                work.refuse(row, "identities", f"“{identity}” already stands for number {owner}.")


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new numbers, update known ones, add assignments, supplies and identities."""
    house = work.reseller.pk
    by_number: dict[str, Row] = {}
    for row in rows:
        merged = by_number.setdefault(row["number"], dict.fromkeys(_NUMBER))
        merged.update({name: row[name] for name in _NUMBER if row[name] is not None})
    known = set(Number.objects.filter(number__in=by_number).values_list("number", flat=True))
    for value, row in by_number.items():
        if row["type"] is None and value not in known:
            row["type"] = type_of(value)
    counts = upsert(Number, list(by_number.values()), key=("number",), reseller_id=house)
    ids = dict(Number.objects.filter(number__in=by_number).values_list("number", "pk"))
    _load_dated(rows, ids, house)
    identities = {i: ids[row["number"]] for row in rows for i in row["identities"] or ()}
    values = [
        {"identity": identity, "number_id": pk} for identity, pk in identities.items() if identity not in ids
    ]
    upsert(NumberIdentity, values, key=("identity",), reseller_id=house, update=False)
    return counts


def _load_dated(rows: list[Row], ids: dict[str, int], house: int) -> None:
    assignments = [
        {
            "number_id": ids[row["number"]],
            "customer_id": row["customer_id"],
            "site": row["site"],
            "start_date": row["start_date"],
            "end_date": row["end_date"],
        }
        for row in rows
        if row.get("assign")
    ]
    supplies = [
        {
            "number_id": ids[row["number"]],
            "carrier_id": row["carrier_id"],
            "start_date": row["start_date"],
            "end_date": row["end_date"],
        }
        for row in rows
        if row.get("supply")
    ]
    upsert(NumberAssignment, assignments, key=("number_id", "customer_id", "start_date"), reseller_id=house)
    upsert(Supply, supplies, key=("number_id", "carrier_id", "start_date"), reseller_id=house)
    end_services(row["customer_id"] for row in assignments)


KIND = Kind(
    slug="numbers",
    title="Numbers",
    purpose="Numbers and circuits: whose they are over which dates, and which carrier supplies them.",
    order=40,
    key=("number", "start_date"),
    check=check,
    load=load,
    days=("start_date", "end_date"),
    fields=(
        Field(name="number", parse=number, required=True, example="+442079460003",
              aliases=("cli", "telephone number", "phone number", "ddi", "circuit", "msisdn"),
              help="A phone number in any usual form, or a circuit or account reference."),
        Field(name="type", parse=choice(Number.Type, landline="geographic", sim="mobile"), example="geographic",
              aliases=("number type",), help="Found from the number when empty."),
        Field(name="customer", parse=text(60), reference="customer", example="C1001",
              aliases=("account", "account code", "customer code"), help="Empty: a number in stock."),
        Field(name="start_date", parse=day, aliases=("start", "from", "reg date", "activation date"),
              example="2024-03-01", help="The day from which the customer has it."),
        Field(name="end_date", parse=day, aliases=("end", "to"), example="", help="First day without it."),
        Field(name="last_day", parse=day, aliases=("churn date", "last day of service"), example="",
              help="Instead of the end: the last day with it."),
        Field(name="carrier", parse=text(40), reference="carrier", aliases=("supplier",), example="GAMMA"),
        Field(name="site", parse=text(80), aliases=("location",), example="Bristol"),
        Field(name="description", parse=text(120), example="Main line"),
        Field(name="identities", parse=tags, aliases=("identity", "alias", "also known as"), example="",
              help="Other names in call files (circuit, extension, account), separated by semicolons."),
        Field(name="monthly_cost", parse=exact(4, digits=12, least=0), aliases=("cost",), example="1.50",
              help="What the number costs you a month."),
    ),
)  # fmt: skip
