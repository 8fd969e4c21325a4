"""What people do with a finding, each a small form; and the limits from which a check speaks up."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import timezone

from billing.checks.acts import ActRefused, accept, give, recover, write_note
from billing.checks.declare import Check
from billing.checks.ledger import at_stake
from billing.checks.register import run
from billing.checks.registry import CHECKS, of_family
from billing.checks.thresholds import set_thresholds, thresholds
from billing.models import CreditNote, Finding, Invoice
from billing.web.editing import find
from resellerkpi.core.access import Capability, Role, capabilities
from resellerkpi.core.audit import record
from resellerkpi.core.columns import Text, Words, day
from resellerkpi.core.models import Membership, User
from resellerkpi.core.scope import current
from resellerkpi.ui.forms import DayInput
from resellerkpi.ui.panels import TablePanel
from resellerkpi.ui.templatetags.ui import figure, money
from resellerkpi.ui.views import FormPage, Page

LABELS = {
    "finding-look": "Look again",
    "finding-accept": "Accept for a time",
    "finding-recover": "Money came back",
    "finding-owner": "Give to somebody",
    "finding-note": "Write a note",
}
#: How many documents of each kind are offered for money that came back.
OFFERED = 100
#: Roles of the house that may work on a leak.
WORKING = [
    r for r in Role if r != Role.OPERATOR and {Capability.BILL, Capability.VIEW_MARGIN} <= capabilities(r)
]


class ActPage(FormPage):
    """A form about one finding; leads back to it."""

    capability = Capability.BILL
    refusals = (ActRefused,)
    finding: Finding

    def form_kwargs(self) -> dict[str, Any]:
        """Find the finding and say which it is."""
        self.finding = find(Finding, self.kwargs["pk"], "owner")
        self.cancel_url = reverse("finding", args=[self.finding.pk])
        self.back = (self.finding.label, self.cancel_url)
        self.purpose = f"{self.finding.label}: {self.finding.why}"
        return {}

    def save(self, form: Any) -> str | HttpResponse:
        """Do it and go back to the finding."""
        messages.success(self.request, self.act(form.cleaned_data))
        return self.cancel_url

    def act(self, asked: dict[str, Any]) -> str:
        """Do it and return what was done in words."""
        return "Done."


class AcceptFields(forms.Form):
    """Until when, and why."""

    until = forms.DateField(label="Until", widget=DayInput(), help_text="From that day on it is open again.")
    reason = forms.CharField(label="Why may it stand until then?", max_length=300)


class Accept(ActPage):
    """Let a finding stand for a time."""

    title = "Accept the leak for a time"
    form_class = AcceptFields
    submit = "Accept"

    def act(self, asked: dict[str, Any]) -> str:
        """Keep until when and why."""
        accept(self.finding.pk, **asked, now=timezone.now(), today=self.today)
        return f"Accepted until {day(asked['until'])}."


class RecoverFields(forms.Form):
    """How much, and by what: a document of the customer, words, or both."""

    amount = forms.DecimalField(label="How much came back", max_digits=17, decimal_places=2)
    document = forms.ChoiceField(
        label="On which invoice or credit note",
        required=False,
        help_text="Those of the customer since the leak began, the latest first.",
    )
    words = forms.CharField(
        label="By what",
        max_length=300,
        required=False,
        help_text="For example: charged with the bill of March; or credited by the carrier.",
    )
    #: What had been noted before when the form was opened.
    seen = forms.DecimalField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, documents: Mapping[str, Invoice | CreditNote], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.documents = documents
        chosen = [("", "None of them"), *((key, _told(one)) for key, one in documents.items())]
        self.fields["document"].choices = chosen  # type: ignore[attr-defined]  # a choice field
        if not documents:
            del self.fields["document"]

    def clean(self) -> dict[str, Any]:
        """Put the document in the place of its key; ask for it or for words."""
        asked: dict[str, Any] = super().clean() or self.cleaned_data
        one = self.documents.get(asked.pop("document", "") or "")
        if one is None and not asked.get("words", "").strip() and "words" not in self.errors:
            where = " Choose the invoice or credit note, or" if self.documents else ""
            self.add_error("words", f"Say by what it came back.{where and where + ' write it here.'}")
        asked["invoice"] = one if isinstance(one, Invoice) else None
        asked["credit_note"] = one if isinstance(one, CreditNote) else None
        return asked


def _documents(finding: Finding) -> dict[str, Invoice | CreditNote]:
    """Return the invoices and credit notes of a finding's customer since it began, the latest first, by a key."""
    if finding.customer_id is None:
        return {}
    own = {"customer_id": finding.customer_id, "currency": finding.currency}
    invoices = Invoice.objects.filter(**own, state="issued", invoice_date__gte=finding.period)
    notes = CreditNote.objects.filter(**own, date__gte=finding.period)
    found = [(one.invoice_date, one.pk, one) for one in invoices.order_by("-invoice_date", "-pk")[:OFFERED]]
    found += [(one.date, one.pk, one) for one in notes.order_by("-date", "-pk")[:OFFERED]]
    latest = sorted(found, key=lambda row: row[:2], reverse=True)
    return {f"{type(one).__name__.lower()}-{pk}": one for _, pk, one in latest}


def _told(one: Invoice | CreditNote) -> str:
    """Return a document as it is chosen from: what it is, its number, day and total."""
    what, dated = ("Invoice", one.invoice_date) if isinstance(one, Invoice) else ("Credit note", one.date)
    return f"{what} {one.number}, {day(dated)}, {money(one.gross, one.currency)}"


class Recover(ActPage):
    """Note money got back: the finding is closed, and opens again if the leak goes on."""

    title = "Money came back"
    form_class = RecoverFields
    submit = "Note it and close the leak"

    def form_kwargs(self) -> dict[str, Any]:
        """Offer what it has cost to date without what came back, and the documents it may have come back on."""
        super().form_kwargs()
        initial = {"amount": at_stake(self.finding) or None, "seen": self.finding.recovered}
        return {"initial": initial, "documents": _documents(self.finding)}

    def show(self, form: Any, *, status: int = 200) -> HttpResponse:
        """Once it is said what was noted meanwhile, the same answers sent again are meant."""
        if form.has_error(NON_FIELD_ERRORS):
            form.data = form.data.copy()
            form.data["seen"] = str(
                Finding.objects.values_list("recovered", flat=True).get(pk=self.finding.pk)
            )
        return super().show(form, status=status)

    def act(self, asked: dict[str, Any]) -> str:
        """Note the money."""
        recover(self.finding.pk, **asked, now=timezone.now())
        return f"{money(asked['amount'], self.finding.currency)} noted as got back."


class OwnerFields(forms.Form):
    """Who deals with it."""

    owner = forms.ChoiceField(label="Who deals with it", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = Membership.objects.filter(
            reseller_id=current().reseller_id, role__in=WORKING, user__is_active=True
        ).order_by("user__name", "user_id")
        named = people.values_list("user_id", "user__name", "user__email")
        found = [(str(pk), name or email) for pk, name, email in named]
        self.fields["owner"].choices = [("", "Nobody"), *found]  # type: ignore[attr-defined]  # a choice field


class Owner(ActPage):
    """Give a finding to a colleague."""

    title = "Give the leak to somebody"
    form_class = OwnerFields
    submit = "Give"

    def form_kwargs(self) -> dict[str, Any]:
        """Start with who has it."""
        super().form_kwargs()
        return {"initial": {"owner": str(self.finding.owner_id or "")}}

    def act(self, asked: dict[str, Any]) -> str:
        """Keep who deals with it."""
        owner = User.objects.get(pk=asked["owner"]) if asked["owner"] else None
        give(self.finding.pk, owner=owner, now=timezone.now())
        return f"It is with {owner.name or owner.email} now." if owner else "It is with nobody now."


class NoteFields(forms.Form):
    """The words."""

    words = forms.CharField(label="Note", max_length=1_000, widget=forms.Textarea(attrs={"rows": 4}))


class Note(ActPage):
    """Write on a finding's history."""

    title = "Write a note"
    form_class = NoteFields
    submit = "Write it"

    def act(self, asked: dict[str, Any]) -> str:
        """Keep the note."""
        write_note(self.finding.pk, words=asked["words"], now=timezone.now())
        return "The note is kept."


class LookAgain(ActPage):
    """Run the finding's check now."""

    title = "Look again"
    form_class = forms.Form
    submit = "Look again"

    def form_kwargs(self) -> dict[str, Any]:
        """Say what will happen."""
        super().form_kwargs()
        self.purpose = "Runs this check over the whole book now: what is mended closes, what is new is found."
        return {}

    def act(self, asked: dict[str, Any]) -> str:
        """Run the check."""
        check = _check(self.finding.check_slug)
        run(self.reseller, [check], now=timezone.now())
        self.finding.refresh_from_db()
        stands = self.finding.state in Finding.STANDING
        return "It is still there." if stands else "It is not found any more, and closed."


class Checks(Page):
    """What is checked for leaks, and from which limits on."""

    capability = Capability.VIEW_MARGIN
    template = "ui/detail.html"
    title = "What is checked for leaks"
    purpose = "After each call file, each bill run, each repair, and every night."
    columns = (
        Text(name="name", label="Kind of leak"),
        Words(name="about", label="What it finds"),
        Text(name="limits", label="Speaks up from"),
    )

    def get_context(self) -> dict[str, Any]:
        """Return a table of the checks; those with limits lead to them."""
        self.back = ("Leakage register", reverse("leakage"))
        checks = of_family(Finding.Family.LEAKAGE)
        held = thresholds(checks)
        rows = [
            {
                "pk": c.slug,
                "name": c.name,
                "about": c.about,
                "limits": "; ".join(f"{s.label}: {_plain(held[c.slug][s.name])}" for s in c.settings),
            }
            for c in checks
        ]
        plain = [row for row in rows if not row["limits"]]
        limited = [row for row in rows if row["limits"]]
        open_to = "leakage-limits" if self.scope.can(Capability.MANAGE) else None
        return {
            "panels": [
                TablePanel("With limits of your own", self.columns, limited, row_url=open_to),
                TablePanel("Without limits", self.columns[:2], plain),
            ]
        }


class LimitFields(forms.Form):
    """One field per limit of a check."""

    def __init__(self, *args: Any, check: Check, held: dict[str, Decimal], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for setting in check.settings:
            self.fields[setting.name] = forms.DecimalField(
                label=setting.label,
                help_text=f"{setting.help} Usually {_plain(setting.default)}.".strip(),
                min_value=0,
                max_digits=12,
                decimal_places=2,
                initial=held[setting.name],
            )


class Limits(FormPage):
    """Set the limits from which a check speaks up."""

    capability = Capability.MANAGE
    form_class = LimitFields

    def form_kwargs(self) -> dict[str, Any]:
        """Find the check and its limits in force."""
        self.check = _check(self.kwargs["slug"])
        if not self.check.settings:
            raise Http404
        self.title, self.purpose = f"Limits: {self.check.name}", self.check.about
        self.cancel_url = reverse("leakage-checks")
        self.back = ("What is checked for leaks", self.cancel_url)
        return {"check": self.check, "held": thresholds([self.check])[self.check.slug]}

    def save(self, form: Any) -> str:
        """Keep the limits and look anew."""
        set_thresholds(reseller_id=self.reseller.pk, check=self.check, values=form.cleaned_data)
        record("check.limits", self.check.slug, **{k: str(v) for k, v in form.cleaned_data.items()})
        run(self.reseller, [self.check], now=timezone.now())
        messages.success(self.request, "The limits are kept, and the check has looked anew.")
        return self.cancel_url


def _check(slug: str) -> Check:
    """Return a check of leakage; raises Http404 for anything else."""
    if slug not in CHECKS or CHECKS.get(slug).family != Finding.Family.LEAKAGE:
        raise Http404
    return CHECKS.get(slug)


def _plain(value: Decimal) -> str:
    return figure(value, 0 if value == value.to_integral_value() else 2)
