"""A worker that does not hold the adapter that it should: mended, tried once more, never answered by the base."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import AdapterMissing, EngineRefused
from tests.unit.gateway.builders import http, jumping, turns, worker_view
from tests.unit.gateway.scripted import says
from tests.unit.gateway.test_relay import ANSWER, house_of

CAT = "m:cat@0123456789abcdef"
UNKNOWN = says(http(b'{"error":{"message":"The model `%b` does not exist.","code":404}}' % CAT.encode(), 404))
SGLANGS = says(http(b'{"object":"error","message":"%b is not a loaded LoRA adapter","code":400}' % CAT.encode(), 400))


def hold(house, *holders):
    """The snapshot that says so."""
    workers = [
        worker_view(name, port=server.port, resident=(CAT,) if name in holders else ())
        for name, server in zip("abc", house.servers, strict=False)
    ]
    house.pool.update(type(house.pool.model)(name="m", engine="plain", served_name="m", workers=tuple(workers)))


@pytest.mark.parametrize("unknown", [UNKNOWN, SGLANGS])
async def test_another_holder_answers(unknown):
    async with house_of([unknown], [says(ANSWER)], [says(ANSWER)]) as house:
        hold(house, "a", "c")
        assert (await house.ask(stream=False, needs=CAT)).status == 200
        assert (house.asked, house.suspected) == ([1, 0, 1], [])
        assert house.retried == [("m", "adapter_loading")]


async def test_the_same_worker_answers_once_it_holds_it_again():
    async with house_of([UNKNOWN, says(ANSWER)]) as house:
        hold(house, "a")
        asked = asyncio.get_running_loop().create_task(house.ask(stream=False, needs=CAT))
        while not house.pool.waiting:
            await turns()
        hold(house)
        hold(house, "a")
        assert (await asked).status == 200


@jumping
async def test_it_is_tried_once_more_and_not_for_ever():
    async with house_of([UNKNOWN, UNKNOWN]) as house:
        hold(house, "a")
        with pytest.raises(AdapterMissing) as told:
            await house.begin(stream=False, needs=CAT)
        assert (told.value.answered_status, told.value.code, house.asked) == (503, "adapter_loading", [2])


async def test_a_refusal_that_is_about_something_else_is_the_clients():
    """`previous_response_id`, too long a prompt: not a word of the adapter."""
    async with house_of([says(http(b'{"error":{"message":"No such response.","code":404}}', 404))]) as house:
        hold(house, "a")
        with pytest.raises(EngineRefused, match="No such response"):
            await house.begin(stream=False, needs=CAT)
