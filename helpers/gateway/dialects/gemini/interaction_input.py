"""What goes into an interaction, as the generateContent request that says the same. The fields are those of google-genai 3.6.1's types."""

from __future__ import annotations

import base64
from datetime import UTC
from typing import Any

from helpers.gateway.clock import moment
from helpers.gateway.dialects.gemini import modalities
from helpers.gateway.dialects.schema import ANY, BOOLEAN, INTEGER, NUMBER, OBJECT, STRING, between, checker, list_of, nullable, shape
from helpers.gateway.exchange import Refusal

Json = dict[str, Any]
SERVER_TOOLS = {"google_search": "googleSearch", "code_execution": "codeExecution", "url_context": "urlContext", "google_maps": "googleMaps"}
MODES = ("auto", "any", "none", "validated")
CONFIG = shape(
    closed=True,
    max_output_tokens=between("integer", 1, 2**31 - 1),
    stop_sequences=list_of(STRING, maxItems=5),
    temperature=NUMBER,
    top_p=NUMBER,
    seed=INTEGER,
    thinking_level=STRING,
    thinking_summaries=STRING,
    **dict.fromkeys(("tool_choice", "image_config", "speech_config", "transcription_config", "video_config"), ANY),
)
SHOWN = {name: nullable(STRING) for name in ("text", "data", "uri", "mime_type", "resolution")}
CONTENT = shape("type", type=STRING, **SHOWN)
SAID = {"type": ["string", "array", "null"], "items": CONTENT}  # a step's content may be a text alone, as in Google's guide
STEP = {"content": SAID, "arguments": nullable(OBJECT), **{name: nullable(STRING) for name in ("name", "id", "call_id")}}
ITEM = shape("type", type=STRING, **SHOWN, **STEP)
INPUT = {"type": ["string", "object", "array"], "properties": ITEM["properties"], "items": ITEM}
TOOL = shape("type", type=STRING, name=nullable(STRING), description=nullable(STRING), parameters=nullable(OBJECT))
FORMAT = {"properties": {"type": STRING, "mime_type": nullable(STRING), "schema": nullable(OBJECT)}}
FIELDS = shape(
    "model input",
    closed=True,
    model=STRING,
    input=INPUT,
    system_instruction=nullable(STRING),
    previous_interaction_id=nullable(STRING),
    generation_config=nullable(CONFIG),
    tools=nullable(list_of(TOOL)),
    safety_settings=nullable(list_of(shape(type=STRING, threshold=STRING))),
    response_format={**FORMAT, "items": FORMAT},
    response_mime_type=nullable(STRING),
    response_modalities=nullable(list_of(STRING)),
    cached_content=nullable(STRING),
    service_tier=nullable(STRING),
    labels=nullable(OBJECT),
    **dict.fromkeys(("stream", "store", "background"), nullable(BOOLEAN)),
    **dict.fromkeys(("webhook_config", "continuation_token", "environment"), ANY),
)
_check = checker(FIELDS)
NO_SIGNATURE = base64.b64encode(b"kept by the server").decode()  # of a call: here the thought beside it has the signature


def checked(body: Json) -> Json:
    """The body. Raises Refusal for fields that are not there or wrong, and for agents, which are not served."""
    if "agent" in body:
        raise Refusal("bad_value", "This gateway has no agents: name a model.", param="agent")
    _check(body)
    return body


def time_of(seconds: float) -> str:
    return moment(seconds).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- the request ---------------------------------------------------------------
def as_generate_content(body: Json) -> Json:
    """The same request without its contents. What an interaction before it was told, other than its turns, does not hold for this one."""
    found: Json = {"generationConfig": _config(body)}
    if body.get("system_instruction"):
        found["systemInstruction"] = {"parts": [{"text": body["system_instruction"]}]}
    if body.get("tools"):
        found["tools"] = [_tool(tool, f"tools[{place}]") for place, tool in enumerate(body["tools"])]
    if (choice := (body.get("generation_config") or {}).get("tool_choice")) is not None:
        found["toolConfig"] = {"functionCallingConfig": _choice(choice)}
    if body.get("safety_settings"):
        found["safetySettings"] = [_setting(one) for one in body["safety_settings"]]
    if body.get("cached_content"):
        found["cachedContent"] = body["cached_content"]
    return found


def _config(body: Json) -> Json:
    given = {name: value for name, value in (body.get("generation_config") or {}).items() if value is not None}
    names = {"max_output_tokens": "maxOutputTokens", "stop_sequences": "stopSequences", "top_p": "topP", "temperature": "temperature", "seed": "seed"}
    found: Json = {names[name]: value for name, value in given.items() if name in names}
    if "thinking_level" in given:
        found["thinkingConfig"] = {"thinkingLevel": given["thinking_level"]}
    return {**found, **_format(body)}


def _format(body: Json) -> Json:
    """The form of the answer: one format, or the first of a list. Raises Refusal for one of what is no text."""
    asked = body.get("response_format")
    formats = [one for one in (asked if isinstance(asked, list) else [asked]) if isinstance(one, dict)]
    modalities.check_text_alone([*(body.get("response_modalities") or ()), *(one.get("type") or "text" for one in formats)])
    text = formats[0] if formats else {}
    kind = text.get("mime_type") or body.get("response_mime_type")
    if not kind:
        return {}
    return {"responseMimeType": kind, **({"responseJsonSchema": text["schema"]} if text.get("schema") is not None else {})}


def _tool(tool: Json, path: str) -> Json:
    kind = tool["type"]
    if kind in SERVER_TOOLS:
        return {SERVER_TOOLS[kind]: {}}
    if kind != "function":
        raise Refusal("bad_value", f"Unknown tool type {kind!r} at {path}: this gateway takes function, {', '.join(SERVER_TOOLS)}.", param=path)
    declared = {name: tool[name] for name in ("name", "description") if tool.get(name) is not None}
    return {"functionDeclarations": [{**declared, **({"parametersJsonSchema": tool["parameters"]} if tool.get("parameters") else {})}]}


def _choice(given: Any) -> Json:
    """Whether a function has to be called: a word, or the functions of which one has to be."""
    allowed = given.get("allowed_tools") if isinstance(given, dict) else None
    if isinstance(allowed, dict):
        names = {"allowedFunctionNames": allowed["tools"]} if allowed.get("tools") is not None else {}
        return {"mode": _mode(allowed.get("mode", "any")), **names}
    return {"mode": _mode(given)}


def _mode(given: Any) -> str:
    if given not in MODES:
        path = "generation_config.tool_choice"
        raise Refusal("bad_value", f"Invalid value {str(given)[:40]!r} at {path}: it is one of {', '.join(MODES)}.", param=path)
    return given.upper()


def _setting(setting: Json) -> Json:
    return {"category": "HARM_CATEGORY_" + str(setting.get("type", "")).upper(), "threshold": str(setting.get("threshold", "")).upper()}


# ---- the input -------------------------------------------------------------------
def steps_of(asked: Any) -> list[Json]:
    """The input as a list of steps: a text, a content or several are one step of the user's."""
    if isinstance(asked, str):
        asked = [{"type": "text", "text": asked}]
    items = [asked] if isinstance(asked, dict) else asked
    for place, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("type"), str):
            raise Refusal("bad_value", f"input[{place}] has to be a content or a step, with a type.", param=f"input[{place}]")
    if all(item["type"] in CONTENTS for item in items):
        return [{"type": "user_input", "content": list(items)}]
    return [_as_list(item) for item in items]


def _as_list(step: Json) -> Json:
    """A step of which the content is a list of contents, also where it was given as a text."""
    said = step.get("content")
    return {**step, "content": [{"type": "text", "text": said}]} if isinstance(said, str) else step


def turns(asked: Any) -> list[Json]:
    """The input as turns of generateContent; steps of one side that follow each other are one turn."""
    found: list[Json] = []
    for place, step in enumerate(steps_of(asked)):
        role, parts = turn(step, f"input[{place}]")
        if not parts:
            continue
        if found and found[-1]["role"] == role and step["type"] != "user_input":
            found[-1]["parts"] += parts
        else:
            found.append({"role": role, "parts": parts})
    return found


def turn(step: Json, path: str) -> tuple[str, list[Json]]:
    """The role and the parts of a step. Thoughts, and what Google's own tools did, say nothing to the next question."""
    kind = step["type"]
    if kind in ("user_input", "model_output"):
        role = "user" if kind == "user_input" else "model"
        return role, [_part(content, f"{path}.content[{n}]") for n, content in enumerate(step.get("content") or ())]
    if kind == "function_call":
        call = {"name": step.get("name") or "", "args": step.get("arguments") or {}, "id": step.get("id") or ""}
        return "model", [{"functionCall": call, "thoughtSignature": NO_SIGNATURE}]
    if kind == "function_result":
        result = step.get("result")
        response = result if isinstance(result, dict) else {"result": result}
        return "user", [{"functionResponse": {"name": step.get("name") or "function", "response": response, "id": step.get("call_id") or ""}}]
    return "model", []


def _part(content: Json, path: str) -> Json:
    kind = content.get("type")
    if kind == "text":
        return {"text": content.get("text") or ""}
    if kind not in CONTENTS:
        raise Refusal("bad_value", f"Unknown content type {kind!r} at {path}.", param=path)
    resolution = {"mediaResolution": {"level": f"MEDIA_RESOLUTION_{content['resolution'].upper()}"}} if content.get("resolution") else {}
    if content.get("uri"):
        return {"fileData": {"fileUri": content["uri"], "mimeType": content.get("mime_type") or ""}, **resolution}
    return {"inlineData": {"mimeType": content.get("mime_type") or "", "data": content.get("data") or ""}, **resolution}


CONTENTS = ("text", "image", "audio", "video", "document")
