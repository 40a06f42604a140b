"""The Interactions API through Google's own SDK: create, go on, stream, get, delete, tools, errors, retries."""

import json
import time
from base64 import b64encode

import httpx2
import pytest
from google import genai
from google.genai import interactions

from tests.gateway.dialects.gemini.samples import ANSWER, MODEL, PROMPT, THOUGHTS

TOOL = {"type": "function", "name": "get_stock", "parameters": {"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"]}}
PNG = b"\x89PNG\r\n\x1a\n and more"


def line(messages, answer, **more):
    start = {"kind": "scripted", "date": "2026-11-27", "provider": "gemini", "models": [MODEL]}
    return {**start, "messages": messages, "answers": [answer], **more}


@pytest.fixture
def client(gateway):
    declared = {"name": "get_stock", "parametersJsonSchema": TOOL["parameters"]}
    called = json.dumps({"args": {"product": "kettle"}, "name": "get_stock"}, sort_keys=True)
    found = json.dumps({"name": "get_stock", "response": {"result": "3"}}, sort_keys=True)
    order, tools = ["user", "A kettle?"], [json.dumps(declared, sort_keys=True)]
    search = {"queries": ["kettle"], "sources": [["example.org", "https://example.org"]], "supports": [["Kettles boil.", [0]]]}
    for known in (
        line([["user", "My name is Bea."], ["assistant", "Hello, Bea."], ["user", "And my name?"]], {"text": "Bea.", "thinking_tokens": 5}),
        line([["user", "My name is Bea."]], {"text": "Hello, Bea.", "thinking_tokens": 5}),
        line([order], {"text": '{"product": "kettle"}', "function": "get_stock", "thinking_tokens": 5}, tools=tools),
        line([order, ["assistant", [["tool_use", called]]], ["user", [["tool_result", found]]]], {"text": "Three.", "thinking_tokens": 5}, tools=tools),
        line([["user", "Kettles?"]], {"text": "Kettles boil.", "search": search}, tools=['{"googleSearch": {}}']),
        line([["user", "Sum?"]], {"text": "45.", "run": {"code": "print(45)", "output": "45\n"}}, tools=['{"codeExecution": {}}']),
    ):
        gateway.in_loop(lambda known=known: gateway.recordings.add(known))
    return genai.Client()


def ask(client, input=PROMPT, **more):
    asked = {"model": MODEL, "input": input, **more}
    return client.interactions.create(**{name: value for name, value in asked.items() if value is not None})


def kinds(made):
    return [step.type for step in made.steps]


def test_an_interaction_has_steps_a_status_and_a_usage(client):
    made = ask(client)
    assert (made.status, made.output_text, made.model, made.id[:3]) == ("completed", ANSWER, MODEL, "v1_")
    assert kinds(made) == ["thought", "model_output"] and made.steps[0].signature
    used = made.usage
    assert (used.total_thought_tokens, used.total_cached_tokens) == (THOUGHTS, 0)
    assert used.total_tokens == used.total_input_tokens + used.total_output_tokens + used.total_thought_tokens


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_both_versions_are_served(client, version):
    assert ask(client, api_version=version).output_text == ANSWER


def test_it_goes_on_from_the_one_before_whose_turns_are_counted_again(client):
    first = ask(client, "My name is Bea.")
    second = ask(client, "And my name?", previous_interaction_id=first.id)
    assert (second.output_text, second.previous_interaction_id) == ("Bea.", first.id)
    assert second.usage.total_input_tokens > first.usage.total_input_tokens + first.usage.total_output_tokens


def test_the_same_talk_can_be_sent_as_steps(client):
    first = ask(client, "My name is Bea.", store=False)
    said = [{"type": "user_input", "content": [{"type": "text", "text": "My name is Bea."}]}, *(step.model_dump(exclude_none=True) for step in first.steps)]
    again = ask(client, [*said, {"type": "user_input", "content": [{"type": "text", "text": "And my name?"}]}])
    assert again.output_text == "Bea."


def test_what_is_not_stored_is_not_found(client):
    first = ask(client, store=False)
    for act in (lambda: client.interactions.get(id=first.id), lambda: ask(client, previous_interaction_id=first.id)):
        with pytest.raises(interactions.NotFoundError if hasattr(interactions, "NotFoundError") else Exception, match="not found"):
            act()


def test_it_can_be_fetched_with_its_input_and_deleted(client):
    made = ask(client)
    found = client.interactions.get(id=made.id, include_input=True)
    assert found.output_text == ANSWER and found.input[0].content[0].text == PROMPT
    assert client.interactions.get(id=made.id).input is None
    client.interactions.delete(id=made.id)
    with pytest.raises(Exception, match="not found"):
        client.interactions.get(id=made.id)


def test_a_stream_is_the_same_interaction_event_by_event(client):
    events = list(ask(client, stream=True))
    names = [event.event_type for event in events]
    assert names[:2] == ["interaction.created", "interaction.status_update"] and names[-1] == "interaction.completed"
    assert names[2:5] == ["step.start", "step.delta", "step.stop"]
    texts = [event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text"]
    assert "".join(texts) == ANSWER
    assert client.interactions.get(id=events[-1].interaction.id).output_text == ANSWER
    assert events[-1].interaction.usage.total_thought_tokens == THOUGHTS


@pytest.mark.parametrize("chunk", [2, 4, 6])
def test_the_answer_of_a_stream_that_was_cut_is_found_under_its_name(gateway, client, chunk):
    gateway.fault("stream_cut", "gemini", chunk=chunk)
    names = []
    with pytest.raises(Exception, match="."):
        for event in ask(client, stream=True):
            names += [event.interaction.id] if event.event_type == "interaction.created" else []
    assert client.interactions.get(id=names[0]).output_text == ANSWER


def test_the_house_model_is_streamed_too(gateway, client):
    events = list(ask(client, "What is a token, in a prompt that nobody recorded?", stream=True))
    said = "".join(event.delta.text for event in events if event.event_type == "step.delta")
    assert said and client.interactions.get(id=events[0].interaction.id).output_text == said
    assert gateway.meter.log()[0].source.kind == "house"


def test_a_call_of_a_function_waits_for_its_result(client):
    called = ask(client, "A kettle?", tools=[TOOL])
    assert called.status == "requires_action" and kinds(called) == ["thought", "function_call"]
    call = called.steps[-1]
    result = {"type": "function_result", "name": call.name, "call_id": call.id, "result": "3"}
    answered = ask(client, [result], previous_interaction_id=called.id, tools=[TOOL])
    assert (call.arguments, answered.status, answered.output_text) == ({"product": "kettle"}, "completed", "Three.")


def test_the_arguments_of_a_call_are_streamed(client):
    events = list(ask(client, "A kettle?", tools=[TOOL], stream=True))
    pieces = [event.delta.arguments for event in events if event.event_type == "step.delta" and event.delta.type == "arguments_delta"]
    assert json.loads("".join(pieces)) == {"product": "kettle"}
    (started,) = [event.step.id for event in events if event.event_type == "step.start" and event.step.type == "function_call"]
    assert started == client.interactions.get(id=events[0].interaction.id).steps[-1].id
    assert events[-1].interaction.status == "requires_action"


def test_a_search_is_a_call_a_result_and_citations(client):
    made = ask(client, "Kettles?", tools=[{"type": "google_search"}])
    assert kinds(made) == ["google_search_call", "google_search_result", "model_output"]
    (note,) = made.steps[-1].content[0].annotations
    assert (note.url, note.start_index, note.end_index) == ("https://example.org", 0, 13)
    assert [(one.type, one.count) for one in made.usage.grounding_tool_count] == [("google_search", 1)]


def test_code_that_was_run_is_a_call_and_a_result(client):
    made = ask(client, "Sum?", tools=[{"type": "code_execution"}])
    assert kinds(made) == ["code_execution_call", "code_execution_result", "model_output"]
    assert (made.steps[0].arguments.code, made.steps[1].result) == ("print(45)", "45\n")
    assert made.usage.total_tool_use_tokens > 0


@pytest.mark.parametrize("tool", ["google_search", "code_execution"])
def test_what_tools_of_googles_did_is_streamed(client, tool):
    prompt = {"google_search": "Kettles?", "code_execution": "Sum?"}[tool]
    events = list(ask(client, prompt, tools=[{"type": tool}], stream=True))
    started = [event.step.type for event in events if event.event_type == "step.start"]
    assert started == [f"{tool}_call", f"{tool}_result", "model_output"]


def test_a_limit_that_goes_on_thinking_leaves_no_text(client):
    made = ask(client, generation_config={"max_output_tokens": 20})
    assert (made.status, made.output_text, kinds(made)) == ("incomplete", "", ["thought"])


def test_an_answer_can_have_a_form(client):
    schema = {"type": "object", "properties": {"color": {"enum": ["red"]}}, "required": ["color"]}
    form = {"type": "text", "mime_type": "application/json", "schema": schema}
    assert json.loads(ask(client, "Name a color.", response_format=form).output_text) == {"color": "red"}


def test_a_picture_is_a_content(client):
    picture = {"type": "image", "data": b64encode(PNG).decode(), "mime_type": "image/png"}
    low = ask(client, [{"type": "text", "text": "Look."}, {**picture, "resolution": "low"}])
    high = ask(client, [{"type": "text", "text": "Look."}, picture])
    tokens = [{one.modality: one.tokens for one in made.usage.input_tokens_by_modality}["image"] for made in (low, high)]
    assert tokens == [280, 1120]


def test_a_blocked_prompt_fails(client):
    setting = {"type": "harassment", "threshold": "block_low_and_above"}
    made = ask(client, "[[harm: harassment, low]]", safety_settings=[setting])
    assert (made.status, made.output_text) == ("failed", "") and made.errors


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": "gemini-9"}, "not found"),
        ({"generation_config": {"max_output_tokens": 0}}, "max_output_tokens"),
        ({"generation_config": {"thinking_level": "xhigh"}}, "XHIGH is not supported"),
        ({"background": True, "store": False}, "incompatible with `background`"),
        ({"generation_config": {"tool_choice": "sometimes"}}, "tool_choice"),
        ({"agent": "deep-research-pro-preview-12-2025", "model": None}, "no agents"),
        ({"tools": [{"type": "computer_use"}]}, "Unknown tool type"),
        ({"input": []}, "contents"),
        ({"extra_body": {"nonsense": 1}}, "nonsense"),
    ],
)
def test_what_is_wrong_is_refused(client, more, words):
    with pytest.raises(Exception, match=words):
        ask(client, **more)


def test_the_sdk_tries_interactions_again_though_not_generate_content(gateway, client):
    gateway.fault("overloaded", "gemini", times=1)
    assert ask(client).output_text == ANSWER
    assert [entry.status for entry in gateway.meter.log()] == [503, 200]
    gateway.fault("overloaded", "gemini", times=1)
    with pytest.raises(genai.errors.ServerError):
        client.models.generate_content(model=MODEL, contents=PROMPT)


def test_a_reset_forgets_them(gateway, client):
    made = ask(client)
    gateway.reset()
    with pytest.raises(Exception, match="not found"):
        client.interactions.get(id=made.id)


# ---- in the background -----------------------------------------------------------
def until_over(client, made):
    while (found := client.interactions.get(id=made.id)).status == "in_progress":
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("prompt", [PROMPT, "What is a token, in a prompt that nobody recorded?"])
def test_one_in_the_background_is_there_at_once_and_whole_later(gateway, client, prompt):
    made = ask(client, prompt, background=True)
    assert (made.status, made.steps, made.usage, made.model) == ("in_progress", None, None, MODEL)
    found = until_over(client, made)
    assert (found.id, found.status) == (made.id, "completed") and found.output_text
    entry = gateway.meter.log()[0]
    assert entry.usage.output_tokens == found.usage.total_output_tokens + found.usage.total_thought_tokens > 9, "it counts when it is over"
    again = ask(client, "And now?", previous_interaction_id=made.id)
    assert again.usage.total_input_tokens > found.usage.total_output_tokens


def test_its_stream_can_be_read_from_any_event_on(client):
    events = list(ask(client, background=True, stream=True))
    numbers = [event.event_id for event in events]
    assert numbers == [str(number + 1) for number in range(len(events))]
    name = events[0].interaction.id
    for after in (0, 3, len(events) - 1):
        more = {"last_event_id": numbers[after - 1]} if after else {}
        assert [event.event_id for event in client.interactions.get(id=name, stream=True, **more)] == numbers[after:]
    assert events[-1].interaction.status == "completed"
    with pytest.raises(Exception, match="no event"):
        client.interactions.get(id=name, stream=True, last_event_id="999")
    with pytest.raises(Exception, match="only be used if `stream`"):
        client.interactions.get(id=name, last_event_id="1")


@pytest.mark.parametrize("prompt", [PROMPT, "Kettles?", "Sum?", "A kettle?"])
def test_one_that_is_over_can_be_read_as_events(client, prompt):
    tools = {"Kettles?": [{"type": "google_search"}], "Sum?": [{"type": "code_execution"}], "A kettle?": [TOOL]}.get(prompt)
    streamed = list(ask(client, prompt, tools=tools, stream=True))
    again = list(client.interactions.get(id=streamed[0].interaction.id, stream=True))
    assert again[0] == streamed[0] and again[-1] == streamed[-1]
    starts = [[event.step for event in events if event.event_type == "step.start"] for events in (streamed, again)]
    assert starts[0] == starts[1]
    said = ["".join(event.delta.text for event in events if event.event_type == "step.delta" and event.delta.type == "text") for events in (streamed, again)]
    assert said[0] == said[1]


def test_the_client_of_its_stream_may_leave(gateway, client):
    gateway.fault("stream_cut", "gemini", chunk=2)
    names = []
    with pytest.raises(Exception, match="."):
        for event in ask(client, background=True, stream=True):
            names += [event.interaction.id] if event.event_type == "interaction.created" else []
    assert until_over(client, client.interactions.get(id=names[0])).output_text == ANSWER
    assert list(client.interactions.get(id=names[0], stream=True, last_event_id="2"))[-1].interaction.status == "completed"


@pytest.fixture
def slowly(gateway):
    gateway.in_loop(lambda: setattr(gateway, "pace", 30.0))
    yield
    gateway.in_loop(lambda: setattr(gateway, "pace", 0.0))


def test_it_can_be_cancelled_as_long_as_it_runs(gateway, client, slowly):
    made = ask(client, background=True)
    assert client.interactions.get(id=made.id, include_input=True).status == "in_progress"
    with pytest.raises(Exception, match="still in progress"):
        ask(client, previous_interaction_id=made.id)
    cancelled = client.interactions.cancel(id=made.id)
    assert (cancelled.status, cancelled.id) == ("cancelled", made.id)
    assert client.interactions.cancel(id=made.id).status == client.interactions.get(id=made.id).status == "cancelled"
    events = list(client.interactions.get(id=made.id, stream=True))
    assert (events[-1].event_type, events[-1].interaction.status) == ("interaction.completed", "cancelled")
    assert gateway.meter.log()[0].usage.output_tokens == 0, "it had not begun to think"


def test_what_is_over_or_has_a_reader_is_not_cancelled(client):
    for made in (ask(client), until_over(client, ask(client, background=True))):
        with pytest.raises(Exception, match="can be cancelled") as caught:
            client.interactions.cancel(id=made.id)
        assert caught.value.status_code == 400
    with pytest.raises(Exception, match="not found"):
        client.interactions.cancel(id="v1_none")


def test_it_can_be_deleted_while_it_runs(gateway, client, slowly):
    made = ask(client, background=True)
    client.interactions.delete(id=made.id)
    with pytest.raises(Exception, match="not found"):
        client.interactions.get(id=made.id)
    ask(client, background=True)
    gateway.reset()


def test_a_step_may_be_a_text_alone_as_in_googles_guide(client):
    made = httpx2.post(
        client._api_client._http_options.base_url.rstrip("/") + "/v1beta/interactions",
        json={"model": MODEL, "input": [{"type": "user_input", "content": PROMPT}]},
        headers={"x-goog-api-key": "some-key"},
    ).json()
    assert made["steps"][-1]["content"][0]["text"] == ANSWER
    assert client.interactions.get(id=made["id"], include_input=True).input[0].content[0].text == PROMPT


def test_a_function_can_be_forced_or_forbidden(client):
    called = ask(client, "Which kettles, of which nobody spoke?", tools=[TOOL], generation_config={"tool_choice": "any", "max_output_tokens": 900})
    assert (called.status, called.steps[-1].name) == ("requires_action", "get_stock")
    one = {"allowed_tools": {"mode": "any", "tools": ["get_stock"]}}
    assert ask(client, "Which ones?", tools=[TOOL], generation_config={"tool_choice": one, "max_output_tokens": 900}).status == "requires_action"
    with pytest.raises(Exception, match="subset"):
        ask(client, tools=[TOOL], generation_config={"tool_choice": {"allowed_tools": {"mode": "any", "tools": ["other"]}}})


ODD = [None, 5, "x", [], {}, [5], [None], [{}], {"type": 5}, {"type": "text"}, {"type": "text", "text": 5}, [{"type": "text", "text": None}]]
WRAPPED = [
    *(("input", value) for value in ODD),
    *(("input", [{"type": kind, name: value}]) for kind in ("user_input", "model_output") for name in ("content",) for value in ODD),
    *(("input", [{"type": "image", name: value}]) for name in ("data", "uri", "mime_type", "resolution") for value in ODD),
    *(("input", [{"type": "function_call", name: value}]) for name in ("name", "arguments", "id") for value in ODD),
    *(("input", [{"type": "function_result", name: value}]) for name in ("name", "result", "call_id") for value in ODD),
    *((name, value) for name in ("model", "tools", "safety_settings", "response_format", "generation_config", "previous_interaction_id", "cached_content") for value in ODD),
    *(("tools", [{"type": "function", name: value}]) for name in ("name", "description", "parameters") for value in ODD),
    *((name, value) for name in ("background", "store") for value in ODD),
    *(("generation_config", {name: value}) for name in ("tool_choice", "thinking_level", "stop_sequences", "temperature", "max_output_tokens") for value in ODD),
    *(("response_format", {"type": "text", name: value}) for name in ("mime_type", "schema") for value in ODD),
    *(("safety_settings", [{name: value}]) for name in ("type", "threshold") for value in ODD),
]


def test_nothing_that_is_sent_breaks_the_gateway(gateway):
    """Odd values everywhere are answered or refused, never by a failure of the gateway's own."""
    failed = []
    with httpx2.Client(headers={"x-goog-api-key": "some-key"}, timeout=30) as raw:
        for name, value in WRAPPED:
            for stream in (False, True):
                body = {"model": MODEL, "input": PROMPT, "generation_config": {"max_output_tokens": 5}, "stream": stream, name: value}
                answer = raw.post(f"{gateway.base_url}/gemini/v1/interactions", json=body)
                if answer.status_code >= 500 or "x-course-error" in answer.headers:
                    failed.append((name, value, stream))
    assert failed == []


@pytest.mark.parametrize("chunk", [1, 2, 4, 9])
def test_the_house_model_writes_on_where_a_stream_was_cut(gateway, client, chunk):
    gateway.fault("stream_cut", "gemini", chunk=chunk)
    names = []
    with pytest.raises(Exception, match="."):
        for event in ask(client, "What is a token, in a prompt that nobody recorded?", stream=True):
            names += [event.interaction.id] if event.event_type == "interaction.created" else []
    found = client.interactions.get(id=names[0])
    assert found.output_text.endswith(".") and found.status == "completed"
    assert gateway.meter.log()[0].usage.output_tokens == found.usage.total_output_tokens > 9


def test_an_interaction_does_not_begin_the_answer_of_the_model(gateway, client):
    said = [{"type": "user_input", "content": [{"type": "text", "text": "A word."}]}, {"type": "model_output", "content": [{"type": "text", "text": "The"}]}]
    with pytest.raises(Exception, match="Requests ending with a model turn"):
        ask(client, said)
    assert ask(client, said, model="gemini-2.5-flash").status == "completed"


@pytest.mark.parametrize(
    ("refuse", "status", "code"),
    [
        (lambda client: client.interactions.get(id="v1_none"), 404, "not_found"),
        (lambda client: ask(client, generation_config={"max_output_tokens": 0}), 400, "invalid_request"),
        (lambda client: ask(client, model="no-such-model"), 404, "not_found"),
    ],
)
def test_an_error_has_a_word_for_a_code_as_the_sdks_types_have_it(client, refuse, status, code):
    with pytest.raises(Exception) as caught:
        refuse(client)
    assert caught.value.status_code == status and caught.value.body["error"].keys() == {"message", "code"}
    assert caught.value.body["error"]["code"] == code
    assert "validation" not in str(caught.value.__context__).lower(), "the SDK could read it"
