"""Gemini's request fields: their types and ranges, and their names in camelCase as well as in snake_case."""

from __future__ import annotations

import re
from typing import Any

from helpers.gateway.dialects.schema import ANY, BOOLEAN, INTEGER, NUMBER, OBJECT, STRING, Schema, between, list_of, shape

BLOB = shape("mimeType data", closed=True, mimeType=STRING, data=STRING, displayName=STRING)
FILE = shape("fileUri", closed=True, mimeType=STRING, fileUri=STRING, displayName=STRING)
FUNCTION_CALL = shape("name", closed=True, id=STRING, name=STRING, args=OBJECT)
FUNCTION_RESPONSE = {"id": STRING, "name": STRING, "response": OBJECT, "parts": ANY, "scheduling": STRING, "willContinue": BOOLEAN}
# A part holds exactly one of these.
DATA = {
    "text": STRING,
    "inlineData": BLOB,
    "fileData": FILE,
    "functionCall": FUNCTION_CALL,
    "functionResponse": shape("name", closed=True, **FUNCTION_RESPONSE),
    "executableCode": OBJECT,
    "codeExecutionResult": OBJECT,
    "toolCall": OBJECT,
    "toolResponse": OBJECT,
}
ABOUT_A_PART = {
    "thought": BOOLEAN,
    "thoughtSignature": STRING,
    "partMetadata": OBJECT,
    **{f"{name}Metadata": ANY for name in ("video", "audio", "speech", "document", "spreadsheet")},
    **{name: ANY for name in ("mediaResolution", "mediaProcessing", "audioTranscription")},
}
CONTENT = shape(closed=True, role=STRING, parts=list_of(shape(closed=True, **DATA, **ABOUT_A_PART)))
THINKING = shape(closed=True, includeThoughts=BOOLEAN, thinkingBudget=INTEGER, thinkingLevel=STRING)
FORMATS = "responseSchema responseJsonSchema _responseJsonSchema"
MEDIA = "speechConfig mediaResolution imageConfig audioTranscriptionConfig translationConfig enableAffectiveDialog"
CONFIG = shape(
    closed=True,
    maxOutputTokens=between("integer", 1, 2**31 - 1),
    stopSequences=list_of(STRING, maxItems=5),
    candidateCount=between("integer", 1, 8),
    temperature=between("number", 0, 2),
    topP=between("number", 0, 1),
    topK=between("number", 1),
    seed=INTEGER,
    presencePenalty=NUMBER,
    frequencyPenalty=NUMBER,
    responseMimeType=STRING,
    responseModalities=list_of(STRING),
    responseFormat=shape(closed=True, **dict.fromkeys(("text", "image", "audio", "video"), OBJECT)),
    responseLogprobs=BOOLEAN,
    logprobs=between("integer", 0, 20),
    enableEnhancedCivicAnswers=BOOLEAN,
    continuationToken=ANY,
    thinkingConfig=THINKING,
    **{name: ANY for name in f"{FORMATS} {MEDIA}".split()},
)
FUNCTION_NAME = r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$"
FUNCTION = shape(
    "name",
    closed=True,
    name={"type": "string", "pattern": FUNCTION_NAME},
    description=STRING,
    behavior=STRING,
    parameters=OBJECT,
    response=OBJECT,
    **{name: ANY for name in ("parametersJsonSchema", "responseJsonSchema")},
)
SERVER_TOOLS = "googleSearch googleSearchRetrieval googleMaps codeExecution urlContext fileSearch computerUse mcpServers"
TOOL = shape(closed=True, functionDeclarations=list_of(FUNCTION), **{name: ANY for name in SERVER_TOOLS.split()})
CALLING = shape(closed=True, mode=STRING, allowedFunctionNames=list_of(STRING))
TOOL_CONFIG = shape(closed=True, functionCallingConfig=CALLING, retrievalConfig=ANY, includeServerSideToolInvocations=BOOLEAN)
SAFETY = shape(closed=True, category=STRING, threshold=STRING, method=STRING)
PROMPT: dict[str, Schema] = {
    "contents": list_of(CONTENT),
    "systemInstruction": CONTENT,
    "tools": list_of(TOOL),
    "toolConfig": TOOL_CONFIG,
}
GENERATE = shape(
    closed=True,
    model=STRING,
    generationConfig=CONFIG,
    safetySettings=list_of(SAFETY),
    cachedContent=STRING,
    labels=OBJECT,
    serviceTier=STRING,
    store=BOOLEAN,
    **PROMPT,
)


def normalised(value: Any, schema: Schema) -> Any:
    """The same JSON as its schema names it. Google takes snake_case too, null for unset, and one object for a list of one.

    What the schema leaves open (arguments, metadata, schemas of the user's own) stays as it is.
    """
    if schema.get("type") == "array":
        given = [value] if isinstance(value, dict) else value
        return [normalised(item, schema["items"]) for item in given] if isinstance(given, list) else given
    fields = schema.get("properties")
    if fields is None or not isinstance(value, dict):
        return value
    known = {name if name in fields or camel(name) not in fields else camel(name): item for name, item in value.items() if item is not None}
    return {name: normalised(item, fields.get(name, ANY)) for name, item in known.items()}


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


def snake(path: str) -> str:
    """A path of fields as Google's errors name it: generation_config.max_output_tokens. What stands in brackets is the user's own."""
    return re.sub(r"\[[^\[\]]*\]|(?<=[a-z0-9])[A-Z]", lambda found: found[0] if found[0][0] == "[" else "_" + found[0].lower(), path)
