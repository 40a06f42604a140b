"""The machinery on a small exercise of its own: what it must refuse, and that nothing of a learner's is lost."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import command
from helpers.exercises import audit, masters, release, trial
from helpers.exercises.checks import same
from helpers.exercises.progress import progress

SOLVE = """def double(number):
    ### BEGIN SOLUTION
    twice = number + number
    return twice
    ### END SOLUTION"""
CHECK = """with check("twice a number"):
    assert double(2) == 4, f"twice 2 is 4, yours says {double(2)}"
    assert double(3) == 6, f"twice 3 is 6, yours says {double(3)}\""""
HIDDEN = """### BEGIN HIDDEN TESTS
with check("any number"):
    assert double(-10_000) == -20_000, "negative numbers too"
### END HIDDEN TESTS"""
MUTANT = """[[mutant]]
name = "always 4"
cell = "double"
old = "return twice"
new = "return 4"
killed_by = "check_double"
"""


def role(source, id, solution=False, grade=False):
    cell = new_code_cell(source, id=id.replace("_", "-"))
    cell.metadata["nbgrader"] = {"schema_version": 3, "grade_id": id, "solution": solution, "grade": grade, "locked": grade, "task": False}
    if grade:
        cell.metadata["nbgrader"]["points"] = 1
    return cell


def small(solve=SOLVE, check=CHECK, hidden=HIDDEN, last="score(1)"):
    """A master with one cell to write, one check and one that is hidden."""
    cells = [
        new_markdown_cell("# Twice", id="title"),
        new_code_cell("from helpers.exercises import check, score", id="start"),
        role(solve, "double", solution=True),
        role(check, "check_double", grade=True),
        role(hidden, "check_more", grade=True),
        new_code_cell(last, id="last"),
    ]
    return new_notebook(cells=cells)


def leaking():
    """A master whose solution stands in the metadata too."""
    master = small()
    master.cells[2].metadata["editor"] = {"last": "twice = number + number"}
    return master


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Folders of our own; put(master) writes a master into them and builds the exercise."""
    monkeypatch.setattr(masters, "MASTERS", tmp_path / "solutions")
    monkeypatch.setattr(masters, "RELEASED", tmp_path / "exercises")
    monkeypatch.setattr(release, "ATTEMPTS", tmp_path / "exercises" / "attempts")
    monkeypatch.setattr(audit, "MUTANTS", tmp_path / "mutants")
    monkeypatch.setattr(audit, "ALTERNATIVES", tmp_path / "alternatives")
    for folder in ("solutions", "mutants", "alternatives/ex90_small"):
        (tmp_path / folder).mkdir(parents=True)

    def put(master, mutants=MUTANT):
        nbformat.write(master, tmp_path / "solutions" / "ex90_small.ipynb")
        (tmp_path / "mutants" / "ex90_small.toml").write_text(mutants)
        release.build()
        return tmp_path

    return put


def test_an_exercise_has_neither_solution_nor_hidden_check_nor_an_empty_cell(house):
    house(small())
    exercise = masters.read(release.path_of("ex90_small"))
    assert [cell.id for cell in exercise.cells] == ["title", "start", "double", "check-double", "last"]
    assert exercise.cells[2].source == "def double(number):\n    # your code here\n    raise NotImplementedError"
    assert exercise.cells[3].metadata.editable is False


def test_the_audit_of_a_sound_exercise_finds_nothing(house):
    house(small())
    report = audit.audit("ex90_small")
    assert (report.faults, report.checks, report.hidden, report.killed) == ([], 2, 1, 1)


def test_an_exercise_that_was_changed_by_hand_is_stale(house):
    house(small())
    path = release.path_of("ex90_small")
    path.write_text(path.read_text().replace("# Twice", "# Thrice"))
    assert any("is not what the master gives" in fault for fault in audit.audit("ex90_small").faults)


@pytest.mark.parametrize(
    ("master", "mutants", "says"),
    [
        (small(check=CHECK.replace("4, f", "5, f")), MUTANT, "the solution fails check_double: twice 2 is 4"),
        (small(check=CHECK.split("\n")[0] + "\n    pass"), MUTANT, "the stub passes check_double"),
        (small(check=CHECK.rsplit("\n", 1)[0]), MUTANT, "'always 4' is not found by check_double"),
        (small(check=CHECK + "\n    assert double(0) == 0"), MUTANT, "check_double asserts without a word: assert double(0) == 0"),
        (leaking(), MUTANT, "the exercise shows a line of double: twice = number + number"),
        (small(last="score(2)"), MUTANT, "the last cell does not count 1 public checks"),
    ],
)
def test_the_audit_says_what_is_wrong(house, master, mutants, says):
    house(master, mutants)
    assert any(says in fault for fault in audit.audit("ex90_small").faults)


def test_a_mutant_that_fits_nowhere_is_an_error(house):
    house(small(), MUTANT.replace("return twice", "return thrice"))
    with pytest.raises(ValueError, match="'?double'? has 0 times what the mutant replaces"):
        audit.audit("ex90_small")


def test_a_right_answer_that_fails_is_named(house):
    folder = house(small())
    (folder / "alternatives" / "ex90_small" / "wrong.py").write_text("# %% double\ndef double(number):\n    return 4\n")
    (folder / "alternatives" / "ex90_small" / "right.py").write_text('"""Another shape."""\n\n# %% double\ndouble = lambda number: 2 * number\n')
    report = audit.audit("ex90_small")
    assert (report.passed, report.alternatives) == (1, 2)
    assert report.faults == ["wrong.py is right and fails check_double: twice 3 is 6, yours says 4", "wrong.py is right and fails check_more: negative numbers too"]


def test_a_loop_that_never_ends_ends_the_check_and_nothing_else(house, monkeypatch):
    house(small(), MUTANT.replace("return 4", "return next(iter(int, 1))"))
    monkeypatch.setattr(trial, "SECONDS", 2)
    report = audit.audit("ex90_small")
    assert report.killed == 1


def test_to_begin_anew_keeps_the_attempt(house, capsys):
    house(small())
    path = release.path_of("ex90_small")
    fresh = path.read_text()
    assert command.main(["exercises", "restart", "ex90"]) == 0
    assert "no attempt to keep" in capsys.readouterr().out
    path.write_text(fresh.replace("raise NotImplementedError", "return 2 * number"))
    assert command.main(["exercises", "restart", "ex90"]) == 0
    assert path.read_text() == fresh
    kept = list(release.ATTEMPTS.glob("*.ipynb"))
    assert len(kept) == 1 and "return 2 * number" in kept[0].read_text() and str(kept[0]) in capsys.readouterr().out


def test_progress_is_read_from_what_the_saved_checks_printed(house):
    house(small())
    assert [(done.passed, done.checks, done.next) for done in progress()] == [(0, 1, "twice a number")]
    path = release.path_of("ex90_small")
    notebook = masters.read(path)
    notebook.cells[3].outputs = [new_output("stream", text=part) for part in ("pas", "sed: twice a number", "\n")]
    nbformat.write(notebook, path)
    assert [(done.passed, done.next) for done in progress()] == [(1, "")]
    assert "ex90_small" in str(progress()) and "<table>" in progress()._repr_html_()


def test_an_exercise_that_is_not_there_gets_a_sentence(house, capsys):
    house(small())
    assert command.main(["exercises", "restart", "ex77"]) == 1
    assert "there is no exercise 'ex77'; there are ex90_small" in capsys.readouterr().err


def run(*cells):
    """What cells print in a kernel of their own."""
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in ("from helpers.exercises import check", *cells)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return "".join(output.text for cell in notebook.cells for output in cell.outputs)


NOT_RUN = """with check("it is there"):
    def ask():
        return given(1)

    assert {call}, "no" """


@pytest.mark.parametrize("call", ["given(1)", "ask()"])
def test_a_check_that_runs_before_the_cells_above_it_says_so(call):
    said = run(NOT_RUN.replace("{call}", call))
    assert said.startswith("not yet: it is there\n    There is no given yet: run the cells above this one first") and "Your code" not in said


def test_an_error_in_a_function_that_was_given_is_told_with_the_line_that_called_it():
    said = run("def given(number):\n    return 1 / number", "def mine():\n    return given(0)", """with check("it is whole"):\n    assert mine(), "no" """)
    assert "Your code raised ZeroDivisionError: division by zero\n    in line 2 of given(): return 1 / number\n    called in line 2 of mine(): return given(0)\n" in said


def test_a_name_that_the_code_of_a_learner_lacks_is_an_error_of_that_code():
    said = run("def mine():\n    return nothing", """with check("it is whole"):\n    assert mine(), "no" """)
    assert "Your code raised NameError: name 'nothing' is not defined\n    in line 2 of mine(): return nothing\n" in said and "called" not in said


def test_what_only_claims_to_be_equal_is_not_the_same():
    class Equal:
        def __eq__(self, other):
            return True

    class Number(int):
        pass

    assert same(4, 4) and not same(Equal(), 4) and not same(Number(4), 4) and not same(4.0, 4) and not same(True, 1)
    assert same({"a": [1, (2,)]}, {"a": [1, (2,)]})
    assert not same({"a": [1, (Equal(),)]}, {"a": [1, (2,)]}) and not same([1, 2], [1]) and not same({}, {"a": 1})
