"""A check is one declared function: what it is asked with, what it yields, and the list of all of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing.models import Finding
from resellerkpi.core.models import Reseller
from resellerkpi.core.periods import Period
from resellerkpi.core.registry import Registry

Family, Level = Finding.Family, Finding.Level


@dataclass(frozen=True)
class Setting:
    """A threshold of a check that each reseller may set: its name, default, words, and where the default comes from."""

    name: str
    default: Decimal
    label: str
    help: str = ""


@dataclass(frozen=True)
class Ask:
    """What a check is asked: for whom, when, about which period, with the reseller's thresholds.

    `period` is the month or run looked at: the month before `today` for checks of leakage.
    """

    reseller: Reseller
    now: datetime
    today: date
    period: Period
    settings: Mapping[str, Decimal] = field(default_factory=dict)

    def sql(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a statement: the reseller, the days, the instants at which the period lies."""
        return {
            "reseller": self.reseller.pk,
            "currency": self.reseller.currency,
            "zone": self.reseller.time_zone,
            "now": self.now,
            "today": self.today,
            "start": self.period.start,
            "end": self.period.end,
            "starts_at": self.period.starts_at,
            "ends_at": self.period.ends_at,
            **self.settings,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: a stable subject, words for people, since when, why, and the money it costs.

    Money is rounded half-up to the penny where it is kept. `args` and `query` complete the address of the page that
    repairs it, `page` replaces the check's own; `about` is what `behind` needs to show the rows it comes from.
    """

    subject: str
    label: str
    period: date
    why: str
    money_per_month: Decimal | None = None
    money_to_date: Decimal | None = None
    currency: str = ""
    count: int = 1
    customer_id: int | None = None
    level: str = ""
    page: str = ""
    args: tuple[Any, ...] = ()
    query: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """Rows behind a finding: headings and cells, as many as are worth showing."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Check:
    """A declared check; its docstring says what it finds, `page` names the page (URL) on which it is repaired.

    A check `per_period` keeps a finding of its own for each period asked; any other keeps one for each subject.
    """

    slug: str
    name: str
    family: str
    level: str
    page: str
    find: Callable[[Ask], Iterable[Found]]
    about: str
    settings: tuple[Setting, ...] = ()
    behind: Callable[[Ask, Finding], Rows] | None = None
    per_period: bool = False


CHECKS: Registry[Check] = Registry("check")


def check(
    *,
    slug: str,
    name: str,
    family: str,
    level: str = Level.WARNING,
    page: str = "",
    settings: tuple[Setting, ...] = (),
    behind: Callable[[Ask, Finding], Rows] | None = None,
    per_period: bool | None = None,
) -> Callable[[Callable[[Ask], Iterable[Found]]], Callable[[Ask], Iterable[Found]]]:
    """Register a function as a check; raises ValueError without a docstring or with a slug that is no slug.

    Unless said otherwise, checks before billing are `per_period` and the others are not.
    """

    def register(find: Callable[[Ask], Iterable[Found]]) -> Callable[[Ask], Iterable[Found]]:
        if not (find.__doc__ or "").strip():
            raise ValueError(f"The check “{slug}” has to say in its docstring what it finds.")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", slug):
            raise ValueError(f"“{slug}” is not a name for a check.")
        CHECKS.add(
            slug,
            Check(
                slug=slug,
                name=name,
                family=Family(family),
                level=Level(level),
                page=page,
                find=find,
                about=" ".join((find.__doc__ or "").split()),
                settings=settings,
                behind=behind,
                per_period=family == Family.PRE_BILLING if per_period is None else per_period,
            ),
        )
        return find

    return register
