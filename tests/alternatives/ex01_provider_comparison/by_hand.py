"""Other fields, the dialects read one by one, and no use of the table where the counts are read."""

# %% verdicts
def verdicts():
    clues = {
        ("a", "vllm"): "response.body.prompt_logprobs response.body.metrics response.body.choices[].token_ids",
        ("b", "invoke"): "request.body.anthropic_version response.headers.x-amzn-bedrock-invocation-latency response.headers.x-amzn-bedrock-output-token-count",
        ("c", "gemini"): "request.headers.x-goog-api-key response.events[].modelVersion response.events[].responseId",
        ("d", "azure"): (
            "response.events[].prompt_filter_results[].content_filter_results.jailbreak.detected "
            "response.events[].choices[].content_filter_results.violence.filtered response.headers.x-ms-rai-invoked"
        ),
        ("e", "anthropic"): "request.body.model response.headers.anthropic-ratelimit-requests-limit request.body.max_tokens response.events[].content_block.type",
    }
    return {name: Verdict(dialect, tuple(names.split())) for (name, dialect), names in clues.items()}


# %% asking
def asking():
    assistant = {"messages": [{"role": "assistant", "content": SAID}]}
    return {
        "gemini": Asking(
            {"systemInstruction": {"parts": [{"text": INSTRUCTION}]}},
            {"contents": [{"parts": [{"text": SAID}], "role": "model"}]},
            {"generationConfig": {"maxOutputTokens": MOST, "candidateCount": 1}},
            False,
        ),
        "converse": Asking(
            {"system": [{"text": INSTRUCTION}]},
            {"messages": [{"content": [{"text": SAID}], "role": "assistant"}]},
            {"inferenceConfig": {"maxTokens": MOST}},
            False,
        ),
        "anthropic": Asking({"system": INSTRUCTION}, assistant, {"max_tokens": MOST}, True),
        "openai": Asking(
            {"messages": [{"role": "developer", "content": [{"type": "text", "text": INSTRUCTION}]}]},
            assistant,
            {"max_completion_tokens": MOST},
            False,
        ),
    }


# %% answering
def answering():
    def row(body, stream, reason, read, written, error, status):
        return Answering(f"response.body.{body}", f"response.events[].{stream}", f"response.events[].{reason}", read, written, f"response.{error}", status)

    parts = "candidates[].content.parts[].text"
    return {
        "gemini": row(
            parts, parts, "candidates[].finishReason", ("usageMetadata.promptTokenCount",),
            ("usageMetadata.candidatesTokenCount", "usageMetadata.thoughtsTokenCount"), "body.error.status", 400,
        ),
        "converse": row(
            "output.message.content[].text", "delta.text", "stopReason",
            ("usage.cacheReadInputTokens", "usage.inputTokens", "usage.cacheWriteInputTokens"), ("usage.outputTokens",), "headers.x-amzn-errortype", 403,
        ),
        "anthropic": row(
            "content[].text", "delta.text", "delta.stop_reason",
            ("usage.cache_creation_input_tokens", "usage.input_tokens", "usage.cache_read_input_tokens"), ("usage.output_tokens",), "body.error.type", 401,
        ),
        "openai": row(
            "choices[].message.content", "choices[].delta.content", "choices[].finish_reason",
            ("usage.prompt_tokens",), ("usage.completion_tokens",), "body.error.code", 401,
        ),
    }  # fmt: skip


# %% tokens
def tokens(exchange, dialect):
    response = exchange["response"]
    parts = [part for part in response.get("events", [response.get("body")]) if isinstance(part, dict)]
    ends = ("finish_reason", "stop_reason", "stopReason", "finishReason")
    places = [p for part in parts for p in (part, part.get("delta") or {}, *part.get("choices", ()), *part.get("candidates", ()))]
    if not any(place.get(end) for place in places for end in ends):
        return None
    usage = {}
    for part in parts:
        usage |= part.get("usage") or part.get("usageMetadata") or {}
    count = lambda *names: sum(usage.get(name) or 0 for name in names)
    match dialect:
        case _ if not usage:
            return None
        case "openai" | "azure" | "vllm":
            return count("prompt_tokens"), count("completion_tokens")
        case "anthropic" | "invoke":
            return count("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), count("output_tokens")
        case "converse":
            return count("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"), count("outputTokens")
        case "gemini":
            return count("promptTokenCount"), count("candidatesTokenCount", "thoughtsTokenCount")
    raise ValueError(dialect)
