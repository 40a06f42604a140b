"""Valid bodies for every operation, chosen by a Random: the smallest often, the richest now and then."""

from base64 import b64encode
from random import Random
from typing import Any

from helpers import models

Body = dict[str, Any]
RECORDED = "Say hello in five words."  # an answer to it is recorded, so that the house model does not have to write one
PROVIDERS = list(models.table()["limits"])
TODAY = models.facts_date()
ALL = {provider: models.of(provider) for provider in PROVIDERS}
MODELS = {provider: [m.id for m in found if not m.is_retired(TODAY) and not m.profile_only] for provider, found in ALL.items()}
# Some that only other tables know: one of each way to think, and one that wants a profile or has ended.
MODELS["openai"] += ["gpt-4.1", "gpt-5", "gpt-5.5", "gpt-5.5-pro", "o1"]
MODELS["azure"] += ["gpt-4.1", "gpt-5.1"]
MODELS["anthropic"] += ["claude-sonnet-4-6", "claude-opus-4-8", "claude-opus-5"]
MODELS["gemini"] += ["gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3.5-flash"]
MODELS["bedrock"] += ["us.amazon.nova-lite-v1:0", "global.anthropic.claude-sonnet-4-6", "us.meta.llama3-3-70b-instruct-v1:0", "qwen.qwen3-32b-v1:0"]
MODELS |= {maker: [id for id in MODELS["bedrock"] if maker in id] for maker in ("claude", "llama", "nova")}  # InvokeModel takes each maker's own body
MODELS |= {f"{provider}_vectors": found for provider in PROVIDERS if (found := [m.id for m in models.of(provider, "embedding")])}
MODELS |= {maker: [id for id in MODELS["bedrock_vectors"] if maker in id] for maker in ("titan", "cohere")}
STRANGERS = [model.id for provider in PROVIDERS for model in models.of(provider, None)]  # some retired, some of another kind, most of them another provider's
WORDS = "Ada blue count the hat JSON of a planet größe 東京 naïve 🙂 tokens please \u2028 \u0085 ‮ e\u0301 null".split(" ")
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89"
PNG += b"\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\5\0\1\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
PICTURES = [PNG, PNG[:20], PNG[:8] + bytes(300), b"\xff\xd8\xff\xe0 no picture", b"GIF89a\1\0\1\0\0\0\0;", b"%PDF-1.7", b"<svg/>", b""]
MEDIA = ["image/png", "image/png", "image/jpeg", "image/webp", "image/svg+xml", "application/pdf", "text/plain", "", "IMAGE/PNG;q=1"]
NUMBERS = [0, 1, 2, 3, -1, 0.1, 1.5, 10, 2**31, -(2**63), 2**63, 2**53 + 1, 1e-9, 1e300]
BOUNDS = {
    "array": ("minItems", "maxItems"),
    "string": ("minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMaximum", "multipleOf"),
}
EFFORTS = ["none", "minimal", "low", "medium", "high", "max"]
CALL_ID, TOOL = "call_1", "look"


# ---- what the bodies are made of -----------------------------------------------------------------------------
def some(r: Random, share: float = 0.2, **fields: Any) -> Body:
    """A few of the fields."""
    return {name: value for name, value in fields.items() if r.random() < share}


def text(r: Random) -> str:
    """A prompt: mostly one that is recorded, since the house model needs tens of milliseconds for others, and seconds for long ones."""
    return RECORDED if r.random() < 0.75 else " ".join(r.choices(WORDS, k=r.choice((1, 1, 3, 3, 10, 30, 100))))


def limit(r: Random) -> int:
    return r.choice((1, 2, 2, 4, 8, 16, 24))


def picture(r: Random) -> str:
    return b64encode(r.choice(PICTURES)).decode() + r.choice(("", "", "", "=", "!", "\n"))


def schema(r: Random, depth: int = 2) -> Body:
    """A JSON schema of any kind, with keywords that fit it."""
    kind = r.choice(("string", "integer", "number", "boolean", "null", "object", "array")[: 7 if depth else 5])
    if kind == "object":
        names = r.choices(("a", "name", "größe", "", "$ref", "x y"), k=r.randint(0, 3))
        fields = {name: schema(r, depth - 1) for name in names}
        return {"type": kind, "properties": fields, "required": [*fields][: r.randint(0, 3)], **some(r, 0.8, additionalProperties=False)}
    more = some(r, 0.15, **{name: r.choice(NUMBERS) for name in BOUNDS.get(kind, BOUNDS["number"])})
    if kind == "array":
        return {"type": kind, "items": schema(r, depth - 1), **more}
    more |= some(r, 0.1, pattern=r.choice(("^a+$", "(?=x)y", "[", "(a|b){1,99}")), format=r.choice(("date", "uuid", "email")))
    return {"type": kind, **more, **some(r, 0.1, enum=["a", 1, None], const="c", description="d", anyOf=[{"type": "null"}], title="t")}


def object_schema(r: Random) -> Body:
    return {"type": "object", "properties": {"a": schema(r, 1), "b": {"type": "string"}}, "required": ["a", "b"], "additionalProperties": False}


def chosen_schema(r: Random) -> Body:
    return object_schema(r) if r.random() < 0.7 else schema(r)


# ---- OpenAI, Azure and compatible servers --------------------------------------------------------------------
def chat(r: Random, provider: str = "openai") -> Body:
    seen: Any = [{"type": "text", "text": text(r)}, {"type": "image_url", "image_url": {"url": f"data:{r.choice(MEDIA)};base64,{picture(r)}"}}]
    call = {"id": CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": '{"a": 1}'}}
    turns = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": CALL_ID, "content": "7"}]
    said = [{"role": r.choice(("system", "developer")), "content": "Be brief."}] * (r.random() < 0.2)
    said += [{"role": "user", "content": seen if r.random() < 0.1 else text(r), **some(r, 0.05, name="Ada")}, *turns * (r.random() < 0.1)]
    tool = {"type": "function", "function": {"name": TOOL, "parameters": chosen_schema(r), **some(r, strict=True, description="Looks.")}}
    form = r.choice(({"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "n", "schema": chosen_schema(r)}}))
    named = {"type": "function", "function": {"name": TOOL}}
    tools = {"tools": [tool], **some(r, 0.5, tool_choice=r.choice(("auto", "none", "required", named)))} if r.random() < 0.2 else {}
    stream = {"stream": True, **some(r, 0.5, stream_options={"include_usage": True, "include_obfuscation": False})} if r.random() < 0.3 else {}
    plain = some(r, 0.08, n=r.choice((1, 2, 3)), stop=[" a", "\n"], seed=r.choice(NUMBERS[:4]), logprobs=True, top_logprobs=2)
    plain |= some(r, 0.06, user="u", store=True, verbosity="low", logit_bias={"1": 5}, metadata={"a": "b"})
    plain |= some(r, 0.02, modalities=["text"], audio={"voice": "alloy", "format": "wav"}, web_search_options={}, prediction={"type": "content", "content": "Hello"})
    sampled = some(r, 0.06, temperature=r.choice((0, 1, 2)), top_p=0.9, presence_penalty=-2, frequency_penalty=0.5)
    name = r.choice(("max_completion_tokens",) * 9 + ("max_tokens",))
    rest = {**some(r, 0.15, response_format=form), **some(r, reasoning_effort=r.choice(EFFORTS))}
    return {"model": r.choice(MODELS[provider]), "messages": said, name: limit(r), **tools, **stream, **plain, **sampled, **rest}


def azure_chat(r: Random) -> Body:
    return _filtered(r, chat(r, "azure"))


def azure_response(r: Random) -> Body:
    return _filtered(r, {**response(r), "model": r.choice(MODELS["azure"])})


def _filtered(r: Random, body: Body) -> Body:
    """Now and then something that Azure's filter looks at."""
    if r.random() > 0.1:
        return body
    return body | ({"input": harmful(r)} if "input" in body else {"messages": [{"role": "user", "content": harmful(r)}]})


def compatible_chat(r: Random) -> Body:
    return {**chat(r, "compatible"), **some(r, top_k=r.choice((-1, 0, 5)), min_p=0.1, repetition_penalty=1.1)}


def compatible_completion(r: Random) -> Body:
    given = r.choice((text(r), [text(r), text(r)], [5, 6, 7], [[5], [6, 7]], [r.choice(NUMBERS)], "", []))
    stream = {"stream": True, **some(r, 0.5, stream_options={"include_usage": True, "continuous_usage_stats": True})} if r.random() < 0.3 else {}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": chosen_schema(r)}}
    plain = some(r, 0.1, echo=True, return_token_ids=True, logprobs=r.choice((0, 2, -1, 21)), n=2, stop=["a", "."], include_stop_str_in_output=True, seed=1)
    rare = some(r, 0.03, suffix="x", prompt_logprobs=1, best_of=2, use_beam_search=True, prompt_embeds="abc", response_format=form)
    return {"model": r.choice(("house",) * 9 + (r.choice(MODELS["compatible"]),)), "prompt": given, "max_tokens": limit(r), **stream, **plain, **rare}


def compatible_response(r: Random) -> Body:
    part = r.choice(({"type": "input_text", "text": text(r)}, {"type": "input_image", "image_url": "data:,"}, {"type": "input_file", "file_id": "f"}))
    call = {"type": r.choice(("function_call", "function_call", "custom_tool_call")), "call_id": CALL_ID, "name": TOOL, "arguments": "{}", "input": "x"}
    said = {"type": "message", "role": "assistant", "content": [{"type": r.choice(("output_text", "refusal")), "text": "A", "refusal": "A"}]}
    rare = r.choice(({"type": "item_reference", "id": "msg_1"}, {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "a"}]}, "a", {}))
    items = [{"role": r.choice(("user", "developer")), "content": r.choice((text(r), [part, part], []))}, *[rare] * (r.random() < 0.1)]
    items += [call, {"type": "function_call_output", "call_id": CALL_ID, "output": r.choice(("7", [part]))}] * (r.random() < 0.2)
    items += [{**said, **some(r, 0.5, status=r.choice(("incomplete", "in_progress", "completed")))}] * (r.random() < 0.2)
    tools = [{"type": "function", "name": TOOL, "parameters": chosen_schema(r)}, {"type": r.choice(("web_search", "custom", "nope")), "name": "c"}][: r.choice((1, 1, 2))]
    named = r.choice(("auto", "none", "required", {"type": "function", "name": TOOL}, {"type": "custom", "name": "c"}, {"type": "allowed_tools", "mode": "auto", "tools": []}))
    form = r.choice(({"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "name": "n", "schema": chosen_schema(r)}, {"type": "x"}))
    given = some(r, stream=True, instructions="Be brief.", include=["message.output_text.logprobs"], top_logprobs=r.choice((0, 2, -1, -2, 21)), truncation="auto")
    rest = some(r, 0.08, text={"format": form}, temperature=0, stop=["a", "."], seed=1, store=False, background=True, previous_response_id="resp_1", metadata={"a": "b"})
    rest |= some(r, 0.04, reasoning={"effort": r.choice(EFFORTS)}, presence_penalty=r.choice(NUMBERS), prompt={"id": "p"}, request_id="mine")
    rest |= {"tools": tools, **some(r, 0.6, tool_choice=named)} if r.random() < 0.15 else {}
    return {"model": r.choice(MODELS["compatible"]), "input": text(r) if r.random() < 0.4 else items, "max_output_tokens": limit(r), **given, **rest}


def tokenized(r: Random) -> Body:
    said = {"messages": chat(r, "compatible")["messages"], **some(r, 0.2, add_generation_prompt=False, continue_final_message=True)}
    return {"model": "house", **(said if r.random() < 0.5 else {"prompt": text(r)}), **some(r, 0.3, return_token_strs=True, add_special_tokens=False)}


def detokenized(r: Random) -> Body:
    return {"model": "house", "tokens": [r.choice((0, 1, 2, 5, 223, 3137, r.choice(NUMBERS))) for _ in range(r.randrange(9))]}


def prompt(r: Random) -> Body:
    """For Ollama's own API, where a name may have a tag."""
    options = {"num_predict": limit(r), **some(r, temperature=0.5, seed=1, stop=["x"], num_ctx=r.choice((1, 8192)))}
    form = some(r, 0.3, format=r.choice(("json", "", object_schema(r))), system="Be brief.", stream=r.random() < 0.5)
    return {"model": r.choice(("house", "house:latest", "llama3.1:8b", "llama9")), "prompt": text(r), "options": options, **form}


def moderated(r: Random) -> Body:
    marked = r.choice(("", "[[harm: harassment, high]]", "[[harm: nothing, low]]", "[[harm in the answer: hate speech, medium]]")) + text(r)
    shown = {"type": "image_url", "image_url": {"url": r.choice(("https://example.com/a.png", f"data:{r.choice(MEDIA)};base64,{picture(r)}"))}}
    parts: Any = [{"type": "text", "text": marked}, *[shown] * r.choice((0, 1, 1, 2))]
    return {"input": r.choice((marked, [marked, text(r)], parts)), **some(r, 0.7, model="omni-moderation-latest")}


def completed(r: Random) -> Body:
    """For the endpoint of a model that there is no more."""
    model = r.choice(("gpt-3.5-turbo-instruct", "davinci-002", r.choice(STRANGERS)))
    return {"model": model, "prompt": text(r), **some(r, echo=True, suffix="x", n=2, best_of=2, logprobs=1, stream=True)}


def response(r: Random) -> Body:
    seen = [{"type": "input_text", "text": text(r)}, {"type": "input_image", "image_url": f"data:image/png;base64,{picture(r)}"}]
    call = {"type": "function_call", "call_id": CALL_ID, "name": TOOL, "arguments": "{}"}
    items = [{"role": "user", "content": seen if r.random() < 0.2 else text(r)}]
    items += [call, {"type": "function_call_output", "call_id": CALL_ID, "output": "7"}] * (r.random() < 0.2)
    items += [{"id": "msg_1", **some(r, 0.7, type="item_reference")}] * (r.random() < 0.05)
    tool = {"type": "function", "name": TOOL, "parameters": chosen_schema(r), **some(r, strict=True)}
    form = r.choice(({"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "name": "n", "schema": chosen_schema(r)}))
    given = some(r, instructions="Be brief.", stream=True, store=r.random() < 0.5, reasoning={"effort": r.choice(EFFORTS)}, tools=[tool])
    rest = some(r, 0.1, text={"format": form}, tool_choice=r.choice(("auto", "required")), metadata={"a": "b"}, temperature=1)
    rest |= some(r, 0.05, include=["message.output_text.logprobs"], background=True, truncation="auto", context_management=[{"type": "compaction"}])
    rest |= some(r, 0.02, conversation="conv_1", prompt={"id": "p"}, moderation={}, background_options={"completion_window": "8h"})
    return {"model": r.choice(MODELS["openai"]), "input": text(r) if r.random() < 0.5 else items, "max_output_tokens": 16, **given, **rest}


def compaction(r: Random) -> Body:
    kept = ("model", "input", "instructions")
    return {**{name: value for name, value in response(r).items() if name in kept}, **some(r, 0.1, previous_response_id="resp_1")}


def new_conversation(r: Random) -> Body:
    said = response(r)["input"]
    return some(r, 0.8, metadata={"a": "b"}, items=said if isinstance(said, list) else [{"role": r.choice(("user", "assistant")), "content": said}])


# ---- vectors -------------------------------------------------------------------------------------------------
def vectors(r: Random, provider: str = "openai") -> Body:
    several: Any = [text(r) for _ in range(r.choice((1, 2, 3, 30)))]
    given = r.choice((text(r), several, [1, 2, 3], [[5], [100_000, 7]], [100_261], [], "", [""], ["a", [1]]))
    given = r.choice((text(r), several)) if r.random() < 0.6 else given
    rest = some(r, 0.3, dimensions=r.choice((1, 64, 200, 256, 700, 1536, 4000)), encoding_format=r.choice(("float", "base64")), user="u")
    return {"model": r.choice(MODELS[f"{provider}_vectors"]), "input": given, **rest}


def azure_vectors(r: Random) -> Body:
    return vectors(r, "azure")


def compatible_vectors(r: Random) -> Body:
    return vectors(r, "compatible")


def gemini_chat_vectors(r: Random) -> Body:
    return vectors(r, "gemini")


def vector(r: Random) -> Body:
    """An embedContent body."""
    settings = some(r, 0.3, taskType=r.choice(("RETRIEVAL_QUERY", "SEMANTIC_SIMILARITY", "X")), outputDimensionality=r.choice((1, 128, 768, 3072, 5000)), title="t")
    parts = [{"text": text(r)} for _ in range(r.choice((1, 1, 2)))] + [{"inlineData": {"mimeType": "image/png", "data": picture(r)}}] * (r.random() < 0.05)
    return {"content": {"parts": parts}, **r.choice((settings, {"embedContentConfig": settings}))}


def vector_batch(r: Random) -> Body:
    model = f"models/{r.choice(MODELS['gemini_vectors'])}"
    return {"requests": [{"model": model, **vector(r)} for _ in range(r.choice((1, 2, 5, 101)))]}


def titan(r: Random) -> Body:
    rest = some(r, 0.3, dimensions=r.choice((256, 512, 1024, 300)), normalize=r.random() < 0.5, embeddingTypes=r.choice((["float"], ["binary"], ["float", "binary"])))
    return {"inputText": text(r), **rest}


def cohere(r: Random) -> Body:
    kinds = r.sample(("float", "int8", "uint8", "binary", "ubinary"), r.randint(1, 5))
    rest = some(r, 0.3, truncate=r.choice(("NONE", "END")), embedding_types=kinds, output_dimension=r.choice((256, 1536, 7)), images=["x"])
    return {"texts": [text(r) for _ in range(r.choice((1, 2, 96, 97)))], "input_type": r.choice(("search_query", "clustering", "x")), **rest}


# ---- Anthropic, and Bedrock's Claude -------------------------------------------------------------------------
def claude(r: Random) -> Body:
    marked = some(r, 0.3, cache_control={"type": "ephemeral", **some(r, ttl=r.choice(("5m", "1h")))})
    source = {"type": "base64", "media_type": r.choice(MEDIA), "data": picture(r)}
    seen = [{"type": "text", "text": text(r), **marked}, {"type": r.choice(("image", "document")), "source": source}]
    used = [{"role": "assistant", "content": [{"type": "tool_use", "id": CALL_ID, "name": TOOL, "input": {"a": 1}}]}]
    used += [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": CALL_ID, "content": [{"type": "text", "text": "7"}]}]}]
    acts = r.random() < 0.25
    said = [{"role": "user", "content": seen if r.random() < 0.15 else text(r)}, *used * (acts and r.random() < 0.5)]
    tool = {"name": TOOL, "description": "Looks.", "input_schema": object_schema(r) if r.random() < 0.8 else schema(r)}
    choice = r.choice(({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": TOOL}, {"type": "none"}))
    tools = {"tools": [tool], **some(r, 0.4, tool_choice=choice)} if acts else {}
    thinking = r.choice(({"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 1024}))
    config = some(r, 0.5, effort=r.choice(EFFORTS[2:]), format={"type": "json_schema", "schema": chosen_schema(r)})
    given = some(r, 0.15, system=r.choice(("Be brief.", [{"type": "text", "text": "Be brief.", **marked}])), thinking=thinking, output_config=config)
    rest = some(r, 0.08, stop_sequences=[" a"], temperature=1, top_p=0.9, top_k=5, metadata={"user_id": "u"}, service_tier="auto", **marked)
    return {"messages": said, "max_tokens": 1100 if "thinking" in given else limit(r), **tools, **given, **rest}


def message(r: Random) -> Body:
    return {"model": r.choice(MODELS["anthropic"]), **claude(r), **some(r, 0.3, stream=True)}


def counted_message(r: Random) -> Body:
    return {name: value for name, value in message(r).items() if name in ("model", "messages", "system", "tools", "tool_choice", "thinking")}


# ---- Gemini --------------------------------------------------------------------------------------------------
def contents(r: Random) -> Body:
    seen = [{"text": text(r)}, {r.choice(("inlineData", "inline_data")): {"mimeType": r.choice(MEDIA), "data": picture(r)}}]
    used = [{"role": "model", "parts": [{"functionCall": {"name": TOOL, "args": {"a": 1}}, **some(r, 0.5, thoughtSignature="eA==")}]}]
    used += [{"role": "user", "parts": [{"functionResponse": {"name": TOOL, "response": {"b": 2}}}]}]
    said = [{"role": "user", "parts": seen if r.random() < 0.1 else seen[:1]}, *used * (r.random() < 0.1)]
    form = {"responseMimeType": "application/json", r.choice(("responseSchema", "responseJsonSchema")): chosen_schema(r)} if r.random() < 0.15 else {}
    thinking = some(r, 0.3, thinkingBudget=r.choice((0, -1, 100)), thinkingLevel=r.choice(("low", "HIGH")), includeThoughts=True)
    more = some(r, 0.06, stopSequences=[" a"], candidateCount=2, temperature=0.5, topK=3, seed=7, thinkingConfig=thinking)
    more |= some(r, 0.04, responseLogprobs=True, logprobs=2, responseModalities=[r.choice(("TEXT", "text", "IMAGE", "AUDIO", "x"))])
    calling = {"functionCallingConfig": {"mode": r.choice(("AUTO", "ANY", "NONE")), **some(r, allowedFunctionNames=[TOOL])}}
    declared = {"functionDeclarations": [{"name": TOOL, r.choice(("parameters", "parametersJsonSchema")): chosen_schema(r)}]}
    tools = {"tools": [declared], **some(r, 0.5, toolConfig=calling)} if r.random() < 0.2 else {}
    rest = some(r, 0.1, systemInstruction={"parts": [{"text": "Be brief."}]}, labels={"a": "b"}, safetySettings=[{"category": "c", "threshold": "t"}])
    return {"contents": said, "generationConfig": {"maxOutputTokens": limit(r), **form, **more}, **tools, **rest}


def counted_contents(r: Random) -> Body:
    body = contents(r)
    return {"generateContentRequest": {"model": "models/gemini-2.5-flash", **body}} if r.random() < 0.3 else {"contents": body["contents"]}


def interaction(r: Random) -> Body:
    """A question to the Interactions API, as a text, as contents or as steps."""
    shown = {"type": "image", r.choice(("data", "uri")): picture(r), "mime_type": r.choice(MEDIA), **some(r, resolution="low")}
    asked = [{"type": "text", "text": text(r)}, *[shown] * (r.random() < 0.1)]
    used = [{"type": "function_call", "id": CALL_ID, "name": TOOL, "arguments": {"a": 1}}, {"type": "function_result", "call_id": CALL_ID, "result": "b"}]
    steps = [{"type": "user_input", "content": asked}, {"type": "thought", "signature": "eA=="}, *used * (r.random() < 0.5)]
    config = {"max_output_tokens": limit(r), **some(r, 0.1, thinking_level=r.choice(("low", "HIGH")), temperature=0.5, stop_sequences=[" a"], seed=7)}
    form = {"type": "text", "mime_type": "application/json", "schema": chosen_schema(r)}
    tools = [{"type": "function", "name": TOOL, "parameters": chosen_schema(r)}, *({"type": kind} for kind in some(r, google_search=1, code_execution=1))]
    rest = some(r, 0.1, stream=True, store=False, system_instruction="Be brief.", previous_interaction_id="v1_none", tools=tools, response_format=form)
    settings = some(r, 0.1, safety_settings=[{"type": "harassment", "threshold": "off"}])
    return {"model": r.choice(MODELS["gemini"]), "input": r.choice((text(r), asked, steps)), "generation_config": config, **rest, **settings}


def gemini_chat(r: Random) -> Body:
    return {**chat(r), "model": r.choice(MODELS["gemini"])}


def cache(r: Random) -> Body:
    long = [{"role": "user", "parts": [{"text": "word " * r.choice((10, 1100, 1100, 4200))}]}]
    when = r.choice(({"ttl": "60s"}, {"ttl": "0.5s"}, {"expireTime": "2026-12-01T00:00:00Z"}, {}))
    return {"model": "models/" + r.choice(MODELS["gemini"]), "contents": long, **when, **some(r, displayName="d")}


# ---- Bedrock -------------------------------------------------------------------------------------------------
def converse(r: Random) -> Body:
    image = {"image": {"format": r.choice(("png", "jpeg", "bmp")), "source": {"bytes": picture(r)}}}
    seen = [{"text": text(r)}, image, {"cachePoint": {"type": "default"}}]
    used = [{"role": "assistant", "content": [{"toolUse": {"toolUseId": CALL_ID, "name": TOOL, "input": {}}}]}]
    used += [{"role": "user", "content": [{"toolResult": {"toolUseId": CALL_ID, "content": [{"text": "7"}]}}]}]
    acts = r.random() < 0.2
    guard = {"guardrailIdentifier": "thecourse", "guardrailVersion": "1", **some(r, trace=r.choice(("enabled", "disabled", "enabled_full")))}
    if r.random() < 0.1:
        seen[0] = r.choice(({"text": harmful(r)}, {"guardContent": {"text": {"text": harmful(r)}}}))
    said = [{"role": "user", "content": seen if r.random() < 0.1 else seen[:1]}, *used * (acts and r.random() < 0.5)]
    config = {"maxTokens": limit(r), **some(r, 0.1, temperature=0.5, topP=0.9, stopSequences=[" a"])}
    choice = r.choice(({"auto": {}}, {"any": {}}, {"tool": {"name": TOOL}}))
    tools = {"tools": [{"toolSpec": {"name": TOOL, "inputSchema": {"json": chosen_schema(r)}}}], **some(r, 0.4, toolChoice=choice)}
    more = some(r, 0.1, system=[{"text": "Be brief."}], additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 1024}})
    return {"messages": said, "inferenceConfig": config, **some(r, acts, toolConfig=tools), **more, **some(r, 0.05, outputConfig={"effort": "low"}), **some(r, 0.1, guardrailConfig=guard)}


def guarded(r: Random) -> Body:
    content = [{"text": {"text": harmful(r)}}, *[{"image": {"format": "png", "source": {"bytes": picture(r)}}}] * (r.random() < 0.1)]
    return {"source": r.choice(("INPUT", "OUTPUT")), "content": content, **some(r, outputScope=r.choice(("INTERVENTIONS", "FULL")))}


def harmful(r: Random) -> str:
    """A text that a filter stops, or nearly so."""
    where, level = r.choice(("harm", "harm in the answer")), r.choice(("low", "medium", "HIGH", "none"))
    return f"[[{where}: {r.choice(('harassment', 'hate speech', 'dangerous content', 'nothing'))}, {level}]] {text(r)}"


def claude_invoked(r: Random) -> Body:
    return {**claude(r), "anthropic_version": "bedrock-2023-05-31"}


def llama(r: Random) -> Body:
    return {"prompt": text(r), "max_gen_len": limit(r), **some(r, temperature=0.5, top_p=0.9)}


def nova(r: Random) -> Body:
    said = [{"role": "user", "content": [{"text": text(r)}]}]
    return {"messages": said, "inferenceConfig": {"max_new_tokens": limit(r), **some(r, topK=5)}, **some(r, schemaVersion="messages-v1")}


def counted_converse(r: Random) -> Body:
    return {"input": {"converse": converse(r)}} if r.random() < 0.6 else {"input": {"invokeModel": {"body": b64encode(b'{"prompt": "a"}').decode()}}}
