"""The chapters as files, and run with other models. That they give their committed outputs is nbval's part."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from copy import deepcopy
from datetime import timedelta
from html import unescape
from itertools import chain
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers import claims, executor, models

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
OTHER_MODELS = {
    "00_start_here": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5"},
    "01_api_landscape": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "open_model": "meta-llama/Llama-3.2-1B-Instruct"},
    "02_openai_chat_completions": {"model": "gpt-6.1-terra", "thinking_model": "gpt-6.2-sol"},
    "03a_streaming": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "03b_inside_a_stream": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "gemini_model": "gemini-4-argon", "bedrock_model": "global.anthropic.claude-haiku-5-5"},
    "03c_broken_streams": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "04a_batch": {"model": "gpt-6.1-terra"},
    "04b_batch_elsewhere": {"anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash"},
    "04c_batch_costs": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash"},
    "05a_anthropic_messages": {"model": "claude-opus-5-5", "older_model": "claude-haiku-4-5"},
    "05b_anthropic_tools_images": {"model": "claude-haiku-4-5"},
    "05c_from_openai_to_anthropic": {"model": "claude-opus-5-5", "openai_model": "gpt-6.1-terra"},
    "06a_prompt_caching": {"model": "claude-sonnet-5-5"},
    "06b_caching_elsewhere": {
        "openai_model": "gpt-6.1-terra", "older_model": "gpt-4o-mini", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.5-flash-lite",
        "bedrock_model": "us.anthropic.claude-sonnet-5-5",
    },
    "06c_what_caching_saves": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-fable-5-2", "gemini_model": "gemini-4-argon"},
    "06d_measure_a_cache": {"model": "house"},  # of the others the course knows no real cache
    "07a_google_gemini": {"model": "gemini-3.8-flash", "larger_model": "gemini-3.5-flash-lite"},
    "07b_gemini_pictures_tools": {"model": "gemini-3.8-flash"},
    "07c_gemini_interactions": {"model": "gemini-4-argon"},
    "08a_aws_bedrock": {"model": "us.anthropic.claude-sonnet-5-5"},
    "08b_bedrock_in_use": {"model": "global.anthropic.claude-haiku-5-5"},
    "08c_azure_and_foundry": {"azure_model": "gpt-4o", "claude_model": "claude-sonnet-5-5"},
    "09a_openai_compatible_servers": {"model": "house", "openai_model": "gpt-6.1-terra"},
    "09b_beyond_the_format": {"model": "house", "claude_model": "claude-opus-5-5"},
    "10_vllm_gpu_serving": {"model": "house"},  # the recordings of a real vLLM are of this one
    "11a_one_task_everywhere": {
        "openai_model": "gpt-6.1-terra", "azure_deployment": "gpt-4o", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash",
        "bedrock_model": "us.anthropic.claude-sonnet-5-5", "open_model": "meta-llama/Llama-3.2-1B-Instruct",
    },
    "11b_a_table_that_proves_itself": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "gemini_model": "gemini-3.8-flash"},
    "11c_six_dialects": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "gemini_model": "gemini-4-argon", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "11d_tools_and_memory": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-opus-5-5", "gemini_model": "gemini-3.8-flash", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "11e_choosing": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash", "open_model": "meta-llama/Llama-3.2-1B-Instruct"},
    "12a_rate_limits": {
        "openai_model": "gpt-6.1-terra", "azure_deployment": "gpt-4o", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash",
        "bedrock_model": "us.anthropic.claude-sonnet-5-5",
    },
    "12b_retries": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "12c_timeouts": {"openai_model": "gpt-6.1-terra"},
    "12d_a_good_client": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "12e_keys": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "bedrock_model": "us.anthropic.claude-sonnet-5-5"},
    "12f_leaked_keys": {"openai_model": "gpt-6.1-terra"},
    "13a_litellm": {
        "openai_model": "gpt-6.1-terra", "azure_deployment": "gpt-4o", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash",
        "bedrock_model": "us.anthropic.claude-sonnet-5-5", "open_model": "meta-llama/Llama-3.2-1B-Instruct",
    },
    "13b_failover": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "open_model": "meta-llama/Llama-3.2-1B-Instruct"},
    "13c_testing_a_story": {"openai_model": "gpt-6.1-terra", "older_model": "gpt-4o-mini"},
    "13d_semantic_caching": {"openai_model": "gpt-6.1-terra", "embedder": "text-embedding-3-large", "gemini_embedder": "gemini-embedding-001"},
    "13e_routing": {"cheap_model": "gpt-5-mini", "dear_model": "gpt-6.1-sol"},
    "13f_what_to_build_on": {"openai_model": "gpt-6.1-terra"},
    "14a_the_bill": {"openai_model": "gpt-6.1-terra", "anthropic_model": "claude-sonnet-5-5", "older_model": "claude-sonnet-4-5"},
    "14b_the_levers": {"openai_model": "gpt-6-luna", "small_model": "gpt-5-mini", "anthropic_model": "claude-sonnet-5-5", "gemini_model": "gemini-3.8-flash"},
    "14c_the_dashboard": {"openai_model": "gpt-6-luna"},
}
# What the house model answers, under which model's name, with the models above. Recordings answer everything else.
HOUSE = {
    "00_start_here": {"gpt-6.1-terra": 1, "house": 5},
    "01_api_landscape": {"house": 2},
    "02_openai_chat_completions": {"house": 4},
    "03a_streaming": {"house": 2},
    "03b_inside_a_stream": {},
    "03c_broken_streams": {},
    "04a_batch": {},
    "04b_batch_elsewhere": {},
    "04c_batch_costs": {},
    "05a_anthropic_messages": {"claude-opus-5-5": 1},
    "05b_anthropic_tools_images": {"claude-haiku-4-5": 1},
    "05c_from_openai_to_anthropic": {"claude-opus-5-5": 1, "gpt-6.1-terra": 1},
    "06a_prompt_caching": {"claude-sonnet-5-5": 16, "claude-haiku-4-5": 1},  # with tools and pictures, one token each,
    "06b_caching_elsewhere": {},
    "06c_what_caching_saves": {},
    "06d_measure_a_cache": {"house": 158},
    "07a_google_gemini": {"gemini-3.8-flash": 1},
    "07b_gemini_pictures_tools": {},
    "07c_gemini_interactions": {"gemini-4-argon": 1},
    "08a_aws_bedrock": {"us.anthropic.claude-sonnet-5-5": 1},
    "08b_bedrock_in_use": {"amazon.nova-lite-v1:0": 1},  # a picture
    "08c_azure_and_foundry": {"gpt-4o": 1},
    "09a_openai_compatible_servers": {"gpt-6.1-terra": 14, "house": 66},
    "09b_beyond_the_format": {"house": 13},
    "10_vllm_gpu_serving": {"house": 24},  # the load of many clients, and a document twice
    "11a_one_task_everywhere": {"house": 5},
    "11b_a_table_that_proves_itself": {"gpt-6.1-terra": 6, "claude-opus-5-5": 4, "gemini-3.8-flash": 6},
    "11c_six_dialects": {},
    "11d_tools_and_memory": {},
    "11e_choosing": {},
    "12a_rate_limits": {},
    "12b_retries": {},
    "12c_timeouts": {},
    "12d_a_good_client": {},
    "12e_keys": {},
    "12f_leaked_keys": {},
    "13a_litellm": {"claude-sonnet-5-5": 1, "gemini-3.5-flash-lite": 1},  # a handbook, marked for a cache
    "13b_failover": {},
    "13c_testing_a_story": {},
    "13d_semantic_caching": {},
    "13e_routing": {},
    "13f_what_to_build_on": {},
    "14a_the_bill": {},
    "14b_the_levers": {},
    "14c_the_dashboard": {},
}
SOURCES = "[(entry.model, entry.source.kind) for entry in course.log() if entry.source]"
NEEDS_A_KERNEL = ("application/vnd.jupyter.widget-view+json", "application/javascript")
PICTURES = tuple(f"helpers.charts.{name}" for name in ("bars", "grouped_bars", "stacked_bars", "waterfall", "lines", "points", "timeline"))
# Characters of a line of code that JupyterLab 4.6 shows in a window of 1,400 pixels with the list of files open. Measured: 120, at
# 7.83 pixels each (DejaVu Sans Mono, 13 px); where a system rounds that to 8, it is 117.
WIDEST = 117

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def printed(cells: list[nbformat.NotebookNode]) -> str:
    return "".join(str(output.get("text") or output.get("data", "")) for cell in cells for output in cell.get("outputs", ()))


def run(path: Path, parameters: dict[str, str]) -> nbformat.NotebookNode:
    """A chapter run in its own folder's place, and written nowhere. Raises what a cell raises."""
    folder = ROOT / "notebooks"
    executor.register()
    return papermill.execute_notebook(path, None, parameters, engine_name=executor.ENGINE, cwd=folder, progress_bar=False)


def code_of(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def others(id: str, parameter: str) -> list[str]:
    """The models that the same provider still serves and that take other parameters or think otherwise: one of each kind.

    Of an id that two providers have, the name of the parameter says whose it is: azure_model.
    """
    provider = parameter.removesuffix("_model")
    given = models.get(id, provider if provider in models.table()["limits"] else None)
    served = [model for model in models.of(given.provider) if not (model.is_retired(models.facts_date()) or model.profile_only)]
    kinds = {(model.thinks, model.efforts, model.accepts): model.id for model in served}
    del kinds[given.thinks, given.efforts, given.accepts]
    return list(kinds.values())


def variants(path: Path) -> list[dict[str, str]]:
    """Parameters with which each kind of model has its turn, those of several providers at once."""
    given = ast.parse(next(cell.source for cell in code_of(path) if "parameters" in cell.metadata.get("tags", ()))).body
    kinds = {line.targets[0].id: others(line.value.value, line.targets[0].id) for line in given if line.targets[0].id.endswith("model")}
    turns = max(map(len, kinds.values()))
    return [{name: ids[turn % len(ids)] for name, ids in kinds.items() if ids} for turn in range(turns)]


@chapters
def test_a_chapter_runs_with_other_models_and_answers_come_from_where_it_says(path, tmp_path):
    """First those of the list above, then every other kind: one after the other in one kernel, as who changes a name and runs all cells again.

    Starting a kernel and importing the SDKs takes ten times as long as the cells. Each turn has its variables and its course anew.
    """
    given, turns = OTHER_MODELS[path.stem], [OTHER_MODELS[path.stem], *variants(path)]
    chapter = load_notebook_node(str(path))
    played = [[*deepcopy(parameterize_notebook(chapter, turn).cells), *map(nbformat.v4.new_code_cell, (SOURCES, "%reset -f"))] for turn in turns]
    cells, length = list(chain.from_iterable(played)), len(played[0])
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=chapter.metadata), tmp_path / "turns.ipynb")
    try:
        done = run(tmp_path / "turns.ipynb", {}).cells
    except PapermillExecutionError as error:
        error.add_note(f"with {turns[error.cell_index // length]}")
        raise
    assert all(model in printed(done[:length]) for model in given.values() if "sol" not in model)
    answered = [ast.literal_eval(cell.outputs[0]["data"]["text/plain"]) for cell in done if cell.source == SOURCES]
    assert Counter(model for model, kind in answered[0] if kind == "house") == HOUSE[path.stem]
    assert {kind for turn in answered for _, kind in turn} <= {"scripted", "captured", "house", "house-embed"}


@chapters
def test_a_chapter_runs_more_than_a_year_later(path, monkeypatch):
    """Models that have ended by then are said so, and nothing breaks."""
    monkeypatch.setenv("COURSE_DATE", (models.facts_date() + timedelta(days=400)).isoformat())
    run(path, {})


@chapters
def test_outputs_can_be_read_without_a_kernel(path):
    shown = [output.get("data", {}) for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    assert not any(set(NEEDS_A_KERNEL) & set(data) for data in shown), "commit the picture that a widget shows in its place"


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
    for cell in code_of(path):
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
        assert html or not any(name.startswith("helpers.charts.") for name in calls), f"nobody sees this, as it is not the last line: {cell.source}"
        alts = [unescape(alt) for alt in re.findall('<img [^>]*alt="([^"]*)"', html)]
        assert len(alts) >= sum(name in PICTURES for name in calls) and all(len(alt) > 40 for alt in alts), cell.source


@chapters
def test_every_drawing_is_described(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for drawing in re.findall("```mermaid\n(.*?)```", cell.source, re.DOTALL):
            assert re.search(r"^ +accTitle: .{8,}\n +accDescr: .{40,}$", drawing, re.MULTILINE), drawing
            assert "In words" in cell.source.split(drawing)[1], f"say in words, below it, what this shows: {drawing}"
            assert '"lineColor": "#888888"' in drawing, f"without it the arrows cannot be seen in the dark: {drawing}"


@chapters
def test_no_line_of_code_is_cut_beside_the_list_of_files(path):
    assert [line for cell in code_of(path) for line in cell.source.splitlines() if len(line) > WIDEST] == []


@chapters
def test_a_section_that_is_named_beside_a_link_is_in_the_chapter_linked(path):
    """As in: *Pace yourself* in [12a](12a_rate_limits.ipynb)."""
    for section, file in re.findall(r"(?<!\*)\*([^*\n]+)\* in \[[^\]]*\]\((\w+\.ipynb)[^)]*\)", prose_of(path)):
        assert section in [heading.strip('"') for heading in headings_of(path.parent / file)], f"{file} has no section of this name"


@chapters
def test_a_link_to_a_cell_leads_to_a_cell_of_the_section_named_beside_it(path):
    """As in: *Pace yourself* in [12a](12a_rate_limits.ipynb#cell-id=cell-26). JupyterLab scrolls there; the site leads to the section."""
    text = prose_of(path)
    named = re.findall(r"\*([^*\n]+)\* in \[[^\]]*\]\((\w+\.ipynb)#cell-id=([\w-]+)\)", text)
    assert len(named) == text.count("ipynb#"), "name the section beside the link"
    for section, file, cell in named:
        assert claims.cell(path.parent / file, cell).heading.strip('"') == section


def test_the_takeaways_lead_to_cells():
    assert prose_of(ROOT / "notebooks/14c_the_dashboard.ipynb").count("ipynb#cell-id=") >= 5


def prose_of(path):
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def headings_of(path):
    return re.findall("^##+ (.+)$", prose_of(path), re.MULTILINE)
