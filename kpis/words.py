"""Figures and marks in words: for pages, exports and the command."""

from datetime import date
from decimal import Decimal
from typing import Any

from babel.numbers import get_currency_symbol

from kpis.compare import Delta
from kpis.kpi import Kpi, Unit
from kpis.models import KpiSettings
from kpis.options import Options
from kpis.series import Point
from resellerkpi.core.columns import LOCALE, MINUS, figure
from resellerkpi.core.money import places, quantise, round_half_up

SPACE = "\N{NO-BREAK SPACE}"
NOT_AVAILABLE = "n/a"
WHOLE_FROM = Decimal(10_000)
MARKS = {
    "open": "Not over yet",
    "so_far": "Up to the day asked for",
    "small_base": "Small base",
    "estimated": "Estimated",
    "lagged": "Cost of months before",
    "restated": "Restated since the month was closed",
    "needs_data": "Needs data",
    "no_base": "n/a: nothing to divide by",
    "negative_base": "n/a: the base is negative",
}
#: What each mark means, for who meets it.
MARKS_TOLD = {
    "open": "The period is not over: the figure is what there is so far, and is left out of the trend.",
    "so_far": "The month went on after the day asked for: the figure is what there was by the end of that day.",
    "small_base": "It is taken over few: one more or less moves it much.",
    "estimated": "It rests on an assumption, told in the definition.",
    "lagged": "By a setting, the cost is that of an earlier month, which won the customers of this one.",
    "restated": "Something that belongs to the month came in or changed after it was closed.",
    "needs_data": "Something it reads has to be entered or uploaded first; it is never taken as 0.",
    "no_base": "There is nothing to divide by, so there is no figure; it is not 0.",
    "negative_base": "What it divides by is below zero, so that the figure would mean nothing.",
}
BUCKETS = {
    "not_due": "Not due",
    "days_1_30": "1–30 days",
    "days_31_60": "31–60 days",
    "days_61_90": "61–90 days",
    "days_over_90": "91 days or more",
}
DIMENSIONS = {
    "status": "Status",
    "dealer": "Dealer",
    "segment": "Segment",
    "client_type": "Client type",
    "tag": "Tag",
    "package": "Package",
    "campaign": "Campaign",
    "manager": "Account manager",
    "bucket": "Age",
    "method": "Payment method",
    "number_type": "Number type",
    "feature": "Feature",
    "region": "Region",
    "tenth": "Tenth of customers",
    "reason": "Reason",
    "numbers": "Numbers held",
    "kind": "Kind",
    "call_class": "Call class",
    "product": "Product kind",
    "ladder": "Ladder",
    "failure": "Reason of failure",
    "service": "Service",
    "carrier": "Carrier",
    "destination": "Destination",
    "state": "State",
    "error": "Error",
    "source": "Source",
    "item": "Product or service",
    "sold": "Product",
    "stage": "Stage",
    "week": "Week",
    "score": "Score",
    "channel": "Channel",
    "category": "Category",
    "cohort": "Month they came",
    "within": "Ends in",
    "cause": "Cause",
    "why": "Reason",
    "leak": "Kind of leak",
    "open_for": "Days open",
}
#: Dimensions whose rows are no parts of the total, and why.
OVERLAPS = {
    "tag": "A customer counts under each of its tags, so the rows do not add up to the total.",
    "package": "A customer counts under each package it has at the close, so the rows do not add up to the total.",
}
#: Settings in words: what each is called and what choosing it does.
SETTINGS = {
    "churn_base": (
        "Customer churn is divided by",
        "Most tools take the start; telephone companies the average.",
    ),
    "churn_recognition": (
        "A customer that leaves is lost on",
        "By notice, where the day is known; recurring revenue is lost when the services end.",
    ),
    "count_by": ("A customer is", "By group, accounts under one parent (two levels) count once."),
    "reactivation_window_days": (
        "A customer that comes back is new after so many days away",
        "Empty: however long it was away, it is reactivated.",
    ),
    "count_in_period": (
        "Count who joined and left within one month as new and as lost",
        "Otherwise they stand apart, as joined and left within the month.",
    ),
    "nrr_reactivation": ("Net revenue retention includes customers who came back", "Most leave them out."),
    "quick_ratio_reactivation": ("The quick ratio includes customers who came back", "Most leave them out."),
    "small_base": ("A base is small under", "Ratios over fewer are marked."),
    "ageing_basis": ("Debt is aged from", ""),
    "cei_current": (
        "Collection effectiveness takes as current",
        "What could not have been collected yet; most take debt not due.",
    ),
    "loss_not_due": ("Loss expected of debt not due, per cent", ""),
    "loss_30": ("Loss expected of debt 1 to 30 days late, per cent", ""),
    "loss_60": ("Loss expected of debt 31 to 60 days late, per cent", ""),
    "loss_90": ("Loss expected of debt 61 to 90 days late, per cent", ""),
    "loss_more": ("Loss expected of older debt, per cent", ""),
    "active_months": (
        "A client is active for so many months after using something paid",
        "The Active Duration of customer dynamics.",
    ),
    "life_cap_months": ("A customer's life is at most so many months", "For values that divide by churn."),
    "cac_lag_months": (
        "The cost of winning customers is that of so many months before",
        "0 to 6. For the cost of winning a customer and what it is set against; per campaign, the month's own.",
    ),
    "mrr_suspended": (
        "Recurring revenue of suspended customers",
        "Most keep it. Left out, it is lost when a customer is suspended and comes back when it is active again.",
    ),
    "target_take_up": ("Take-up aimed at, per cent", "For the opportunity in features."),
    "value_multiple": (
        "Your multiple: the book is worth so many months of recurring revenue",
        "For the illustrative value only.",
    ),
    "anomaly_amount": ("An invoice stands out by at least this amount", "All three conditions have to hold."),
    "anomaly_percent": ("An invoice stands out by at least so many per cent of the mean of three months", ""),
    "anomaly_population": (
        "Standard deviation of the three months: of the population",
        "Otherwise of a sample, which is larger.",
    ),
    "leakage_write_offs": (
        "Revenue leaked includes debt written off",
        "Otherwise it stands apart, as the share of invoices written off.",
    ),
    "csat_scale": (
        "Satisfaction is asked on a scale of",
        "Answers keep the score they were entered with; those above the scale are left out.",
    ),
    "close_after_days": (
        "A month closes so many days after its end",
        "Its figures are then kept as they were.",
    ),
}
#: Settings by what they are about, in the order in which their page shows them.
SETTING_GROUPS = (
    (
        "Customers",
        (
            "churn_base",
            "churn_recognition",
            "count_by",
            "reactivation_window_days",
            "count_in_period",
            "active_months",
            "life_cap_months",
            "cac_lag_months",
        ),
    ),
    (
        "Recurring revenue",
        ("mrr_suspended", "nrr_reactivation", "quick_ratio_reactivation", "target_take_up", "value_multiple"),
    ),
    (
        "Debt",
        ("ageing_basis", "cei_current", "loss_not_due", "loss_30", "loss_60", "loss_90", "loss_more"),
    ),
    ("Invoices that stand out", ("anomaly_amount", "anomaly_percent", "anomaly_population")),
    ("Leakage", ("leakage_write_offs",)),
    ("Surveys", ("csat_scale",)),
    ("Marks and months", ("small_base", "close_after_days")),
)
_DECIMALS = {Unit.COUNT: 0, Unit.PERCENT: 1, Unit.RATIO: 2, Unit.MONTHS: 1, Unit.DAYS: 1}
_DECIMALS |= {Unit.SECONDS: 0, Unit.POINTS: 1}


def shown(kpi: Kpi, value: Decimal | None, currency: str = "") -> str:
    """Return a figure as people read it, with its unit; "n/a" when there is none."""
    if value is None:
        return NOT_AVAILABLE
    if kpi.unit is Unit.MONEY:
        return money(value, currency)
    if kpi.unit is Unit.PERCENT:
        return f"{figure(value * 100, 1)}{SPACE}%"
    unit = {u: f"{SPACE}{u.value}" for u in (Unit.MONTHS, Unit.DAYS, Unit.SECONDS)}.get(kpi.unit, "")
    return f"{figure(value, _DECIMALS[kpi.unit])}{unit}"


def money(value: Decimal, currency: str, *, whole_from: Decimal | None = None) -> str:
    """Return an amount with its currency, £ for pounds; amounts from `whole_from` on are shown without pence."""
    decimals = 0 if whole_from is not None and abs(value) >= whole_from else places(currency or "GBP")
    sign = get_currency_symbol(currency, locale=LOCALE) if currency else ""
    text = figure(value, decimals)
    if len(sign) != 1:
        return f"{text}{SPACE}{currency}".strip()
    return f"{MINUS}{sign}{text[1:]}" if text.startswith(MINUS) else sign + text


def short(kpi: Kpi, value: Decimal | None, currency: str = "") -> str:
    """Return a figure for a tile: large amounts without pence."""
    if value is None or kpi.unit is not Unit.MONEY:
        return shown(kpi, value, currency)
    return money(value, currency, whole_from=WHOLE_FROM)


def changed(kpi: Kpi, delta: Delta, currency: str = "") -> str:
    """Return a change as people read it: amount and per cent, or percentage points."""
    sign = "+" if delta.change > 0 else ""
    if kpi.unit is Unit.PERCENT:
        return f"{sign}{figure(delta.change, 1)}{SPACE}pp"
    amount = sign + short(kpi, delta.change, currency)
    growth = "" if delta.growth is None else f" ({sign}{figure(delta.growth * 100, 1)}{SPACE}%)"
    return amount + growth


def setting(options: Options, name: str) -> str:
    """Return the value of a setting in words."""
    value = getattr(options, name)
    named = (
        KpiSettings.ChurnBase,
        KpiSettings.ChurnRecognition,
        KpiSettings.CountBy,
        KpiSettings.AgeingBasis,
        KpiSettings.CeiCurrent,
        KpiSettings.MrrSuspended,
        KpiSettings.CsatScale,
    )
    choices = {choice.value: choice.label for kind in named for choice in kind}
    if value is None:
        return "not set"
    return str(
        choices.get(value, {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value)
    )


def month(first: date) -> str:
    """Return a month as "Nov 2026"."""
    return f"{first:%b %Y}"


def plain(kpi: Kpi, point: Point) -> dict[str, Any]:
    """Return a point for JSON: counts as numbers, money in the currency's places, other figures to six places."""
    value = point.value
    if value is None:
        text: Any = None
    elif kpi.unit is Unit.COUNT:
        text = int(value) if value == value.to_integral_value() else str(round_half_up(value, 6))
    elif kpi.unit is Unit.MONEY:
        text = format(quantise(value, point.currency or "GBP"), "f")
    else:
        text = format(round_half_up(value, 6).normalize() + Decimal(0), "f")
    return {
        "month": f"{point.month:%Y-%m}",
        "key": point.key,
        "currency": point.currency,
        "value": text,
        "numerator": exact(point.numerator),
        "denominator": exact(point.denominator),
        "marks": list(point.marks),
    }


def exact(value: Decimal | None) -> str | None:
    """Return a part as an exact string without needless zeros."""
    if value is None:
        return None
    rounded = round_half_up(value, 6)
    return format(rounded.normalize() + Decimal(0), "f") if rounded else "0"
