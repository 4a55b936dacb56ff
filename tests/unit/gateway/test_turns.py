"""A connection's requests are served one after the other, by one task that ends with the connection."""

from __future__ import annotations

import asyncio

from gateway.turns import Turns
from tests.unit.gateway.builders import turns


class Cycle:
    """A request whose answer waits for `free`."""

    def __init__(self, *, free=True):
        self.closed, self.over, self.free = False, False, asyncio.Event()
        if free:
            self.free.set()

    async def serve(self):
        await self.free.wait()

    def ended(self):
        self.over = True


def line():
    tasks = set()
    return Turns(asyncio.get_running_loop(), tasks), tasks


async def test_one_task_serves_every_request_of_a_connection():
    served, tasks = line()
    seen = set()
    for _ in range(3):
        cycle = Cycle()
        served.take(cycle)
        await turns()
        seen |= tasks
        assert cycle.over
    assert len(seen) == 1
    served.close()
    await turns()
    assert not tasks


async def test_the_task_ends_with_a_connection_that_closes_behind_the_answer():
    served, tasks = line()
    cycle = Cycle()
    cycle.closed = True
    served.take(cycle)
    await turns()
    assert (cycle.over, tasks) == (True, set())


async def test_a_request_that_is_cancelled_is_ended_and_the_next_one_is_served():
    """The drain's deadline cancels whatever is under way."""
    served, tasks = line()
    held, after = Cycle(free=False), Cycle()
    served.take(held)
    await turns()
    tasks.pop().cancel()
    await turns()
    served.take(after)
    await turns()
    assert (held.over, after.over) == (True, True)
    served.close()
    await turns()


async def test_a_task_that_clears_up_while_the_next_request_is_served_is_not_forgotten():
    """Its answer was complete, so the connection was free: one of the two waits on, the other one ends."""
    served, tasks = line()
    clearing, after = Cycle(free=False), Cycle()
    served.take(clearing)
    await turns()
    served.take(after)
    await turns()
    clearing.free.set()
    await turns()
    assert (clearing.over, after.over, len(tasks)) == (True, True, 1)
    served.close()
    await turns()
    assert not tasks


async def test_a_task_that_is_cancelled_while_it_waits_is_replaced():
    served, tasks = line()
    served.take(Cycle())
    await turns()
    tasks.pop().cancel()
    await turns()
    after = Cycle()
    served.take(after)
    await turns()
    assert after.over
    served.close()
    await turns()
