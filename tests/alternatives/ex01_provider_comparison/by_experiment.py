"""Finds the dialect and the fields by calls of its own, and writes the tables from what little differs."""

# %% verdicts
def verdicts():
    met = {}
    for dialect in exchanges.DIALECTS:
        met[dialect] = set()
        for exchange in exchanges.samples(dialect, course.gateway).values():
            met[dialect] |= fields(exchange)

    def choose(name, dialect):
        """Fields that few others have, until each of the others is ruled out three times, and in the bodies."""
        chosen = []
        for other in sorted(set(met) - {dialect}):
            while sum(field not in met[other] for field in chosen) < 2:
                rest = (fields(load(name)) & met[dialect]) - met[other] - set(chosen)
                chosen.append(max(sorted(rest), key=lambda field: (".headers." not in field, sum(field not in m for m in met.values()))))
        return tuple(chosen)

    found = {}
    for name in "abcde":
        dialect = max(met, key=lambda dialect: len(fields(load(name)) & met[dialect]))
        found[name] = Verdict(dialect, choose(name, dialect))
    return found


# %% asking
def asking():
    rows = {}
    for name, limit in (("openai", "max_completion_tokens"), ("anthropic", "max_tokens")):
        rows[name] = Asking({}, {"messages": [dict(role="assistant", content=SAID)]}, {limit: MOST}, name == "anthropic")
    rows["openai"].instruction["messages"] = [dict(role="system", content=INSTRUCTION)]
    rows["anthropic"].instruction["system"] = [dict(type="text", text=INSTRUCTION)]
    block = [dict(text=INSTRUCTION)], [dict(text=SAID)]
    rows["converse"] = Asking(dict(system=block[0]), dict(messages=[dict(role="assistant", content=block[1])]), dict(inferenceConfig=dict(maxTokens=MOST)), False)
    rows["gemini"] = Asking(
        dict(system_instruction=dict(parts=block[0])),
        dict(contents=[dict(role="model", parts=block[1])]),
        dict(generation_config=dict(max_output_tokens=MOST)),
        False,
    )
    return rows


# %% answering
def answering():
    plain, event = "response.body.", "response.events[]."
    columns = "text piece ended read written error wrong_key".split()
    rows = {
        "openai": [
            plain + "choices[].message.content", event + "choices[].delta.content", event + "choices[].finish_reason",
            ("usage.prompt_tokens",), ("usage.completion_tokens",), plain + "error.code", 401,
        ],
        "anthropic": [
            plain + "content[].text", event + "delta.text", event + "delta.stop_reason",
            tuple(f"usage.{kind}input_tokens" for kind in ("", "cache_read_", "cache_creation_")), ("usage.output_tokens",), plain + "error.type", 401,
        ],
        "converse": [
            plain + "output.message.content[].text", event + "delta.text", event + "stopReason",
            tuple(f"usage.{kind}okens" for kind in ("inputT", "cacheReadInputT", "cacheWriteInputT")), ("usage.outputTokens",),
            "response.headers.x-amzn-errortype", 403,
        ],
        "gemini": [
            plain + "candidates[].content.parts[].text", event + "candidates[].content.parts[].text", event + "candidates[].finishReason",
            ("usageMetadata.promptTokenCount",), ("usageMetadata.thoughtsTokenCount", "usageMetadata.candidatesTokenCount"), plain + "error.status", 400,
        ],
    }  # fmt: skip
    return {name: Answering(**dict(zip(columns, row, strict=True))) for name, row in rows.items()}


# %% tokens
def tokens(exchange, dialect):
    rows = answering()
    if dialect in ("azure", "vllm"):
        dialect = "openai"
    elif dialect == "invoke":
        dialect = "anthropic"
    row, response = rows[dialect], exchange["response"]
    if "events" not in response:
        parts, final = [response["body"]], response["status"] == 200
    else:
        parts, final = response["events"], bool(values(exchange, row.ended))
    sums, seen = [], False
    for names in (row.read, row.written):
        total = 0
        for name in names:
            group, key = name.split(".")
            last = 0
            for part in parts:
                usage = part.get(group) if isinstance(part, dict) else None
                if usage and usage.get(key) is not None:
                    last, seen = usage[key], True
            total += last
        sums.append(total)
    return tuple(sums) if final and seen else None
