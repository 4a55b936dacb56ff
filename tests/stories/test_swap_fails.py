"""Swaps that cannot be as wished: a pool that does not come up, edits that overtake each other, no room for both."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.faults.client import Transcript, ask, calling, post
from tests.faults.stage import CHAT, meanwhile, refused, whole
from tests.stories.house import House, answered, caught_up, house, registry
from tests.stories.load import LONG, loaded, metric, swap
from tests.waiting import eventually

CRASHES = {"options": {"vllm": {"crash_at_start": 3}}}
SAYS_GARBAGE = {"options": {"vllm": {"status": 500}}}
NEVER_READY = {"options": {"vllm": {"ready_after": 600}}}


def fine(capacity: int) -> dict:
    return {"options": {"vllm": {"max_num_seqs": capacity}}}


async def rolled_back(running: House, times: int) -> str:
    """Why, once it has happened so often."""
    said = await eventually(lambda: running.said("RolledBack")[times - 1 : times], within=LONG, what="a rollback")
    # What is announced and what is published come by two ways.
    await eventually(lambda: swap(running).state == "rolled_back", within=LONG, what="the snapshot to say so")
    return said[0]["reason"]


async def serves(running: House, capacity: int) -> None:
    """Until the pool of `fine(capacity)` serves and the one before it is gone."""

    def look() -> bool:
        worker = running.worker("ready")
        return bool(worker) and worker.capacity == capacity and not running.snapshot.leaving

    await eventually(look, within=LONG, what=f"capacity {capacity}; {running.events[-5:]}")


async def test_what_does_not_come_up_is_rolled_back_and_the_newest_edit_wins(tmp_path: Path) -> None:
    """Under load, which notices nothing: a crash at the start, an engine without a token, three edits in a row."""
    async with house(registry(tmp_path, m=fine(100))) as running:
        first = await running.ready(within=LONG)
        await answered(running, "m")
        async with loaded(running) as load:
            registry(tmp_path, m=CRASHES)
            assert "the scripted crash at start" in await rolled_back(running, 1)
            registry(tmp_path, m=SAYS_GARBAGE)
            assert "it makes no token: /v1/completions answered 500" in await rolled_back(running, 2)
            assert running.worker().id == first.id
            registry(tmp_path, m=NEVER_READY)
            await eventually(lambda: len(running.said("Swapping")) == 3, within=LONG)
            registry(tmp_path, m=fine(101))
            await eventually(lambda: len(running.said("Swapping")) == 4, within=LONG)
            registry(tmp_path, m=fine(102))
            await serves(running, 102)
            await load.more()
        assert load.bad == []
        os.kill(running.worker().pid, signal.SIGKILL)
        registry(tmp_path, m=fine(103))
        await serves(running, 103)
        await answered(running, "m")


async def test_where_both_do_not_fit_the_old_one_ends_first_and_those_who_queue_wait(tmp_path: Path) -> None:
    """New requests are told to come back; the stream that runs is finished."""
    async with house(registry(tmp_path, m=fine(1))) as running:
        await running.ready(within=LONG)
        await answered(running, "m")
        body = {"model": "m", "messages": [], "stream": True, "seed": 7, "x_fake": {"tokens": 80, "itl": 0.1}}
        queued = ask(running.port, post(CHAT, {"model": "m", "messages": [], "seed": 8}))
        async with calling(running.port, post(CHAT, body)) as stream:
            await stream.hear(events=2)
            async with meanwhile(queued) as waiting:
                await eventually(lambda: metric(running, 'enginehouse_queue_depth{model="m"}', 1.0), within=LONG)
                registry(tmp_path, m=fine(2) | {"strategy": "replace"})
                await eventually(lambda: running.snapshot.leaving, within=LONG)
                await caught_up(running)
                turned_away = await ask(running.port, post(CHAT, {"model": "m", "messages": []}))
                assert whole(await stream.hear(), 80, seed=7)
                await serves(running, 2)
    assert refused(turned_away, 503, "model_loading")
    assert isinstance(waiting.result(), Transcript)
    assert whole(waiting.result(), seed=8)
