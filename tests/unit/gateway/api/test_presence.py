"""A client that leaves cancels what runs for it, once; nothing else is mistaken for that."""

from __future__ import annotations

import asyncio

import pytest

from gateway.api.presence import Presence
from gateway.client import AsgiClient
from gateway.errors import ClientGone
from tests.unit.gateway.builders import Clock, Inbox, Outbox, exchange, jumping, part, turns


def present(inbox):
    return Presence(AsgiClient(inbox, Outbox()), exchange(), Clock())


async def test_a_client_that_leaves_ends_the_work_as_client_gone():
    inbox = Inbox(part())

    async def work():
        with present(inbox):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await turns()
    inbox.leave()
    with pytest.raises(ClientGone):
        await task
    assert task.cancelling() == 0


async def test_the_work_is_cancelled_exactly_once():
    """Its own clean-up may wait without being cancelled again."""
    inbox, cleaned = Inbox(), []

    async def work():
        with present(inbox):
            try:
                await asyncio.Event().wait()
            finally:
                await turns()
                cleaned.append(True)

    task = asyncio.get_running_loop().create_task(work())
    await turns()
    inbox.leave()
    with pytest.raises(ClientGone):
        await task
    assert cleaned == [True]


async def test_work_that_ends_is_left_alone():
    with present(Inbox(part())):
        pass
    await turns()


async def test_leaving_after_the_end_is_nothing():
    inbox = Inbox()
    with present(inbox):
        await turns()
    inbox.leave()
    await turns()
    assert asyncio.current_task().cancelling() == 0


async def test_an_error_of_the_work_stays_what_it_is():
    with pytest.raises(KeyError), present(Inbox()):
        raise KeyError


async def test_a_cancellation_from_outside_is_not_the_clients():
    async def work():
        with present(Inbox()):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_the_clients():
    """Both in one instant: whoever cancelled must see its cancellation."""
    inbox = Inbox()

    async def work():
        with present(inbox):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(work())
    await turns()
    inbox.leave()
    await turns(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@jumping
async def test_a_timeout_around_it_stays_a_timeout():
    async def work():
        async with asyncio.timeout(5.0):
            with present(Inbox()):
                await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await work()


async def test_nothing_runs_on_after_the_end():
    before = asyncio.all_tasks()
    with present(Inbox()):
        pass
    await turns()
    assert asyncio.all_tasks() == before
