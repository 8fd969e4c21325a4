"""A chart as a picture for mails: the numbers that the page's chart plots, drawn without a browser.

Imported by the work that needs it, never on a page's path: the drawing library is slow to load.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from resellerkpi.core.columns import figure as number

mdates: Any = dates
INK, QUIET, RULE = "#16191d", "#646c75", "#e2e0d9"
SERIES = ("#c8590c", "#17826a", "#8350a6", "#a67c00", "#6a727b")
INCHES, DOTS = (6.4, 3.2), 150
MOST_NAMES = 10


def save(drawn: Mapping[str, Any], path: Path, *, accent: str) -> None:
    """Draw what a page's chart plots (traces, bars, stacked, dates, unit) as a PNG with a white ground."""
    picture = Figure(figsize=INCHES, dpi=DOTS, layout="constrained", facecolor="white")
    axes = picture.add_subplot()
    colours = (accent or "#0f5c8c", *SERIES)
    traces = list(drawn["traces"])
    if drawn["curve"]:
        _curved(axes, drawn, traces, colours)
    elif drawn["bars"] and not drawn["dates"] and len(traces) == 1:
        _lying(axes, traces[0], colours[0], whole=drawn["whole"])
    else:
        _standing(axes, drawn, traces, colours)
    axes.set_title(_title(drawn), loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(colors=QUIET, labelsize=8, length=0)
    axes.set_axisbelow(True)
    if len(traces) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=min(3, len(traces)))
    picture.savefig(path, format="png")


def _title(drawn: Mapping[str, Any]) -> str:
    return f"{drawn['title']} ({drawn['unit']})" if drawn["unit"] else str(drawn["title"])


def _lying(axes: Any, trace: Mapping[str, Any], colour: str, *, whole: bool) -> None:
    """Draw names down the side, so that long ones can be read; the largest first, at most MOST_NAMES."""
    names, values = trace["x"][:MOST_NAMES], _values(trace)[:MOST_NAMES]
    places = range(len(names))
    axes.barh(places, values, color=colour, height=0.66)
    axes.set_yticks(places, [_short(name) for name in names])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(_figure))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=whole))
    axes.grid(axis="x", color=RULE, linewidth=0.7)


def _curved(axes: Any, drawn: Mapping[str, Any], traces: Sequence[Any], colours: Sequence[str]) -> None:
    """Draw shares over shares, and the line of an even spread dotted."""
    for trace, colour in zip(traces, colours, strict=False):
        line = {"color": QUIET, "linestyle": ":"} if trace.get("quiet") else {"color": colour}
        axes.plot([D(x) for x in trace["x"]], _values(trace), linewidth=1.8, label=trace["name"], **line)
    axes.set_xlabel(drawn["across"], color=QUIET, fontsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(color=RULE, linewidth=0.7)


def _standing(axes: Any, drawn: Mapping[str, Any], traces: Sequence[Any], colours: Sequence[str]) -> None:
    xs = list(dict.fromkeys(x for trace in traces for x in trace["x"]))
    xs = sorted(xs) if drawn["dates"] else xs
    at = {
        x: float(mdates.date2num(date.fromisoformat(x[:10]))) if drawn["dates"] else n
        for n, x in enumerate(xs)
    }
    below = dict.fromkeys(xs, D(0))
    for index, (trace, colour) in enumerate(zip(traces, colours, strict=False)):
        places, values = [at[x] for x in trace["x"]], _values(trace)
        if not drawn["bars"]:
            axes.plot(places, values, color=colour, linewidth=1.8, label=trace["name"])
            continue
        width = 0.8 if drawn["stacked"] else 0.8 / len(traces)
        aside = 0 if drawn["stacked"] else (index - (len(traces) - 1) / 2) * width
        bottom = [below[x] for x in trace["x"]] if drawn["stacked"] else 0
        axes.bar([p + aside for p in places], values, width, bottom=bottom, color=colour, label=trace["name"])
        for x, value in zip(trace["x"], values, strict=True):
            below[x] += value
    if drawn["dates"]:
        axes.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=7))
        axes.xaxis.set_major_formatter(FuncFormatter(_day))
    else:
        step = -(-len(xs) // 12) or 1
        axes.set_xticks([at[x] for x in xs[::step]], [_short(x, 14) for x in xs[::step]])
    axes.yaxis.set_major_formatter(FuncFormatter(_figure))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=drawn["whole"]))
    axes.grid(axis="y", color=RULE, linewidth=0.7)


def _values(trace: Mapping[str, Any]) -> list[D]:
    return [D(y or 0) for y in trace["y"]]


def _figure(value: Any, _: int) -> str:
    exact = D(repr(float(value))).quantize(D("0.01"))
    return number(exact, 0 if exact == exact.to_integral_value() else 2)


def _percent(value: Any, _: int) -> str:
    return f"{number(D(repr(float(value))) * 100, 0)}\N{NO-BREAK SPACE}%"


def _day(value: Any, _: int) -> str:
    day = mdates.num2date(value)
    return f"{day.day} {day:%b}"


def _short(name: Any, most: int = 26) -> str:
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
