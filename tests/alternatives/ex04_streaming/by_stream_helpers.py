"""Right, of another shape: Anthropic's stream helper, match statements, a recursion for the retries."""

# %% openai_events
def openai_events(messages, patience, most):
    arguments = {"model": "gpt-6-luna", "messages": messages, "reasoning_effort": "none", "max_completion_tokens": most}
    last = None
    with gpt.chat.completions.create(**arguments, stream=True, stream_options={"include_usage": True}, timeout=patience) as chunks:
        for chunk in chunks:
            if not chunk.choices:
                last = chunk.usage
                continue
            choice = chunk.choices[0]
            if text := choice.delta.content:
                yield ("text", text)
            match choice.finish_reason:
                case None:
                    pass
                case "stop":
                    yield ("end", "complete")
                case "length":
                    yield ("end", "limit")
                case other:
                    yield ("end", other)
    if last is not None:
        yield ("usage", (last.prompt_tokens, last.completion_tokens))


def openai_errors():
    return (openai.OpenAIError,)


OPENAI = Provider(openai_events, openai_errors)

# %% collect
def collect(provider, messages, show, patience=30, most=2000):
    pieces, ended, usage, error = [], None, None, None
    events = provider.events(messages, patience, most)
    try:
        for event in events:
            match event:
                case ("text", piece):
                    pieces.append(piece)
                    show(piece)
                case ("end", reason):
                    ended = reason
                case ("usage", counts):
                    usage = counts
    except provider.errors() as raised:
        error = raised
        if not pieces and ended is None:
            ended = "refused"
    return Answer("".join(pieces), ended or "unfinished", usage, error)

# %% anthropic_events
def anthropic_events(messages, patience, most):
    with claude.messages.stream(model="claude-haiku-5-5", messages=messages, max_tokens=most, timeout=patience) as stream:
        reason = counts = None
        for event in stream:
            if event.type == "text":
                yield "text", event.text
            elif event.type == "message_delta":
                reason = event.delta.stop_reason
                counts = (stream.current_message_snapshot.usage.input_tokens, event.usage.output_tokens)
        if reason:
            yield "usage", counts
            yield "end", {"end_turn": "complete", "stop_sequence": "complete", "max_tokens": "limit"}.get(reason, reason)


def anthropic_errors():
    return anthropic.AnthropicError, httpx2.TransportError, httpx2.StreamError


ANTHROPIC = Provider(anthropic_events, anthropic_errors)

# %% ask
def may_pass(error):
    hopeless = (openai.AuthenticationError, openai.BadRequestError, openai.PermissionDeniedError, openai.NotFoundError, openai.UnprocessableEntityError)
    hopeless += (anthropic.AuthenticationError, anthropic.BadRequestError, anthropic.PermissionDeniedError, anthropic.NotFoundError, anthropic.EnforcedSpendLimitReachedError)
    return not isinstance(error, hopeless) and getattr(error, "code", None) not in ("insufficient_quota", "credit_balance_exhausted")


def _wait(error, attempt):
    try:
        return float(error.response.headers["retry-after"])
    except (AttributeError, KeyError):
        return attempt


def _begun(provider, messages, show, sleep, patience, attempt=1):
    answer = collect(provider, messages, show, patience)
    if answer.ended == "refused" and attempt < 3 and may_pass(answer.error):
        sleep(_wait(answer.error, attempt))
        return _begun(provider, messages, show, sleep, patience, attempt + 1)
    return answer


def ask(provider, messages, show, sleep, patience=30):
    first = _begun(provider, messages, show, sleep, patience)
    if first.ended != "unfinished" or first.text == "":
        return first
    turns = messages + [dict(role="assistant", content=first.text), dict(role="user", content=GO_ON)]
    second = collect(provider, turns, show, patience)
    known = first.usage is not None and second.usage is not None
    second.usage = tuple(map(sum, zip(first.usage, second.usage))) if known else None
    second.text = first.text + second.text
    if second.ended == "refused":
        second.ended = "unfinished"
    return second
