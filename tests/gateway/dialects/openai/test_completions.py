"""OpenAI's legacy completions through its own SDK: no model of theirs is alive, and each request is refused in OpenAI's words."""

import openai
import pytest
from openai import OpenAI

GONE = "The model `{}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations"
CHAT = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?"


@pytest.mark.parametrize(
    ("model", "status", "param", "code", "words"),
    [
        ("gpt-3.5-turbo-instruct", 404, None, "model_not_found", GONE),
        ("davinci-002", 404, None, "model_not_found", GONE),
        ("text-davinci-003", 404, None, "model_not_found", GONE),
        ("gpt-3.5-turbo", 404, None, "model_not_found", GONE),
        ("gpt-6-luna", 404, "model", None, CHAT),
        ("gpt-none", 404, None, "model_not_found", "The model `{}` does not exist or you do not have access to it."),
        ("text-embedding-3-small", 403, "model", None, "You are not allowed to sample from this model"),
        ("", 400, None, None, "you must provide a model parameter"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_no_model_completes_a_prompt(gateway, model, status, param, code, words, stream):
    with pytest.raises(openai.APIStatusError) as caught:
        OpenAI(max_retries=0).completions.create(model=model, prompt="Once", suffix=" end", echo=True, n=2, best_of=3, logprobs=2, stream=stream)
    assert (caught.value.status_code, caught.value.body["message"]) == (status, words.format(model))
    assert (caught.value.param, caught.value.code, caught.value.type) == (param, code, "invalid_request_error")
