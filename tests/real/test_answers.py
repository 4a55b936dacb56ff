"""The openai client against the real model on the real engine: every kind of answer that the README promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import openai
import pytest

from tests.real.stack import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": CITY}}
NAMED = {"type": "function", "function": {"name": "look_up"}}
TOO_LONG = [{"role": "user", "content": "hi " * 5000}]


def ask(client, temperature=0, **more):
    asked = {"model": "default", "messages": CAPITAL, "max_tokens": 40, "temperature": temperature}
    return client.chat.completions.create(**asked, **more)


def test_the_int4_model_knows_the_capital_of_france(client):
    """It still answers what its source answers."""
    assert "Paris" in ask(client).choices[0].message.content


def test_a_stream_says_what_the_whole_answer_says(client):
    """Greedy, so the words are the same."""
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, stream=True))
    assert streamed == ask(client).choices[0].message.content


def test_a_completion_goes_on_with_the_text(client):
    answer = client.completions.create(model="default", prompt="The capital of France is", max_tokens=5, temperature=0)
    assert "Paris" in answer.choices[0].text


def test_an_answer_follows_a_json_schema(client):
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    answer = json.loads(ask(client, response_format=wanted).choices[0].message.content)
    assert list(answer) == ["city"]


@pytest.mark.parametrize("choice", [NAMED, "required"])
def test_a_forced_tool_call_has_arguments_of_the_tools_shape(client, choice):
    """Named, and required."""
    (call, *_) = ask(client, tools=[TOOL], tool_choice=choice).choices[0].message.tool_calls
    assert (call.function.name, list(json.loads(call.function.arguments))) == ("look_up", ["city"])


def test_log_probabilities_and_several_answers_come_through(client):
    answer = ask(client, temperature=0.5, n=2, logprobs=True, top_logprobs=2)
    assert [len(choice.logprobs.content[0].top_logprobs) for choice in answer.choices] == [2, 2]


def test_responses_and_messages_are_served(client, stack):
    """OpenAI's Responses API and Anthropic's Messages API."""
    answer = client.responses.create(model="default", input=CAPITAL[0]["content"], temperature=0, max_output_tokens=40)
    message = stack.post("/v1/messages", {"model": "default", "max_tokens": 40, "temperature": 0, "messages": CAPITAL})
    assert "Paris" in answer.output_text
    assert "Paris" in message.json()["content"][0]["text"]


def test_embeddings_are_refused_clearly(client):
    with pytest.raises(openai.InternalServerError) as refused:
        client.embeddings.create(model="default", input="x")
    assert (refused.value.status_code, refused.value.code) == (501, "unsupported_path")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_context_is_refused_in_the_engines_words(client, stream):
    """The engine's 400 once, in our envelope, also where a stream was asked for."""
    with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens") as refused:
        client.chat.completions.create(model="default", messages=TOO_LONG, stream=stream)
    assert (refused.value.type, refused.value.code) == ("invalid_request_error", None)


def test_usage_is_the_engines_own_count(client, stack):
    """Our token counters grow as the engine's do, streamed and not, usage asked for or not."""

    def counted():
        engine = [stack.engine_figure(f"vllm:{kind}_tokens_total") for kind in ("prompt", "generation")]
        ours = [stack.gateway_figure("enginehouse_tokens_total", kind=kind) for kind in ("prompt", "completion")]
        return engine, ours

    (engine, ours) = counted()
    ask(client)
    list(ask(client, stream=True))
    (engine_after, ours_after) = counted()
    grown = [after - before for before, after in zip(ours, ours_after, strict=True)]
    assert grown == [after - before for before, after in zip(engine, engine_after, strict=True)]


README = re.findall(r"<!-- example: (\w+) -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("name", "program"), README, ids=[name for name, _ in README])
def test_the_readmes_examples_run(stack, name, program):
    """What the README shows is what happens."""
    program = program.replace("http://127.0.0.1:8000", stack.url)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300)
    assert (ran.returncode, ran.stderr, bool(ran.stdout.strip())) == (0, "", True), name
