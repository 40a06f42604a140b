"""`llm-course run`: chapters from the command line, and the site that is made of them."""

import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers import chapters, command, site

START = "import helpers\ncourse = helpers.start()"
ASK = "import openai\nopenai.OpenAI().chat.completions.create(model=model, max_completion_tokens=900,\n    messages=[{'role': 'user', 'content': 'Say hello in five words.'}]).model"
SLIDER = "import ipywidgets, matplotlib.pyplot as plt\n@ipywidgets.interact(height=(1, 9))\ndef draw(height=4):\n    plt.bar(['a'], [height])\n    plt.show()"


@pytest.fixture
def chapter(tmp_path):
    """Writes a chapter of these cells, after one of parameters and one that starts the course."""

    def write(name: str, *cells: str) -> Path:
        parameters = nbformat.v4.new_code_cell('model = "gpt-6-luna"', metadata={"tags": ["parameters"]})
        rest = [nbformat.v4.new_code_cell(source) for source in (START, *cells)]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[parameters, *rest], metadata=kernel), tmp_path / name)
        return tmp_path / name

    return write


def test_chapters_run_side_by_side_and_a_failure_is_named_while_the_others_go_on(chapter, tmp_path):
    paths = [chapter("01_fails.ipynb", ASK, "# why\nfruit['apple']", "print('after')"), chapter("02_works.ipynb", ASK, SLIDER)]
    failed, worked = sorted(chapters.run(paths, tmp_path / "out", {"model": "gpt-6.1-terra"}), key=lambda ran: ran.chapter)
    assert re.fullmatch(r"cell \[\d\] '# why': NameError: name 'fruit' is not defined", failed.failure)
    assert "failed in cell" in str(failed) and failed.live > 0
    assert (worked.failure, worked.spent, str(worked).split()[0]) == ("", 0, "02_works") and worked.live > 0
    done = nbformat.read(tmp_path / "out/02_works.ipynb", as_version=4)
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert any("gpt-6.1-terra" in str(output) for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs), "a widget's picture stands in its place"
    assert not any("widget-view" in str(output) for output in outputs) and "widgets" not in done.metadata


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["77"], "there is no chapter '77'; there are 00_start_here, "),
        (["00", "-p", "colour", "red"], "none of these chapters has a parameter 'colour'; they have anthropic_model, "),
        (["00", "-p", "openai_model", "[1"], "not as YAML has it"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(arguments, said, capsys):
    assert command.main(["run", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_chapter_is_found_by_the_beginning_of_its_name_and_once():
    assert [path.stem for path in chapters.find(["00", "notebooks/00_start_here.ipynb"])] == ["00_start_here"]
    assert chapters.find([]) == sorted(chapters.FOLDER.glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The site of the chapters as they are committed."""
    return site.build(Path("none were run"), tmp_path_factory.mktemp("built") / "site").parent


@pytest.fixture
def served(pages):
    """The address at which the site is served, on loopback."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=pages))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()


def test_no_link_of_the_site_leads_nowhere(served, tmp_path):
    (tmp_path / "rc").write_text("[output]\n")  # in place of what the user may have set
    options = ["-f", str(tmp_path / "rc"), "--no-robots", "--no-status", "-v"]
    checked = subprocess.run([sys.executable, "-m", "linkcheck", *options, served], capture_output=True, text=True)
    found = re.search(r"(\d+) links in (\d+) URLs checked\. (\d+) warnings? found\. (\d+) errors? found", checked.stdout)
    assert found and found.groups()[2:] == ("0", "0"), checked.stdout[-3000:]
    assert int(found[1]) > 50


def test_no_anchor_of_the_site_leads_nowhere(pages):
    """Link checkers read a page anew for every anchor in it: with the chapters' pictures that took minutes."""
    soups = {page: BeautifulSoup(page.read_text(), "html.parser") for page in pages.resolve().rglob("*.html")}
    ids = {page: {tag["id"] for tag in soup(id=True)} for page, soup in soups.items()}
    anchors = [(page, link["href"]) for page, soup in soups.items() for link in soup("a", href=re.compile("^(?!https?:).*#."))]
    lost = [(page.name, href) for page, href in anchors if unquote(urlsplit(href).fragment) not in ids.get(page_of(href, page), ())]
    assert len(anchors) > 1000 and lost == []


def page_of(href: str, page: Path) -> Path:
    """The page that a link in a page leads to."""
    return (page.parent / unquote(urlsplit(href).path)).resolve() if urlsplit(href).path else page


def test_every_page_of_the_site_describes_its_pictures_and_loads_nothing_from_another_host(pages):
    for page in pages.rglob("*.html"):
        soup = BeautifulSoup(page.read_text(), "html.parser")
        assert all(image.get("alt", "").strip() for image in soup("img")), page.name
        loaded = [tag.get("src") or tag.get("href") for tag in soup(["script", "link", "img", "iframe"])]
        assert not [address for address in loaded if address and re.match(r"(https?:)?//", address)], page.name
        scripts = " ".join(script.text for script in soup("script"))
        assert not re.search(r"""["'](https?:)?//""", scripts), page.name
