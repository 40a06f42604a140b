import forecast
import httpx2
import openai
import pytest


def test_the_tool_is_called_and_its_result_goes_back(llm_gateway):
    llm_gateway.script(call=("weather", {"city": "Oslo"}), to="Oslo")
    llm_gateway.script("Take an umbrella.", to="rain, 8 degrees")
    assert forecast.forecast("What is the weather in Oslo?") == "Take an umbrella."
    assert [entry.operation for entry in llm_gateway.log()] == ["chat", "chat"]


def test_a_prompt_that_nobody_has_answered_is_an_error(llm_gateway):
    with pytest.raises(openai.NotFoundError):
        forecast.forecast("What is the weather in Oslo?")
    assert len(llm_gateway.log()) == 1, "what the test before this one did is forgotten, and so are its answers"


def test_a_stream(llm_gateway):
    llm_gateway.script("A coat and boots.", provider="anthropic")
    assert forecast.advice("Oslo: rain") == "A coat and boots."


def test_a_stream_that_is_cut_is_not_taken_for_an_answer(llm_gateway):
    llm_gateway.script("A coat and boots, and gloves where it snows.", provider="anthropic")
    llm_gateway.fault("stream_cut", "anthropic")
    with pytest.raises(httpx2.RemoteProtocolError):
        forecast.advice("Oslo: rain")


def test_too_many_requests_are_waited_out(llm_gateway):
    llm_gateway.script("It rains.", times=None)
    llm_gateway.fault("rate_limited", "openai", times=2)
    assert forecast.patient("What is the weather in Oslo?") == "It rains."
    assert [entry.status for entry in llm_gateway.log()] == [429, 429, 200]
    assert {finding.name: finding.verdict for finding in llm_gateway.verdict()}["retry-after"] == "good"


def test_after_an_outage_the_provider_is_back(llm_gateway):
    llm_gateway.script("It rains.")
    llm_gateway.fault("outage", "openai", seconds=3600)
    with pytest.raises(openai.InternalServerError):
        forecast.forecast("Is it raining?")
    llm_gateway.advance(hours=1)
    assert forecast.forecast("Is it raining?") == "It rains."


@pytest.mark.parametrize("number", range(3))
def test_a_limit_of_one_test_is_not_that_of_the_next(llm_gateway, number):
    llm_gateway.script("It rains.", times=None)
    llm_gateway.limit("openai", requests=1)
    forecast.forecast("Is it raining?")
    with pytest.raises(openai.RateLimitError):
        forecast.forecast("Is it raining?")
