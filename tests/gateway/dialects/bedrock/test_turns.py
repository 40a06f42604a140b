"""The order of a conversation with Bedrock's models, files in it, and sampling by model, through boto3."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

NEW, OLD = "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA, NOVA = "meta.llama3-1-8b-instruct-v1:0", "amazon.nova-lite-v1:0"
ALL = [NEW, OLD, LLAMA, NOVA]
CLAUDE_SAYS = "The model returned the following errors: "
PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
TOOLS = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]}
PNG, JPEG = b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff\xe0..."
TOO_MANY = "The number of toolResult blocks at messages.{}.content exceeds the number of toolUse blocks of previous turn."
EXPECTED = "Expected toolResult blocks at messages.{}.content for the following Ids: {}"


@pytest.fixture
def bedrock(gateway):
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


def user(*content):
    return {"role": "user", "content": list(content) or [{"text": "Say hello."}]}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def call(name="tooluse_a"):
    return {"toolUse": {"toolUseId": name, "name": "look", "input": {}}}


def result(name="tooluse_a", *content):
    return {"toolResult": {"toolUseId": name, "content": list(content) or [{"text": "7"}]}}


def ask(bedrock, *messages, model=NEW, **more):
    return bedrock.converse(modelId=model, messages=list(messages), **{"inferenceConfig": {"maxTokens": 200}, **more})


def refused(bedrock, *messages, **more):
    with pytest.raises(ClientError) as caught:
        ask(bedrock, *messages, **more)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Message"]


# ---- turns ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", ALL)
def test_the_roles_take_turns(bedrock, model):
    said = {"text": "Hello."}
    assert refused(bedrock, user(), user(), model=model).startswith("A conversation must alternate between user and assistant roles.")
    empty = "The content field in the Message object at messages.1 is empty. Add a ContentBlock object to the content field and try again."
    assert refused(bedrock, user(), assistant(), user(), model=model) == empty
    blank = "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again."
    assert refused(bedrock, user({"text": ""}), model=model) == blank


@pytest.mark.parametrize("model", ALL)
def test_white_space_alone_reaches_claude_who_wants_something_beside_it(bedrock, model):
    """Beside other blocks it was recorded with Sonnet 4.5, alone it was refused to users of 2026."""
    alone, beside = user({"text": "\n"}), user({"text": "Hello"}, {"text": "\n"})
    if model not in (NEW, OLD):
        blank = "The text field in the ContentBlock object at messages.0.content.{} is blank. Add text to the text field, and try again."
        assert [refused(bedrock, one, model=model) for one in (alone, beside)] == [blank.format(0), blank.format(1)]
        return
    assert refused(bedrock, alone, model=model) == "The model returned the following errors: messages: text content blocks must contain non-whitespace text"
    assert ask(bedrock, beside, model=model)["output"] and ask(bedrock, user(), model=model, system=[{"text": "\n"}])["output"]


def test_what_aws_ran_itself_is_no_call_that_wants_a_result(bedrock):
    """As recorded with Nova 2 Lite in 2026: the call, its result and a call of the client's own in one turn."""
    ran = {"toolUse": {"toolUseId": "tooluse_1", "name": "nova_code_interpreter", "input": {"snippet": "1234 * 5678"}, "type": "server_tool_use"}}
    output = {"json": {"stdOut": "7006652", "stdErr": "", "exitCode": 0, "isError": False}}
    result = {"toolResult": {"toolUseId": "tooluse_1", "content": [output], "type": "nova_code_interpreter_result", "status": "success"}}
    own = {"toolUse": {"toolUseId": "tooluse_2", "name": "look", "input": {}}}
    answered = {"toolResult": {"toolUseId": "tooluse_2", "content": [{"text": "Done."}], "status": "success"}}
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}, {"systemTool": {"name": "nova_code_interpreter"}}]}
    asked = {"model": "us.amazon.nova-2-lite-v1:0", "toolConfig": tools}
    assert ask(bedrock, user(), assistant(ran, result, own), user(answered, {"text": "Now multiply that by 2"}), **asked)["output"]
    assert ask(bedrock, user(), assistant(ran, result, {"text": "7006652"}), user(), **asked)["output"]
    wanted = "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_2"
    assert refused(bedrock, user(), assistant(ran, result, own), user(), **asked) == wanted


@pytest.mark.parametrize(
    ("model", "taken"),
    [(NEW, True), (OLD, True), ("qwen.qwen3-32b-v1:0", True), ("zai.glm-4.7-flash", True), ("moonshotai.kimi-k2.5", True), (NOVA, False), (LLAMA, False)],
)
def test_a_conversation_may_start_with_an_answer_for_some(bedrock, model, taken):
    """As recorded with Claude Sonnet 4.5, and tried with the others by pydantic-ai on 2026-07-03."""
    messages = [assistant({"text": "Hello there!"}), user({"text": "Now say goodbye."})]
    if taken:
        assert ask(bedrock, *messages, model=model)["stopReason"] == "end_turn"
        events = bedrock.converse_stream(modelId=model, messages=messages)["stream"]
        assert next(event for event in events if "messageStop" in event)["messageStop"]["stopReason"] == "end_turn"
        assert bedrock.count_tokens(modelId=model, input={"converse": {"messages": messages}})["inputTokens"] > 0
        return
    start = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
    assert refused(bedrock, *messages, model=model) == start


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NEW, CLAUDE_SAYS + PREFILL),
        (OLD, None),
        (NOVA, None),
        (LLAMA, "The model that you are using requires the last turn in the conversation to be a user message. Add a user message to the conversation and try again."),
    ],
)
def test_who_speaks_last(bedrock, model, message):
    messages = [user(), assistant({"text": "{"})]
    if message:
        assert refused(bedrock, *messages, model=model) == message
    else:
        assert ask(bedrock, *messages, model=model)["stopReason"]


def test_what_was_begun_does_not_end_in_white_space(bedrock):
    words = "messages: final assistant content cannot end with trailing whitespace"
    assert refused(bedrock, user(), assistant({"text": "Hello "}), model=OLD) == CLAUDE_SAYS + words


# ---- pairs ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", ALL)
def test_pairs_are_taken(bedrock, model):
    two = assistant(call("a"), call("b"))
    assert ask(bedrock, user(), two, user(result("b"), result("a"), {"text": "Go on."}), model=model, toolConfig=TOOLS)["stopReason"]


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([user(result())], TOO_MANY.format(0)),
        ([user(), assistant({"text": "Look."}), user(result())], TOO_MANY.format(2)),
        ([user(), assistant(call()), user(result(), result())], TOO_MANY.format(2)),
        ([user(), assistant(call()), user(result("b"))], EXPECTED.format(2, "tooluse_a")),
        ([user(), assistant(call("a"), call("b")), user(result("a"))], EXPECTED.format(2, "b")),
        ([user(), assistant(call("a"), call("b")), user(result("a"), result("a"))], EXPECTED.format(2, "b")),
        ([user(), assistant(call(), result()), user(result())], TOO_MANY.format(1)),
    ],
)
def test_what_is_no_pair(bedrock, model, messages, message):
    assert refused(bedrock, *messages, model=model, toolConfig=TOOLS) == message


def test_calls_that_nothing_answers_reach_claude(bedrock):
    words = (
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: tooluse_a. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )
    for model in (NEW, OLD):
        assert refused(bedrock, user(), assistant(call()), user(), model=model, toolConfig=TOOLS) == CLAUDE_SAYS + words
    assert refused(bedrock, user(), assistant(call()), user(), model=NOVA, toolConfig=TOOLS) == EXPECTED.format(2, "tooluse_a")


# ---- images --------------------------------------------------------------------------------------------------
def image(data=PNG, kind="png"):
    return {"image": {"format": kind, "source": {"bytes": data}}}


@pytest.mark.parametrize("model", [NEW, OLD, NOVA])
def test_an_image_is_taken_by_models_that_see(bedrock, model):
    assert ask(bedrock, user(image(), {"text": "What is this?"}), model=model)["stopReason"]
    assert ask(bedrock, user(), assistant(call()), user(result("tooluse_a", image())), model=model, toolConfig=TOOLS)["stopReason"]


@pytest.mark.parametrize(("model", "kind"), [(LLAMA, "image"), (LLAMA, "video"), (NEW, "video"), (OLD, "video")])
def test_a_model_that_does_not_see(bedrock, model, kind):
    block = image() if kind == "image" else {"video": {"format": "mp4", "source": {"bytes": b"film"}}}
    words = f"This model doesn't support the {kind} content block that you provided. Update the content block and try again."
    assert refused(bedrock, user(block, {"text": "What is this?"}), model=model) == words
    assert refused(bedrock, user(), assistant(call()), user(result("tooluse_a", block)), model=model, toolConfig=TOOLS) == words


@pytest.mark.parametrize("model", [NEW, LLAMA, NOVA])
def test_no_model_hears(bedrock, model):
    words = "This model doesn't support the audio content block that you provided. Update the content block and try again."
    assert refused(bedrock, user({"audio": {"format": "mp3", "source": {"bytes": b"sound"}}}), model=model) == words


# ---- files in S3 ---------------------------------------------------------------------------------------------
def stored(kind, form):
    return {kind: {"format": form, "source": {"s3Location": {"uri": "s3://bucket/file"}}, **({"name": "File"} if kind == "document" else {})}}


PICTURE, PAPER, FILM = stored("image", "png"), stored("document", "pdf"), stored("video", "mp4")
NO_S3 = "This model doesn't support the s3Uri field. Remove s3Uri and try again."
NO_FILM = "This model doesn't support the video content block that you provided. Update the content block and try again."
NO_TOOL = CLAUDE_SAYS + "Malformed input request: #/messages/2/content/0: extraneous key [toolResult] is not permitted, please reformat your input and try again."


@pytest.mark.parametrize(
    ("model", "block", "in_message", "in_result"),
    [
        (NEW, PICTURE, NO_S3, NO_S3),
        (OLD, PICTURE, NO_S3, NO_S3),
        (OLD, PAPER, CLAUDE_SAYS + "messages.2.content.1.document.source.type: Field required", None),
        (OLD, FILM, NO_FILM, NO_FILM),
        (NOVA, PICTURE, None, None),
        (NOVA, PAPER, None, NO_TOOL),
        (NOVA, FILM, None, NO_TOOL),
    ],
)
def test_what_stands_in_s3_is_taken_as_recorded(bedrock, model, block, in_message, in_result):
    for last, message in ((user(result(), block), in_message), (user(result("tooluse_a", block)), in_result)):
        turns = {"model": model, "toolConfig": TOOLS}
        if message:
            assert refused(bedrock, user(), assistant(call()), last, **turns) == message
        else:
            assert ask(bedrock, user(), assistant(call()), last, **turns)["stopReason"]


AT = "messages.0.content.0.image.source.base64: "


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (image(JPEG), f"{CLAUDE_SAYS}{AT}The image was specified using the image/png media type, but the image appears to be a image/jpeg image"),
        (image(b"<html>"), f"{CLAUDE_SAYS}Could not process image"),
        (image(kind="jpg"), "Value 'jpg' at 'messages.1.member.content.1.member.image.format' failed to satisfy constraint: Member must satisfy enum value set: [png, jpeg, gif, webp]"),
    ],
)
def test_an_image_that_is_not_what_it_says(bedrock, block, message):
    assert refused(bedrock, user(block, {"text": "What is this?"})).removeprefix("1 validation error detected: ") == message


# ---- names, sampling -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "place", "rule"),
    [
        ({"name": "look up"}, "name", "satisfy regular expression pattern: [a-zA-Z0-9_-]+"),
        ({"name": "x" * 65}, "name", "have length less than or equal to 64"),
    ],
)
def test_the_name_of_a_tool_is_a_plain_word(bedrock, change, place, rule):
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}, **change}}]}
    value = change[place][:60]
    at = f"'toolConfig.tools.1.member.toolSpec.{place}'"
    words = f"1 validation error detected: Value '{value}' at {at} failed to satisfy constraint: Member must {rule}"
    assert refused(bedrock, user(), toolConfig=tools) == words


@pytest.mark.parametrize(
    ("model", "config", "more", "message"),
    [
        (NEW, {"temperature": 0.5}, {}, "`temperature` is deprecated for this model."),
        (NEW, {"topP": 0.5}, {}, "`top_p` is deprecated for this model."),
        (NEW, {}, {"top_k": 5}, "`top_k` is deprecated for this model."),
        (OLD, {"temperature": 0.5, "topP": 0.9}, {}, "`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        (OLD, {"temperature": 0.5}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."),
        (NEW, {"stopSequences": ["\n"]}, {}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ],
)
def test_what_claude_refuses_of_the_settings(bedrock, model, config, more, message):
    config = {"maxTokens": 2000, **config}
    assert refused(bedrock, user(), model=model, inferenceConfig=config, additionalModelRequestFields=more) == CLAUDE_SAYS + message


@pytest.mark.parametrize("model", [LLAMA, NOVA])
def test_the_other_models_have_sampling(bedrock, model):
    assert ask(bedrock, user(), model=model, inferenceConfig={"temperature": 0.5, "topP": 0.9, "maxTokens": 20})["stopReason"]
