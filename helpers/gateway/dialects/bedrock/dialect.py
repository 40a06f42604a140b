"""AWS Bedrock's runtime: routes, signatures read for their key id, error types in a header."""

from __future__ import annotations

import json
import re
import uuid
from base64 import b64decode
from typing import Any
from urllib.parse import unquote

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.dialects.anthropic import messages as anthropic_messages
from helpers.gateway.dialects.bedrock import embeddings, eventstream, guardrails, signatures
from helpers.gateway.dialects.bedrock.converse import Converse, parse_converse_usage
from helpers.gateway.dialects.bedrock.errors import words
from helpers.gateway.dialects.bedrock.invoke import Invoke, parse_llama_usage
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, compact, parse_json, route

CORAL = "http://internal.amazon.com/coral/com.amazon.bedrock/"
# From which regions a profile can be called, by the first word of its id; all others from everywhere.
REGIONS = {
    "us": ("us-east-", "us-west-", "ca-"),
    "us-gov": ("us-gov-",),
    "ca": ("ca-",),
    "eu": ("eu-",),
    "apac": ("ap-",),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
    "au": ("ap-southeast-2", "ap-southeast-4"),
    "in": ("ap-south-",),
}


class Bedrock(Dialect):
    provider = "bedrock"
    mount = "/bedrock"
    stream_type = "application/vnd.amazon.eventstream"
    stops_when_left = False

    def routes(self) -> list[Route]:
        one = "/model/(?P<model>[^/]+)"
        self.converse = Converse(self, self.named_model)
        self.invoke = Invoke(self, self.named_model, self.converse.question)
        return [
            route("POST", one + "/converse", "converse", read=self.converse.read, write=self.converse.write),
            route("POST", one + "/converse-stream", "converse", read=self.converse.read_stream, stream=self.converse.stream),
            route("POST", one + "/invoke", "invoke", read=self.invoke.read, write=self.invoke.write),
            route("POST", one + "/invoke-with-response-stream", "invoke", read=self.invoke.read_stream, stream=self.invoke.stream),
            route("POST", one + "/count-tokens", "count tokens", handle=self.count),
            route("POST", "/guardrail/(?P<guardrail>[^/]+)/version/(?P<version>[^/]+)/apply", "guardrail", handle=self.apply_guardrail),
        ]

    def key(self, call: Call) -> str | None:
        """The access key id that a request was signed with, or a bearer key."""
        header = call.headers.get("authorization", "")
        signed = re.search(r"Credential=([^/,\s]+)", header)
        return signed.group(1) if signed else header.removeprefix("Bearer ").strip() or None

    def named_model(self, call: Call, *, on_demand: bool = True, kind: str | None = "chat") -> models.Model:
        """The model or inference profile in the path, by its id or its ARN. Some models are invoked by a profile alone."""
        signatures.check(call, self.mount)
        name = unquote(call.groups["model"])
        name = name.rpartition("/")[2] if name.startswith("arn:") else name
        model = self.model(name, call, "modelId", kind)
        if model.profile_only and on_demand:
            raise Refusal("profile_needed", model=name)
        return model

    def admit(self, call: Call, question: Question) -> None:
        """A profile belongs to a part of the world, and is not known elsewhere; so does a guardrail to its account."""
        _check_region(question.model, call)
        guard = question.echo.get("guard")
        if guard:
            guardrails.check(guard.identifier, guard.version)

    def apply_guardrail(self, call: Call) -> Response:
        signatures.check(call, self.mount)
        guardrails.check(unquote(call.groups["guardrail"]), unquote(call.groups["version"]))
        return self.ok(guardrails.apply(call.json))

    def count(self, call: Call) -> Response:
        model = self.named_model(call, on_demand=False)
        _check_region(model, call)
        given = call.json.get("input")
        if not isinstance(given, dict) or len(given) != 1:
            raise Refusal("bad_value", "The input has to hold exactly one of invokeModel and converse.", param="input")
        kind, body = next(iter(given.items()))
        if not isinstance(body, dict):
            raise Refusal("wrong_type", param=f"input.{kind}", expected="object", value=body)
        if kind == "converse":
            question = self.converse.question(body, model)
        elif kind == "invokeModel":
            question = self.invoke.question(_decoded(body.get("body")), model)
        else:
            raise Refusal("unknown_field", param=f"input.{kind}")
        return self.ok({"inputTokens": question.prompt_tokens})

    # ---- headers and errors ----------------------------------------------
    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        return Response(200, [("Content-Type", self.json_type), *_request_id(), *more], compact(body))

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        if call.path.endswith("/invoke"):
            return [*_request_id(), *_counts(answer)]
        if call.path.endswith("/invoke-with-response-stream"):
            return [*_request_id(), ("x-amzn-bedrock-content-type", "application/json")]
        return _request_id()

    def error(self, refusal: Refusal, call: Call) -> Response:
        status, name, message = words(refusal, call.path)
        headers = [("Content-Type", self.json_type), *_request_id(), ("x-amzn-errortype", f"{name}:{CORAL}")]
        return Response(status, headers, compact({"message": message}))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, name, message = words(refusal)
        return eventstream.exception(name[0].lower() + name[1:], compact({"message": message}))

    # ---- answers of the real service --------------------------------------
    def events(self, body: bytes, content_type: str) -> list[Any]:
        if "eventstream" not in content_type:
            return [json.loads(body)]
        from botocore.eventstream import EventStreamBuffer

        buffer, out = EventStreamBuffer(), []
        buffer.add_data(body)
        for message in buffer:
            payload = json.loads(message.payload)
            out.append(json.loads(b64decode(payload["bytes"])) if "bytes" in payload else payload)
        return out

    def usage(self, payloads: list[Any]) -> Usage | None:
        return embeddings.parse_usage(payloads) or parse_converse_usage(payloads) or anthropic_messages.parse_usage(payloads) or parse_llama_usage(payloads)


def _check_region(model: models.Model, call: Call) -> None:
    region = _region(call)
    if region and not region.startswith(REGIONS.get(model.id.partition(".")[0], "")):
        raise Refusal("unknown_model", param="modelId", model=model.id)


def _region(call: Call) -> str | None:
    """The region that a request was signed for; a bearer key has none."""
    signed = re.search(r"Credential=[^/,\s]+/\d+/([a-z0-9-]+)/", call.headers.get("authorization", ""))
    return signed and signed.group(1)


def _request_id() -> Headers:
    return [("x-amzn-requestid", str(uuid.uuid4()))]


def _counts(answer: Answer) -> Headers:
    """What InvokeModel says in headers, since each model's body has a format of its own."""
    usage = answer.usage
    values = {
        "input-token-count": usage.uncached_tokens,
        "output-token-count": usage.output_tokens,
        "invocation-latency": answer.latency_ms,
        "cache-read-input-token-count": usage.cache_read_tokens,
        "cache-write-input-token-count": usage.cache_write_tokens + usage.cache_write_1h_tokens,
    }
    return [(f"x-amzn-bedrock-{name}", str(value)) for name, value in values.items()]


def _decoded(body: Any) -> dict[str, Any]:
    """The body of an InvokeModel call inside a CountTokens call: base64 of JSON."""
    try:
        value = parse_json(b64decode(body, validate=True))
    except (ValueError, TypeError):
        raise Refusal("bad_value", "input.invokeModel.body has to be base64 of JSON", param="input.invokeModel.body") from None
    if not isinstance(value, dict):
        raise Refusal("wrong_type", param="input.invokeModel.body", expected="object", value=value)
    return value
