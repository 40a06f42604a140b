"""What the course shows in a page, in JupyterLab and in exported HTML: its tables, and how its outputs are laid out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

# A few words of style for the whole page. The status card carries it, as every chapter shows that first.
# - Printed sentences and long names in tables wrap at words; JupyterLab breaks them anywhere, or cuts them in a narrow window.
# - In a narrow window tables are a little smaller, so that none has to be scrolled.
# - A progress bar is no wider than the page.
# - Links within sentences are underlined, so that they are known by more than their colour.
# - The middle tones of pictures, which have to do on white too, are lighter on a dark page.
STYLE = """<style>
.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-RenderedHTMLCommon :is(p, li, td) a:any-link { text-decoration: underline; }
.jp-RenderedHTMLCommon progress { max-width: 100%; }
.jp-RenderedHTMLCommon :is(td, th) { padding: 0.4em 0.25em; }
.jp-RenderedHTMLCommon :is(td, th) code { white-space: normal; overflow-wrap: anywhere; }
@media (max-width: 1000px) { .jp-RenderedHTMLCommon table { font-size: 12px; } }
[data-jp-theme-light="false"] img.course-picture { filter: brightness(1.5); }
</style>"""
NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+( USD|%)?")
JOINTS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d][_./])(?=\w)|(?<=\w-)(?=\w)")  # of names, where their parts meet
CODE = re.compile("`([^`]+)`")
NO_NUMBER = ("", "-", "cut", "unknown")  # what stands in a column of numbers where there is none


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], below: str = "") -> str:
    """A table as HTML, in the colours of the theme; columns of numbers stand to the right, and a cell may have several lines. `below` is a sentence under it."""
    rows = [list(row) for row in rows]
    sides = ["right" if _is_of_numbers([row[place] for row in rows]) else "left" for place in range(len(columns))]
    head = "".join(f'<th scope="col" style="text-align:{side}">{escape(name)}</th>' for name, side in zip(columns, sides, strict=True))
    body = "".join("<tr>" + "".join(map(_cell, row, sides)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" + (f"<p>{escape(below)}</p>" if below else "")


def _is_of_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell not in NO_NUMBER]
    return bool(filled) and all(map(NUMBER.fullmatch, filled))


def _cell(text: str, side: str) -> str:
    shown = "<br>".join(map(_line, text.split("\n"))) if side == "left" else escape(text)
    return f'<td style="text-align:{side}">{shown}</td>'


def _line(text: str) -> str:
    """A line of a cell; one between backticks is code."""
    code = CODE.fullmatch(text)
    return f"<code>{_breakable(code[1])}</code>" if code else _breakable(text)


def _breakable(text: str) -> str:
    """Escaped, with places where a long name may go on in the next line of a narrow table: AuthenticationError, invalid_api_key."""
    return "<wbr>".join(map(escape, JOINTS.split(text)))


def card(rows: Iterable[tuple[str, str]]) -> str:
    """Names and what they say, one a row, as HTML, with the page's style."""
    lines = (f'<tr><th scope="row" style="text-align:left;white-space:nowrap">{escape(name)}</th>{_cell(text, "left")}</tr>' for name, text in rows)
    return f"{STYLE}<table><tbody>{''.join(lines)}</tbody></table>"
