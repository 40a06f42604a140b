"""The chapters and exercises as a site of static pages, made by Sphinx: with search, a dark theme, and nothing from another host."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers import claims
from helpers.chapters import FOLDER, ROOT

SOURCE = ROOT / "etc/site"
EXERCISES = ROOT / "exercises"


class SiteError(RuntimeError):
    """The site could not be made; the message is what Sphinx said."""


def build(executed: Path, to: Path) -> Path:
    """Make the site. A chapter is taken from `executed` where it is there, else as it was committed. Returns its first page.

    Raises SiteError with Sphinx's words, for a warning too: a link between chapters that leads nowhere is one. So is a claim that no cell shows, and a link to a cell that is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        shutil.copytree(SOURCE, source)
        shutil.copytree(EXERCISES, source / EXERCISES.name, ignore=shutil.ignore_patterns("attempts"))
        (source / FOLDER.name).mkdir()
        for chapter in sorted(FOLDER.glob("[0-9]*.ipynb")):
            newer = executed / chapter.name
            shutil.copy(newer if newer.exists() else chapter, source / FOLDER.name)
        try:
            for chapter in (source / FOLDER.name).glob("*.ipynb"):
                chapter.write_text(claims.to_sections(chapter.read_text(encoding="utf-8"), chapter.parent), encoding="utf-8")
            (source / "claims.md").write_text(claims.page(source), encoding="utf-8")
        except claims.NotShown as error:
            raise SiteError(str(error)) from None
        made = Path(folder) / "made/site"  # myst-nb writes beside it
        ran = subprocess.run(
            [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", f"{folder}/doctrees", str(source), str(made)],
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise SiteError(ran.stderr.replace(f"{source}/", "").strip())
        shutil.rmtree(to, ignore_errors=True)
        shutil.move(made, to)
    return to / "index.html"
