"""What the reports of findings have in common: the names of checks as an expression of the query."""

from django.db.models import Case, CharField, F, Value, When

from billing.checks.registry import of_family


def check_name(family: str) -> Case:
    """Return the expression of the name of a finding's check; one that is declared no more keeps its slug."""
    named = [When(check_slug=one.slug, then=Value(one.name)) for one in of_family(family)]
    return Case(*named, default=F("check_slug"), output_field=CharField())
