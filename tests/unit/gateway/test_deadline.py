"""A deadline that moves costs no timer, and passes once, at its time."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.deadline import Deadline, within
from tests.unit.gateway.builders import jumping


async def until_idle(seconds=1000.0):
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


def watched():
    loop, passed = asyncio.get_running_loop(), []
    return Deadline(loop, lambda: passed.append(loop.time())), passed


@pytest.mark.parametrize(
    ("moves", "expected"),
    [([10.0], [10.0]), ([10.0, 30.0], [30.0]), ([30.0, 10.0], [10.0]), ([10.0, 30.0, 20.0], [20.0])],
)
def test_it_passes_once_at_the_last_moment_that_was_set(moves, expected):
    @jumping
    async def run():
        deadline, passed = watched()
        for seconds in moves:
            deadline.within(seconds)
        await until_idle()
        assert passed == pytest.approx(expected, abs=0.1)

    run()


@jumping
async def test_an_assignment_moves_it():
    deadline, passed = watched()
    deadline.within(10.0)
    deadline.at = 50.0
    await until_idle()
    assert passed == pytest.approx([50.0], abs=0.1)


@jumping
async def test_none_is_never_and_it_can_be_set_again():
    deadline, passed = watched()
    deadline.within(10.0)
    deadline.at = None
    await until_idle(100.0)
    assert passed == []
    deadline.within(5.0)
    await until_idle(100.0)
    assert len(passed) == 1


@jumping
async def test_closed_it_leaves_no_timer():
    deadline, passed = watched()
    deadline.within(10.0)
    deadline.close()
    await until_idle()
    assert (passed, deadline._alarm) == ([], None)


async def test_what_came_while_the_loop_was_held_up_is_heard_first():
    """A real loop and a real socket: the bytes are there, the alarm is overdue, and the bytes win."""
    loop, (near, far) = asyncio.get_running_loop(), socket.socketpair()
    with near, far:
        near.setblocking(False)
        passed = []
        deadline = Deadline(loop, lambda: passed.append("late"))
        loop.add_reader(near, lambda: (near.recv(10), deadline.close(), passed.append("heard")))
        deadline.within(0.001)
        far.send(b"in time")
        held_up = loop.time() + 0.01
        while loop.time() < held_up:
            pass
        await until_idle(0.05)
        loop.remove_reader(near)
    assert passed == ["heard"]


@jumping
async def test_a_block_that_takes_too_long_is_left():
    """By `TimeoutError`; without a limit, or in time, it ends by itself."""
    with pytest.raises(TimeoutError):
        async with within(5.0):
            await until_idle(10.0)
    async with within(None):
        await until_idle(10.0)
    async with within(5.0):
        await until_idle(1.0)
