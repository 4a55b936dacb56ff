"""The retry budget: what exceeds it waits its turn within its own limits; a turn is never lost."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import AnswerTimeout
from gateway.patience import Patience
from gateway.pool.retries import Retries
from registry.snapshot import Timeouts
from tests.unit.gateway.builders import cancelled, jumping, turns


def patience(**limits):
    return Patience(Timeouts(**limits), asyncio.get_running_loop().time, stream=False)


class Retrying:
    """One request that holds its place until it is told to go."""

    def __init__(self, retries):
        self.inside = False
        self.go = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self.run(retries))

    async def run(self, retries):
        async with retries.turn(patience()):
            self.inside = True
            await self.go.wait()


async def started(retries, count):
    requests = [Retrying(retries) for _ in range(count)]
    await turns()
    return requests


async def end(*requests):
    for request in requests:
        await cancelled(request.task)


async def test_three_at_once_and_the_fourth_waits_its_turn():
    retries = Retries(lambda: 0)
    requests = await started(retries, 5)
    assert [request.inside for request in requests] == [True, True, True, False, False]
    requests[1].go.set()
    await turns()
    assert ([request.inside for request in requests], retries.under_way) == ([True] * 4 + [False], 3)
    await end(*requests)


async def test_a_busy_pool_has_a_larger_budget():
    retries = Retries(lambda: 100)
    requests = await started(retries, 20)
    assert sum(request.inside for request in requests) == 20
    await end(*requests)


async def test_those_who_wait_are_open_requests_too():
    """A hundred requests of a worker that died have no lease any more: still a fifth of them is tried at once."""
    retries = Retries(lambda: 0)
    requests = await started(retries, 100)
    assert sum(request.inside for request in requests) == 16  # a fifth of the 84 that wait
    await end(*requests)


async def test_a_failed_retry_gives_its_place_back():
    retries = Retries(lambda: 0)
    with pytest.raises(ValueError, match="boom"):
        async with retries.turn(patience()):
            raise ValueError("boom")
    assert retries.under_way == 0


async def test_a_cancelled_waiter_leaves_and_the_next_takes_its_turn():
    retries = Retries(lambda: 0)
    requests = await started(retries, 5)
    await cancelled(requests[3].task)
    requests[0].go.set()
    await turns()
    assert (requests[4].inside, retries.under_way) == (True, 3)
    await end(*requests)
    assert retries.under_way == 0


async def test_a_turn_given_in_the_instant_of_cancellation_goes_to_the_next():
    retries = Retries(lambda: 0)
    requests = await started(retries, 5)
    requests[0].go.set()
    await asyncio.wait([requests[0].task])
    requests[3].task.cancel()
    await turns()
    assert (requests[4].inside, retries.under_way) == (True, 3)
    await end(*requests)
    assert retries.under_way == 0


@jumping
async def test_a_turn_is_not_waited_for_beyond_the_requests_own_limit():
    """Its time is over, and that is what it is told; those behind it wait on."""
    retries = Retries(lambda: 0)
    requests = await started(retries, 3)
    with pytest.raises(AnswerTimeout):
        async with retries.turn(patience(answer=20.0)):
            pass
    assert asyncio.get_running_loop().time() == pytest.approx(20.0, abs=1)
    await end(*requests)
    assert retries.under_way == 0
