"""The chapters as files, and run with other models. That they give their committed outputs is nbval's part."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import nbformat
import papermill
import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OTHER_MODELS = {
    "00_start_here": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5"},
    "01_api_landscape": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "open_model": "meta-llama/Llama-3.2-1B-Instruct"},
    "02_openai_chat_completions": {"model": "gpt-6.1-terra", "thinking_model": "gpt-6.2-sol"},
}
# Chapter 00 shows on purpose what a prompt without a recording gets.
NOTICES = {"00_start_here": 1}
NOTICE = "notice from the course's offline gateway"

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(str(output.get("text") or output.get("data", "")) for cell in notebook.cells for output in cell.get("outputs", ()))


@chapters
def test_a_chapter_runs_with_other_models(path, tmp_path):
    done = papermill.execute_notebook(path, tmp_path / path.name, OTHER_MODELS[path.stem], cwd=path.parent, progress_bar=False)
    assert printed(done).count(NOTICE) == NOTICES.get(path.stem, 0)
    assert all(model in printed(done) for model in OTHER_MODELS[path.stem].values() if "sol" not in model)


@chapters
def test_answers_are_recorded_but_where_a_chapter_is_about_notices(path):
    assert printed(nbformat.read(path, as_version=4)).count(NOTICE) == NOTICES.get(path.stem, 0)


@chapters
def test_a_chapter_has_the_form_of_a_chapter(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    sizes = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code]
    assert 25 <= len(notebook.cells) <= 45
    assert sum(sizes) <= 130 and statistics.median(sizes) <= 6 and max(sizes) <= 25
    assert notebook.cells[0].source.startswith("# ")
    assert all(f"**{word}**" in notebook.cells[0].source for word in ("You will", "You will learn", "You need"))
    assert "parameters" in code[0].metadata.tags and "helpers.start()" in code[1].source
    assert code[-1].source == "course.bill"
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert all(f"## {heading}" in text for heading in ("Recap", "Try it yourself", "Check yourself"))


@chapters
def test_every_picture_is_described(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("helpers.charts.")]
            drawn = [call for call in calls if ast.unparse(call.func).endswith((".bars", ".lines"))]
            assert all(any(word.arg == "alt" and len(ast.literal_eval(word.value)) > 40 for word in call.keywords) for call in drawn)
