"""What is often said of LLM APIs, what of it holds, and the cell that shows it: etc/site/claims.toml, as a page of the site."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from helpers.models import facts_date

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "etc/site/claims.toml"
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
CELL = re.compile(r"(\w+\.ipynb)#cell-id=([\w-]+)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INTRODUCTION = """# What is often said, and what holds

Texts about LLM APIs get old, and some were never right. Here is what one of early 2025 said, slips and all, as many still do; what of it holds on {date}, where a row names no other day; and the cell of the course that shows it. Cells are counted from 1. A row without a place says why it has none.

"""


class NotShown(LookupError):
    """The words that a claim names are in no cell of the chapter; the message says which."""


@dataclass(frozen=True)
class Claim:
    """A claim, what of it holds, where that is shown ("14a: words of the cell"), or why nowhere."""

    number: int
    said: str
    holds: str
    shown: tuple[str, ...] = ()
    none: str = ""


@dataclass(frozen=True)
class Place:
    """A cell that shows something, counted from 1, and the heading that it stands under."""

    notebook: Path
    cell: int
    heading: str

    @property
    def anchor(self) -> str:
        """The heading's name in an address, as myst-parser makes it."""
        return re.sub(r"[^\w\- ]", "", self.heading.strip().lower().replace(" ", "-"))


def claims() -> list[Claim]:
    """All claims, in the order of the file."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["claim"]
    return [Claim(**{**row, "shown": tuple(row.get("shown", ()))}) for row in rows]


def find(shown: str, root: Path = ROOT) -> Place:
    """The cell that holds the words after "chapter: ". Raises NotShown."""
    name, _, words = shown.partition(": ")
    notebook = next((path for folder in ("notebooks", "exercises") for path in sorted((root / folder).glob(f"{name}_*.ipynb"))), None)
    if notebook is None:
        raise NotShown(f"there is no chapter and no exercise {name!r}")
    heading = ""
    for number, (text, output, is_text) in enumerate(_cells(notebook), start=1):
        place = text.find(words)
        end = text.find("\n", place + len(words)) if place >= 0 else -1
        found = HEADING.findall(CODE.sub("", text[:end] if end >= 0 else text)) if is_text else []
        heading = found[-1] if found else heading
        if place >= 0 or words in output:
            return Place(notebook, number, heading)
    raise NotShown(f"no cell of {notebook.name} holds {words!r}: name other words of it in {TABLE.name}, or another chapter")


def cell(notebook: Path, name: str) -> Place:
    """The cell of this id, under its own first heading or the one before it. Raises NotShown."""
    heading = ""
    for number, found in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"], start=1):
        headings = HEADING.findall(CODE.sub("", "".join(found["source"]))) if found["cell_type"] == "markdown" else []
        if found["id"] == name:
            return Place(notebook, number, (headings or [heading])[0])
        heading = (headings or [heading])[-1]
    raise NotShown(f"{notebook.name} has no cell with the id {name!r}")


def to_sections(text: str, folder: Path) -> str:
    """Links to cells of chapters in `folder`, which JupyterLab follows, as links to their sections, which have addresses on the site."""
    return CELL.sub(lambda link: f"{link[1]}#{cell(folder / link[1], link[2]).anchor}", text)


def _cells(notebook: Path) -> Iterator[tuple[str, str, bool]]:
    """The source and the output of each cell as text, and whether its source is prose."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        shown = [output.get("text", "") for output in cell.get("outputs", ())]
        shown += [text for output in cell.get("outputs", ()) for kind, text in output.get("data", {}).items() if kind in ("text/plain", "text/html")]
        yield "".join(cell["source"]), "\n".join(map(_plain, shown)), cell["cell_type"] == "markdown"


def _plain(output: str | list[str]) -> str:
    """An output without its tags: the breaks inside a long name are tags too."""
    return unescape(re.sub(r"<[^>]*>", "", "".join(output)))


def page(root: Path = ROOT) -> str:
    """The page in Markdown, with links to the chapters and exercises under `root`. Raises NotShown."""
    lines = ["| | what is said | what holds | shown in |", "|---|---|---|---|"]
    for claim in claims():
        try:
            places = [_link(find(shown, root), root) for shown in claim.shown]
        except NotShown as error:
            raise NotShown(f"claim {claim.number}: {error}") from None
        where = "<br>".join(places) or f"nowhere: {claim.none}"
        lines.append(f"| {claim.number} | {_cell(claim.said)} | {_cell(claim.holds)} | {where} |")
    return INTRODUCTION.format(date=facts_date()) + "\n".join(lines) + "\n"


def _link(place: Place, root: Path) -> str:
    name = place.notebook.stem.partition("_")[0]
    address = f"{place.notebook.relative_to(root)}#{place.anchor}"
    return f"[{name}, cell {place.cell}: {_cell(place.heading.replace('`', ''))}]({address})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")
