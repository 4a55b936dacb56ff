"""Clients that leave: the real engine stops computing for nobody, by its own count."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.client import End, calling, post
from tests.real.house import LONG, House, endless
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT = "/v1/chat/completions"
MANY_WORDS = [{"role": "user", "content": "one two three " * 300}]


async def free_again(house: House, generated: float) -> None:
    """Nothing runs or waits in the engine, which has not nearly generated what it was asked for."""

    def idle() -> bool:
        return not house.engine("vllm:num_requests_running") + house.engine("vllm:num_requests_waiting")

    await eventually(idle, within=60, what="an idle engine")
    assert house.engine("vllm:generation_tokens_total") - generated < LONG / 2
    # A gateway that has just come answers 503 until it has a snapshot.
    await eventually(lambda: house.chat().status_code == 200, what="an answer")


async def test_in_the_middle_of_a_stream(house: House):
    before = house.engine("vllm:generation_tokens_total")
    async with calling(house.port, post(CHAT, endless(stream=True))) as conversation:
        await conversation.hear(events=5)
        await eventually(lambda: house.engine("vllm:num_requests_running") == 1, what="a running request")
        conversation.leave()
        await free_again(house, before)


async def test_before_the_first_token(house: House):
    """The prompt is still being read: nothing has come yet."""
    before = house.engine("vllm:generation_tokens_total")
    body = endless(stream=True, messages=MANY_WORDS, max_tokens=1000)
    async with calling(house.port, post(CHAT, body)) as conversation:
        await eventually(lambda: house.metric("enginehouse_inflight_requests") == 1, what="an open request")
        conversation.leave()
        await eventually(lambda: house.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
        assert conversation.transcript.body == b""
        await free_again(house, before)


async def test_while_a_json_answer_is_made(house: House):
    """Nothing is written to such a client before the end, and still its leaving is noticed."""
    before = house.engine("vllm:generation_tokens_total")
    async with calling(house.port, post(CHAT, endless(stream=False))) as conversation:
        await eventually(lambda: house.engine("vllm:num_requests_running") == 1, what="a running request")
        conversation.leave()
        await free_again(house, before)


async def test_with_its_gateway(house: House):
    """A gateway that is killed takes its clients' requests with it: their streams are cut, never ended."""
    before = house.engine("vllm:generation_tokens_total")
    async with calling(house.port, post(CHAT, endless(stream=True))) as conversation:
        await conversation.hear(events=5)
        os.kill(house.gateway(), signal.SIGKILL)
        cut = await conversation.hear()
        await free_again(house, before)
    assert (cut.end in {End.CUT, End.RESET}, cut.terminals) == (True, 0)
