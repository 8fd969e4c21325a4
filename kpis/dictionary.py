"""The dictionary: what each KPI is, out of its declaration, in words for pages, documents and machines."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.utils.text import capfirst

from billing.observed import METRICS, Metric
from kpis.facts_book import ACCOUNT
from kpis.facts_sql import FACTS
from kpis.kpi import KPIS, Good, Kpi, Part, Unit
from kpis.longer import Way, way
from kpis.options import Options
from kpis.registry import by_family
from kpis.series import roots
from kpis.sources import PEOPLE
from kpis.words import DIMENSIONS, SETTINGS, setting
from resellerkpi.core.columns import figure

UNITS = {
    Unit.COUNT: "A count",
    Unit.MONEY: "Money, a figure for each currency",
    Unit.PERCENT: "Per cent",
    Unit.RATIO: "A number",
    Unit.MONTHS: "Months",
    Unit.DAYS: "Days",
    Unit.SECONDS: "Seconds",
    Unit.POINTS: "Points",
}
_COMPARED = "A longer period is counted anew, its close against the close before, not added up"
GOOD = {Good.UP: "Up is good", Good.DOWN: "Down is good", Good.WATCH: "Neither way is good by itself"}
_ADDED = {False: "Months add up", True: "Both sides add up and are divided last; rates are never averaged"}
_LONGER = {
    Way.CLOSE: "A longer period has the figure of its last month",
    Way.ANEW: "A longer period is counted anew over the whole of it, not added up",
    Way.BESIDE: "A longer period is set beside the one before it, as a month is",
}
KINDS = {
    "flow": "What is dated in the month",
    "stock": "What is there on the last day of the month",
    "movement": "The close of the month against the close before",
    "cohort": "Chosen customers followed over time",
    "distribution": "How a sum is spread",
    "entered": "What was entered or uploaded for the month",
}
CAMPAIGNS = "campaigns"


@dataclass(frozen=True)
class Chosen:
    """A setting that decides a figure: what it is called, what is in force and what is usual, in words."""

    name: str
    label: str
    help: str
    value: str
    usual: str

    @property
    def is_usual(self) -> bool:
        """Whether the default is in force."""
        return self.value == self.usual


@dataclass(frozen=True)
class Entry:
    """One KPI of the dictionary, with the settings in force for a reseller."""

    kpi: Kpi
    chosen: tuple[Chosen, ...]

    @property
    def paragraphs(self) -> list[str]:
        """The formula first, then its edge cases, as declared."""
        return [" ".join(part.split()) for part in self.kpi.formula.split("\n\n")]

    @property
    def about(self) -> list[tuple[str, str]]:
        """Unit, direction, roll-up and the rest, as label and words; those without anything to say are left out."""
        kpi, how = self.kpi, way(self.kpi)
        compared = how is Way.ANEW and kpi.shape.kind == "movement"
        longer = _COMPARED if compared else _LONGER.get(how) or _ADDED[kpi.is_ratio]
        told = [
            ("Unit", UNITS[kpi.unit]),
            ("Direction", GOOD[kpi.good]),
            ("What it looks at", KINDS[kpi.shape.kind]),
            ("Longer periods", longer),
            ("Broken down by", ", ".join(DIMENSIONS[d].lower() for d in kpi.by)),
            ("Made of", ", ".join(root.name for root in self.made_of)),
            ("Reads", ", ".join(tables_of(kpi))),
            ("Known from", kpi.sources),
        ]
        return [(label, words) for label, words in told if words]

    @property
    def made_of(self) -> list[Kpi]:
        """The KPIs whose parts it combines, none for one that reads rows itself."""
        return roots([self.kpi]) if self.kpi.shape.needs else []

    @property
    def edges(self) -> list[str]:
        """What every KPI of its kind does where there is little or nothing to count."""
        return edges_of(self.kpi)

    @property
    def metrics(self) -> list[Metric]:
        """What has to be entered or uploaded for it."""
        return [METRICS.get(slug) for slug in self.kpi.shape.observed]

    @property
    def address(self) -> str:
        """Where machines read it."""
        return f"/backend/kpi/{self.kpi.slug}/"

    @property
    def types(self) -> str:
        """What may follow the address."""
        return ", ".join(types_of(self.kpi))


def entries(kpis: Iterable[Kpi], options: Options) -> list[Entry]:
    """Return the dictionary's entries of some KPIs under the settings of a reseller."""
    return [Entry(k, tuple(_chosen(name, options) for name in settings_of(k))) for k in kpis]


def found(kpis: Iterable[Kpi], words: str) -> list[Kpi]:
    """Return the KPIs in whose name, slug, formula or origin each of some words stands."""
    wanted = words.casefold().split()
    return [k for k in kpis if all(w in _text(k) for w in wanted)]


def _text(kpi: Kpi) -> str:
    who = " ".join(" ".join(told) for told in kpi.elsewhere)
    return " ".join(
        (kpi.name, kpi.slug, kpi.slug.replace("_", " "), kpi.formula, kpi.sources, who)
    ).casefold()


def _chosen(name: str, options: Options) -> Chosen:
    label, text = SETTINGS[name]
    return Chosen(name, label, text, setting(options, name), setting(Options(), name))


def settings_of(kpi: Kpi) -> list[str]:
    """Return the settings that decide a figure: declared, read by its own SQL, or those of the KPIs it is made of."""
    names = {*kpi.settings, *(["small_base"] if marks_small(kpi) else [])}
    for part in kpi.parts():
        names.update(re.findall(r"%\((\w+)\)s", f"{part.value} {part.source.rows}"))
        names.add(str(part.source.window))
        names.update(["mrr_suspended"] if _recurs(part) else [])
    for root in roots([kpi]) if kpi.shape.needs else ():
        names.update(set(settings_of(root)) - {"small_base"})
    return [name for name in SETTINGS if name in names]


def _recurs(part: Part) -> bool:
    """Say whether a part reads recurring revenue, or what services cost, of the facts or by itself."""
    told = f"{part.value} {part.source.rows}"
    of_services = "featurefact" in part.source.tables and re.search(r"\b(mrr|cost|committed|ending)\b", told)
    return "movementfact" in part.source.tables or "[[" in part.source.rows or bool(of_services)


def marks_small(kpi: Kpi) -> bool:
    """Say whether a small base is marked: the KPI divides by a count, or is spread over one."""
    return kpi.small_base and (kpi.is_ratio or kpi.shape.measure is not None)


def edges_of(kpi: Kpi) -> list[str]:
    """Return in sentences what holds for every KPI of this kind."""
    told = []
    if kpi.is_ratio or kpi.shape.measure is not None:
        told.append("Nothing to divide by, or a base below zero: n/a, never 0.")
    if marks_small(kpi):
        told.append("A figure over few is marked “small base”.")
    if kpi.estimate:
        told.append("Every figure is marked “estimated”.")
    if kpi.unit is Unit.MONEY:
        told.append("Amounts of different currencies are never added.")
    if kpi.shape.observed:
        told.append("A month without its data has no figure and says what to enter, never 0.")
    return told


def types_of(kpi: Kpi) -> dict[str, str]:
    """Return type -> dimension: summary and byMonth have none; byDealer, byNumberType and so on have one.

    What is told by people is not for machines.
    """
    named = {f"by{''.join(word.capitalize() for word in d.split('_'))}": d for d in kpi.by if d not in PEOPLE}
    return {"summary": "", "byMonth": "", **named}


def tables_of(kpi: Kpi) -> list[str]:
    """Return what a KPI reads by the names people know: the tables of billing behind it, and what is entered."""
    names: set[str] = set()
    for root in roots([kpi]):
        for part in root.parts():
            texts = [part.source.rows, *(FACTS[t] for t in part.source.tables)]
            texts += [ACCOUNT] if part.source.of_customers else []
            names.update(name for text in texts for name in _mentioned(text))
    told = {CAMPAIGNS for name in names if name == "campaign"}
    plurals = _plurals()
    told |= {plurals[n] for n in names if n in plurals and n != "observation"}
    return sorted(told)


@cache
def _mentioned(sql: str) -> frozenset[str]:
    return frozenset(re.findall(r"\b(?:billing|kpis)_(\w+)", sql))


@cache
def _plurals() -> dict[str, str]:
    models = apps.get_app_config("billing").get_models()
    return {str(model._meta.model_name): _plural(model) for model in models}


def _plural(model: Any) -> str:
    word = str(model._meta.verbose_name_plural)
    return f"{word.removesuffix('ys')}ies" if word.endswith("rys") else word


def described(kpi: Kpi) -> dict[str, Any]:
    """Return an entry for machines, without the settings of anybody."""
    return {
        "slug": kpi.slug,
        "name": kpi.name,
        "unit": kpi.unit.value,
        "good": kpi.good.value,
        "family": kpi.family.value,
        "kind": kpi.shape.kind,
        "rollup": kpi.rollup.value,
        "dimensions": list(kpi.by),
        "version": kpi.version,
        "formula": " ".join(kpi.formula.split()),
        "edges": edges_of(kpi),
        "estimate": kpi.estimate,
        "settings": settings_of(kpi),
        "reads": tables_of(kpi),
        "made_of": [root.slug for root in roots([kpi])] if kpi.shape.needs else [],
        "observations": list(kpi.shape.observed),
        "sources": kpi.sources,
        "elsewhere": [{"who": who, "how": how} for who, how in kpi.elsewhere],
        "published": list(kpi.published),
        "address": f"/backend/kpi/{kpi.slug}/",
        "types": list(types_of(kpi)),
    }


def markdown(families: Sequence[tuple[str, Sequence[Entry]]]) -> str:
    """Return the dictionary as a document, with the usual settings."""
    count = sum(len(of_family) for _, of_family in families)
    lines = [
        "# KPI dictionary",
        "",
        "Written from the declarations in `kpis/definitions/`, not by hand (see [How to add a KPI](kpis-howto.md)):",
        "`KPI_VERSIONS=write pytest tests/kpis/test_every_kpi.py`. The page `/kpis/dictionary/`",
        "shows the same with the settings in force.",
        "",
        f"{figure(count, 0)} KPIs: " + " · ".join(f"[{name}](#{_anchor(name)})" for name, _ in families),
    ]
    for name, of_family in families:
        lines += ["", f"## {name}"]
        for entry in of_family:
            lines += ["", *_section(entry)]
    return "\n".join(lines) + "\n"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _section(entry: Entry) -> list[str]:
    kpi = entry.kpi
    lines = [f"### {kpi.name}", "", f"`{kpi.slug}` · version {kpi.version}", ""]
    for paragraph in entry.paragraphs:
        lines += [paragraph, ""]
    lines += [f"- {label}: {words}" for label, words in entry.about]
    lines += [f"- {capfirst(words)}" for words in entry.edges]
    lines += [f"- Needs data: `{m.slug}`, {m.words}" for m in entry.metrics]
    lines += [f"- Setting: {c.label}: {c.usual}" for c in entry.chosen]
    lines += [f"- Elsewhere: {who}: {how}" for who, how in kpi.elsewhere]
    lines += [f"- Published: {words}" for words in kpi.published]
    return [*lines, f"- Endpoint: `{entry.address}` ({entry.types})"]


def whole() -> list[tuple[str, list[Entry]]]:
    """Return every entry by family, under the usual settings."""
    return [(family.value, entries(kpis, Options())) for family, kpis in by_family(list(KPIS)).items()]
