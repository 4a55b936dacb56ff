"""`/metrics` of a house with two gateway processes: whichever is asked answers for both, and no count ever falls."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.stories.doors import doors, entered
from tests.stories.house import house, registry
from tests.waiting import eventually

LAG = "enginehouse_event_loop_lag_seconds_count"


async def test_either_gateway_answers_for_both_and_no_count_is_lost_with_one(tmp_path: Path) -> None:
    """What was counted and shown is never taken back: by `kill -9` what nobody has asked for yet is lost, by SIGTERM
    nothing.
    """
    async with house(registry(tmp_path, m={}), gateways=2) as running, doors(running) as (first, second):
        count = 2
        for door, requests in ((first, 5), (second, 3)):
            for _ in range(requests):
                assert await door.ask()
            count += requests
        for door in (second, first):
            await eventually(lambda door=door: door.says(count), what=f"{count} requests")
        before = await eventually(second.whole, what="figures of both")

        os.kill(first.pid, signal.SIGKILL)
        assert await second.says(count)
        after = await eventually(second.whole, what="another gateway")
        assert after.requests == count
        assert after.sum(LAG) >= before.sum(LAG)

        async with contextlib.AsyncExitStack() as stack:
            third = await entered(running, stack)
            while third.pid in {first.pid, second.pid}:
                third = await entered(running, stack)
            await eventually(third.ask, what="an answer")
            assert await second.ask()
            os.kill(second.pid, signal.SIGTERM)
            await eventually(lambda: third.says(count + 2), what="the last word of the one that ended")


async def test_a_scrape_succeeds_when_a_sibling_or_the_supervisor_is_silent(tmp_path: Path) -> None:
    """It says so, and what it says is never less than before."""
    async with house(registry(tmp_path, m={}), gateways=2) as running, doors(running) as (first, second):
        await eventually(lambda: first.says(2), what="both requests")
        os.kill(second.pid, signal.SIGSTOP)
        # The supervisor waits a second for each: on a busy machine one that is not silent may be late too.
        figures = await eventually(lambda: first.tells(1, 1, 0), what="figures of one, and what it knows of the other")
        assert figures.requests == 2
        os.kill(second.pid, signal.SIGCONT)
        await eventually(first.whole, what="both of them")

        os.kill(running.process.pid, signal.SIGSTOP)
        try:
            figures = await second.scrape()
        finally:
            os.kill(running.process.pid, signal.SIGCONT)
        assert (figures.requests, figures.parts) == (0, (0, 0, 2))
        assert figures.sum("enginehouse_workers", state="ready") == 1
        assert await second.ask()
        await eventually(lambda: first.says(3), what="all of them")
