"""What packages include, in an import of feature types: new allowances, changes from a day on, and terms put right."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from billing.importing.tables.fields import Field, day, exact, flag, text, whole
from billing.importing.tables.kind import Row, Work
from billing.models import AllowanceUse, Bundle

INCLUDED = {
    "included_minutes": (Bundle.Unit.SECONDS, Decimal(60)),
    "included_calls": (Bundle.Unit.CALLS, Decimal(1)),
    "included_sms": (Bundle.Unit.SMS, Decimal(1)),
    "included_mb": (Bundle.Unit.DATA, Decimal(1)),
    "included_money": (Bundle.Unit.MONEY, Decimal(1)),
}
#: Terms as stored by the column that brings them; empty leaves a term as it is.
_TERMS = {
    "shared": "allowance_shared",
    "priority": "allowance_priority",
    "prorate_first": "allowance_prorate_first",
    "rollover_months": "allowance_rollover_months",
}
_AMOUNT = exact(6, least=0)

FIELDS = (
    Field(name="included_minutes", parse=_AMOUNT, aliases=("minutes included",), example=""),
    Field(name="included_calls", parse=_AMOUNT, aliases=("calls included",), example=""),
    Field(name="included_sms", parse=_AMOUNT, aliases=("sms included", "messages included"), example=""),
    Field(name="included_mb", parse=_AMOUNT, aliases=("mb included", "mb per month included", "data included"),
          example="", label="Included MB"),
    Field(name="included_money", parse=_AMOUNT, example=""),
    Field(name="allowance_shared", parse=flag, example="", help="Shared by all numbers of the customer?"),
    Field(name="allowance_cap_per_number", parse=_AMOUNT, example="",
          help="Most that one number may use of what is shared, counted like what is included."),
    Field(name="allowance_class", parse=text(30), example="", help="Class of calls; empty: any."),
    Field(name="allowance_prefixes", parse=text(400), example="", help="Dialled prefixes, separated by commas."),
    Field(name="allowance_priority", parse=whole(0, 1000), example="", help="The lower draws first."),
    Field(name="allowance_prorate_first", parse=flag, example="", help="Is the first month's part of a month?"),
    Field(name="allowance_rollover_months", parse=whole(0, 12), example="",
          help="For how many months unused units roll over; 0: they lapse."),
    Field(name="allowance_rollover_cap", parse=_AMOUNT, example="",
          help="Most that is carried over in all, counted like what is included."),
    Field(name="allowance_from", parse=day, aliases=("allowance valid from",), example="",
          help="The day from which the allowance holds; needed when one that calls drew from changes."),
)  # fmt: skip


def check_allowances(rows: list[Row], work: Work) -> None:
    """Refuse terms that contradict each other or would rewrite what calls drew from; set what is to be done."""
    found = Bundle.objects.filter(feature_type__code__in=[row["code"] for row in rows])
    held: dict[tuple[str, ...], Bundle] = {}
    for bundle in found.select_related("feature_type").order_by("valid_from", "pk"):
        held[bundle.feature_type.code, bundle.unit, bundle.call_class, bundle.prefixes] = bundle
    uses = AllowanceUse.objects.filter(bundle__in=[b.pk for b in held.values()], used__gt=0)
    drawn = set(uses.values_list("bundle_id", flat=True).distinct())
    for row in rows:
        row["allowances"] = []
        for name, (unit, factor) in INCLUDED.items():
            if row[name] is not None:
                key = (row["code"], str(unit), row["allowance_class"] or "", row["allowance_prefixes"] or "")
                _check(row, name, factor, held.get(key), drawn, work)


def load_allowances(rows: Iterable[Row], ids: dict[str, int], house: int) -> None:
    """Put the allowances in the book: what is new begins, what changes ends and begins anew."""
    fresh, ended, mended = [], [], []
    for row in rows:
        for bundle, terms, start in row["allowances"]:
            if bundle is not None and start is None:
                mended.append(_with(bundle, terms))
                continue
            if bundle is not None:
                bundle.valid_to = start
                ended.append(bundle)
            fresh.append(
                Bundle(reseller_id=house, feature_type_id=ids[row["code"]], valid_from=start, **terms)
            )
    Bundle.objects.bulk_update(ended, ["valid_to"], batch_size=1000)
    Bundle.objects.bulk_update(mended, ["amount", "member_cap", "rollover_cap", *_TERMS], batch_size=1000)
    Bundle.objects.bulk_create(fresh, batch_size=1000)


def _check(row: Row, name: str, factor: Decimal, held: Bundle | None, drawn: set[int], work: Work) -> None:
    """Note on the row what becomes of one allowance of it: (bundle or None, terms, day or None)."""
    terms = _terms(row, name, factor, held)
    start = row["allowance_from"]
    if terms["member_cap"] is not None and not terms["shared"]:
        work.refuse(row, "allowance_cap_per_number", "Only a shared allowance has a limit per number.")
    elif terms["rollover_cap"] is not None and not terms["rollover_months"]:
        work.refuse(row, "allowance_rollover_cap", "Say for how many months unused units roll over.")
    elif held is None:
        row["allowances"].append((None, terms, start))
    elif any(getattr(held, term) != value for term, value in terms.items()):
        if start is None and held.pk in drawn:
            work.refuse(
                row, "allowance_from", "Calls have drawn from this allowance: say from which day it changes."
            )
        elif start is not None and held.valid_from is not None and start <= held.valid_from:
            work.refuse(
                row, "allowance_from", f"This allowance begins on {held.valid_from}: choose a later day."
            )
        else:
            row["allowances"].append((held, terms, start))


def _terms(row: Row, name: str, factor: Decimal, held: Bundle | None) -> dict[str, Any]:
    """Return the terms of an allowance: those of the row, else those it has, else the usual ones."""
    base = held or Bundle()
    terms: dict[str, Any] = {
        "unit": str(INCLUDED[name][0]),
        "amount": row[name] * factor,
        "call_class": row["allowance_class"] or "",
        "prefixes": row["allowance_prefixes"] or "",
        "step": base.step,
    }
    for term, column in _TERMS.items():
        terms[term] = getattr(base, term) if row[column] is None else row[column]
    for term, column in (
        ("member_cap", "allowance_cap_per_number"),
        ("rollover_cap", "allowance_rollover_cap"),
    ):
        terms[term] = getattr(base, term) if row[column] is None else row[column] * factor or None
    return terms


def _with(bundle: Bundle, terms: dict[str, Any]) -> Bundle:
    for term, value in terms.items():
        setattr(bundle, term, value)
    return bundle
