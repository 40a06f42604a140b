"""Right, of another shape: iterators without `with`, a state that the loop updates, statuses in a table."""

# %% openai_events
def openai_events(messages: Messages, patience: float, most: int) -> Iterator[Event]:
    patient = openai.OpenAI(max_retries=0, timeout=httpx2.Timeout(30, read=patience))
    stream = patient.chat.completions.create(
        model="gpt-6-luna", messages=messages, reasoning_effort="none", max_completion_tokens=most, stream=True, stream_options={"include_usage": True}
    )
    try:
        for chunk in stream:
            first = next(iter(chunk.choices), None)
            if first is not None and first.delta.content not in (None, ""):
                yield "text", first.delta.content
            if first is not None and first.finish_reason is not None:
                yield "end", "complete" if first.finish_reason == "stop" else "limit" if first.finish_reason == "length" else first.finish_reason
            if chunk.usage is not None:
                yield "usage", (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    finally:
        stream.close()


def openai_errors():
    return openai.APIConnectionError, openai.APIStatusError, openai.APIError


OPENAI = Provider(openai_events, openai_errors)

# %% collect
def collect(provider, messages, show, patience=30, most=2000):
    state = {"text": "", "end": "unfinished", "usage": None}
    error = None
    stream = iter(provider.events(messages, patience, most))
    while True:
        try:
            kind, value = next(stream)
        except StopIteration:
            break
        except provider.errors() as problem:
            error = problem
            if not state["text"] and state["end"] == "unfinished":
                state["end"] = "refused"
            break
        if kind == "text":
            show(value)
            value = state["text"] + value
        state[kind] = value
    return Answer(state["text"], state["end"], state["usage"], error)

# %% anthropic_events
def anthropic_events(messages, patience, most):
    reasons = {"max_tokens": "limit", "end_turn": "complete", "stop_sequence": "complete"}
    patient = anthropic.Anthropic(max_retries=0, timeout=httpx2.Timeout(30, read=patience))
    counts = {}
    for event in patient.messages.create(model="claude-haiku-5-5", messages=messages, max_tokens=most, stream=True):
        match event:
            case anthropic.types.RawMessageStartEvent():
                counts["in"] = event.message.usage.input_tokens
            case anthropic.types.RawContentBlockDeltaEvent() if event.delta.type == "text_delta" and event.delta.text:
                yield "text", event.delta.text
            case anthropic.types.RawMessageDeltaEvent():
                counts["out"] = event.usage.output_tokens
                yield "end", reasons.get(event.delta.stop_reason) or event.delta.stop_reason
            case anthropic.types.RawMessageStopEvent():
                yield "usage", (counts["in"], counts["out"])


def anthropic_errors():
    return (anthropic.APIError, httpx2.RequestError)


ANTHROPIC = Provider(anthropic_events, anthropic_errors)

# %% ask
NEVER = {400, 401, 403, 404, 413, 422}


def may_pass(error):
    said = str(getattr(error, "body", ""))
    if "spend_limit" in said or "insufficient_quota" in said:
        return False
    return getattr(error, "status_code", 0) not in NEVER


def ask(provider, messages, show, sleep, patience=30):
    waits = iter([1, 2])
    answer = collect(provider, messages, show, patience)
    while answer.ended == "refused" and may_pass(answer.error):
        wait = next(waits, None)
        if wait is None:
            return answer
        headers = getattr(getattr(answer.error, "response", None), "headers", {})
        sleep(float(headers.get("retry-after", wait)))
        answer = collect(provider, messages, show, patience)
    if answer.text and answer.ended == "unfinished":
        history = list(messages) + [{"role": "assistant", "content": answer.text}]
        history.append({"role": "user", "content": GO_ON})
        rest = collect(provider, history, show, patience)
        both = None if None in (answer.usage, rest.usage) else (answer.usage[0] + rest.usage[0], answer.usage[1] + rest.usage[1])
        answer = Answer(answer.text + rest.text, rest.ended.replace("refused", "unfinished"), both, rest.error)
    return answer
