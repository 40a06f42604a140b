"""Pictures and tables for the notebooks, and sliders that move them.

A picture has no background and middle tones, so that both themes suit it, and carries its words as an `<img alt>`: JupyterLab
shows none for a plain image.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from io import BytesIO
from itertools import accumulate, cycle
from statistics import median
from typing import TYPE_CHECKING, Any

from IPython.display import HTML

from helpers import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# On white and on JupyterLab's black alike: 4 to 1 for words, 3 to 1 for what is drawn. page.STYLE lightens them on black.
INK = "#737373"
COLOURS = ("#3b82f6", "#d97706", "#059669", "#a855f7", "#e11d74")
MARKERS = "osD^v"  # so that a line is known by more than its colour
PATTERNS = ("", "///", "..", "xx", "\\\\\\")  # and a part of a bar
ALIKE = 0.02  # of the height of a picture: lines that are nowhere further apart lie on each other
INCHES, DOTS = 6.5, 160  # a picture's width, and its points an inch
SHOWN = 100  # CSS pixels an inch: words in a picture are then about as large as those around it


@dataclass(frozen=True, repr=False)
class Picture:
    """A PNG and what it shows in words, for those who do not see it."""

    png: bytes
    alt: str

    def _repr_html_(self) -> str:
        width, height = (side * SHOWN // DOTS for side in struct.unpack(">II", self.png[16:24]))
        source = "data:image/png;base64," + base64.b64encode(self.png).decode()
        size = f'width="{width}" height="{height}" style="max-width:100%;height:auto"'
        return f'<img class="course-picture" alt="{escape(self.alt)}" {size} src="{source}">'

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> HTML:
    """A table; columns of numbers stand to the right. Raises ValueError where a row has more or fewer values than there are columns."""
    if odd := [row for row in rows if len(row) != len(columns)]:
        raise ValueError(f"the table has {len(columns)} columns, and this row {len(odd[0])} values: {odd[0]!r}")
    shown = zip(*[_column(values) for values in zip(*rows, strict=True)], strict=True)
    return HTML(page.table(columns, list(shown)))


def _column(values: Sequence[Any]) -> list[str]:
    """The cells of a column as text, its prices with as many decimals as the one that needs most."""
    shown = [_number(value) if _is_number(value) else str(value) for value in values]
    prices = [place for place, value in enumerate(values) if isinstance(value, Decimal)]
    decimals = max((len(shown[place].partition(".")[2]) for place in prices), default=0)
    for place in prices:
        shown[place] = f"{values[place]:,.{decimals}f}"
    return shown


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value: float | Decimal) -> str:
    """Whole numbers with commas, prices with two decimals, small amounts with up to six, measured ones with three digits."""
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if value == 0 or value >= Decimal("0.05") else f"{(round(value, 6) or value).normalize():f}"
    if isinstance(value, float) and abs(value) < 100:
        return f"{Decimal(f'{value:#.3g}'):f}"
    return f"{value:,.0f}"


def side_by_side(columns: Mapping[str, Any], marks: Mapping[str, Collection[Any]] | None = None) -> HTML:
    """Values as JSON, beside each other to compare them, below each other where the page is narrow; long strings are cut.

    marks: names and, for each, fields or values: the lines that hold one of these are bold and end with the name.
    """
    pre = "white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal;background:none"
    parts = (f'<strong>{escape(name)}</strong><pre style="{pre}">{_marked(_json(value), marks or {})}</pre>' for name, value in columns.items())
    blocks = "".join(f'<div style="flex:1 1 16em">{part}</div>' for part in parts)
    return HTML(f'<div style="display:flex;flex-wrap:wrap;gap:1em">{blocks}</div>')


def _marked(text: str, marks: Mapping[str, Collection[Any]]) -> str:
    """Escaped, with the lines that hold something marked in bold and named."""
    held = {name: [json.dumps(_shortened(one), ensure_ascii=False) for one in wanted] for name, wanted in marks.items()}
    lines = []
    for line in text.split("\n"):
        named = [name for name, wanted in held.items() if any(one in line for one in wanted)]
        lines.append(f"<strong>{escape(line)} ← {escape(', '.join(named))}</strong>" if named else escape(line))
    return "\n".join(lines)


LONGEST = 64  # characters of a string in a comparison; a signature would push the other columns out of sight


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_shortened(value), indent=2, ensure_ascii=False)


def _shortened(value: Any) -> Any:
    """The same with long strings cut."""
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value[:LONGEST] + " ..." if isinstance(value, str) and len(value) > LONGEST else value


def interact(**sliders: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As ipywidgets.interact, with whole names beside the sliders, which a screen reader says too.

    Use it as a decorator; each argument is a range or a widget. What the function returns is shown below, anew when a slider moves.
    """
    import ipywidgets
    from IPython.display import Javascript, display

    def show(draw: Callable[..., Any]) -> Callable[..., Any]:
        shown = ipywidgets.interact(draw, **sliders)
        for control in shown.widget.children[:-1]:  # the last is what the function returned
            control.style.description_width = "initial"
            control.layout.width = "min(30em, 100%)"
        display(Javascript(NAMES))
        return shown

    return show


# ipywidgets writes a slider's name beside it, but gives it to neither the handle nor the number, which can both be typed into.
NAMES = """
const area = element.closest(".jp-OutputArea") ?? document.body;
function name() {
  for (const slider of area.querySelectorAll(".widget-slider")) {
    for (const part of slider.querySelectorAll(".noUi-handle, .widget-readout"))
      part.setAttribute("aria-label", slider.querySelector("label").textContent);
    slider.querySelector(".widget-readout")?.setAttribute("role", "textbox");
  }
}
new MutationObserver(name).observe(area, {childList: true, subtree: true});
name();
"""


def bars(values: Mapping[str, float], *, title: str, unit: str, alt: str, limit: float | None = None) -> Picture:
    """Horizontal bars, the first value at the top. `alt` says in words what the picture shows.

    limit: where the axis ends. Give it where a slider moves the bars, so that the axis does not move instead.
    """
    figure, axes = _axes(0.4 * len(values) + 1.1, title)
    names, heights = list(values), [float(value) for value in values.values()]
    drawn = axes.barh(names, heights, color=COLOURS[0])
    decimals = 0 if all(height.is_integer() for height in heights) else 2
    axes.bar_label(drawn, labels=[f"{height:,.{decimals}f}" for height in heights], padding=4, color=INK)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.margins(x=0.2)
    axes.grid(axis="x", color=INK, alpha=0.25)
    _end(axes.set_xlim, limit and 1.2 * limit)  # room for the number beside the longest bar
    return _picture(figure, alt)


def grouped_bars(series: Mapping[str, Mapping[str, float]], *, title: str, unit: str, alt: str, limit: float | None = None) -> Picture:
    """Horizontal bars of several series side by side, over the names of the first. `alt` and `limit` as with bars."""
    names = list(next(iter(series.values())))
    figure, axes = _axes(0.2 * len(names) * len(series) + 1.3, title)
    height = 0.8 / len(series)
    for place, ((label, values), colour) in enumerate(zip(series.items(), cycle(COLOURS), strict=False)):
        at = [row + height * (place - (len(series) - 1) / 2) for row in range(len(names))]
        axes.barh(at, [float(values[name]) for name in names], height=0.9 * height, color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=INK, alpha=0.25)
    axes.legend(frameon=False, labelcolor=INK)
    _end(axes.set_xlim, limit)
    return _picture(figure, alt)


def stacked_bars(rows: Mapping[str, Mapping[str, float]], *, title: str, unit: str, alt: str, limit: float | None = None) -> Picture:
    """One horizontal bar a row, the first at the top, made of the parts that the first row names, each in a colour and a pattern.

    `alt` and `limit` as with bars.
    """
    parts = list(next(iter(rows.values())))
    figure, axes = _axes(0.4 * len(rows) + 1.5, title)
    begin = [0.0] * len(rows)
    for part, colour, pattern in zip(parts, cycle(COLOURS), cycle(PATTERNS), strict=False):
        widths = [float(values[part]) for values in rows.values()]
        axes.barh(list(rows), widths, left=begin, color=colour, hatch=pattern, edgecolor="#d4d4d4", linewidth=0.5, label=part)
        begin = [left + width for left, width in zip(begin, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=INK, alpha=0.25)
    figure.legend(frameon=False, labelcolor=INK, ncols=len(parts), loc="outside lower center")
    _end(axes.set_xlim, limit)
    return _picture(figure, alt)


def waterfall(steps: Mapping[str, float], *, title: str, unit: str, alt: str, total: str = "total") -> Picture:
    """Steps from nothing to a total, each a bar that begins where the one above ends; a step down has a pattern. `alt` as with bars.

    total: the name of the last bar, which stands for all of them.
    """
    names, moves = [*steps, total], [float(step) for step in steps.values()]
    ends = [*accumulate(moves), sum(moves)]
    begins = [end - move for end, move in zip(ends, moves, strict=False)] + [0.0]
    figure, axes = _axes(0.4 * len(names) + 1.1, title)
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        up = end >= begin
        colour = COLOURS[0] if place == len(moves) else COLOURS[1 if up else 2]
        axes.barh(place, end - begin, left=begin, color=colour, hatch="" if up else PATTERNS[1], edgecolor="#d4d4d4", linewidth=0.5)
        text = f"{end:,.0f}" if place == len(moves) else f"{end - begin:+,.0f}"
        axes.annotate(text, (max(begin, end), place), xytext=(4, 0), textcoords="offset points", va="center", color=INK)
        if place < len(moves):
            axes.plot([end, end], [place, place + 1], color=INK, linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_xlim(0, 1.2 * max(ends))  # room for the numbers
    axes.grid(axis="x", color=INK, alpha=0.25)
    return _picture(figure, alt)


def points(groups: Mapping[str, Sequence[float]], *, title: str, unit: str, alt: str) -> Picture:
    """Every value as a point, one row a group, the first at the top, with a line at its median. `alt` as with bars."""
    figure, axes = _axes(0.6 * len(groups) + 1.1, title)
    for place, (values, colour) in enumerate(zip(groups.values(), cycle(COLOURS), strict=False)):
        spread = [place + 0.3 * ((number * 7) % 11 - 5) / 5 for number in range(len(values))]  # so that none hides another
        axes.plot(list(values), spread, linestyle="", marker="o", markersize=4, alpha=0.7, color=colour)
        if values:
            axes.vlines(median(values), place - 0.42, place + 0.42, color=INK, linewidth=2)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=INK, alpha=0.25)
    return _picture(figure, alt)


def lines(
    series: Mapping[str, Sequence[float]],
    *,
    x: Sequence[float],
    title: str,
    x_label: str,
    y_label: str,
    alt: str,
    doubling: bool = False,
    limit: float | None = None,
) -> Picture:
    """One line for each series over the same x. doubling: x doubles from step to step. `alt` and `limit` as with bars."""
    figure, axes = _axes(3.2, title)
    drawn = [[float(value) for value in values] for values in series.values()]
    for place, (name, colour, marker) in enumerate(zip(series, cycle(COLOURS), cycle(MARKERS), strict=False)):
        above = _covering(drawn[place], drawn[place + 1 :], limit or max(map(max, drawn)))
        axes.plot(x, drawn[place], marker=marker, markersize=4 + 4 * above, linewidth=1.5 + 3 * above, color=colour, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(bottom=0)
    if doubling:
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(x), [f"{value:g}" for value in x], minor=False)
    axes.grid(color=INK, alpha=0.25)
    axes.legend(frameon=False, labelcolor=INK)
    _end(axes.set_ylim, limit)
    return _picture(figure, alt)


def _covering(line: Sequence[float], later: Sequence[Sequence[float]], height: float) -> int:
    """How many lines are drawn over this one: it is drawn wider than those, so that it is seen at all."""
    return sum(max(abs(one - other) for one, other in zip(line, over, strict=True)) <= ALIKE * height for over in later)


def _end(set_limits: Callable[..., Any], limit: float | None) -> None:
    """Let an axis run from nothing to its limit, if there is one."""
    if limit is not None:
        set_limits(0, float(limit))


def timeline(lanes: Mapping[str, Sequence[float]], *, title: str, alt: str) -> Picture:
    """One lane a stream, the first at the top: a mark at each second at which a piece came. `alt` says in words what the picture shows."""
    figure, axes = _axes(0.5 * len(lanes) + 1.2, title)
    for place, (seconds, colour) in enumerate(zip(lanes.values(), cycle(COLOURS), strict=False)):
        axes.hlines(place, 0, max(seconds, default=0), color=INK, alpha=0.35, linewidth=1)
        axes.plot(list(seconds), [place] * len(seconds), linestyle="", marker="|", markersize=14, color=colour)
    axes.set_yticks(range(len(lanes)), list(lanes))
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds since the request")
    axes.grid(axis="x", color=INK, alpha=0.25)
    return _picture(figure, alt)


def _axes(height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(INCHES, height), dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, color=INK, loc="left")
    axes.set_facecolor("none")
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    return figure, axes


def _picture(figure: Figure, alt: str) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return Picture(buffer.getvalue(), alt)
