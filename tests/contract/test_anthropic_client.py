"""What the official Anthropic client sees of `/v1/messages`."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest

from engines.fake.words import verify
from tests.faults.verify import inspect_part
from tests.processes import FakeWorker, Gateway

ASK = {"model": "small", "max_tokens": 6, "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0) as opened:
        yield opened


def test_a_message_is_answered_whole(claude: anthropic.Anthropic):
    """The engine's own Anthropic endpoint answers; the gateway relays it."""
    answer = claude.messages.create(**ASK)
    assert verify(answer.content[0].text) == 6
    assert (answer.stop_reason, answer.usage.input_tokens, answer.usage.output_tokens) == ("max_tokens", 3, 6)


def test_a_message_is_streamed_to_its_stop(claude: anthropic.Anthropic):
    """There is no `[DONE]` here: `message_stop` ends the stream."""
    with claude.messages.stream(**ASK) as stream:
        assert verify("".join(stream.text_stream)) == 6
        assert stream.get_final_message().usage.output_tokens == 6


def test_tokens_are_counted(claude: anthropic.Anthropic):
    """`count_tokens` is a path of its own."""
    counted = claude.messages.count_tokens(model="small", messages=ASK["messages"])
    assert counted.input_tokens == 3


def test_an_unknown_model_is_not_found(claude: anthropic.Anthropic):
    """The client reads the status; the message says what exists."""
    with pytest.raises(anthropic.NotFoundError, match="small, default"):
        claude.messages.create(**ASK | {"model": "claude-9"})


def test_a_broken_stream_is_an_exception(claude: anthropic.Anthropic, worker: FakeWorker):
    """The error event of this dialect is raised by its client, after what had come."""
    worker.script(truncate_at=4)
    text: list[str] = []
    with pytest.raises(anthropic.APIStatusError), claude.messages.stream(**ASK) as stream:
        text.extend(stream.text_stream)
    assert inspect_part("".join(text)).clean
