"""Where the control socket is, and who is sent which snapshots over it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engines.supervisor.control import Control, locate
from engines.supervisor.holds import Holds
from registry import orders
from registry.adapter_orders import Adapted, ListAdapters
from registry.orders import Gateway
from registry.snapshot import Snapshot, decode
from tests.processes import short_folder


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
