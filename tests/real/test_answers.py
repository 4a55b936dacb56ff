"""What the official clients get from the real model: OpenAI's behaviour, feature by feature."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import jsonschema
import openai
import pytest

from tests.real.house import MODEL, QUESTION, House

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

ASK: dict[str, Any] = {"model": MODEL, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Finds a city.", "parameters": CITY}}


def text_of(chunks: Any) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_the_capital_of_france_is_paris(client: openai.OpenAI):
    """Four bits are enough for that."""
    answer = client.chat.completions.create(**ASK)
    assert "Paris" in answer.choices[0].message.content
    assert (answer.model, answer.choices[0].finish_reason) == (MODEL, "stop")


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI):
    """One finish reason, at the end, and the usage of the whole."""
    whole = client.chat.completions.create(**ASK)
    chunks = list(client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    assert text_of(chunks) == whole.choices[0].message.content
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert (finishes, chunks[-1].usage.model_dump()) == (["stop"], whole.usage.model_dump())


def test_an_alias_is_its_model(client: openai.OpenAI):
    answer = client.chat.completions.create(**ASK | {"model": "default"})
    assert "Paris" in answer.choices[0].message.content


def test_a_prompt_is_completed_whole_and_streamed(client: openai.OpenAI):
    """The oldest endpoint, which some tools still use."""
    ask = {"model": MODEL, "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
    whole = client.completions.create(**ask)
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stream=True))
    assert "Paris" in whole.choices[0].text
    assert (streamed, whole.choices[0].finish_reason) == (whole.choices[0].text, "length")


def test_an_answer_holds_to_a_json_schema(client: openai.OpenAI):
    schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    answer = client.chat.completions.create(**ASK | {"max_tokens": 60}, response_format=schema)
    jsonschema.validate(json.loads(answer.choices[0].message.content), CITY)


@pytest.mark.parametrize("choice", [{"type": "function", "function": {"name": "look_up"}}, "required"], ids=str)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_forced_tool_is_called_with_arguments_that_fit(client: openai.OpenAI, choice: Any, *, stream: bool):
    """Named, or any at all: the model has no choice but to call it as it wants to be called."""
    ask = ASK | {"max_tokens": 100, "tools": [TOOL], "tool_choice": choice}
    if stream:
        with client.chat.completions.stream(**ask) as events:
            answer = events.get_final_completion()
    else:
        answer = client.chat.completions.create(**ask)
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "look_up"
    jsonschema.validate(json.loads(call.function.arguments), CITY)


def test_logprobs_come_for_every_token(client: openai.OpenAI):
    """With the two likeliest, of which greedy decoding has taken the first."""
    answer = client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens
    assert all(len(each.top_logprobs) == 2 and each.logprob <= 0 for each in tokens)
    assert all(each.token == each.top_logprobs[0].token for each in tokens)


def test_two_choices_are_two_answers(client: openai.OpenAI):
    answer = client.chat.completions.create(**ASK | {"temperature": 1, "seed": 1}, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.content for choice in answer.choices)


def test_models_are_listed(client: openai.OpenAI):
    assert [each.id for each in client.models.list()] == [MODEL, "default"]


def test_embeddings_are_clearly_refused(client: openai.OpenAI):
    """A generative model's engine does not embed; the answer says so and names the path."""
    with pytest.raises(openai.APIStatusError, match="/v1/embeddings") as raised:
        client.embeddings.create(model=MODEL, input="x")
    assert (raised.value.status_code, raised.value.code) == (501, "unsupported_path")


def test_responses_work_whole_and_streamed(client: openai.OpenAI):
    """OpenAI's newer endpoint, by the engine's own implementation."""
    ask = {"model": MODEL, "input": QUESTION[0]["content"], "max_output_tokens": 24, "temperature": 0}
    whole = client.responses.create(**ask)
    events = list(client.responses.create(**ask, stream=True))
    assert "Paris" in whole.output_text
    assert events[-1].type == "response.completed"
    assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == whole.output_text


def test_anthropics_messages_work_whole_and_streamed(house: House):
    """And their tokens are counted before."""
    ask: dict[str, Any] = {"model": MODEL, "messages": QUESTION}
    with anthropic.Anthropic(base_url=house.url, api_key="none", max_retries=0) as claude:
        whole = claude.messages.create(**ask, max_tokens=24, extra_body={"temperature": 0})
        with claude.messages.stream(**ask, max_tokens=24, extra_body={"temperature": 0}) as stream:
            streamed = "".join(stream.text_stream)
        counted = claude.messages.count_tokens(**ask)
    assert "Paris" in whole.content[0].text
    assert streamed == whole.content[0].text
    assert counted.input_tokens == whole.usage.input_tokens


def test_text_becomes_tokens_and_text_again(house: House):
    asked = {"model": MODEL, "prompt": "Paris, ville lumière"}
    tokens = house.http.post("/tokenize", json=asked).json()["tokens"]
    assert house.http.post("/detokenize", json={"model": MODEL, "tokens": tokens}).json()["prompt"] == asked["prompt"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_prompt_longer_than_the_context_is_the_engines_400(house: House, *, stream: bool):
    """Its sentence once, in our envelope, and no stream is begun."""
    refused = house.chat(messages=[{"role": "user", "content": "word " * 3000}], stream=stream)
    error = refused.json()["error"]
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/json")
    assert (set(error), error["type"]) == ({"message", "type", "param", "code"}, "invalid_request_error")
    assert refused.text.count("maximum context length") == 1
