"""What a mail with a run says: written once for everybody who may see the same columns, and kept as it was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal as D
from importlib import import_module
from typing import Any

from django.conf import settings
from django.urls import reverse

from reports.charting import draw, drawable
from reports.models import Letter, Run
from reports.registry import REPORTS
from reports.render import Showing, export, filename
from reports.run import scratch
from reports.sharing import DEFAULT_DAYS, address_of, mint
from resellerkpi.core.artifacts import path_of, store
from resellerkpi.core.columns import Column, Text
from resellerkpi.core.columns import figure as number
from resellerkpi.core.mail import Attachment, Picture, rendered
from resellerkpi.core.models import Artifact
from resellerkpi.core.sheets import MEDIA
from resellerkpi.ui.charts import figure

MOST_BYTES = 10 * 1024 * 1024
ROWS_IN_MAIL = 10
LEADING, FIGURES = 3, 3
CHART = "chart"
HIDDEN_TOKEN = "the-key-is-kept-nowhere"


@dataclass(frozen=True)
class Why:
    """Why a mail is sent and how its reader has it stopped."""

    words: str
    by_name: str = ""
    by_email: str = ""
    stop_url: str = ""
    late: str = ""


@dataclass(frozen=True)
class Message:
    """A mail ready to hand over, but for its address."""

    letter: Letter
    subject: str
    text: str
    html: str
    from_name: str
    reply_to: str
    attachments: Sequence[Attachment]
    pictures: Sequence[Picture]


@dataclass
class _Draft:
    """The parts of a letter while it is written."""

    showing: Showing
    files: list[tuple[str, Artifact]] = field(default_factory=list)
    link: str = ""
    until: datetime | None = None
    picture: Artifact | None = None
    alt: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(artifact.size for _, artifact in self.files)


def write(
    run: Run,
    *,
    request: str,
    names: Sequence[str],
    formats: Sequence[str],
    note: str,
    why: Why,
    colleague: bool,
    now: datetime,
) -> Message:
    """Write the letter of a request for readers who may see some columns, keep it, and return what is handed over.

    Files over MOST_BYTES become a link of their own. The link's key stands in the mail alone: the kept letter leaves
    it out.
    """
    draft = _Draft(Showing(run, tuple(names), outside=True))
    draft.files = [(kind, export(draft.showing, kind)) for kind in formats]
    if draft.size > MOST_BYTES:
        made, token = mint(run, now=now, columns=names, label=f"Mailed on {now:%Y-%m-%d}"[:120])
        draft.link, draft.until = address_of(token), made.expires_at
    draft.picture, draft.alt = _picture(draft.showing)
    context = _context(draft, note=note, why=why, colleague=colleague)
    text, html = rendered("report", context)
    attached = [] if draft.link else draft.files
    letter, _ = Letter.objects.update_or_create(
        run=run,
        request=request,
        columns=list(names),
        defaults={
            "reseller_id": run.reseller_id,
            "subject": context["subject"][:300],
            "sender": (run.reseller.from_name or run.reseller.name)[:200],
            "text": _without_key(text, draft.link),
            "html": _without_key(html, draft.link),
            "files": [_told(run, kind, artifact) for kind, artifact in attached],
            "picture": draft.picture,
            "written_at": now,
        },
    )
    return Message(
        letter=letter,
        subject=context["subject"],
        text=text,
        html=html,
        from_name=letter.sender,
        reply_to=why.by_email,
        attachments=[(filename(run, k), path_of(a), MEDIA[k]) for k, a in attached],
        pictures=[Picture(CHART, path_of(draft.picture))] if draft.picture else [],
    )


def _without_key(body: str, link: str) -> str:
    return body.replace(link.partition("=")[2], HIDDEN_TOKEN) if link else body


def _told(run: Run, kind: str, artifact: Artifact) -> dict[str, Any]:
    return {
        "name": filename(run, kind),
        "kind": kind,
        "size": artifact.size,
        "rows": run.row_count,
        "sha256": artifact.sha256,
    }


def _context(draft: _Draft, *, note: str, why: Why, colleague: bool) -> dict[str, Any]:
    showing, run = draft.showing, draft.showing.run
    heads = table_columns(showing.columns)
    first = list(showing.rows(stop=ROWS_IN_MAIL))
    subject = f"{run.reseller.name}: {run.title}"
    return {
        "subject": subject,
        "run": run,
        "reseller": run.reseller,
        "note": note,
        "why": why,
        "colleague": colleague,
        "about": showing.about,
        "heads": heads,
        "left_out": len(showing.columns) - len(heads),
        "table": [[(c, c.display(row)) for c in heads] for row in first],
        "more": run.row_count - len(first),
        "totals": [_total(showing.columns, total) for total in showing.totals],
        "ties": ties(run, colleague=colleague),
        "files": [_told(run, kind, artifact) for kind, artifact in draft.files],
        "size": draft.size,
        "link": draft.link,
        "until": draft.until,
        "chart": CHART if draft.picture else "",
        "alt": draft.alt,
        "url": settings.PUBLIC_URL.rstrip("/") + reverse("run-result", args=[run.pk]),
        "days": DEFAULT_DAYS,
    }


def table_columns(columns: Sequence[Column]) -> list[Column]:
    """Return the columns that fit a mail: the first, names before dates and codes, then the first totalled figures."""
    words = [c for c in columns if c.align == "left" and not c.hidden]
    names = [c for c in words[1:] if type(c) is Text]
    words = [*words[:1], *names, *(c for c in words[1:] if c not in names)][:LEADING]
    figures = [c for c in columns if (c.total or c.parts) and not c.hidden][:FIGURES]
    chosen = {c.name for c in (*words, *figures)}
    return [c for c in columns if c.name in chosen] or list(columns)[: LEADING + FIGURES]


def _total(columns: Sequence[Column], total: Mapping[str, Any]) -> dict[str, Any]:
    currency = next((str(v) for v in total.values() if isinstance(v, str)), "")
    summed = [c for c in columns if c.has_total]
    return {
        "currency": currency,
        "rows": total["rows"],
        "sums": [(c.title, c.display(total)) for c in summed],
    }


def ties(run: Run, *, colleague: bool) -> dict[str, Any]:
    """Return whether the totals agree with the books; only colleagues are told amounts that differ."""
    differing = [t for t in run.tie_outs if not t["ok"]]
    return {
        "all": len(run.tie_outs),
        "agreeing": len(run.tie_outs) - len(differing),
        "differing": differing if colleague else [],
    }


def _picture(showing: Showing) -> tuple[Artifact | None, str]:
    """Draw the first chart of shown columns that has more than one point; return it with its words."""
    run, charts = showing.run, REPORTS.get(showing.run.report).charts
    days = (run.period_end - run.period_start).days if run.period_start and run.period_end else 0
    for preset in charts if run.row_count else ():
        if not drawable(preset, showing.columns):
            continue
        drawing = draw(preset, showing.frozen, showing.columns, days=days)
        drawn = figure(drawing.chart, drawing.rows, drawing.columns)
        if any(len(trace["x"]) > 1 for trace in drawn["traces"]):
            return _drawn(run, drawn), words_of(drawn)
    return None, ""


def _drawn(run: Run, drawn: Mapping[str, Any]) -> Artifact:
    with scratch() as path:
        import_module("reports.picture").save(drawn, path, accent=run.reseller.colour)
        return store(path, name="chart.png", media_type="image/png", expires_at=run.kept_until)


def words_of(drawn: Mapping[str, Any]) -> str:
    """Return a chart in words: its title and the first points of each line."""
    unit = f" {drawn['unit']}" if drawn["unit"] else ""
    shown, told = _share if drawn["curve"] else str, []
    lines = [trace for trace in drawn["traces"] if not trace.get("quiet")]
    for trace in lines[:3]:
        pairs = list(zip(trace["x"], trace["y"], strict=True))[:6]
        points = [f"{shown(x)} {shown(y)}{unit}" for x, y in pairs if y is not None]
        name = f"{trace['name']}: " if len(lines) > 1 else ""
        told.append(f"{name}{', '.join(points)}")
    return f"Chart: {drawn['title']}. {'; '.join(told)}."


def _share(text: str) -> str:
    return f"{number(D(text) * 100, 1)}\N{NO-BREAK SPACE}%"
