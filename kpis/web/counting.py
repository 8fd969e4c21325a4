"""How the reseller counts where the tools of the trade disagree: the settings page of the KPIs."""

from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.urls import reverse

from kpis.jobs import ask_for_refresh
from kpis.models import KpiSettings
from kpis.words import SETTING_GROUPS, SETTINGS
from resellerkpi.core import audit
from resellerkpi.core.access import Capability
from resellerkpi.ui.views import FormPage


class CountingForm(forms.ModelForm):
    """Every setting with what it means; the defaults are what most of the trade does."""

    groups = SETTING_GROUPS

    class Meta:
        model = KpiSettings
        fields = tuple(SETTINGS)
        labels: ClassVar[dict[str, str]] = {name: label for name, (label, _) in SETTINGS.items()}
        help_texts: ClassVar[dict[str, str]] = {name: text for name, (_, text) in SETTINGS.items()}


class Counting(FormPage):
    """Choose how KPIs are counted; saving makes every snapshot anew."""

    capability: ClassVar[Capability | None] = Capability.MANAGE
    title = "How KPIs are counted"
    purpose = (
        "Where the tools of the trade disagree, choose; figures are made anew and say how they were counted."
    )
    form_class = CountingForm

    def form_kwargs(self) -> dict[str, Any]:
        """Return the settings in force."""
        found = KpiSettings.objects.filter(reseller=self.reseller).first()
        return {"instance": found or KpiSettings(reseller=self.reseller)}

    def get_context(self) -> dict[str, Any]:
        """Lead back to the KPIs."""
        return {"back": ("KPIs", reverse("kpi-list"))}

    def save(self, form: Any) -> str:
        """Keep the settings, note who changed what, and have the figures made anew."""
        kept = form.save()
        audit.record(
            "kpi_settings.changed", kept, **{name: form.cleaned_data[name] for name in form.changed_data}
        )
        ask_for_refresh({})
        messages.success(self.request, "Saved. The figures are being made anew.")
        return reverse("kpi-list")
