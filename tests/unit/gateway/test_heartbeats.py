"""Comments for a client that waits, and what they commit it to."""

from __future__ import annotations

import asyncio
import gc

from gateway.client import AsgiClient
from gateway.heartbeats import SOON, Heartbeats
from tests.unit.gateway.builders import Inbox, Outbox, jumping


async def passing(seconds):
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


async def wait_for(seconds, outbox):
    client = AsgiClient(Inbox(), outbox)
    async with Heartbeats(client):
        await passing(seconds)
    return client


@jumping
async def test_a_short_wait_sends_nothing():
    """What fails before the first comment has its own status."""
    outbox = Outbox()
    client = await wait_for(14.0, outbox)
    assert (client.begun, outbox.messages) == (False, [])


@jumping
async def test_a_long_wait_sends_a_comment_every_interval():
    outbox = Outbox()
    client = await wait_for(46.0, outbox)
    assert (client.begun, outbox.status, outbox.body) == (True, 200, b": waiting\n\n" * 3)


@jumping
async def test_where_the_model_is_loaded_comments_begin_soon_and_say_so():
    """On one line, whatever an engine calls its steps."""
    outbox = Outbox()
    async with Heartbeats(AsgiClient(Inbox(), outbox), first=SOON, comment=lambda: "loading\n\ndata: x"):
        await passing(SOON + 1.0)
    assert outbox.body == b": loading data: x\n\n"


@jumping
async def test_nothing_is_sent_after_the_wait():
    outbox = Outbox()
    await wait_for(20.0, outbox)
    sent = len(outbox.messages)
    await passing(100.0)
    assert len(outbox.messages) == sent


@jumping
async def test_a_client_that_stops_reading_is_no_unheard_error():
    """A comment that cannot be sent must end the request or be forgotten, not be logged by the event loop."""
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context["message"]))

    async def stuck(message):
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await wait_for(100.0, Outbox(hurdle=stuck))
    gc.collect()  # the event loop speaks up when a failed task is forgotten
    assert unheard == []
