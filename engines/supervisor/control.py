"""The snapshot channel's server end: a Unix socket, one JSON line a message, any number of clients.

Every client (gateways, `enginehouse status`) gets the newest snapshot at once and each later one; a slow client
skips to the newest. One that is no gateway and waits for what it has ordered about adapters gets none but the newest
before its answer. What clients may say is in `registry.orders`. The socket's end is the supervisor's end.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from engines.holds import Holds
from engines.ledger.adding import Tell
from engines.ledger.desk import Administration
from engines.supervisor.attendance import Attendance
from engines.supervisor.sums import Sums
from registry import orders
from registry.adapter_orders import AdapterAnswer, AdapterRefusal, AdapterUse, Missing, SplitAdapter, Tried, Want
from registry.figures import Count, Counted, Sum
from registry.orders import LINE_LIMIT, Free, Gateway, Order, Plan, Reload, Steps, Suspect, Usage, decode
from registry.snapshot import Snapshot, encode

_BACKLOG: Final = 1024
"""Clients that may connect at once: a Unix socket refuses whoever finds no place."""
_LONGEST: Final = 100
"""Bytes of a Unix socket's path; the kernel takes 107."""
_UNKNOWN: Final = AdapterRefusal(
    501, "order_unknown", "the supervisor does not know this order: it is of another version, restart it"
)


class Adapters(Protocol):
    """Who hears what is said of adapters."""

    async def obey(self, order: Administration, tell: Tell) -> AdapterAnswer:
        """Carries an administrator's order out; on the way, it tells how far it is."""

    def heard(self, gateway: object, said: Want | Missing | AdapterUse) -> None:
        """A gateway's word, which nobody answers."""

    def judged(self, tried: Tried) -> SplitAdapter | None:
        """What follows from how revisions did on a gateway; None: nothing."""

    def ended(self, gateway: object) -> None:
        """A connection is gone."""


class Control:
    """Invariant: every client has been sent, or will be sent next, the newest published snapshot; one whose order is
    carried out is sent the next one with the answer, unless it is a gateway.
    """

    def __init__(
        self,
        suspect: Callable[[str, str], None],
        reload: Callable[[str | None], Awaitable[Steps]],
        holds: Holds,
        attendance: Attendance,
        adapters: Adapters,
    ) -> None:
        self._suspect: Final = suspect
        self._reload: Final = reload
        """Given a path, it only says what the file there would change."""
        self._holds: Final = holds
        self._attendance: Final = attendance
        self._adapters: Final = adapters
        self._sums: Final = Sums()
        self._group: asyncio.TaskGroup | None = None
        self._orders: Final[set[asyncio.Task[None]]] = set()
        """Administrators' orders, which outlive who gave them."""
        self._frame = b""
        self._news: Final[set[asyncio.Event]] = set()
        self._gateways: Final[set[asyncio.Event]] = set()

    def publish(self, snapshot: Snapshot) -> None:
        """Makes `snapshot` the newest; never waits."""
        self._frame = encode(snapshot)
        for news in self._news:
            news.set()

    @asynccontextmanager
    async def listening(self, state: Path) -> AsyncIterator[Path]:
        """Serves on a socket of the state folder for as long as it is entered; yields the socket's path."""
        path = _place(state)
        path.unlink(missing_ok=True)
        # Snapshots carry the workers' keys: nobody else may even connect.
        before = os.umask(0o177)
        try:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(path))
        finally:
            os.umask(before)
        async with asyncio.TaskGroup() as group:
            self._group = group
            clients: set[asyncio.Task[None]] = set()

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = group.create_task(self._serve(reader, writer))
                clients.add(task)
                task.add_done_callback(clients.discard)

            server = await asyncio.start_unix_server(connected, sock=sock, limit=LINE_LIMIT, backlog=_BACKLOG)
            try:
                yield path
            finally:
                server.close()
                path.unlink(missing_ok=True)
                for client in (*clients, *self._orders):
                    client.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        news = asyncio.Event()
        news.set()
        self._news.add(news)
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._send(news, writer))
                await self._listen(reader, writer, client=news)
                sending.cancel()
        except* (ConnectionError, ValueError):
            pass  # the client left, or sent a line without end
        finally:
            self._news.discard(news)
            self._gateways.discard(news)
            self._holds.ended(news)
            self._attendance.ended(news)
            self._adapters.ended(news)
            self._sums.ended(news)
            writer.close()

    async def _send(self, news: asyncio.Event, writer: asyncio.StreamWriter) -> None:
        while True:
            await news.wait()
            news.clear()
            if self._frame:
                writer.write(self._frame)
                await writer.drain()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.Event) -> None:
        while line := await reader.readline():
            try:
                order = decode(line)
            except msgspec.DecodeError:
                if client not in self._gateways and not writer.is_closing():  # a gateway waits for no answer here
                    writer.write(orders.encode(_UNKNOWN))
            else:
                await self._obey(order, writer, client)

    async def _obey(self, order: Order, writer: asyncio.StreamWriter, client: asyncio.Event) -> None:
        match order:
            case Gateway():
                self._join(writer, client)
            case Sum():
                writer.write(orders.encode(await self._sums.ask()))
            case Reload():
                writer.write(orders.encode(await self._reload(None)))
            case Plan(path):
                writer.write(orders.encode(await self._reload(path)))
            case Tried():
                if (end := self._adapters.judged(order)) is not None:
                    self._order(end, writer, client)
            case Suspect() | Free() | Usage() | Counted() | Want() | Missing() | AdapterUse():
                self._hear(order, client)
            case _:
                self._order(order, writer, client)

    def _hear(self, said: Suspect | Free | Usage | Counted | Want | Missing | AdapterUse, gateway: object) -> None:
        """What nobody answers."""
        match said:
            case Suspect(worker, reason):
                self._suspect(worker, reason)
            case Free(worker):
                self._holds.freed(gateway, worker)
            case Usage(models):
                self._attendance.report(gateway, models)
            case Counted():
                self._sums.counted(gateway, said)
            case _:
                self._adapters.heard(gateway, said)

    def _join(self, writer: asyncio.StreamWriter, gateway: asyncio.Event) -> None:
        def say(question: Count) -> None:
            if not writer.is_closing():
                writer.write(orders.encode(question))

        self._gateways.add(gateway)
        self._holds.joined(gateway)
        self._sums.joined(gateway, say)

    def _order(self, order: Administration, writer: asyncio.StreamWriter, client: asyncio.Event) -> None:
        def say(answer: AdapterAnswer) -> None:
            if not writer.is_closing():
                writer.write(orders.encode(answer))

        async def carry_out() -> None:
            found = await self._adapters.obey(order, say)
            if not writer.is_closing():
                writer.write(self._frame)  # what has come of it is known before it is answered
                self._news.add(client)
            say(found)

        if client not in self._gateways:  # five hundred orders at once would each be sent what all of them change
            self._news.discard(client)
        if self._group is not None:
            task = self._group.create_task(carry_out())
            self._orders.add(task)
            task.add_done_callback(self._orders.discard)


def locate(state: Path) -> Path:
    """Where the control socket of a state folder is, for clients: `control.sock`, or what `control.path` says."""
    try:
        return Path((state / "control.path").read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return state / "control.sock"


def _place(state: Path) -> Path:
    """The socket's path; for a state folder too deep, one in the temporary folder, noted in `control.path`."""
    near, note = state.absolute() / "control.sock", state / "control.path"
    note.unlink(missing_ok=True)
    if len(os.fsencode(near)) <= _LONGEST:
        return near
    digest = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"enginehouse-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise PermissionError(1, "somebody else's folder", str(folder))
    note.write_text(str(folder / f"{digest}.sock"), encoding="utf-8")
    return folder / f"{digest}.sock"
