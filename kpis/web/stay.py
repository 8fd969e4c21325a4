"""Asking a customer why it stays, and the page on which it answers without signing in."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt

from billing.models import Customer
from kpis import stay
from kpis.models import StayAnswer
from resellerkpi.core.access import Capability
from resellerkpi.core.limits import count, taken
from resellerkpi.core.scope import enter
from resellerkpi.ui.views import FormPage, Page

MOST_MISSES, MISS_SECONDS = 30, 600
HEADERS = {
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store, private",
}
REASONS = [("", "Choose…"), *StayAnswer.Reason.choices]


class AnswerFields(forms.Form):
    """Why, in one word and in their own."""

    reason = forms.ChoiceField(choices=REASONS, label="What keeps you most?")
    words = forms.CharField(
        widget=forms.Textarea(), max_length=stay.LONGEST, required=False, label="In your own words"
    )


class AskFields(forms.Form):
    """Ask by mail, or write down what they said."""

    how = forms.ChoiceField(
        choices=[("told", "They told us"), ("mail", "Ask them by mail")],
        label="How",
        help_text="The mail has a link to a form of one question; it works once, for 30 days.",
    )
    reason = forms.ChoiceField(choices=REASONS, required=False, label="What keeps them most")
    words = forms.CharField(
        widget=forms.Textarea(), max_length=stay.LONGEST, required=False, label="In their words"
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the reason of what was told."""
        told = super().clean() or {}
        if told.get("how") == "told" and not told.get("reason"):
            self.add_error("reason", "Say what keeps them most.")
        return told


class AskToStay(FormPage):
    """Writes down why a customer stays, or asks it by mail."""

    capability = Capability.EDIT_BOOK
    form_class = AskFields
    title = "Why do they stay?"
    purpose = "What keeps a customer is what to keep: write down what they say, or ask by mail."
    refusals = (stay.CannotAsk,)

    def get_context(self) -> dict[str, Any]:
        """Lead back to the customer."""
        home = reverse("customer", args=[self.customer().pk])
        return {"back": (str(self.customer()), home), "cancel_url": home}

    def customer(self) -> Customer:
        """Return the customer of the address; raises Http404."""
        found = Customer.objects.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        return found

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form of a customer that exists."""
        self.customer()
        return super().get(request, *args, **kwargs)

    def save(self, form: Any) -> str:
        """Keep the answer, or send the question; a mail that fails leaves nothing behind."""
        customer, told, now = self.customer(), form.cleaned_data, timezone.now()
        if told["how"] == "told":
            stay.write_down(customer, reason=told["reason"], words=told["words"], now=now)
            messages.success(self.request, "The answer is kept.")
        else:
            with transaction.atomic():
                asked, token = stay.ask(customer, now=now)
                stay.mail(asked, url=f"{settings.PUBLIC_URL.rstrip('/')}{reverse('stay-answer')}?id={token}")
            messages.success(self.request, f"The question was sent to {customer.email}.")
        return reverse("customer", args=[customer.pk])


@method_decorator(csrf_exempt, name="dispatch")
class GiveAnswer(Page):
    """Opens a question's link: the form once, thanks after.

    Without a referrer a browser sends no origin either, so the form cannot be checked for its origin; it acts
    on nothing but the one question its token opens.
    """

    public = True
    needs_reseller = False
    template = "kpis/stay_answer.html"
    title = "Why do you stay?"
    purpose = "One question; your answer goes to the company named above only."

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer in the scope of the question's reseller; whatever is wrong with a link, the same page."""
        token, address = request.GET.get("id", ""), str(request.META.get("REMOTE_ADDR", ""))
        who = f"stay-miss:{address}"
        reseller_id = stay.reseller_of(token, now=timezone.now()) if taken(who) < MOST_MISSES else None
        if reseller_id is None:
            count(who, seconds=MISS_SECONDS)
            response: HttpResponseBase = HttpResponse(render_to_string("reports/closed.html"), status=404)
        else:
            with enter(stay.outsider_scope(reseller_id)):
                self.asked = stay.opened(token)
                response = super().dispatch(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, or thanks when it was answered."""
        return self.show(AnswerFields(), done=self.asked.answered_at is not None)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Keep the first answer; a second one changes nothing."""
        form = AnswerFields(request.POST)
        if not form.is_valid():
            return self.show(form, status=422)
        stay.answer(self.asked, **form.cleaned_data, now=timezone.now())
        return self.show(form, done=True)

    def show(self, form: forms.Form, *, done: bool = False, status: int = 200) -> HttpResponse:
        """Render the page under the reseller's name."""
        house = self.asked.reseller
        return self.render(
            {
                "form": form,
                "done": done,
                "submit": "Send",
                "reseller": house,
                "brand": house.colour.lstrip("#"),
            },
            status=status,
        )
