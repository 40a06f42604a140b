"""Guardrails through boto3: ApplyGuardrail, and guardrailConfig in Converse, plain and streamed."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from helpers.gateway import harm
from tests.gateway.dialects.bedrock.samples import client, said

CLAUDE, LLAMA = "us.anthropic.claude-haiku-5-5", "meta.llama3-1-8b-instruct-v1:0"
GUARD = {"guardrailIdentifier": "thecourse", "guardrailVersion": "1"}
HARMLESS, HARMFUL = "Say hello in five words.", "[[harm: harassment, medium]] Say hello in five words."
IN_ANSWER = HARMFUL.replace("harm:", "harm in the answer:")


@pytest.fixture
def bedrock(gateway):
    return client()


def applied(bedrock, text, source="INPUT", **more):
    return bedrock.apply_guardrail(**GUARD, source=source, content=[{"text": {"text": text}}], **more)


def converse(bedrock, text, model=CLAUDE, trace="disabled"):
    return bedrock.converse(modelId=model, messages=said(text), guardrailConfig={**GUARD, "trace": trace})


def text_of(reply):
    return "".join(block.get("text", "") for block in reply["output"]["message"]["content"])


# ---- ApplyGuardrail -----------------------------------------------------------------------------------------
def test_it_lets_a_harmless_text_pass(bedrock):
    reply = applied(bedrock, HARMLESS)
    assert (reply["action"], reply["outputs"]) == ("NONE", [])
    assert reply["usage"]["contentPolicyUnits"] == 1 and reply["usage"]["topicPolicyUnits"] == 0
    assert reply["guardrailCoverage"]["textCharacters"] == {"guarded": len(HARMLESS), "total": len(HARMLESS)}


def test_it_stops_a_harmful_text_and_says_which_filter_did(bedrock):
    reply = applied(bedrock, HARMFUL)
    assert reply["action"] == "GUARDRAIL_INTERVENED" and "guardrail" in reply["outputs"][0]["text"]
    (assessment,) = reply["assessments"]
    assert assessment["contentPolicy"]["filters"] == [
        {"type": "INSULTS", "confidence": "MEDIUM", "filterStrength": "MEDIUM", "action": "BLOCKED", "detected": True}
    ]


@pytest.mark.parametrize("level", harm.LEVELS)
@pytest.mark.parametrize("category", harm.CATEGORIES)
def test_its_strength_is_medium(bedrock, category, level):
    assert (applied(bedrock, f"[[harm: {category}, {level}]]")["action"] == "NONE") == (level == "low")


def test_it_looks_at_answers_too(bedrock):
    assert applied(bedrock, IN_ANSWER)["action"] == "NONE"
    assert applied(bedrock, IN_ANSWER, "OUTPUT")["action"] == "GUARDRAIL_INTERVENED"


def test_the_full_scope_names_every_filter(bedrock):
    filters = applied(bedrock, HARMFUL, outputScope="FULL")["assessments"][0]["contentPolicy"]["filters"]
    assert sorted((one["type"], one["detected"]) for one in filters) == [("HATE", False), ("INSULTS", True), ("MISCONDUCT", False), ("SEXUAL", False)]


@pytest.mark.parametrize(("characters", "units"), [(1, 1), (1000, 1), (1001, 2), (5000, 5)])
def test_a_unit_is_a_thousand_characters(bedrock, characters, units):
    assert applied(bedrock, "x" * characters)["usage"]["contentPolicyUnits"] == units


@pytest.mark.parametrize("wrong", [{"guardrailIdentifier": "another"}, {"guardrailVersion": "7"}])
def test_a_guardrail_that_is_not_there(bedrock, wrong):
    with pytest.raises(ClientError, match="The guardrail identifier or version provided in the request does not exist") as caught:
        bedrock.apply_guardrail(**{**GUARD, **wrong}, source="INPUT", content=[{"text": {"text": "x"}}])
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="does not exist"):
        bedrock.converse(modelId=CLAUDE, messages=said("x"), guardrailConfig={**GUARD, **wrong})


def test_it_answers_to_its_arn_and_its_draft(bedrock):
    arn = "arn:aws:bedrock:us-east-1:123456789012:guardrail/thecourse"
    reply = bedrock.apply_guardrail(guardrailIdentifier=arn, guardrailVersion="DRAFT", source="INPUT", content=[{"text": {"text": HARMFUL}}])
    assert reply["action"] == "GUARDRAIL_INTERVENED"


@pytest.mark.parametrize("content", [[{"text": {}}], [{"text": {"text": 3}}]])
def test_a_request_without_a_text_is_refused(bedrock, gateway, content):
    loose = boto3.client("bedrock-runtime", config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match="content"):
        loose.apply_guardrail(**GUARD, source="INPUT", content=content)


def test_it_costs_no_tokens_and_is_in_the_log(bedrock, gateway):
    applied(bedrock, HARMFUL)
    assert gateway.meter.log()[-1].operation == "guardrail"


# ---- Converse -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", [CLAUDE, LLAMA])
def test_a_question_that_it_stops_reaches_no_model(bedrock, gateway, model):
    reply = converse(bedrock, HARMFUL, model)
    assert reply["stopReason"] == "guardrail_intervened" and "question" in text_of(reply)
    assert (reply["usage"]["inputTokens"], reply["usage"]["outputTokens"]) == (0, 0)
    assert gateway.meter.log()[-1].usage.input_tokens == 0 and "trace" not in reply


def test_an_answer_that_it_stops_was_written_and_is_charged(bedrock, gateway):
    reply = converse(bedrock, IN_ANSWER)
    assert reply["stopReason"] == "guardrail_intervened" and "answer" in text_of(reply)
    assert reply["usage"]["outputTokens"] > 0 and gateway.meter.log()[-1].usage.output_tokens == reply["usage"]["outputTokens"]


def test_without_a_guardrail_nothing_is_stopped(bedrock):
    for text in (HARMFUL, IN_ANSWER):
        assert bedrock.converse(modelId=CLAUDE, messages=said(text))["stopReason"] == "end_turn"


def test_what_passes_is_answered_as_without_it(bedrock):
    assert text_of(converse(bedrock, HARMLESS)) == text_of(bedrock.converse(modelId=CLAUDE, messages=said(HARMLESS)))


def test_the_trace_says_what_it_found(bedrock):
    stopped = converse(bedrock, HARMFUL, trace="enabled")["trace"]["guardrail"]
    assert stopped["inputAssessment"]["thecourse"]["contentPolicy"]["filters"][0]["type"] == "INSULTS"
    (assessment,) = converse(bedrock, IN_ANSWER, trace="enabled")["trace"]["guardrail"]["outputAssessments"]["thecourse"]
    assert assessment["contentPolicy"]["filters"][0]["action"] == "BLOCKED"
    passed = converse(bedrock, HARMLESS, trace="enabled")["trace"]["guardrail"]
    assert "contentPolicy" not in passed["inputAssessment"]["thecourse"]
    assert len(converse(bedrock, HARMFUL, trace="enabled_full")["trace"]["guardrail"]["inputAssessment"]["thecourse"]["contentPolicy"]["filters"]) == 4


def test_where_a_part_is_marked_it_reads_that_alone(bedrock):
    guarded = [{"text": HARMFUL}, {"guardContent": {"text": {"text": HARMLESS}}}]
    reply = bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": guarded}], guardrailConfig=GUARD)
    assert reply["stopReason"] == "end_turn"
    guarded = [{"text": HARMLESS}, {"guardContent": {"text": {"text": HARMFUL}}}]
    reply = bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": guarded}], guardrailConfig=GUARD)
    assert reply["stopReason"] == "guardrail_intervened"


@pytest.mark.parametrize("text", [HARMFUL, IN_ANSWER])
def test_a_stream_that_it_stops_says_so_at_the_end(bedrock, text):
    config = {**GUARD, "trace": "enabled", "streamProcessingMode": "sync"}
    events = list(bedrock.converse_stream(modelId=CLAUDE, messages=said(text), guardrailConfig=config)["stream"])
    assert {"messageStop": {"stopReason": "guardrail_intervened"}} in events
    said_ = "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)
    assert said_ == text_of(converse(bedrock, text))
    assert events[-1]["metadata"]["trace"]["guardrail"]


def test_the_fault_makes_it_intervene(bedrock, gateway):
    gateway.fault("blocked", "bedrock", times=1)
    assert converse(bedrock, HARMLESS)["stopReason"] == "guardrail_intervened"
    gateway.fault("blocked", "bedrock", times=1)
    assert bedrock.converse(modelId=CLAUDE, messages=said(HARMLESS))["stopReason"] == "content_filtered"


def test_a_trace_that_is_none_is_refused(bedrock):
    with pytest.raises(ClientError, match="trace"):
        bedrock.converse(modelId=CLAUDE, messages=said("x"), guardrailConfig={**GUARD, "trace": "maybe"})
