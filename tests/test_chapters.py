"""The chapters as files, and run with other models. That they give their committed outputs is nbval's part."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
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
    "04a_batch": {"model": "gpt-6.1-terra"},
    "04b_batch_elsewhere": {"anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash"},
    "04c_batch_costs": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash"},
    "10_vllm_gpu_serving": {"model": "house"},  # the recordings of a real vLLM are of this one
}
# What the house model answers, under which model's name, with the models above. Recordings answer everything else.
HOUSE = {
    "00_start_here": {"gpt-6.1-terra": 1, "house": 5},
    "01_api_landscape": {"house": 1},
    "02_openai_chat_completions": {"house": 4},
    "04a_batch": {},
    "04b_batch_elsewhere": {},
    "04c_batch_costs": {},
    "10_vllm_gpu_serving": {"house": 24},  # the load of many clients, and a document twice
}
# Seconds after which papermill looks whether the reply to a cell has come: it answers a widget through the socket on which it
# waits for that reply, and then may not be told of it (23 of 600 cells with a slider, on a busy machine). Without this, it waits for ever.
PATIENCE = 20
SOURCES = "[(entry.model, entry.source.kind) for entry in course.log() if entry.source]"
WIDGET = "application/vnd.jupyter.widget-view+json"

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(str(output.get("text") or output.get("data", "")) for cell in notebook.cells for output in cell.get("outputs", ()))


@chapters
def test_a_chapter_runs_with_other_models_and_answers_come_from_where_it_says(path, tmp_path):
    asking = nbformat.read(path, as_version=4)
    asking.cells.append(nbformat.v4.new_code_cell(SOURCES))
    nbformat.write(asking, tmp_path / "asking.ipynb")
    done = papermill.execute_notebook(
        tmp_path / "asking.ipynb", tmp_path / path.name, OTHER_MODELS[path.stem], cwd=path.parent, progress_bar=False, execution_timeout=PATIENCE
    )
    assert all(model in printed(done) for model in OTHER_MODELS[path.stem].values() if "sol" not in model)
    answered = ast.literal_eval(done.cells[-1].outputs[0]["data"]["text/plain"])
    assert Counter(model for model, kind in answered if kind == "house") == HOUSE[path.stem]
    assert {kind for _, kind in answered} <= {"scripted", "captured", "house"}


@chapters
def test_outputs_can_be_read_without_a_kernel(path):
    shown = [output.get("data", {}) for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    assert not any(WIDGET in data for data in shown), "a widget needs a kernel: commit the picture that it shows in its place"


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
def test_every_picture_is_shown_and_described(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("helpers.charts.")]
            drawn = [call for call in calls if ast.unparse(call.func).endswith((".bars", ".grouped_bars", ".lines"))]
            assert all(any(word.arg == "alt" and len(ast.literal_eval(word.value)) > 40 for word in call.keywords) for call in drawn)
            shown = [output for output in cell.outputs if {"image/png", "text/html"} & set(output.get("data", {}))]
            assert shown or not calls, f"nobody sees this, as it is not the last line of its cell: {cell.source}"
