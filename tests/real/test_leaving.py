"""Clients that leave: the real engine stops computing for nobody, by its own count."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Self

import pytest

from tests.faults.client import End, calling, post
from tests.real.house import LONG, House, endless
from tests.waiting import eventually

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CHAT = "/v1/chat/completions"
MANY_WORDS = [{"role": "user", "content": "one two three " * 300}]


@dataclass(frozen=True)
class Before:
    """What a client found that leaves."""

    gateway: int
    """Its process."""
    generated: float
    """Tokens that the engine has made."""

    @classmethod
    def of(cls, house: House) -> Self:
        gateway = house.gateway()
        assert gateway
        return cls(gateway, house.engine("vllm:generation_tokens_total"))


async def free_again(house: House, before: Before, *, killed: bool = False) -> None:
    """Nothing runs or waits in the engine, which has not nearly generated what it was asked for; and the gateway is the
    one that it was, unless it was killed.
    """

    def idle() -> bool:
        return not house.engine("vllm:num_requests_running") + house.engine("vllm:num_requests_waiting")

    await eventually(idle, within=60, what="an idle engine")
    assert house.engine("vllm:generation_tokens_total") - before.generated < LONG / 2
    waited_for = {503} if killed else set()  # a gateway that has just come has no snapshot yet

    def answers() -> bool:
        answer = house.chat()
        assert answer.status_code in {200, *waited_for}, answer.text
        return answer.status_code == 200

    await eventually(answers, what="an answer")
    assert (house.gateway() != before.gateway) is killed


async def test_in_the_middle_of_a_stream(house: House):
    before = Before.of(house)
    async with calling(house.port, post(CHAT, endless(stream=True))) as conversation:
        await conversation.hear(events=5)
        await eventually(lambda: house.engine("vllm:num_requests_running") == 1, what="a running request")
        conversation.leave()
        await free_again(house, before)


async def test_before_the_first_token(house: House):
    """The prompt is still being read: nothing has come yet."""
    before = Before.of(house)
    body = endless(stream=True, messages=MANY_WORDS, max_tokens=1000)
    async with calling(house.port, post(CHAT, body)) as conversation:
        await eventually(lambda: house.metric("enginehouse_inflight_requests") == 1, what="an open request")
        conversation.leave()
        await eventually(lambda: house.metric("enginehouse_inflight_requests") == 0, what="an empty gateway")
        assert conversation.transcript.body == b""
        await free_again(house, before)


async def test_while_a_json_answer_is_made(house: House):
    """Nothing is written to such a client before the end, and still its leaving is noticed."""
    before = Before.of(house)
    async with calling(house.port, post(CHAT, endless(stream=False))) as conversation:
        await eventually(lambda: house.engine("vllm:num_requests_running") == 1, what="a running request")
        conversation.leave()
        await free_again(house, before)


async def test_with_its_gateway(house: House):
    """A gateway that is killed takes its clients' requests with it: their streams are cut, never ended."""
    before = Before.of(house)
    async with calling(house.port, post(CHAT, endless(stream=True))) as conversation:
        await conversation.hear(events=5)
        os.kill(before.gateway, signal.SIGKILL)
        cut = await conversation.hear()
        await free_again(house, before, killed=True)
    assert (cut.end in {End.CUT, End.RESET}, cut.terminals) == (True, 0)
