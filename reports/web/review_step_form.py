"""The form of a step of the review's template."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode

from django import forms
from django.core.exceptions import ValidationError

from kpis.kpi import KPIS
from kpis.sources import PEOPLE
from kpis.words import DIMENSIONS
from reports.registry import REPORTS
from reports.reviewing.checks import choices as checks
from reports.reviewing.steps import (
    AGAINST,
    CADENCES,
    OF,
    RULES,
    SPANS,
    WEEKS,
    KpiLine,
    ReportLine,
    Step,
)
from resellerkpi.core.access import Role
from resellerkpi.ui.forms import LongSelect

KPI_LINES, REPORT_LINES = 4, 2
ROLES = [("", "Anybody"), (Role.OWNER.value, Role.OWNER.label), (Role.FINANCE.value, Role.FINANCE.label)]


class StepEditForm(forms.Form):
    """A step: words, week, how often; up to four KPIs with when each is clear; up to two reports; a check."""

    title = forms.CharField(label="Title", max_length=120)
    help = forms.CharField(
        required=False, label="What to look for", max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )
    week = forms.TypedChoiceField(
        label="Week", coerce=int, choices=[(n, f"{n}: {t}") for n, t in WEEKS.items()]
    )
    position = forms.IntegerField(label="Place in the week", min_value=0, max_value=999)
    cadence = forms.ChoiceField(label="How often", choices=list(CADENCES.items()))
    minutes = forms.IntegerField(label="Minutes planned", min_value=0, max_value=60)
    role = forms.ChoiceField(required=False, label="For", choices=ROLES)
    in_use = forms.BooleanField(required=False, label="In use")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        kpis = [("", "None"), *sorted(((k.slug, k.name) for k in KPIS), key=lambda pair: pair[1])]
        reports = [("", "None"), *sorted((r.slug, r.name) for r in REPORTS)]
        # a review is read, and kept, by whoever may see it: people are no keys of its figures
        dimensions = [("", "In all"), *((d, name) for d, name in DIMENSIONS.items() if d not in PEOPLE)]
        self.groups: list[tuple[str, list[str]]] = [("", list(self.fields))]
        for n in range(1, KPI_LINES + 1):
            self._add(
                f"Figure {n}",
                {
                    f"kpi_{n}": _choice("KPI", kpis),
                    f"of_{n}": _choice("Of", OF.items()),
                    f"by_{n}": _choice("By", dimensions),
                    f"against_{n}": _choice("Compared with", AGAINST.items()),
                    f"rule_{n}": _choice("Clear by itself when", RULES.items()),
                    f"limit_{n}": forms.DecimalField(
                        required=False, label="Limit", max_digits=12, decimal_places=4,
                        help_text="Per cent for rates; per cent or percentage points of a change.",
                    ),
                },
            )  # fmt: skip
        for n in range(1, REPORT_LINES + 1):
            query = forms.CharField(
                required=False,
                label="Further query",
                max_length=500,
                help_text="As in its address: group_by=state",
            )
            lines = {f"report_{n}": _choice("Report", reports), f"span_{n}": _choice("Over", SPANS.items())}
            self._add(f"Report {n}", {**lines, f"params_{n}": query})
        found = _choice("Check", checks())
        found.help_text = "The step needs a look while the check has open findings, and leads to them."
        self._add("Check", {"check": found})

    def _add(self, title: str, fields: Mapping[str, forms.Field]) -> None:
        self.fields.update(fields)
        self.groups.append((title, list(fields)))

    def clean(self) -> dict[str, Any]:
        """Refuse a rule without its limit, and a dimension that the KPI does not have."""
        data = super().clean() or self.cleaned_data
        for n in range(1, KPI_LINES + 1):
            slug = data.get(f"kpi_{n}")
            if not slug:
                continue
            if data.get(f"rule_{n}") and data.get(f"limit_{n}") is None:
                self.add_error(f"limit_{n}", "Say how much.")
            if data.get(f"by_{n}") and data[f"by_{n}"] not in KPIS.get(slug).by:
                by = [DIMENSIONS.get(d, d).lower() for d in KPIS.get(slug).by if d not in PEOPLE]
                known = ", ".join(by) or "nothing"
                self.add_error(f"by_{n}", f"“{KPIS.get(slug).name}” is told by {known}.")
        if (
            not self.errors
            and data["cadence"] in ("monthly", "quarterly")
            and not (self._kpis() or self._reports() or data.get("check"))
        ):
            raise ValidationError("Choose at least one figure, report or check to look at.")
        return data

    def _kpis(self) -> tuple[KpiLine, ...]:
        d, found = self.cleaned_data, []
        for n in range(1, KPI_LINES + 1):
            if d.get(f"kpi_{n}"):
                limit: Decimal | None = d[f"limit_{n}"] if d[f"rule_{n}"] else None
                found.append(
                    KpiLine(
                        d[f"kpi_{n}"],
                        d[f"of_{n}"] or "last",
                        d[f"by_{n}"],
                        d[f"against_{n}"] or "month",
                        d[f"rule_{n}"],
                        limit,
                    )
                )
        return tuple(found)

    def _reports(self) -> tuple[ReportLine, ...]:
        d = self.cleaned_data
        return tuple(
            ReportLine(
                d[f"report_{n}"], d[f"span_{n}"] or "last", parse_qs(d[f"params_{n}"], max_num_fields=20)
            )
            for n in range(1, REPORT_LINES + 1)
            if d.get(f"report_{n}")
        )

    def step(self, before: Step) -> Step:
        """Return the step as it was written, what the form does not hold as it was."""
        d = self.cleaned_data
        return replace(
            before,
            title=d["title"],
            help=d["help"],
            week=d["week"],
            position=d["position"],
            cadence=d["cadence"],
            minutes=d["minutes"],
            role=d["role"],
            in_use=d["in_use"],
            check=d["check"],
            kpis=self._kpis(),
            reports=self._reports(),
        )

    def clean_params_1(self) -> str:
        """Refuse a query that is none."""
        return _query(self.cleaned_data["params_1"])

    def clean_params_2(self) -> str:
        """Refuse a query that is none."""
        return _query(self.cleaned_data["params_2"])


def _choice(label: str, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, label=label, choices=list(choices), widget=LongSelect())


def _query(text: str) -> str:
    try:
        parse_qs(text, max_num_fields=20)
    except ValueError:
        raise ValidationError("At most 20 parameters.") from None
    return text


def initial_of(step: Step) -> dict[str, Any]:
    """Return a step as its form shows it."""
    names = ("title", "help", "week", "position", "cadence", "minutes", "role", "in_use", "check")
    found: dict[str, Any] = {name: getattr(step, name) for name in names}
    for n, line in enumerate(step.kpis[:KPI_LINES], 1):
        kept = line.kept()
        found |= {f"{k}_{n}": kept[k] for k in ("of", "by", "against", "rule", "limit")} | {
            f"kpi_{n}": line.slug
        }
    for n, report in enumerate(step.reports[:REPORT_LINES], 1):
        found |= {f"report_{n}": report.slug, f"span_{n}": report.span}
        found[f"params_{n}"] = urlencode(report.params, doseq=True)
    return found
