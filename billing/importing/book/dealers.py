"""Import of dealers: the partners who introduce customers."""

from billing.importing.tables.fields import Field, email, exact, flag, text
from billing.importing.tables.kind import Counts, Kind, Row, Work
from billing.importing.tables.staging import upsert
from billing.models import Dealer

_COLUMNS = ("code", "name", "email", "phone", "commission_recurring", "commission_usage", "is_active")
_PER_CENT = exact(2, digits=5, least=0, most=100)


def load(rows: list[Row], work: Work) -> Counts:
    """Insert new dealers and update known ones."""
    return upsert(
        Dealer,
        [{name: row[name] for name in _COLUMNS} for row in rows],
        key=("code",),
        reseller_id=work.reseller.pk,
    )


KIND = Kind(
    slug="dealers",
    title="Dealers",
    purpose="The partners who introduce customers and earn commission.",
    order=10,
    key=("code",),
    load=load,
    fields=(
        Field(name="code", parse=text(40), required=True, aliases=("dealer", "agent"), example="NORTH"),
        Field(name="name", parse=text(120), required=True, aliases=("dealer name",), example="North Partners Ltd"),
        Field(name="email", parse=email, aliases=("e-mail",), example="office@north.example"),
        Field(name="phone", parse=text(40), aliases=("telephone",), example="+442079460001"),
        Field(name="commission_recurring", parse=_PER_CENT, example="10", label="Commission on recurring %"),
        Field(name="commission_usage", parse=_PER_CENT, example="5", label="Commission on usage %"),
        Field(name="is_active", parse=flag, label="Active", example="yes"),
    ),
)  # fmt: skip
