"""`llm-course exercises grade`: a folder of what learners hand in, hostile work among it, and what is left of it afterwards."""

import csv
import json
import os
import secrets
import socket
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers import command
from helpers.exercises import masters, walls
from tests.exercises import hostile, sample

KEYS = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "SOMETHING_ELSE")
README_ONLY = "An editor that opens the devcontainer"  # words that stand in no file of the package, which a submission may read
MARK = "OPENBLAS_L2_SIZE"  # one of the few variables that a submission sees: here a number that its processes are known by
needs_walls = pytest.mark.skipif(bool(walls.missing()), reason=f"no walls here: {'; '.join(walls.missing())}")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with a key, an environment with keys, a folder for temporary files, and the sample exercise as the only one."""
    for name in ("home", "tmp", "solutions", "submissions"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(masters, "MASTERS", tmp_path / "solutions")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(MARK, str(10**9 + secrets.randbelow(10**9)))
    nbformat.write(sample.master(), tmp_path / "solutions" / "ex90_sample.ipynb")
    return tmp_path


def grade(place: Path, *options: str) -> dict[str, dict]:
    """Run the command; the records of scores.json, by learner."""
    assert command.main(["exercises", "grade", str(place / "submissions"), "-o", str(place / "out"), *options]) == 0
    return {record["learner"]: record for record in json.loads((place / "out/scores.json").read_text())}


def said(record: dict) -> str:
    return " | ".join([record["why"], *record["notes"], *(str(check["said"]) + str(check["hidden"]) for check in record["checks"])])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def processes() -> list[str]:
    """The processes that run behind walls of this test."""
    mark, found = f"{MARK}={os.environ[MARK]}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = (path / "environ").read_bytes()
            if mark in environ and b"HOME=/home/learner" in environ:
                found.append((path / "cmdline").read_text())
        except OSError:
            pass
    return found


@pytest.fixture
def listener():
    """A server on this machine's loopback, which nobody in there may reach; the addresses of those who did."""
    reached = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve():
            try:
                while True:
                    reached.append(server.accept()[1])
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], reached


@needs_walls
def test_a_folder_of_mixed_work_gets_a_result_for_each_and_nothing_is_read_changed_or_left(place, listener, monkeypatch):
    port, reached = listener
    secret = {kind: f"planted-{kind}-{secrets.token_hex(8)}" for kind in ("environment", "home", "solution", "neighbour", "earlier")}
    for name in KEYS:
        monkeypatch.setenv(name, secret["environment"])
    (place / "home/.env").write_text(f"OPENAI_API_KEY={secret['home']}")
    (place / "solutions/notes.md").write_text(secret["solution"])
    (place / "out").mkdir()
    (place / "out/scores.json").write_text(secret["earlier"])
    places = [str(place), str(place / "home/.env"), str(place / "solutions/notes.md"), str(masters.ROOT / "tests"), str(masters.ROOT / "README.md")]
    attacks = hostile.attacks(places + hostile.EVERYWHERE, [*secret.values(), "hidden-sentence", README_ONLY], port)
    work = {**sample.BENIGN, **attacks}
    assert len(attacks) >= 15 and len(work) >= 30
    sample.write(place / "submissions", {name: content for name, (content, *_) in work.items()})
    (place / "submissions/neighbour.ipynb").write_text(sample.text(sample.work(first=f"# {secret['neighbour']}")))
    (place / "submissions/a link.ipynb").symlink_to(place / "solutions/ex90_sample.ipynb")
    (place / "submissions/no notebook").mkdir()
    (place / "submissions/.DS_Store").write_text("")
    before = {name: contents(place / name) for name in ("home", "solutions", "submissions")}
    options = ["--cell-seconds", "4", "--notebook-seconds", "25", "--memory-mb", "1500", "--jobs", "4"]

    records = grade(place, *options)

    assert records.keys() == {*work, "neighbour", "a link", "no notebook"}
    wrong = []
    for name, (_, state, points, words) in work.items():
        found = records[name]
        if state not in (None, found["state"]) or points not in (None, found["points"]) or words not in said(found):
            wrong.append((name, found["state"], found["points"], said(found)))
    assert not wrong, "\n".join(map(str, wrong))
    for name in ("network", "hunts keys", "privileges"):
        assert "LOOT |" in said(records[name]).replace("LOOT []", "LOOT ").replace("LOOTNone", "LOOT |").replace("LOOT None", "LOOT |"), said(records[name])
    assert records["neighbour"]["points"] == 6
    assert "it is a link" in said(records["a link"]) and "no notebook in it" in said(records["no notebook"])
    assert not reached
    assert not processes()
    assert not list((place / "tmp").iterdir())
    assert {name: contents(place / name) for name in before} == before
    out = b"".join(contents(place / "out").values()).decode()
    assert not [kind for kind, word in secret.items() if word in out]


@needs_walls
def test_results_are_written_for_a_list_for_a_program_and_for_each_learner_and_come_out_the_same_again(place):
    names = ("right", "only the public ones", "half saved", "wrong")
    work = {name: sample.BENIGN[name][0] for name in names}
    address = "def cost(tokens):\n    import socket, os\n    raise ValueError(f'{object()} {os.urandom})')"
    work |= {"leaks": sample.work(cost=hostile.LEAK, longest="longest = cost"), "=1+1": sample.work(cost=address), "Zoë/../x": sample.work()}
    work |= {"<b>bold": sample.work(cost="def cost(tokens):\n    raise ValueError('<script>alert(1)</script>')")}
    sample.write(place / "submissions", {name.replace("/", "_"): content for name, content in work.items()})

    records = grade(place)
    first = contents(place / "out")
    rows = list(csv.DictReader((place / "out/scores.csv").read_text().splitlines()))
    learners = [row["learner"].removeprefix("'") for row in rows]
    assert learners == sorted(learners)
    assert {(row["learner"], row["points"], row["of"], row["state"]) for row in rows} >= {("right", "6", "6", "graded"), ("half saved", "0", "0", "unreadable"), ("'=1+1", "3", "6", "graded")}
    assert records["right"]["texts"] == {"why": {"state": "to be read", "text": "Because."}}
    assert [(check["id"], check["points"], check["of"]) for check in records["only the public ones"]["checks"]] == [("check_cost", 2, 2), ("check_longest", 0, 3), ("check_hidden", 1, 1)]

    pages = {path.stem: path.read_text() for path in (place / "out/feedback").glob("*.html")}
    assert len(pages) == len(work)
    for text in pages.values():
        page = BeautifulSoup(text, "html.parser")
        assert not page.find_all(["script", "link", "img"]) and "color-scheme: light dark" in text
        assert not [word for word in ("hidden-sentence", "hidden-name", "secret-one", "500_000") if word in text]
    assert "1 of 2 hidden checks passed" in pages["only_the_public_ones"] and "to be read by a person" in pages["right"]
    assert "this is a float" in pages["wrong"] and "it ends in the middle" in pages["half_saved"].lower()

    grade(place, "--jobs", "3")
    assert contents(place / "out") == first


def test_without_walls_it_says_what_is_missing_and_refuses_unless_told(place, monkeypatch, capsys):
    monkeypatch.setattr(walls, "missing", lambda: ("user namespaces", "a network of its own"))
    (place / "solutions/notes.md").write_text("planted-solution")
    attacks = hostile.attacks([str(place)], ["planted-solution", "hidden-sentence"], 1)
    sample.write(place / "submissions", {"right": sample.work(), "stays": attacks["loop that ignores signals"][0], "hunts": attacks["hunts keys"][0]})
    options = ["exercises", "grade", str(place / "submissions"), "-o", str(place / "out"), "--cell-seconds", "4"]
    assert command.main(options) == 1
    assert "What is missing: user namespaces; a network of its own." in capsys.readouterr().err
    assert not (place / "out").exists()
    assert command.main([*options, "--unsafe"]) == 0
    assert "grading without walls" in capsys.readouterr().err
    records = {record["learner"]: record for record in json.loads((place / "out/scores.json").read_text())}
    assert [(name, record["points"]) for name, record in records.items()] == [("hunts", 0), ("right", 6), ("stays", 0)]
    assert "LOOT ['planted-solution', 'hidden-sentence']" in said(records["hunts"]), "what walls keep out is found without them"
    assert not list((place / "tmp").iterdir())


@pytest.mark.parametrize("out, words", [("submissions/out", "must not lie within each other"), (".", "must not lie within each other"), ("file", "is a file")])
def test_results_are_not_written_where_they_would_be_in_the_way(place, out, words, capsys):
    (place / "file").write_text("")
    assert command.main(["exercises", "grade", str(place / "submissions"), "-o", str(place / out)]) == 1
    assert words in capsys.readouterr().err
    assert command.main(["exercises", "grade", str(place / "nowhere"), "-o", str(place / "out")]) == 1
    assert "there is no folder" in capsys.readouterr().err


@needs_walls
def test_a_long_name_of_the_folder_for_temporary_files_does_no_harm(place, monkeypatch):
    long = place / "tmp" / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    sample.write(place / "submissions", {"right": sample.work()})
    assert grade(place)["right"]["state"] == "graded"
    assert not list(long.iterdir())


@needs_walls
def test_every_solution_gets_all_points_of_the_real_exercises_and_an_untouched_exercise_none(tmp_path):
    (tmp_path / "submissions").mkdir()
    for name in masters.names():
        (tmp_path / "submissions" / f"right {name}.ipynb").write_bytes((masters.MASTERS / f"{name}.ipynb").read_bytes())
    first = masters.RELEASED / f"{masters.names()[0]}.ipynb"
    (tmp_path / "submissions/untouched.ipynb").write_bytes(first.read_bytes())
    records = grade(tmp_path)
    untouched = records.pop("untouched")
    assert (untouched["state"], untouched["points"]) == ("graded", 0)
    assert {name: said(record) for name, record in records.items() if record["points"] != record["of"] or not record["of"]} == {}
