"""How other tools read the KPIs, and the keys they read them with."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from billing.models import Dealer
from resellerkpi.core import keys
from resellerkpi.core.access import Capability
from resellerkpi.core.models import ApiKey
from resellerkpi.ui.views import FormPage, Page


class KeyForm(forms.Form):
    """Who uses a key, what it sees, how long it lasts."""

    name = forms.CharField(
        label="Used by", max_length=80, help_text="A note for yourselves, such as “Grafana in the office”."
    )
    sees = forms.MultipleChoiceField(
        label="It sees, besides counts",
        required=False,
        choices=[(c.value, c.label.removeprefix("See ").capitalize()) for c in keys.MAY_SEE],
        initial=[Capability.VIEW_MONEY.value],
        widget=forms.CheckboxSelectMultiple,
    )
    dealer: forms.ModelChoiceField = forms.ModelChoiceField(
        label="Only customers of",
        queryset=None,
        required=False,
        empty_label="All customers",
        help_text="A key of one dealer knows only that dealer's customers.",
    )
    days = forms.IntegerField(
        label="Ends after days", min_value=1, max_value=keys.MOST_DAYS, initial=keys.DEFAULT_DAYS
    )
    in_address = forms.BooleanField(
        label="May stand in an address (?key=…)",
        required=False,
        help_text="For a bookmark that opens a plain page without signing in. Addresses end up in histories and"
        " forwarded mails: anybody who has it sees the figures until the key ends.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["dealer"].queryset = Dealer.objects.order_by("name")  # type: ignore[attr-defined]


class Connect(FormPage):
    """How to connect a spreadsheet, Power BI or Grafana; whoever manages the house makes the keys here."""

    capability = Capability.VIEW_KPIS
    form_class = KeyForm
    template = "kpis/connect.html"
    title = "Connect other tools"
    purpose = (
        "Read every KPI from a spreadsheet, Power BI, Grafana or a script, as JSON, CSV or a plain page."
    )
    submit = "Make a key"
    token = ""
    in_address = False

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Let only who manages make keys."""
        if not self.scope.can(Capability.MANAGE):
            raise PermissionDenied
        return super().post(request, *args, **kwargs)

    def save(self, form: KeyForm) -> HttpResponse:
        """Make the key and show it, which nobody can do again."""
        given = form.cleaned_data
        dealer = given.pop("dealer")
        key, self.token = keys.mint(**given, dealer_id=dealer.pk if dealer else None, now=timezone.now())
        self.in_address = key.in_address
        return self.show(KeyForm())

    def get_context(self) -> dict[str, Any]:
        """Return the addresses to use and, for who manages, the keys."""
        may = self.scope.can(Capability.MANAGE)
        return {
            "base": f"{settings.PUBLIC_URL.rstrip('/')}/backend/kpi/",
            "token": self.token,
            "in_address": self.in_address,
            "may_manage": may,
            "keys": _keys() if may else [],
            "back": None,
        }


def _keys() -> list[dict[str, Any]]:
    now = timezone.now()
    names = dict(Dealer.objects.values_list("pk", "name"))
    labels = {c.value: c.label.removeprefix("See ") for c in keys.MAY_SEE}
    return [
        {
            "key": key,
            "state": "Revoked" if key.revoked_at else "Ended" if key.expires_at <= now else "In use",
            "live": key.revoked_at is None and key.expires_at > now,
            "sees": ", ".join(["counts", *(labels[s] for s in key.sees if s in labels)]),
            "dealer": names.get(key.dealer_id, ""),
        }
        for key in ApiKey.objects.select_related("created_by").order_by("-created_at", "-pk")
    ]


class RevokeKey(Page):
    """Ends a key."""

    capability = Capability.MANAGE
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Revoke and go back to the keys."""
        key = ApiKey.objects.filter(pk=kwargs["pk"]).first()
        if key is None:
            raise Http404
        keys.revoke(key, now=timezone.now())
        messages.success(request, "The key opens nothing any more.")
        return redirect("kpi-connect")
