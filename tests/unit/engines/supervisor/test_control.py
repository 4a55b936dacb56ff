"""Where the control socket is, and who is sent which snapshots over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from engines.holds import Holds
from engines.supervisor.control import Control, locate
from registry import orders
from registry.adapter_orders import Adapted, AdapterRefusal, ListAdapters
from registry.figures import Count, Sum, Summed
from registry.orders import Gateway
from registry.snapshot import Snapshot, decode
from tests.processes import short_folder

Channel = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_it_is_in_the_state_folder(tmp_path: Path) -> None:
    assert locate(tmp_path) == tmp_path / "control.sock"


def test_a_note_says_where_else_it_is(tmp_path: Path) -> None:
    (tmp_path / "control.path").write_text("/run/x.sock")
    assert locate(tmp_path) == Path("/run/x.sock")


class Slow:
    """Carries orders out when it is told to; nobody reports anything."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def obey(self, _order: object, _tell: object) -> Adapted:
        self.asked.set()
        await self.may.wait()
        return Adapted()

    def ended(self, _gateway: object) -> None: ...


async def ask(control: Control, desk: Slow, state: Path, *first: orders.Order) -> list[int]:
    """Revisions that came from the order to its answer, while five were published."""
    reader, writer = await asyncio.open_unix_connection(locate(state))
    try:
        assert decode(await reader.readline()).revision == 1
        writer.write(b"".join(map(orders.encode, (*first, ListAdapters()))))
        await desk.asked.wait()
        seen = []
        for revision in range(2, 7):
            control.publish(Snapshot(revision))
            if first:
                seen.append(decode(await reader.readline()).revision)
        desk.may.set()
        while orders.answer(line := await reader.readline()) is None:
            seen.append(decode(line).revision)
        return seen
    finally:
        writer.close()


async def test_who_waits_for_an_answer_is_sent_one_snapshot_with_it() -> None:
    """Five hundred who wait would each be sent what all of them change; a gateway is sent all the same."""
    for first, expected in (((), [6]), ((Gateway(),), [2, 3, 4, 5, 6, 6])):
        with short_folder() as state:
            desk = Slow()
            control = Control(lambda *_: None, None, Holds(), desk, desk)
            control.publish(Snapshot(1))
            async with control.listening(state):
                assert await ask(control, desk, state, *first) == expected


@asynccontextmanager
async def connected(**clients: orders.Order | None) -> AsyncIterator[dict[str, Channel]]:
    """Clients by name, each of which has said so first, and has been sent the first snapshot."""
    with short_folder() as state:
        desk = Slow()
        control = Control(lambda *_: None, None, Holds(), desk, desk)
        control.publish(Snapshot(1))
        async with control.listening(state):
            channels = {name: await asyncio.open_unix_connection(locate(state)) for name in clients}
            for name, (reader, writer) in channels.items():
                said = clients[name]
                writer.write(b"" if said is None else orders.encode(said))
                assert decode(await reader.readline()).revision == 1
            yield channels
            for _, writer in channels.values():
                writer.close()


async def test_an_order_that_nobody_knows_is_answered() -> None:
    """A newer command line would else wait for ever. A gateway, which waits for none, is told nothing."""
    async with connected(newer=None, gateway=Gateway()) as channels:
        for reader, writer in channels.values():
            writer.write(b'{"type":"adapter_praise","model":"m"}\n')
            writer.write(orders.encode(Sum()))
            answer = orders.answer(await asyncio.wait_for(reader.readline(), 60))
            if isinstance(answer, AdapterRefusal):
                assert (answer.status, answer.code) == (501, "order_unknown")
                answer = orders.answer(await asyncio.wait_for(reader.readline(), 60))
            else:
                assert writer is channels["gateway"][1]
            assert isinstance(answer, Summed | Count)


async def test_who_sends_a_line_without_end_is_cut_off_alone() -> None:
    """The others are served on."""
    async with connected(endless=None, other=None) as channels:
        reader, writer = channels["endless"]
        with suppress(ConnectionError):
            for _ in range(70):
                writer.write(b" " * 2**20)
                await writer.drain()
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        reader, writer = channels["other"]
        writer.write(b"?\n")
        assert isinstance(orders.answer(await asyncio.wait_for(reader.readline(), 60)), AdapterRefusal)
