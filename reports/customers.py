"""The filters by which every report of customers can be narrowed."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.db.models import Q

from billing.models import Customer, Dealer
from reports.fields import CodesField, PersonField, SeveralField, TagField, WordsField
from reports.filters import AsOfFilters, ReportFilters
from resellerkpi.core.access import Capability


class CustomerFilters(ReportFilters):
    """Filters by customer, kind, state, dealer, account manager, segment, tag, campaign, cycle, method and company."""

    needs: ClassVar[Mapping[str, Capability]] = {"account_manager": Capability.VIEW_PEOPLE}

    customer = forms.CharField(
        required=False, label="Customer", max_length=160, help_text="Account code, or part of the name."
    )
    client_type = SeveralField(required=False, label="Client types", choices=Customer.ClientType.choices)
    status = SeveralField(required=False, label="States", choices=Customer.Status.choices)
    dealer = CodesField(Dealer, required=False, label="Dealers")
    account_manager = PersonField(required=False, label="Account manager")
    segment = WordsField(Customer, "segment", required=False, label="Segment")
    tag = TagField(required=False, label="Client tags")
    campaign = WordsField(Customer, "campaign", required=False, label="Campaign")
    cycle = WordsField(Customer, "billing_cycle", required=False, label="Billing cycle")
    method = SeveralField(required=False, label="Payment methods", choices=Customer.Method.choices)
    company = CodesField(
        Customer,
        only={"client_type": Customer.ClientType.RESELLER},
        required=False,
        label="Company",
        help_text="A reseller among the customers, with the customers below it.",
    )

    def of_customers(self, path: str = "customer") -> Q:
        """Return the condition on rows whose customer `path` leads to ("" for customers themselves)."""
        lead, asked = f"{path}__" if path else "", self.cleaned_data
        wanted = {
            "client_type__in": asked["client_type"],
            "status__in": asked["status"],
            "dealer__code__in": asked["dealer"],
            "account_manager": asked.get("account_manager"),
            "segment": asked["segment"],
            "tags__overlap": asked["tag"],
            "campaign": asked["campaign"],
            "billing_cycle": asked["cycle"],
            "payment_method__in": asked["method"],
        }
        found = Q(**{f"{lead}{lookup}": value for lookup, value in wanted.items() if value})
        if asked["customer"]:
            found &= _any(lead, {"code": asked["customer"], "name__icontains": asked["customer"]})
        if asked["company"]:
            found &= _any(lead, {"code__in": asked["company"], "parent__code__in": asked["company"]})
        return found


class CustomerAsOfFilters(AsOfFilters, CustomerFilters):
    """The same filters for a report that looks at one day."""


def _any(lead: str, lookups: Mapping[str, Any]) -> Q:
    """Return the condition that one at least of the lookups holds."""
    found = Q()
    for lookup, value in lookups.items():
        found |= Q(**{f"{lead}{lookup}": value})
    return found
