"""The recordings are in order, are matched on meaning, and what answered is said everywhere alike."""

import json
import re
import subprocess
import sys
from datetime import date

import anthropic
import boto3
import botocore.exceptions
import openai
import pytest
from google import genai
from google.genai import errors, types

import helpers
from helpers import models
from helpers.costs import Bill
from helpers.gateway.server import Gateway
from helpers.gateway.sources.recorder import Recorder
from helpers.gateway.sources.recordings import FOLDER, VARIATIONS, Recordings, lines
from helpers.gateway.sources.wordings import ANY_TURNS

FILES = sorted(FOLDER.glob("*.jsonl"))
LINES = [(f"{path.name}:{number}", text) for path in FILES if path.name != VARIATIONS for number, text in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], start=1)]
HELLO, ANSWER = "Say hello in five words.", "Hello, it's nice meeting you."
COFFEE = "Suggest a name for a coffee shop near a data center. Answer with the name only."
NAMES = ["Byte & Brew", "The Warm Cache", "Uptime Espresso", "Rack & Roast"]


# ---- the files ---------------------------------------------------------------------------------------------
def test_there_are_recordings():
    assert LINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_sorted_and_ends_with_a_line_break(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "" and len(set(lines)) == len(lines)
    assert lines == sorted(lines, key=place)


def place(text):
    """Where a line stands: by chapter, provider and prompt; what `record` wrote, by the line itself."""
    line = json.loads(text)
    if "varies" in line:
        return line["chapter"], line["varies"], json.dumps(line["messages"])
    return (line["chapter"], line["provider"], json.dumps(line["messages"])) if "chapter" in line else text


@pytest.mark.parametrize("text", [text for _, text in LINES], ids=[name for name, _ in LINES])
def test_a_recording_is_whole(text):
    line = json.loads(text)
    assert line["kind"] in ("scripted", "captured")
    latest = models.facts_date() if line["kind"] == "scripted" else date.today()  # what a server sent may be newer than the facts
    assert date(2026, 1, 1) <= date.fromisoformat(line["date"]) <= latest
    assert line["models"] and all(models.get(name, line["provider"]) for name in line["models"])
    assert text == json.dumps(line, sort_keys=True, ensure_ascii=False)
    assert line["messages"] and line["answers"]
    for role, said in line["messages"]:
        assert (role, said) == (ANY_TURNS, "") or (role in ("system", "user", "assistant", "tool") and said)
    if line["kind"] == "scripted":
        assert all(answer["text"] and answer.get("thinking_tokens", 0) >= 0 for answer in line["answers"])
    else:
        assert line["server"] and line["versions"] and line["shape"] and all(answer["chunks"] for answer in line["answers"])


# ---- matching ----------------------------------------------------------------------------------------------
def chat(messages, model="gpt-6-luna", **more):
    return openai.OpenAI(max_retries=0).chat.completions.create(model=model, messages=messages, **more)


def user(content):
    return [{"role": "user", "content": content}]


def scripted(messages, text, providers=("openai",), **more):
    line = {"kind": "scripted", "chapter": "00", "varies": "a prompt", "date": "2026-11-27", "providers": [*providers], "messages": messages}
    return {**line, "answers": [{"text": text}], **more}


GUIDE, PLANET = "You are a friendly guide. Answer in one short sentence.", "Which is the largest planet?"


@pytest.mark.parametrize("role", ["system", "developer"])
def test_developer_means_system(gateway, role):
    answer = chat([{"role": role, "content": GUIDE}, *user(PLANET)])
    assert answer.choices[0].message.content == "The largest planet is Jupiter, more than eleven Earths across."


@pytest.mark.parametrize(
    "same",
    [
        {"messages": user([{"type": "text", "text": HELLO}])},
        {"messages": user([{"type": "text", "text": HELLO[:7]}, {"type": "text", "text": HELLO[7:]}])},
        {"model": "gpt-6.1-terra"},
        {"max_completion_tokens": 2000},
        {"reasoning_effort": "low"},
        {"user": "u", "metadata": {"a": "b"}, "seed": 5},
        {"messages": user(HELLO.lower())},
        {"messages": user(f"  {HELLO.replace(' ', '  ')}\n")},
        {"messages": user(HELLO.removesuffix("."))},
        {"messages": user(HELLO.replace(".", "!"))},
        {"messages": user("Please say hello in five words")},
        {"messages": user("Say hello in five words, please?")},
        {"messages": [{"role": "developer", "content": " "}, *user(HELLO)]},
    ],
    ids=str,
)
def test_the_same_meaning_gets_the_recorded_answer(gateway, same):
    assert chat(**{"messages": user(HELLO)} | same).choices[0].message.content == ANSWER
    assert gateway.meter.log().sources() == {"scripted": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"messages": user("Say hello in five words, and dance.")},
        {"messages": user("Say hello: in five words.")},
        {"messages": [{"role": "system", "content": "Be kind, always."}, *user(HELLO)]},
        {"messages": [*user(HELLO), {"role": "assistant", "content": "Hi"}, *user(HELLO)]},
        {"messages": user([{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}])},
        {"model": "gpt-6.2-astra"},
        {"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}], "reasoning_effort": "none"},
    ],
    ids=str,
)
def test_another_meaning_does_not(gateway, other):
    assert ANSWER not in chat(**{"messages": user(HELLO)} | other).choices[0].message.content
    assert gateway.meter.log().sources() == {"house": 1}


def test_typographic_quotes_are_quotes(gateway):
    gateway.in_loop(lambda: gateway.recordings.add(scripted([["user", "What's \"JSON\"?"]], "A format.")))
    assert chat(user("what’s “JSON”")).choices[0].message.content == "A format."


def test_the_house_model_by_its_own_name_is_asked_itself(gateway):
    gateway.in_loop(lambda: gateway.recordings.add(scripted([["user", "Name a color."]], "Mauve", providers=["compatible"])))
    url = openai.OpenAI().base_url.copy_with(path="/compatible/v1")
    for model, source in (("house", "house"), (helpers.model("compatible"), "scripted")):
        raw = openai.OpenAI(base_url=url).chat.completions.with_raw_response.create(model=model, messages=user("Name a color"))
        assert raw.headers["x-course-source"] == source


def test_a_variation_answers_for_every_model_of_its_providers_in_all_its_wordings(gateway):
    line = scripted([["user", "Do cats purr?"]], "Yes.", wordings=["Does a cat purr?"], providers=["openai", "gemini"])
    gateway.in_loop(lambda: gateway.recordings.add(line))
    for model in ("gpt-6.2-astra", "gpt-5-mini"):
        assert chat(user("does a cat purr?"), model=model).choices[0].message.content == "Yes."
    assert genai.Client().models.generate_content(model="gemini-3.8-flash", contents="Do cats purr").text == "Yes."


def test_what_a_provider_has_no_answer_of_its_own_to_it_answers_as_the_others(gateway):
    for said, answer in (("Do cats purr?", "Yes."), ("Do {animals} purr?", "Some {animals} do.")):
        gateway.in_loop(lambda said=said, answer=answer: gateway.recordings.add(scripted([["user", said]], answer, providers=["openai"])))
    gateway.in_loop(lambda: gateway.recordings.add(scripted([["user", "Who barks?"]], "I do.", providers=["gemini"])))
    gateway.in_loop(lambda: gateway.recordings.add(scripted([["user", "Who barks?"]], "Nobody.", providers=["openai"])))
    client = anthropic.Anthropic()
    said = ("do cats purr", "Do dogs purr?", "Who barks?")
    answers = [client.messages.create(model="claude-haiku-5-5", max_tokens=50, messages=user(text)).content[-1].text for text in said]
    assert answers == ["Yes.", "Some dogs do.", "I do."]
    assert gateway.meter.log().sources() == {"scripted": 3}


def test_providers_that_are_asked_the_same_may_answer_differently(gateway):
    for provider in ("openai", "gemini"):
        gateway.in_loop(lambda provider=provider: gateway.recordings.add(scripted([["user", "Who barks?"]], f"Says {provider}.", providers=[provider])))
    assert chat(user("who barks")).choices[0].message.content == "Says openai."
    assert genai.Client().models.generate_content(model="gemini-3.8-flash", contents="who barks").text == "Says gemini."


TALK = [*user("My dog is Rex."), {"role": "assistant", "content": "A fine name." * 100}, *user("Who is my dog?")]


def test_a_slot_takes_a_few_words_and_the_answer_repeats_them(gateway):
    line = scripted([["user", "My {pet} is {name}."], "...", ["user", "Who is my {pet}?"]], "Your {pet} is {name}, {who}.")
    gateway.in_loop(lambda: gateway.recordings.add(line))
    assert chat(TALK).choices[0].message.content == "Your dog is Rex, {who}."
    assert chat([*user("my cat is Old Tom"), *user("Who is my cat")]).choices[0].message.content == "Your cat is Old Tom, {who}."
    gateway.strict = True
    another_slot = [*user("My cat is Rex."), *user("Who is my dog?")]
    taken_back = [*TALK[:2], *user("No, my dog is Tom."), *TALK[1:]]
    too_long = [*user(f"My dog is {'Rex' * 20}."), *user("Who is my dog?")]
    with_an_instruction = [{"role": "system", "content": "Be a cat."}, *TALK]
    for messages in (another_slot, taken_back, too_long, with_an_instruction):
        with pytest.raises(openai.NotFoundError, match="strict mode"):
            chat(messages)


def test_a_slot_is_filled_in_a_longer_talk_of_which_no_turn_is_left_out(gateway):
    told = [["user", "My pet is {name}."], ["assistant", "Hello, {name}."], ["user", "Who is it?"], ["assistant", "{name}."], ["user", "Say goodbye to it."]]
    line = {**scripted(told, "Goodbye, {name}."), "provider": "openai", "models": ["gpt-6-luna"]}
    del line["providers"]
    gateway.in_loop(lambda: gateway.recordings.add(line))
    for name in ("Rex", "Lady Ada"):
        talk = [{"role": role, "content": text.format(name=name)} for role, text in told]
        assert chat(talk).choices[0].message.content == f"Goodbye, {name}."
    talk[2]["content"] = "Who else is it?"
    gateway.strict = True
    with pytest.raises(openai.NotFoundError, match="strict mode"):
        chat(talk)



def test_dots_stand_for_any_turns_or_none(gateway):
    gateway.in_loop(lambda: gateway.recordings.add(scripted(["...", ["user", "Who barks?"]], "Dogs.")))
    assert [chat(turns).choices[0].message.content for turns in (user("Who barks?"), [*TALK, *user("who barks")])] == ["Dogs."] * 2


def test_under_a_long_instruction_dots_stand_for_any_turns_of_any_length(gateway):
    line = {**scripted([["system", "..."], ["...", ""], ["user", "Who barks?"]], "Dogs."), "provider": "openai", "models": ["gpt-6-luna"]}
    del line["providers"]
    gateway.in_loop(lambda: gateway.recordings.add(line))
    long, short = ({"role": "system", "content": "Be a cat. " * many} for many in (100, 1))
    assert chat([long, *TALK, *user("who barks")]).choices[0].message.content == "Dogs."
    gateway.strict = True
    for messages in ([short, *TALK, *user("Who barks?")], [*TALK, *user("Who barks?")], [long, *TALK, *user("Who purrs?")]):
        with pytest.raises(openai.NotFoundError, match="strict mode"):
            chat(messages)


def test_two_lines_for_the_same_words_are_a_mistake():
    recordings = Recordings()
    recordings.add(scripted([["user", "Do cats purr?"]], "Yes."))
    with pytest.raises(ValueError, match="two scripted recordings"):
        recordings.add(scripted([["user", "do cats purr"]], "No."))


def test_a_long_prompt_is_not_looked_at_twice(gateway):
    long = "Do cats purr? " * 50
    gateway.in_loop(lambda: gateway.recordings.add(scripted([["user", long]], "Yes.")))
    gateway.strict = True
    with pytest.raises(openai.NotFoundError, match="strict mode"):
        chat(user(long.lower()))


def test_a_scripted_answer_obeys_the_limit_and_the_stop_of_the_request(gateway):
    cut = chat(user(HELLO), reasoning_effort="none", max_completion_tokens=2).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("Hello,", "length")
    stopped = chat(user(HELLO), stop=[" nice"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("Hello, it's", "stop")
    starved = chat(user(HELLO), max_completion_tokens=10)
    assert (starved.choices[0].message.content, starved.choices[0].finish_reason) == ("", "length")
    assert starved.usage.completion_tokens == starved.usage.completion_tokens_details.reasoning_tokens == 10


def test_several_answers_are_given_in_turn_and_then_again(gateway):
    """So a cell that is run twice shows what it showed."""

    def name():
        return chat(user(COFFEE)).choices[0].message.content

    assert [name() for _ in range(6)] == [*NAMES, *NAMES[:2]]
    gateway.reset()
    assert name() == NAMES[0]


def test_an_answer_that_names_an_effort_is_given_to_that_alone(gateway):
    """A puzzle whose quick answer is wrong."""
    snail = user("A snail climbs a wall of 20 meters: 5 meters up by day, 4 meters down by night. On which day does it reach the top?")
    said = [chat(snail, reasoning_effort=effort).choices[0].message.content[:9] for effort in ("none", "low", "high", "none")]
    assert said == ["On day 20", "On day 16", "On day 16", "On day 20"]


def test_n_answers_are_n_of_the_recorded_ones(gateway):
    answer = chat(user(COFFEE), n=3)
    assert [choice.message.content for choice in answer.choices] == NAMES[:3]
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3 * 70
    one = chat(user(HELLO), n=2)
    assert [choice.message.content for choice in one.choices] == [ANSWER] * 2


# ---- what nobody recorded ----------------------------------------------------------------------------------
UNKNOWN = "Say hello in five words, twice."


def ask_openai():
    chat(user(UNKNOWN))


def ask_azure():
    openai.AzureOpenAI(max_retries=0).chat.completions.create(model="gpt-6-luna", messages=user(UNKNOWN))


def ask_compatible():
    model = helpers.model("compatible")
    openai.OpenAI(base_url=openai.OpenAI().base_url.copy_with(path="/compatible/v1"), max_retries=0).chat.completions.create(model=model, messages=user(UNKNOWN))


def ask_responses():
    openai.OpenAI(max_retries=0).responses.create(model="gpt-6-luna", input=UNKNOWN)


def ask_anthropic():
    anthropic.Anthropic(max_retries=0).messages.create(model="claude-haiku-5-5", max_tokens=99, messages=user(UNKNOWN))


def ask_gemini():
    client = genai.Client()
    client.models.generate_content(model="gemini-3.5-flash-lite", contents=UNKNOWN, config=types.GenerateContentConfig())


def ask_bedrock():
    boto3.client("bedrock-runtime").converse(modelId=helpers.model("bedrock"), messages=[{"role": "user", "content": [{"text": UNKNOWN}]}])


@pytest.mark.parametrize(
    "ask, error",
    [
        (ask_openai, openai.NotFoundError),
        (ask_azure, openai.NotFoundError),
        (ask_compatible, openai.NotFoundError),
        (ask_responses, openai.NotFoundError),
        (ask_anthropic, anthropic.NotFoundError),
        (ask_gemini, errors.ClientError),
        (ask_bedrock, botocore.exceptions.ClientError),
    ],
)
def test_strict_mode_gives_the_providers_own_error_naming_the_nearest_recording(gateway, ask, error):
    gateway.strict = True
    with pytest.raises(error, match=re.escape(HELLO)) as raised:
        ask()
    assert "strict mode" in str(raised.value)
    [entry] = gateway.meter.log()
    assert entry.status == 404 and entry.source is None and entry.usage is None


@pytest.mark.parametrize("prompt, kind", [(HELLO, "scripted"), (UNKNOWN, "house")])
@pytest.mark.parametrize("stream", [False, True])
def test_header_log_and_bill_agree_on_what_answered(gateway, prompt, kind, stream):
    raw = openai.OpenAI().chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(prompt), stream=stream)
    list(raw.parse()) if stream else raw.parse()
    [entry] = gateway.meter.log()
    assert raw.headers["x-course-source"] == entry.source.kind == kind
    assert raw.headers.get("x-course-recording", "") == entry.source.recording
    assert bool(entry.source.recording) is (kind == "scripted")
    assert gateway.meter.log().sources() == {kind: 1}
    bill = Bill(gateway.meter.log())
    assert bill.spent == 0 and bill.live == helpers.cost(entry.usage, "gpt-6-luna", "openai")


# ---- files that are damaged, odd, or written by several ------------------------------------------------------
def captured(prompt, text, **more):
    """What the recorder keeps of a question, and the answer to it."""
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}, ensure_ascii=False)
    shape = {"limit": None, "stop": [], "n": 1, "stream": False, "effort": "none", "sampling": []}
    line = {"kind": "captured", "date": "2026-11-26", "server": "s", "versions": "v", "provider": "openai", "models": ["gpt-4o-mini"]}
    line |= {"messages": [["user", prompt]], "tools": [], "shape": shape, "answers": []}
    return line, {"status": 200, "headers": [["content-type", "application/json"]], "chunks": [[0.0, body]], **more}


def row(prompt="first", text="one", **more):
    line, answer = captured(prompt, text, **more)
    return json.dumps({**line, "answers": [answer]}, sort_keys=True, ensure_ascii=False)


@pytest.fixture
def replayed(monkeypatch):
    """What a gateway on these recordings answers to a prompt."""
    running = []

    def ask(folder, prompt):
        running.append(Gateway(pace=0, strict=True, recordings=folder).start())
        client = openai.OpenAI(base_url=running[-1].base_url + "/openai/v1", api_key="any", max_retries=0)
        return client.chat.completions.create(model="gpt-4o-mini", messages=user(prompt)).choices[0].message.content

    yield ask
    for gateway in running:
        gateway.stop()


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x1c", "\r", "\v"])
def test_only_a_line_feed_ends_a_line(tmp_path, replayed, separator):
    recorder = Recorder(tmp_path)
    for prompt in (f"first{separator}", "second"):
        recorder._write(*captured(prompt, f"to {prompt}{separator}end"))
    assert replayed(tmp_path, "second") == f"to second{separator}end"
    assert replayed(tmp_path, f"first{separator}") == f"to first{separator}{separator}end"


DAMAGED = {
    "no JSON": '{"kind": "scripted"',
    "no recording": '{"kind": "scripted"}',
    "no object": "[1]",
    "another kind": row().replace('"captured"', '"made up"'),
    "no text": row().replace('"chunks": [[0.0, ', '"chunks": [[0.0, {"base64": "-"}], [0.0, '),
    "no time": row().replace("[[0.0, ", '[["soon", '),
    "no status": row().replace('"status": 200', '"status": "200"'),
    "no answers": json.dumps(captured("first", "one")[0]),
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_named_and_takes_no_other_with_it(tmp_path, replayed, caplog, damaged):
    (tmp_path / "some.jsonl").write_text(f"{row('before', 'one')}\n{damaged}\n\n{row('after', 'two')}\n", encoding="utf-8")
    assert (replayed(tmp_path, "before"), replayed(tmp_path, "after")) == ("one", "two")
    assert "some.jsonl, line 2 is no recording" in caplog.text and "Traceback" not in caplog.text


def test_bytes_that_are_no_text_damage_their_line_alone(tmp_path, replayed, caplog):
    (tmp_path / "some.jsonl").write_bytes(b"\xff\xfe\x00\n" + row("after", "two").encode() + b"\n")
    assert replayed(tmp_path, "after") == "two" and "some.jsonl, line 1" in caplog.text


def test_what_is_recorded_later_leaves_a_damaged_line_as_it_is(tmp_path, replayed):
    path = tmp_path / "captured.jsonl"
    path.write_bytes(b'{"half": "of a li\xff\n' + row("before", "one").encode() + b"\n")
    Recorder(tmp_path)._write(*captured("later", "two"))
    assert b'{"half": "of a li\xff\n' in path.read_bytes()
    assert (replayed(tmp_path, "before"), replayed(tmp_path, "later")) == ("one", "two")


RECORD = """
import json, os, sys
from pathlib import Path

from helpers.gateway.sources.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]))
print("ready", flush=True)
line, answer = json.loads(sys.stdin.readline())
def record(prompt):
    recorder._write({**line, "messages": [["user", prompt]], "answers": []}, answer)
"""


def kernel(folder, name, script):
    """A process of its own that begins to record when it is told."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", RECORD + script, folder, name], **pipes)


def test_kernels_that_record_into_one_folder_lose_nothing(tmp_path):
    script = "for number in range(25):\n    record(f'{sys.argv[2]} asks {number}')\n    record('all ask this')"
    kernels = [kernel(tmp_path, name, script) for name in ("one", "two", "three")]
    assert [each.stdout.readline() for each in kernels] == ["ready\n"] * 3
    for each in kernels:
        each.stdin.write(json.dumps(captured("a prompt", "an answer")) + "\n")
        each.stdin.flush()
    for each in kernels:
        each.communicate(timeout=60)
    known = [json.loads(line) for _, line in lines(tmp_path / "captured.jsonl")]
    assert sorted(len(line["answers"]) for line in known) == [1] * 3 * 25 + [3 * 25]


def test_a_kernel_that_is_ended_while_it_writes_leaves_the_file_whole(tmp_path):
    Recorder(tmp_path)._write(*captured("before", "one"))
    dying = kernel(tmp_path, "", "os.fsync = lambda _: os._exit(3)  # the power goes\nrecord('later')")
    dying.communicate(json.dumps(captured("a prompt", "an answer")) + "\n", timeout=60)
    assert dying.returncode == 3
    assert [json.loads(line)["messages"] for _, line in lines(tmp_path / "captured.jsonl")] == [[["user", "before"]]]
    Recorder(tmp_path)._write(*captured("after", "three"))
    assert len([*lines(tmp_path / "captured.jsonl")]) == 2


def test_the_recordings_of_the_course_are_whole(caplog):
    Recordings().load()
    assert caplog.text == ""


def test_variations_that_are_damaged_are_named_and_take_nothing_with_them(tmp_path, replayed, caplog):
    (tmp_path / "some.jsonl").write_text(row("first", "one") + "\n", encoding="utf-8")
    (tmp_path / "variations.jsonl").write_text('{"kind": "scripted", "providers": ["openai"]}\n', encoding="utf-8")
    assert replayed(tmp_path, "first") == "one"
    with pytest.raises(openai.NotFoundError):
        replayed(tmp_path, "a second")
    assert "variations.jsonl, line 1 is no recording" in caplog.text


def test_a_file_that_holds_no_recording_is_named_at_the_start(tmp_path):
    (tmp_path / "broken.jsonl").write_text('{"kind": "scripted"}\n')
    with pytest.raises(ValueError, match="broken.jsonl, line 1"):
        Gateway(pace=0, recordings=tmp_path).start()
