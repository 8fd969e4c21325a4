"""Forms for mailing and sharing a run."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from reports.mailing import BadAddresses, addresses
from reports.sharing import DEFAULT_DAYS, MOST_DAYS
from resellerkpi.core.columns import Column

FILES = [("csv", "CSV"), ("xlsx", "Spreadsheet (XLSX)"), ("xls", "Old spreadsheet (XLS)")]
WHY_HIDDEN = " (hidden by default)"


class ColumnsField(forms.MultipleChoiceField):
    """Which columns outsiders get: costs, margins and personal data only when ticked."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        super().__init__(label="Columns", **options)

    def offer(self, offered: Sequence[tuple[Column, bool]]) -> None:
        """Offer columns and tick the usual ones."""
        self.choices = [(c.name, c.title if usual else f"{c.title}{WHY_HIDDEN}") for c, usual in offered]
        self.initial = [c.name for c, usual in offered if usual]


class MailForm(forms.Form):
    """To whom, with which files and columns, and a note."""

    to = forms.CharField(
        label="To", max_length=4_000, help_text="One or more e-mail addresses, separated by commas."
    )
    note = forms.CharField(
        label="Note", required=False, max_length=1_000, widget=forms.Textarea(attrs={"rows": 3})
    )
    formats = forms.MultipleChoiceField(
        label="Files",
        required=False,
        choices=FILES,
        initial=["xlsx"],
        widget=forms.CheckboxSelectMultiple,
    )
    columns = ColumnsField()

    def __init__(self, *args: Any, offered: Sequence[tuple[Column, bool]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["columns"].offer(offered)  # type: ignore[attr-defined]

    def clean_to(self) -> list[str]:
        """Read the addresses."""
        try:
            return addresses(self.cleaned_data["to"])
        except BadAddresses as bad:
            raise ValidationError(str(bad)) from None


class ShareForm(forms.Form):
    """For whom a link is, how long it lives, its password and columns."""

    label = forms.CharField(
        label="For",
        required=False,
        max_length=120,
        help_text="A note for yourselves, such as who gets the link.",
    )
    days = forms.IntegerField(
        label="Expires after days", min_value=1, max_value=MOST_DAYS, initial=DEFAULT_DAYS
    )
    password = forms.CharField(
        label="Password",
        required=False,
        min_length=8,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Asked for before anything is shown; tell it by another way than the link.",
    )
    columns = ColumnsField()

    def __init__(self, *args: Any, offered: Sequence[tuple[Column, bool]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["columns"].offer(offered)  # type: ignore[attr-defined]
