"""The chapters for readers who do not see them, or see them in a narrow window: axe in a real browser.

Looked at is what the course makes: the text and the outputs of its cells. What JupyterLab and nbconvert put around them
(menus, editors, prompts) is left out by its place on the page, and no rule is. axe.min.js is axe-core 4.14.1 as its makers
publish it (MPL 2.0); it is kept here, as the packages that carry it need others of 40 MB.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbconvert", reason="nbconvert is needed to export a chapter")
pytest.importorskip("websockets", reason="websockets is needed to drive a browser")
from nbconvert import HTMLExporter  # noqa: E402
from nbformat.sign import NotebookNotary  # noqa: E402

from tests import browser  # noqa: E402

pytestmark = [
    pytest.mark.skipif(browser.find() is None, reason="no Chromium or Chrome on the PATH: nobody to show the pages to"),
    pytest.mark.skipif(os.name == "nt", reason="the browser is ended as a group of processes, which Windows has not"),
]
ROOT = Path(__file__).parents[1]
AXE = (ROOT / "tests/data/axe.min.js").read_text(encoding="utf-8")
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OURS = [".jp-RenderedMarkdown", ".jp-OutputArea-output"]
FOUND = f"""axe.run({{include: {json.dumps(OURS)}.filter(at => document.querySelector(at)).map(at => [at])}}, {{resultTypes: ["violations"]}})
    .then(found => found.violations.filter(one => ["serious", "critical"].includes(one.impact))
    .flatMap(one => one.nodes.map(node => `${{one.impact}}: ${{one.help}}: ${{node.html.slice(0, 200)}}`)))"""
LOST = f"""[...document.querySelectorAll({json.dumps(", ".join(OURS))})].filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
    .map(one => `${{one.scrollWidth}} > ${{one.clientWidth}}: ${{one.textContent.slice(0, 100)}}`)"""
WORDLESS = "[...document.querySelectorAll('.jp-OutputArea-output img, .jp-RenderedMarkdown img')].filter(one => (one.alt ?? '').length < 8).map(one => one.outerHTML.slice(0, 80))"

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    shown = browser.Page(tmp_path_factory.mktemp("browser"))
    yield shown
    shown.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab on loopback and the folder that it shows; its home is empty, so that nobody's settings count."""
    folder, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
    for path in CHAPTERS:
        chapter = nbformat.read(path, as_version=4)
        NotebookNotary(data_dir=str(home)).sign(chapter)  # as if they had been run here: outputs of others are shown in part
        nbformat.write(chapter, folder / path.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=test", f"--ServerApp.root_dir={folder}"]
    more = ["--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    command = [sys.executable, "-m", "jupyterlab", *options, *more]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env={**os.environ, "HOME": str(home), "JUPYTER_DATA_DIR": str(home)}, start_new_session=True, **quiet)
    yield f"http://127.0.0.1:{port}", folder
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(15)


@pytest.mark.parametrize("theme", ["light", "dark"])
@chapters
def test_an_exported_chapter_has_nothing_serious(page, path, theme, tmp_path):
    html, _ = HTMLExporter(theme=theme).from_filename(str(path))
    (tmp_path / "chapter.html").write_text(html, encoding="utf-8")
    page.resize(1400)
    page.open((tmp_path / "chapter.html").as_uri())
    page.evaluate(AXE + ";0")
    assert page.evaluate(FOUND) == []
    assert page.evaluate(WORDLESS) == []


CONTROLS = """import helpers
course = helpers.start()

@helpers.charts.interact(temperature=(0.1, 2.0), busy_percent=(5, 100, 5))
def draw(temperature=1.0, busy_percent=30):
    return helpers.charts.bars({"a": busy_percent}, title="t", unit="u", alt=f"One bar of {busy_percent} percent.", limit=100)

print("An API is a contract between two programs, which says what one may send. " * 3)"""
SLIDERS = "[...document.querySelectorAll('.noUi-handle')].map(one => one.getAttribute('aria-label'))"
DRAWN = "document.querySelector('.jp-OutputArea-output img')?.alt"
BROKEN = "[...document.querySelectorAll('.jp-OutputArea-output pre')].map(one => getComputedStyle(one).wordBreak)"
IDLE = "(window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle')"


def opened(page, lab, name: str) -> None:
    """Show a notebook of the folder, trusted, with all its cells drawn."""
    base = lab[0]
    for _ in range(300):  # until the server is there
        try:
            urllib.request.urlopen(f"{base}/api/status?token=test", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    page.send("Page.navigate", url=f"{base}/lab/tree/{name}?token=test&reset")
    page.wait_for(f"window.jupyterapp?.shell.currentWidget?.context?.path === {json.dumps(name)}", 60)
    page.wait_for("document.querySelector('.jp-Notebook .jp-Cell')")
    page.wait_for(IDLE, 60)


def test_sliders_pictures_and_printed_sentences_in_jupyterlab(page, lab):
    cell = nbformat.v4.new_code_cell(CONTROLS)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), lab[1] / "controls.ipynb")
    page.resize(900)
    opened(page, lab, "controls.ipynb")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for(f"{DRAWN} === 'One bar of 30 percent.' && document.querySelectorAll('.noUi-handle').length === 2", 60)
    page.evaluate("document.querySelectorAll('.noUi-handle')[1].focus()")
    page.press("ArrowRight", 39)
    page.wait_for(f"{DRAWN} === 'One bar of 35 percent.'")
    page.evaluate(AXE + ";0")
    assert page.evaluate(SLIDERS) == ["temperature", "busy_percent"]
    assert page.evaluate(FOUND) == [] and page.evaluate(WORDLESS) == [] and page.evaluate(LOST) == []
    assert set(page.evaluate(BROKEN)) == {"normal"}


PLAYGROUND = """import helpers
course = helpers.start()
play = helpers.playground("Say hello in five words.", models=["gpt-6-luna", "claude-haiku-5-5"])
play"""
PROMPT = "[...document.querySelectorAll('.widget-textarea')].find(one => one.textContent.includes('prompt') && !one.textContent.includes('system')).querySelector('textarea')"
ANSWERED = "document.querySelector('.jp-OutputArea-output')?.closest('.jp-Cell').innerText.match(/(\\d) of (\\d) have answered/)?.[0]"
ASK = "[...document.querySelectorAll('.jupyter-button')].find(one => one.textContent === 'Ask')"
NAMELESS = "[...document.querySelectorAll('.jp-OutputArea-output :is(input, textarea, select)')].filter(one => !one.labels?.length).map(one => one.outerHTML)"


def test_the_playground_in_jupyterlab_by_keyboard_and_by_mouse(page, lab):
    cell = nbformat.v4.new_code_cell(PLAYGROUND)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), lab[1] / "playground.ipynb")
    page.resize(900)
    opened(page, lab, "playground.ipynb")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for(ASK, 60)
    page.evaluate(ASK + ".focus()")
    page.press(" ", 32)
    page.wait_for(f"{ANSWERED} === '2 of 2 have answered'", 60)
    page.evaluate(PROMPT + ".select()")
    page.send("Input.insertText", text="What is a token?")
    page.press("Tab", 9)
    page.wait_for("document.body.innerText.includes('Nothing is asked yet')", 60)
    assert page.evaluate("[...document.querySelectorAll('textarea')].filter(one => one.value.includes('What is a token?')).length") == 3  # the prompt, two codes
    page.evaluate("[...document.querySelectorAll('.widget-checkbox')].find(one => one.textContent.includes('compatible/house')).querySelector('input').click()")
    page.evaluate(ASK + ".click()")
    page.wait_for(f"{ANSWERED} === '3 of 3 have answered'", 60)
    page.evaluate(AXE + ";0")
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(FOUND) == [] and page.evaluate(WORDLESS) == [] and lost(page) == []


def lost(page) -> list[str]:
    """What is wider than its place once the page has come to rest: the style that the status card brings may come after a table."""
    with suppress(TimeoutError):
        page.wait_for(f"!{LOST}.length")
    return page.evaluate(LOST)


@chapters
def test_a_chapter_in_jupyterlab_loses_nothing_in_a_narrow_window(page, lab, path):
    page.resize(900)
    opened(page, lab, path.name)
    page.wait_for("[...document.querySelectorAll('.jp-RenderedMarkdown')].length > 10")
    page.wait_for("[...document.querySelectorAll('code.mermaid, .jp-RenderedMermaid')].every(one => one.closest('figure, .jp-RenderedMermaid')?.querySelector('img'))")
    page.evaluate(AXE + ";0")
    found = page.evaluate(FOUND) + page.evaluate(WORDLESS) + lost(page)
    page.resize(1400)
    assert found + lost(page) == []
