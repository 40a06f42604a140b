"""Pictures and tables for the notebooks. They have no background and middle tones, so both themes suit them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

from IPython.display import HTML, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#808080"  # readable on white and on black
COLOURS = ("#3b82f6", "#f59e0b", "#10b981", "#a855f7")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> HTML:
    """A table; columns of numbers stand to the right."""
    sides = ["right" if rows and _is_number(rows[0][place]) else "left" for place in range(len(columns))]
    head = "".join(f'<th style="text-align:{side}">{escape(name)}</th>' for name, side in zip(columns, sides, strict=True))
    body = "".join("<tr>" + "".join(map(_cell, row, sides)) + "</tr>" for row in rows)
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _cell(value: Any, side: str) -> str:
    text = _number(value) if _is_number(value) else str(value)
    return f'<td style="text-align:{side}">{escape(text)}</td>'


def _number(value: float | Decimal) -> str:
    """Whole numbers with commas, prices with two decimals, small amounts with up to six."""
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if value == 0 or value >= Decimal("0.05") else f"{(round(value, 6) or value).normalize():f}"
    return f"{value:,}"


def side_by_side(columns: Mapping[str, Any]) -> HTML:
    """Values as JSON, one column each, to compare them; long strings are cut."""
    heads = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in columns)
    cells = "".join(f'<td style="vertical-align:top;text-align:left"><pre style="overflow-wrap:anywhere;word-break:normal;background:none">{escape(_json(value))}</pre></td>' for value in columns.values())
    return HTML(f"<table><tr>{heads}</tr><tr>{cells}</tr></table>")


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


def bars(values: Mapping[str, float], *, title: str, unit: str, alt: str) -> Image:
    """Horizontal bars, the first value at the top. `alt` says in words what the picture shows."""
    figure, axes = _axes(0.45 * len(values) + 1.2, title)
    names, heights = list(values), [float(value) for value in values.values()]
    drawn = axes.barh(names, heights, color=COLOURS[0])
    axes.bar_label(drawn, labels=[f"{height:,.2f}" for height in heights], padding=4, color=INK)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.margins(x=0.15)
    axes.grid(axis="x", color=INK, alpha=0.25)
    return _image(figure, alt)


def grouped_bars(series: Mapping[str, Mapping[str, float]], *, title: str, unit: str, alt: str) -> Image:
    """Horizontal bars of several series side by side, over the names of the first. `alt` says in words what the picture shows."""
    names = list(next(iter(series.values())))
    figure, axes = _axes(0.22 * len(names) * len(series) + 1.4, title)
    height = 0.8 / len(series)
    for place, ((label, values), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
        at = [row + height * (place - (len(series) - 1) / 2) for row in range(len(names))]
        axes.barh(at, [float(values[name]) for name in names], height=0.9 * height, color=colour, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=INK, alpha=0.25)
    axes.legend(frameon=False, labelcolor=INK)
    return _image(figure, alt)


def lines(
    series: Mapping[str, Sequence[float]], *, x: Sequence[float], title: str, x_label: str, y_label: str, alt: str, doubling: bool = False
) -> Image:
    """One line for each series over the same x. doubling: x doubles from step to step. `alt` says in words what the picture shows."""
    figure, axes = _axes(3.6, title)
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        axes.plot(x, [float(value) for value in values], marker="o", markersize=4, color=colour, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(bottom=0)
    if doubling:
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(x), [f"{value:g}" for value in x], minor=False)
    axes.grid(color=INK, alpha=0.25)
    axes.legend(frameon=False, labelcolor=INK)
    return _image(figure, alt)


def timeline(lanes: Mapping[str, Sequence[float]], *, title: str, alt: str) -> Image:
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
    return _image(figure, alt)


def _axes(height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, color=INK, loc="left")
    axes.set_facecolor("none")
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    return figure, axes


def _image(figure: Figure, alt: str) -> Image:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return Image(data=buffer.getvalue(), alt=alt)
