"""Import of carriers: the suppliers of calls, lines and features."""

from billing.importing.tables.fields import Field, Reading, country, currency, flag, text, whole, words
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.reading import Cell
from billing.importing.tables.staging import upsert
from billing.models import Carrier
from resellerkpi.core.periods import zone_names

_COLUMNS = (
    "code", "name", "country", "time_zone", "currency", "required_for_run", "cdr_delay_days", "day_first",
    "strip_prefix",
)  # fmt: skip


def _zone(cell: Cell, reading: Reading) -> str:
    value = words(cell)
    if value not in zone_names():
        raise ValueError(f"“{value}” is not a time zone such as Europe/London.")
    return value


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new carriers and update known ones."""
    return upsert(
        Carrier,
        [{name: row[name] for name in _COLUMNS} for row in rows],
        key=("code",),
        reseller_id=work.reseller.pk,
    )


KIND = Kind(
    slug="carriers",
    title="Carriers",
    purpose="Your suppliers of calls, lines and features.",
    order=20,
    key=("code",),
    load=load,
    fields=(
        Field(name="code", parse=text(40), required=True, aliases=("carrier", "supplier"), example="GAMMA",
              help="Your short code of the supplier."),
        Field(name="name", parse=text(120), required=True, aliases=("carrier name",), example="Gamma Telecom"),
        Field(name="country", parse=country, example="GB", help="Country of national numbers in its call files."),
        Field(name="time_zone", parse=_zone, example="Europe/London", help="Zone of the times in its call files."),
        Field(name="currency", parse=currency, example="GBP"),
        Field(name="required_for_run", parse=flag, example="yes", help="Must its files be in before you bill?"),
        Field(name="cdr_delay_days", parse=whole(0, 60), label="Days of delay", example="1",
              help="Days until its call files arrive."),
        Field(name="day_first", parse=flag, example="yes", help="Does 4/9 in its files mean 4 September?"),
        Field(name="strip_prefix", parse=text(20), label="Technical prefix", example="",
              help="Digits its call files put before an international number, if any."),
    ),
)  # fmt: skip
