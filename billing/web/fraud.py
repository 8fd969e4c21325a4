"""The fraud watch: what is alarming now, why, the money so far, and the calls behind it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.checks.acts import ActRefused, accept
from billing.checks.register import run
from billing.checks.registry import CHECKS
from billing.models import Finding, FraudAlert
from billing.watch.act import may_be_told, resolve, set_watchers, watching
from billing.watch.calls import calls_of
from billing.web.editing import find
from resellerkpi.core.access import Capability
from resellerkpi.core.columns import Choice, Code, Column, DateTime, Int, Minutes, Money, Text, Words
from resellerkpi.ui.filters import OneOf, PeriodFilter, ScopedFilterSet, SearchFilter
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.navigation import address
from resellerkpi.ui.panels import Action, EmptyState, Facts, Panel, TablePanel
from resellerkpi.ui.templatetags.ui import day, moment, money
from resellerkpi.ui.views import DetailPage, FormPage, ListPage

MONEY, WHOLESALE, EDIT = Capability.VIEW_MONEY, Capability.VIEW_WHOLESALE, Capability.EDIT_BOOK
STATES = (("resolved", "Resolved"),)
SHOWN = 200
CHECK = "fraud_watch"


class StateFilter(OneOf):
    """Open warnings unless resolved ones are asked for."""

    def filter(self, qs: Any, value: Any) -> Any:
        """Narrow to open or resolved warnings; open ones when nothing is chosen."""
        return qs.filter(resolved_at__isnull=value != "resolved")


class AlertFilters(ScopedFilterSet):
    """Which warnings to list."""

    q = SearchFilter("label", "customer__code", "why", label="Customer, number or destination")
    mark = OneOf("mark", FraudAlert.Mark.choices, label="Warning")
    state = StateFilter("resolved_at", STATES, label="State", empty_label="Open")
    period = PeriodFilter("last_seen", instant=True, label="Last seen")


class FraudWatch(ListPage):
    """What the watch warns of."""

    capability = Capability.VIEW_USAGE
    title = "Fraud watch"
    purpose = (
        "Usage that stands out and spend limits used up: looked over every hour and after each call file."
    )
    filterset = AlertFilters
    row_url = "fraud-alert"
    order = ("-last_seen", "-retail")
    columns = (
        Text(name="label", label="Whose"),
        Choice(name="mark", label="Warning", choices=FraudAlert.Mark.choices),
        Words(name="why", label="Why"),
        Int(name="calls"),
        Money(
            name="retail", label="Money so far", needs=MONEY, help="Retail price before VAT of these calls."
        ),
        Code(name="currency", needs=MONEY),
        Money(
            name="cost",
            label="Cost",
            currency="cost_currency",
            needs=WHOLESALE,
            help="What carriers charge for these calls.",
        ),
        Code(name="cost_currency", label="Cost currency", needs=WHOLESALE, hidden=True),
        DateTime(name="first_seen", label="First seen", hidden=True, seconds=False),
        DateTime(name="last_seen", label="Last seen", hidden=True, seconds=False),
        Text(name="resolution", label="Resolved with", hidden=True),
    )
    empty = EmptyState(
        "Nothing is alarming. Set spend limits, so that you are told before a bill shocks a customer.",
        "Spend limits",
        "/usage/spend-limits/",
    )

    def queryset(self) -> QuerySet[Any]:
        """Return the warnings; the filter leaves the resolved ones out."""
        return FraudAlert.objects.all()

    def actions(self) -> Sequence[Action]:
        """Lead to the limits and to who is mailed."""
        limits = Action("Spend limits", reverse("spend-limit-list"), primary=True)
        told = Action("Who is mailed", reverse("fraud-watchers"))
        return (told, limits) if self.scope.can(EDIT) else (limits,)


CALLS: tuple[Column, ...] = (
    DateTime(name="started_at", label="Started"),
    Text(name="customer", url="customer"),
    Code(name="number"),
    Code(name="dialled"),
    Text(name="destination"),
    Minutes(name="seconds", label="Minutes", total="sum"),
    Money(name="retail", label="Price", decimals=4, needs=MONEY, total="sum"),
    Code(name="currency", needs=MONEY),
    Money(name="cost", currency="cost_currency", decimals=4, needs=WHOLESALE),
)


class AlertPage(DetailPage):
    """One warning with its calls."""

    capability = Capability.VIEW_USAGE
    model = FraudAlert
    related = ("customer", "limit", "resolved_by")

    def get_context(self) -> dict[str, Any]:
        """Lead back to the list; say why people were warned."""
        return {"back": ("Fraud watch", reverse("fraud-watch")), "purpose": self.object.why}

    def actions(self) -> Sequence[Action]:
        """Offer to resolve it, and to raise the limit."""
        alert: FraudAlert = self.object
        if not self.scope.can(EDIT) or alert.resolved_at:
            return ()
        found = [Action("Resolve", reverse("fraud-resolve", args=[alert.pk]), primary=True)]
        if finding_of(alert) is not None:
            found.insert(0, Action("Accept for a time", reverse("fraud-accept", args=[alert.pk])))
        if alert.limit is not None:
            found.insert(0, Action("Raise the limit", raise_url(alert)))
        return found

    def panels(self) -> list[Panel]:
        """Return what it is about and the calls behind it."""
        alert: FraudAlert = self.object
        rows = list(calls_of(self.reseller, [alert], most=SHOWN))
        title = (
            f"The first {SHOWN} of {alert.calls:,} calls" if alert.calls > SHOWN else "The calls behind it"
        )
        empty = EmptyState("The calls behind this warning are gone: their file was taken out.")
        # Whose they are, and the one number of a warning, stand above already.
        above = {"customer"} if alert.customer_id else set()
        if any(alert.label.endswith(f", {row['number']}") for row in rows):
            above.add("number")
        shown = [c for c in CALLS if c.name not in above]
        return [self.facts(), TablePanel(title, shown, rows, empty=empty, actions=self.all_calls())]

    def facts(self) -> Facts:
        """Return whose it is, the money and the times."""
        alert: FraudAlert = self.object
        customer = reverse("customer", args=[alert.customer_id]) if alert.customer_id else ""
        items: list[tuple[Any, ...]] = [
            ("Customer", alert.customer or "Several", customer),
            ("Warning", alert.get_mark_display()),
            ("Calls", f"{alert.calls:,}"),
            ("First seen", moment(alert.first_seen, self.reseller)),
            ("Last seen", moment(alert.last_seen, self.reseller)),
        ]
        if self.scope.can(MONEY):
            items.insert(3, ("Money so far", money(alert.retail, alert.currency or "GBP")))
        if self.scope.can(WHOLESALE) and alert.cost_currency:
            items.insert(4, ("Cost so far", money(alert.cost, alert.cost_currency)))
        items += register_facts(finding_of(alert), linked=self.scope.can(Capability.VIEW_MARGIN))
        if alert.resolved_at:
            items += [
                ("Resolved", moment(alert.resolved_at, self.reseller)),
                ("By", str(alert.resolved_by or "")),
                ("With these words", alert.resolution),
            ]
        return Facts("The warning", items)

    def all_calls(self) -> Sequence[Action]:
        """Lead to the calls as a report, which can be exported."""
        report = address("report", "fraud-calls")
        if not report or not self.scope.can(Capability.RUN_REPORTS):
            return ()
        return (Action("Report of all calls", f"{report}?warning={self.object.pk}"),)


def finding_of(alert: FraudAlert) -> Finding | None:
    """Return the finding of a warning in the register, if it has one by now."""
    found: Finding | None = (
        Finding.objects.filter(check_slug=CHECK, page_args=[alert.pk]).select_related("owner").first()
    )
    return found


def register_facts(finding: Finding | None, *, linked: bool) -> list[tuple[Any, ...]]:
    """Return where a warning stands in the register of findings, `linked` for who may open that."""
    if finding is None:
        return []
    state = str(finding.get_state_display())
    if finding.state == Finding.State.ACCEPTED:
        how_long = finding.accepted_for
        state = f"{state} {how_long[0].lower()}{how_long[1:]}: {finding.accepted_reason}"
    return [
        ("In the register", state, reverse("finding", args=[finding.pk]) if linked else ""),
        ("With", str(finding.owner or "")),
    ]


def raise_url(alert: FraudAlert) -> str:
    """Return where a warning's limit is raised: the customer's own, else a new one of its own."""
    limit = alert.limit
    if limit is None:
        return reverse("spend-limit-list")
    if limit.customer_id:
        return reverse("spend-limit-edit", args=[limit.pk])
    code = alert.customer.code if alert.customer else ""
    return f"{reverse('spend-limit-add')}?customer={code}&like={limit.pk}"


class ResolveFields(forms.Form):
    """What was found out."""

    words = forms.CharField(
        label="What was it?",
        max_length=300,
        help_text="For example: the customer rang abroad for a project; or: hacked switchboard, number blocked.",
    )


class Resolve(FormPage):
    """Lay a warning to rest."""

    capability = EDIT
    title = "Resolve the warning"
    form_class = ResolveFields
    submit = "Resolve"

    def get_context(self) -> dict[str, Any]:
        """Say which warning it is."""
        alert = find(FraudAlert, self.kwargs["pk"])
        url = reverse("fraud-alert", args=[alert.pk])
        return {"purpose": f"{alert.label}: {alert.why}", "cancel_url": url}

    def save(self, form: Any) -> str:
        """Keep the words."""
        alert = find(FraudAlert, self.kwargs["pk"])
        now = timezone.now()
        resolve(alert, words=form.cleaned_data["words"], now=now)
        run(self.reseller, [CHECKS.get(CHECK)], now=now)
        messages.success(self.request, f"{alert.label} is resolved.")
        return reverse("fraud-watch")


class AcceptFields(forms.Form):
    """Until when, and why."""

    until = forms.DateField(label="Until", widget=DayInput(), help_text="From that day on it is open again.")
    reason = forms.CharField(label="Why may it stand until then?", max_length=300)


class Accept(FormPage):
    """Let a warning stand for a time."""

    capability = EDIT
    title = "Accept the warning for a time"
    form_class = AcceptFields
    submit = "Accept"
    refusals = (ActRefused,)

    def get_context(self) -> dict[str, Any]:
        """Say which warning it is."""
        alert = find(FraudAlert, self.kwargs["pk"])
        url = reverse("fraud-alert", args=[alert.pk])
        return {"purpose": f"{alert.label}: {alert.why}", "cancel_url": url}

    def save(self, form: Any) -> str:
        """Keep until when and why in the register."""
        alert = find(FraudAlert, self.kwargs["pk"])
        finding = finding_of(alert)
        if finding is None:
            raise ActRefused("The register does not have this warning yet: it is looked over every hour.")
        accept(finding.pk, **form.cleaned_data, now=timezone.now(), today=self.today)
        messages.success(self.request, f"{alert.label} is accepted until {day(form.cleaned_data['until'])}.")
        return reverse("fraud-alert", args=[alert.pk])


class WatcherFields(forms.Form):
    """Who is mailed."""

    people = forms.MultipleChoiceField(
        label="Mail these colleagues",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="One mail when something new is alarming, with the reasons and the calls attached.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = may_be_told()
        self.fields["people"].choices = [(str(pk), f"{name} ({email})") for pk, name, email in people]  # type: ignore[attr-defined]  # a choice field
        self.fields["people"].initial = [str(pk) for pk in watching()]


class Watchers(FormPage):
    """Choose who is mailed by the fraud watch."""

    capability = EDIT
    title = "Who is mailed by the fraud watch"
    purpose = "Colleagues of the house whose role may see calls and run reports."
    form_class = WatcherFields

    def get_context(self) -> dict[str, Any]:
        """Lead back to the watch."""
        return {"cancel_url": reverse("fraud-watch")}

    def save(self, form: Any) -> str:
        """Keep the choice."""
        chosen = set_watchers([int(pk) for pk in form.cleaned_data["people"]])
        messages.success(self.request, f"{chosen:,} will be mailed." if chosen else "Nobody is mailed.")
        return reverse("fraud-watch")


urls: list[URLPattern] = [
    path("usage/fraud/", FraudWatch.as_view(), name="fraud-watch"),
    path("usage/fraud/watchers/", Watchers.as_view(), name="fraud-watchers"),
    path("usage/fraud/<int:pk>/", AlertPage.as_view(), name="fraud-alert"),
    path("usage/fraud/<int:pk>/accept/", Accept.as_view(), name="fraud-accept"),
    path("usage/fraud/<int:pk>/resolve/", Resolve.as_view(), name="fraud-resolve"),
]
