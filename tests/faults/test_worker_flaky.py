"""Workers that fail now and then, are slow, or come and go: rows 12 and 13 of the fault matrix."""

from __future__ import annotations

import itertools

import pytest

from tests.faults.client import Transcript, ask
from tests.faults.proxy import Accepting, Ending, Faults, proxying
from tests.faults.stage import Measure, Pair, broken_off, in_turns, request, timed, whole
from tests.processes import model

ROUNDS = 400


async def served(pair: Pair, count: int = ROUNDS, wide: int = 20) -> list[int]:
    """Send so many requests, streams and JSON by turns; the seeds of those without a whole answer."""

    async def one(seed: int) -> Transcript:
        return await ask(pair.port, request(stream=seed % 2 == 0, seed=seed))

    answers = await in_turns(count, wide, one)
    return [seed for seed, heard in enumerate(answers) if not whole(heard, seed=seed)]


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_one_of_two_that_fails_in_three_of_ten_is_felt_by_nobody(pair: Pair, status: int, measured: Measure):
    """Row 12: every request is answered, and the workers are asked at most a fifth more often than the clients."""
    pair.first.script(status=status, share=0.3)
    before = pair.calls
    with timed(measured, "12", f"400 requests, one of two workers says {status} to 30 %"):
        assert await served(pair) == []
    assert pair.calls - before <= 1.2 * ROUNDS


async def test_a_worker_that_asks_for_time_is_given_it(pair: Pair):
    """Row 12: 429 with `Retry-After: 60` is answered elsewhere at once, and the same worker is not asked again."""
    pair.first.script(status=429, retry_after="60")
    before = pair.first.counts()["requests"]
    assert await served(pair, 40, wide=1) == []
    assert pair.first.counts()["requests"] == before + 1


async def test_a_worker_ten_times_slower_gets_little_of_the_work(pair: Pair):
    """Row 13: because its requests stay longer and so its load is higher.

    Less than a fifth in a simulation (`test_least_loaded.py`); less than a third here, where the machine's own
    slowness comes on top, the same for both.
    """
    pair.first.script(ttft=2.0)
    pair.second.script(ttft=0.2)
    before = pair.first.counts()["requests"]
    assert await served(pair) == []
    assert 0 < pair.first.counts()["requests"] - before < ROUNDS / 3


async def test_a_flapping_worker_fails_nobody_and_is_not_chased(pair: Pair, measured: Measure):
    """Row 13: it refuses and accepts by turns; nobody is failed, and its breaker keeps most requests away from it."""
    async with proxying(("127.0.0.1", pair.first.port)) as proxy:
        pair.gateway.publish(model(pair.first.view(id="flapping", url=proxy.url), pair.second))
        before = retries(pair)

        ways = itertools.cycle((Accepting.RESET, Accepting.FORWARD))

        async def one(seed: int) -> bool:
            if seed % 15 == 0:
                proxy.become(Faults(accepting=next(ways)))
                proxy.end_all(Ending.RESET)
            heard = await ask(pair.port, request(stream=seed % 2 == 0, seed=seed))
            # What has sent something when its worker goes cannot go elsewhere, and is told so.
            return whole(heard, seed=seed) or broken_off(heard, "worker_failed", seed=seed)

        with timed(measured, "13", "1,200 requests while one of two workers comes and goes"):
            assert all(await in_turns(3 * ROUNDS, 8, one))
    assert retries(pair) - before <= 0.1 * 3 * ROUNDS


def retries(pair: Pair) -> float:
    return pair.gateway.metric("enginehouse_retries_total")
