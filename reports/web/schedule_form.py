"""The form of a schedule: what, when, to whom, on which condition."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError

from reports.filters import FREE
from reports.mailing import BadAddresses, addresses
from reports.models import Schedule
from reports.report import Report
from reports.schedules import Plan, totals_offered
from reports.timing import WEEKDAYS
from reports.web.forms import ColumnsField
from resellerkpi.core.columns import Column

SEND = Schedule.Send


class ScheduleForm(forms.Form):
    """A schedule as its owner says it; `period` is a relative interval of the report's own form."""

    groups: ClassVar[Sequence[tuple[str, Sequence[str]]]] = (
        ("What", ("name", "period", "formats", "columns")),
        ("When", ("frequency", "weekday", "month_day", "time", "zone")),
        ("To whom", ("recipients", "note")),
        ("Condition", ("send", "total", "amount")),
    )

    name = forms.CharField(label="Name", max_length=120, help_text="What the mails and the list call it.")
    period = forms.ChoiceField(
        label="Period", help_text="Counted anew each time, on the day it is sent, in the zone below."
    )
    formats = forms.MultipleChoiceField(
        label="Files",
        required=False,
        choices=[("csv", "CSV"), ("xlsx", "Spreadsheet (XLSX)")],
        widget=forms.CheckboxSelectMultiple,
        help_text="Attached up to 10 MB; larger ones become a link that works for 30 days.",
    )
    columns = ColumnsField()
    frequency = forms.ChoiceField(label="How often", choices=Schedule.Frequency.choices)
    weekday = forms.TypedChoiceField(
        label="Weekday",
        coerce=int,
        required=False,
        choices=list(enumerate(WEEKDAYS)),
        help_text="For weekly mails.",
    )
    month_day = forms.IntegerField(
        label="Day of the month",
        required=False,
        min_value=1,
        max_value=31,
        help_text="For monthly and quarterly mails; 31 is each month's last day.",
    )
    time = forms.TimeField(
        label="Time",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Within five minutes.",
    )
    zone = forms.CharField(label="Time zone", max_length=60)
    recipients = forms.CharField(
        label="To",
        max_length=4_000,
        help_text="E-mail addresses, separated by commas. Each gets a mail of its own.",
    )
    note = forms.CharField(
        label="Note", required=False, max_length=1_000, widget=forms.Textarea(attrs={"rows": 3})
    )
    send = forms.ChoiceField(label="Send", choices=SEND.choices)
    total = forms.ChoiceField(label="Total of", required=False, help_text="For a condition on a total.")
    amount = forms.DecimalField(
        label="Amount",
        required=False,
        max_digits=16,
        decimal_places=2,
        help_text="In the total's own currency.",
    )

    def __init__(
        self, *args: Any, report: Report, offered: Sequence[tuple[Column, bool]], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        periods = report.Filters.base_fields["period"].choices  # type: ignore[attr-defined]
        self.fields["period"].choices = [  # type: ignore[attr-defined]
            (value, label) for value, label in periods if value != FREE
        ]
        columns: Any = self.fields["columns"]
        columns.offer(offered)
        totals = totals_offered([column for column, _ in offered])
        self.fields["total"].choices = [("", "Choose…"), *totals.items()]  # type: ignore[attr-defined]

    def clean_recipients(self) -> list[str]:
        """Read the addresses."""
        try:
            return addresses(self.cleaned_data["recipients"])
        except BadAddresses as bad:
            raise ValidationError(str(bad)) from None

    def clean_zone(self) -> str:
        """Refuse a zone nobody knows."""
        zone: str = self.cleaned_data["zone"]
        if zone not in available_timezones():
            raise ValidationError(f"There is no time zone called “{zone}”.")
        return zone

    def clean_time(self) -> dt.time:
        """Keep hours and minutes."""
        at: dt.time = self.cleaned_data["time"]
        return at.replace(second=0, microsecond=0)

    def clean(self) -> dict[str, Any]:
        """Ask for the total and the amount that a condition needs."""
        data = super().clean() or self.cleaned_data
        if data.get("send") in (SEND.ABOVE, SEND.BELOW):
            for name, words in (("total", "Choose the total to look at."), ("amount", "Give the amount.")):
                if not self.errors.get(name) and data.get(name) in ("", None):
                    self.add_error(name, words)
        return data

    def plan(self) -> Plan:
        """Return what was decided."""
        data = {k: v for k, v in self.cleaned_data.items() if k != "period"}
        return Plan(**{**data, "weekday": data["weekday"] or 0, "month_day": data["month_day"] or 1})


def initial_of(schedule: Schedule) -> dict[str, Any]:
    """Return what the form of a saved schedule holds."""
    kept = {name: getattr(schedule, name) for name in ScheduleForm.base_fields if hasattr(schedule, name)}
    period = (schedule.params.get("period") or [""])[0]
    return kept | {"period": period, "recipients": ", ".join(schedule.recipients)}
