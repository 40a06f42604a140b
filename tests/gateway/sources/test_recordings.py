"""The recordings are in order, are matched on meaning, and what answered is said everywhere alike."""

import json
import re
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
from helpers.gateway.sources.recordings import FOLDER

FILES = sorted(FOLDER.glob("*.jsonl"))
LINES = [(f"{path.name}:{number}", text) for path in FILES for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)]
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
        assert role in ("system", "user", "assistant", "tool") and said
    if line["kind"] == "scripted":
        assert all(answer["text"] and answer.get("thinking_tokens", 0) >= 0 for answer in line["answers"])
    else:
        assert line["server"] and line["versions"] and line["shape"] and all(answer["chunks"] for answer in line["answers"])


# ---- matching ----------------------------------------------------------------------------------------------
def chat(messages, model="gpt-6-luna", **more):
    return openai.OpenAI(max_retries=0).chat.completions.create(model=model, messages=messages, **more)


def user(content):
    return [{"role": "user", "content": content}]


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
    ],
    ids=str,
)
def test_the_same_meaning_gets_the_recorded_answer(gateway, same):
    assert chat(**{"messages": user(HELLO)} | same).choices[0].message.content == ANSWER
    assert gateway.meter.log().sources() == {"scripted": 1}


@pytest.mark.parametrize(
    "other",
    [
        {"messages": user(HELLO + " ")},
        {"messages": user(HELLO.lower())},
        {"messages": [{"role": "system", "content": "Be kind."}, *user(HELLO)]},
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


def test_n_answers_are_n_of_the_recorded_ones(gateway):
    answer = chat(user(COFFEE), n=3)
    assert [choice.message.content for choice in answer.choices] == NAMES[:3]
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3 * 70
    one = chat(user(HELLO), n=2)
    assert [choice.message.content for choice in one.choices] == [ANSWER] * 2


# ---- what nobody recorded ----------------------------------------------------------------------------------
UNKNOWN = "Say hello in six words."


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


def test_a_line_that_is_no_recording_is_named_at_the_start(tmp_path):
    (tmp_path / "broken.jsonl").write_text('{"kind": "scripted"}\n')
    with pytest.raises(ValueError, match="broken.jsonl, line 1"):
        Gateway(pace=0, recordings=tmp_path).start()
