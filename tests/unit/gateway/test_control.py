"""The snapshot channel, over a real Unix socket: whole snapshots in order, suspicions out, one end."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
import pytest

from gateway.control import Control
from registry import orders
from registry.adapter_orders import Adapted
from registry.figures import Count, Counted, Family
from registry.snapshot import encode
from tests.unit.gateway.builders import cancelled, model_view, snapshot
from tests.unit.gateway.supervised import supervised
from tests.waiting import eventually

FIGURES = (Family("requests", "Requests", "counter"),)
FIRST, SECOND = (snapshot(model_view(name=f"m{revision}"), revision=revision) for revision in (1, 2))


class Channel(Control):
    """One that has somebody to publish to, and figures."""

    def __init__(self, path, publish):
        super().__init__(path)
        self.follow = partial(self.run, publish, lambda: FIGURES)


async def test_snapshots_are_published_in_order_until_the_channel_ends(tmp_path):
    async def handle(_, writer):
        writer.write(encode(FIRST) + encode(SECOND))

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert published == [FIRST, SECOND]


async def test_a_snapshot_that_comes_in_pieces_is_one(tmp_path):
    async def handle(_, writer):
        for byte in encode(FIRST):
            writer.write(bytes([byte]))
            await writer.drain()

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert published == [FIRST]


async def test_an_answer_between_snapshots_is_none(tmp_path):
    """A split that this gateway has ended: what becomes of it is in the snapshots."""

    async def handle(_, writer):
        writer.write(encode(FIRST) + orders.encode(Adapted()) + encode(SECOND))

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert published == [FIRST, SECOND]


async def test_a_large_house_fits_a_frame(tmp_path):
    house = snapshot(*(model_view(name=f"model-{number}") for number in range(5000)))

    async def handle(_, writer):
        writer.write(encode(house))
        await writer.drain()

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert published == [house]


@pytest.mark.parametrize("broken", [b"{}\n", b"garbage\n", encode(FIRST)[:-5], b"\xff\n", b"[" * 100_000 + b"\n"])
async def test_what_is_no_snapshot_ends_the_channel_and_publishes_nothing(tmp_path, broken, caplog):
    """Never half a house; the gateway keeps what it has and leaves."""

    async def handle(_, writer):
        writer.write(broken)
        await writer.drain()

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert (published, "the snapshot channel broke" in caplog.text) == ([], True)


async def test_without_a_supervisor_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        await Control(tmp_path / "nobody.sock").run(pytest.fail, pytest.fail)


async def test_a_suspicion_reaches_the_supervisor(tmp_path):
    lines = []

    async def handle(reader, writer):
        writer.write(encode(FIRST))
        lines.extend([await reader.readline(), await reader.readline()])

    async with supervised(tmp_path, handle, Channel) as (control, published):
        running = asyncio.get_running_loop().create_task(control.follow())
        await eventually(lambda: published)
        control.suspect("w1", 'refused "x"\n')
        await running
    assert msgspec.json.decode(lines[0]) == {"type": "gateway"}
    assert msgspec.json.decode(lines[1]) == {"type": "suspect", "worker": "w1", "reason": 'refused "x"\n'}


async def test_without_a_channel_a_suspicion_is_nothing(tmp_path):
    """Before the first connection, and after the supervisor has gone."""

    async def handle(_, writer):
        writer.write(encode(FIRST))

    async with supervised(tmp_path, handle, Channel) as (control, _):
        control.suspect("w1", "early")
        await control.follow()
        control.suspect("w1", "late")


async def test_a_cancelled_channel_is_closed(tmp_path):
    closed = asyncio.Event()

    async def handle(reader, _):
        await reader.read()
        closed.set()

    async with supervised(tmp_path, handle, Channel) as (control, _):
        running = asyncio.get_running_loop().create_task(control.follow())
        await eventually(lambda: control._writer)
        await cancelled(running)
        await closed.wait()


async def test_who_is_asked_for_its_figures_says_them(tmp_path):
    lines = []

    async def handle(reader, writer):
        writer.write(encode(FIRST) + orders.encode(Count(7)))
        lines.extend([await reader.readline(), await reader.readline()])

    async with supervised(tmp_path, handle, Channel) as (control, published):
        await control.follow()
    assert ([orders.decode(line) for line in lines], published) == ([orders.Gateway(), Counted(7, FIGURES)], [FIRST])


async def test_a_gateway_that_ends_says_its_figures(tmp_path):
    """What it has counted outlives it; it is cancelled when its last request has ended."""
    lines, connected = [], asyncio.Event()

    async def handle(reader, _):
        await reader.readline()
        connected.set()
        lines.extend((await reader.read()).splitlines())

    async with supervised(tmp_path, handle, Channel) as (control, _):
        running = asyncio.get_running_loop().create_task(control.follow())
        await connected.wait()
        await cancelled(running)
    assert [orders.decode(line) for line in lines] == [Counted(0, FIGURES)]
