"""The variations of the chapters' prompts: enough of them, each answered through its provider's SDK, each answer as short as it was asked to be."""

import json
import re
import threading
from collections import Counter
from datetime import date
from pathlib import Path

import anthropic
import boto3
import nbformat
import openai
import pytest
from google import genai

import helpers
from helpers import models
from helpers.gateway.server import Gateway
from helpers.gateway.sources import recordings
from helpers.gateway.sources.recordings import FOLDER, VARIATIONS, Recordings, conversations
from helpers.gateway.sources.wordings import ANY_TURNS, SLOT, plain

TEXTS = (FOLDER / VARIATIONS).read_text(encoding="utf-8").splitlines()
LINES = [json.loads(text) for text in TEXTS]
PROMPTS = sorted({(line["chapter"], line["varies"]) for line in LINES})
NOTEBOOKS = (Path(helpers.__file__).parents[1] / "notebooks").glob("0[0-2]*.ipynb")
SOURCES = {path.name[:2]: "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells) for path in NOTEBOOKS}
CHAPTERS = {chapter: re.sub(r'"\n\s*"', "", source) for chapter, source in SOURCES.items()}  # a long text stands on several lines
# The providers that a prompt goes to in its chapter, where they are not OpenAI alone.
ASKED = {
    "Explain in one sentence what an API is.": {"openai", "anthropic", "gemini"},
    "Say hello in five words.": {"openai", "azure", "anthropic", "gemini", "bedrock", "compatible"},
    "Which is the largest planet?": {"openai", "anthropic", "gemini"},
    "You are a friendly guide. Answer in one short sentence.": {"openai", "anthropic", "gemini"},
}
SAID = {"name": "Ada Byron", "word": "Rex"}  # in the place of a slot
PRE = [("user", "Good morning, are you there?"), ("assistant", "Yes.")]


# ---- the file ----------------------------------------------------------------------------------------------
def test_every_line_is_whole_and_in_the_form_of_the_others():
    for text, line in zip(TEXTS, LINES, strict=True):
        assert text == json.dumps(line, sort_keys=True, ensure_ascii=False)
        assert date(2026, 11, 27) <= date.fromisoformat(line["date"]) <= date.today()
        assert all(models.table()["default"][provider] for provider in line["providers"])
        assert all(answer["text"].strip() == answer["text"] != "" for answer in line["answers"])


@pytest.mark.parametrize("chapter, prompt", PROMPTS, ids=lambda name: name[:30])
def test_a_prompt_of_a_chapter_has_twenty_variations_or_more(chapter, prompt):
    assert prompt in CHAPTERS[chapter]
    asked = Counter(provider for line in LINES if line["varies"] == prompt for provider in line["providers"])
    assert set(asked) == ASKED.get(prompt, {"openai"}) and min(asked.values()) >= 20


def test_an_answer_has_nothing_of_a_slot_that_its_question_lacks():
    for line in LINES:
        said = SLOT.findall(json.dumps(line["messages"]))
        shown = [slot for answer in line["answers"] for slot in SLOT.findall(answer["text"])]
        if said:
            assert set(shown) <= set(said), line["messages"]
        for turns in conversations(line) if said else ():
            assert set(shown) <= set(SLOT.findall(str(turns))), turns


# ---- what an answer has to be, where it can be counted ---------------------------------------------------------
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
NUMBER = {word: n for n, word in enumerate(NUMBERS)} | {"a": 1, "thirty": 30, "fifty": 50, "one hundred": 100, "twenty-two": 22, "twenty-five": 25}
MANY = "(" + "|".join([*sorted(NUMBER, key=len, reverse=True), r"\d+"]) + r")(?![-\w])"


def number(said):
    return NUMBER[said] if said in NUMBER else int(said)


def count_words(text):
    return sum(any(c.isalnum() for c in word) for word in text.split())


def count_sentences(text):
    return len(re.findall(r"[.!?。।]+(?=\s|$)", text))


def complaints(asked, text):
    """What is wrong with the length or the form of this answer."""
    asked = asked.lower()
    for at_most, many in re.findall(rf"\bin (at most |less than |exactly )?{MANY} (?:\w+ )?words?\b", asked):
        limit, words = number(many), count_words(text)
        fits = {"at most ": words <= limit, "less than ": words < limit}.get(at_most, words == limit)
        if not fits:
            yield f"{words} words where {at_most}{many} were asked for"
    for at_most, many in re.findall(rf"\bin (at most )?{MANY} (?:(?!few)\w+ )?sentences?\b", asked):
        sentences = count_sentences(text)
        if sentences > number(many) or (not at_most and sentences != number(many)):
            yield f"{sentences} sentences where {many} were asked for"
    span = re.search(rf"count (?:down |backwards )?from {MANY} to {MANY}[^.]*, one number a line", asked)
    if span and not re.search("odd|even|twos|tens|steps", asked) and len(text.splitlines()) != abs(number(span[2]) - number(span[1])) + 1:
        yield f"{len(text.splitlines())} lines"
    if "haiku" in asked and len(text.splitlines()) != 3:
        yield "a haiku has three lines"
    if "bullet points" in asked and not all(row.startswith("- ") for row in text.splitlines()):
        yield "no bullet points"
    if re.search("capital letters|all caps|upper case|uppercase", asked) and text != text.upper():
        yield "small letters"
    if re.search(r"answer (in|as) json", asked):
        json.loads(text)


def test_every_answer_is_as_long_as_it_was_asked_to_be():
    wrong = []
    for line in LINES:
        for turns in conversations(line):
            instruction = turns[0][1] if turns[0][0] == "system" else ""
            for answer in line["answers"]:
                if "Think step by step" in turns[-1][1]:
                    continue
                wrong += [(turns, answer["text"], problem) for problem in complaints(f"{instruction} {turns[-1][1]}", answer["text"])]
    assert wrong == []


def climbed(height, up, down):
    """The day on which the snail is at the top, found by walking."""
    day = at = 0
    while True:
        day, at = day + 1, at + up
        if at >= height:
            return day
        at -= down


def test_the_snails_arrive_when_they_do():
    known = 0
    for line in LINES:
        for *_, (_, asked) in conversations(line):
            numbers = re.match(r"A snail climbs a wall of (\d+) met\w+: (\d+) met\w+ up by day, (\d+) met\w+ down by night\. (On|When)", asked)
            if numbers and int(numbers[2]) > int(numbers[3]):
                text, day = line["answers"][-1]["text"], climbed(*map(int, numbers.groups()[:3]))
                assert text.startswith(f"On day {day}.") or text == str(day) or "Answer in" in asked, asked
                known += 1
    assert known > 500


# ---- through the SDKs ----------------------------------------------------------------------------------------
def ask_openai(turns, client, model):
    sent = [{"role": role, "content": text} for role, text in turns]
    raw = client.chat.completions.with_raw_response.create(model=model, messages=sent)
    return raw.headers["x-course-source"], raw.parse().choices[0].message.content


def ask_anthropic(turns, client, model):
    system = {"system": text for role, text in turns if role == "system"}
    sent = [{"role": role, "content": text} for role, text in turns if role != "system"]
    raw = client.messages.with_raw_response.create(model=model, max_tokens=4096, messages=sent, **system)
    return raw.headers["x-course-source"], "".join(block.text for block in raw.parse().content if block.type == "text")


def ask_gemini(turns, client, model):
    system = {"system_instruction": text for role, text in turns if role == "system"}
    sent = [{"role": "model" if role == "assistant" else role, "parts": [{"text": text}]} for role, text in turns if role != "system"]
    answer = client.models.generate_content(model=model, contents=sent, config=system)
    return answer.sdk_http_response.headers["x-course-source"], answer.text


def ask_bedrock(turns, client, model):
    sent = [{"role": role, "content": [{"text": text}]} for role, text in turns]
    answer = client.converse(modelId=model, messages=sent)
    said = [block["text"] for block in answer["output"]["message"]["content"] if "text" in block]
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-course-source"], "".join(said)


@pytest.fixture
def ask(gateway):
    """A function that puts turns to a provider's small model through its SDK, and returns the source and the text of the answer."""
    compatible = openai.OpenAI().base_url.copy_with(path="/compatible/v1")
    clients = {
        "openai": (ask_openai, openai.OpenAI(max_retries=0)),
        "azure": (ask_openai, openai.AzureOpenAI(max_retries=0)),
        "compatible": (ask_openai, openai.OpenAI(base_url=compatible, max_retries=0)),
        "anthropic": (ask_anthropic, anthropic.Anthropic(max_retries=0)),
        "gemini": (ask_gemini, genai.Client()),
        "bedrock": (ask_bedrock, boto3.client("bedrock-runtime")),
    }

    def put(provider, turns):
        asking, client = clients[provider]
        return asking(turns, client, helpers.model(provider))

    return put


def filled(text):
    return SLOT.sub(lambda slot: SAID.get(slot[1], "old maps"), text)


def told(messages, index):
    """The turns of a conversation: in the place of the dots what the model said, and in every second one more turns."""
    is_long = bool(index % 2) and not SLOT.search(str(messages))  # which slots do not allow
    between = [("assistant", "Fine."), *PRE * is_long] if messages[0] != ANY_TURNS else PRE
    return [turn for said in messages for turn in (between if said == ANY_TURNS else [(said[0], filled(said[1]))])]


def test_every_variation_is_answered_through_the_sdk_of_its_provider(ask, gateway):
    """One provider a line, in turn; the wordings are of the next test."""
    for index, line in enumerate(LINES):
        source, text = ask(line["providers"][index % len(line["providers"])], told(line["messages"], index))
        assert source == "scripted", line["messages"]
        known = [answer["text"] for answer in line["answers"]]
        assert text in (map(filled, known) if SLOT.search(str(line["messages"])) else known), line["messages"]
    assert gateway.meter.log().sources() == {"scripted": len(LINES)}


def test_the_wordings_of_a_variation_all_differ_in_more_than_makes_no_difference():
    for line in LINES:
        wordings = [plain(text).lower() for text in (line["messages"][-1][1], *line.get("wordings", ()))]
        assert len(set(wordings)) == len(wordings), line["messages"]


def test_no_words_have_two_answers(tmp_path, caplog):
    """Of a copy, because the file itself is read once in a process."""
    (tmp_path / VARIATIONS).write_text("\n".join(TEXTS), encoding="utf-8")
    Recordings(tmp_path).variations()
    assert caplog.text == ""
    (tmp_path / VARIATIONS).write_text("\n".join([*TEXTS, TEXTS[0]]), encoding="utf-8")
    Recordings(tmp_path).variations()
    assert f"line {len(TEXTS) + 1}" in caplog.text and "two scripted recordings" in caplog.text


def test_variations_are_read_beside_the_event_loop_and_once(tmp_path, monkeypatch):
    """The file grows, and whoever asks something else meanwhile is not to wait for it."""
    (tmp_path / VARIATIONS).write_text("\n".join(TEXTS), encoding="utf-8")
    read, threads = recordings._read, []
    monkeypatch.setattr(recordings, "_read", lambda *given: threads.append(threading.current_thread().name) or read(*given))
    running = Gateway(pace=0, recordings=tmp_path).start()
    try:
        assert not threads, "no start waits for them"
        client = openai.OpenAI(base_url=f"{running.base_url}/openai/v1", api_key="any")
        for _ in range(2):
            said = client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello in six words."}])
            assert said.choices[0].message.content
    finally:
        running.stop()
    [reader] = threads
    assert reader != "llm-gateway"


def test_a_model_that_does_not_think_is_billed_for_no_thoughts(gateway):
    client = openai.OpenAI(base_url=openai.OpenAI().base_url.copy_with(path="/compatible/v1"))
    usage = client.chat.completions.create(model=helpers.model("compatible"), messages=[{"role": "user", "content": "Say hello in six words."}]).usage
    assert usage.completion_tokens < 10


def test_the_log_names_the_day_of_a_variation(gateway):
    openai.OpenAI().responses.create(model="gpt-6-luna", input="Say hello in six words.")
    [entry] = gateway.meter.log()
    assert str(entry.source) == f"scripted {LINES[0]['date']}" and entry.source.recording
