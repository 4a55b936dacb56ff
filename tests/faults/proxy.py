"""A TCP proxy that misbehaves on demand: what stands between a gateway and a worker in fault tests.

What it does wrong is one frozen value, `Faults`, exchanged while it runs by `become`; connections that are
already open obey the new value from their next piece of data on. It works on plain sockets, because only those
can be reset, half-closed or left unread exactly. Used by `tests/faults` and `tests/stories`.

    async with proxying(("127.0.0.1", worker_port)) as proxy:
        proxy.become(Faults(to_client=Way(cut_after=100, ending=Ending.RESET)))
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PIECE: Final = 65536
"""Bytes taken from a socket at once, at most."""

_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Ending(StrEnum):
    """How a connection ends before its time."""

    FIN = "fin"
    """Both sockets are closed in good order: the peer sees an end of file."""
    RESET = "reset"
    """Both sockets are reset (SO_LINGER 0)."""
    HALF_CLOSE = "half_close"
    """Nothing more is sent this way; the other way goes on."""


class Accepting(StrEnum):
    """What happens to a new connection."""

    FORWARD = "forward"
    SILENT = "silent"
    """Accepted, read, never answered and never passed on."""
    RESET = "reset"
    """Accepted and reset at once."""


@dataclass(frozen=True, slots=True)
class Way:
    """What happens to the bytes that flow one way. The default passes them on untouched."""

    latency: float = 0.0
    """Seconds that each piece is held."""
    bandwidth: float | None = None
    """Bytes a second; None: no limit."""
    slices: int | None = None
    """Bytes sent at once; 1 is one byte a segment."""
    cut_after: int | None = None
    """So many bytes of each connection pass, then it ends by `ending`."""
    ending: Ending = Ending.FIN
    corrupt: int | None = None
    """Index of the byte of each connection whose bits are all flipped."""
    stalled: bool = False
    """Nothing is read or passed on any more, until this is taken back."""


@dataclass(frozen=True, slots=True)
class Faults:
    """All that the proxy does wrong at one time."""

    accepting: Accepting = Accepting.FORWARD
    to_worker: Way = Way()
    to_client: Way = Way()


class FaultProxy:
    """Owns a listening socket and every connection through it; built and closed by `proxying`."""

    def __init__(self, upstream: tuple[str, int], pause: Callable[[float], Awaitable[None]]) -> None:
        self.accepted = 0
        """Connections accepted since the start."""
        self.links: Final[set[_Link]] = set()
        """Connections that are open now."""
        self.faults = Faults()
        self._upstream: Final = upstream
        self._pause: Final = pause
        self._changed = asyncio.Event()
        self._listener: Final = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: Final[int] = self._listener.getsockname()[1]
        self.url: Final = f"http://127.0.0.1:{self.port}"

    def become(self, faults: Faults) -> None:
        """Behave by `faults` from now on."""
        self.faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    def end_all(self, ending: Ending) -> None:
        """End every open connection now."""
        for link in tuple(self.links):
            link.end(ending)

    async def serve(self) -> None:
        """Accept until cancelled; every connection's task is owned here."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as connections:
                while True:
                    client, _ = await loop.sock_accept(self._listener)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.accepted += 1
                    connections.create_task(self._connection(client))
        finally:
            self._listener.close()

    async def _connection(self, client: socket.socket) -> None:
        if self.faults.accepting is Accepting.RESET:
            return _reset(client)
        upstream = None
        if self.faults.accepting is Accepting.FORWARD:
            upstream = await self._connect()
            if upstream is None:
                return _reset(client)
        link = _Link(client, upstream)
        self.links.add(link)
        try:
            async with asyncio.TaskGroup() as ways:
                if upstream is None:
                    link.ways.add(ways.create_task(_swallow(client)))
                    return None
                link.ways.add(ways.create_task(self._flow(link, client, upstream, lambda: self.faults.to_worker)))
                link.ways.add(ways.create_task(self._flow(link, upstream, client, lambda: self.faults.to_client)))
        finally:
            link.close()
            self.links.discard(link)

    async def _connect(self) -> socket.socket | None:
        upstream = socket.socket()
        upstream.setblocking(False)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(upstream, self._upstream)
        except OSError:
            upstream.close()
            return None
        return upstream

    async def _flow(self, link: _Link, source: socket.socket, sink: socket.socket, way: Callable[[], Way]) -> None:
        """Pass bytes on, by the present `way`, until one side ends or a cut is due."""
        loop = asyncio.get_running_loop()
        passed = 0
        try:
            while True:
                await self._unless_stalled(way)
                piece = await loop.sock_recv(source, PIECE)
                await self._unless_stalled(way)
                if not piece:
                    return _half_close(sink)
                room = allowed(piece, passed, way())
                passed += await self._deliver(sink, spoilt(room, passed, way()), way())
                if len(room) < len(piece) or passed == way().cut_after:
                    return link.end(way().ending, sink)
        except OSError:
            link.end(Ending.RESET)

    async def _unless_stalled(self, way: Callable[[], Way]) -> None:
        while way().stalled:
            await self._changed.wait()

    async def _deliver(self, sink: socket.socket, piece: bytes, way: Way) -> int:
        loop = asyncio.get_running_loop()
        step = way.slices or len(piece) or 1
        if way.latency:
            await self._pause(way.latency)
        for start in range(0, len(piece), step):
            part = piece[start : start + step]
            await loop.sock_sendall(sink, part)
            if way.bandwidth is not None:
                await self._pause(len(part) / way.bandwidth)
            elif way.slices is not None:
                await self._pause(0)  # let the reader see this slice alone
        return len(piece)


def allowed(piece: bytes, passed: int, way: Way) -> bytes:
    """What of `piece` still passes after `passed` bytes."""
    return piece if way.cut_after is None else piece[: max(0, way.cut_after - passed)]


def spoilt(piece: bytes, passed: int, way: Way) -> bytes:
    """`piece` with its byte number `way.corrupt - passed` flipped, where it has one."""
    if way.corrupt is None or not 0 <= way.corrupt - passed < len(piece):
        return piece
    broken = bytearray(piece)
    broken[way.corrupt - passed] ^= 0xFF
    return bytes(broken)


class _Link:
    """One connection through the proxy: its sockets and the tasks between them.

    `end` decides how it ends and stops the tasks; the sockets are closed after those, so that no task is left
    waiting on a number that already belongs to another connection.
    """

    def __init__(self, client: socket.socket, upstream: socket.socket | None) -> None:
        self.ways: Final[set[asyncio.Task[None]]] = set()
        self._sockets: Final = [client, upstream] if upstream else [client]
        self._ending = Ending.FIN

    def end(self, ending: Ending, sink: socket.socket | None = None) -> None:
        """End by `ending`; a half-close silences `sink` only (default: what the client hears)."""
        if ending is Ending.HALF_CLOSE:
            return _half_close(sink or self._sockets[0])
        self._ending = ending
        for task in self.ways - {asyncio.current_task()}:
            task.cancel()
        return None

    def close(self) -> None:
        for end in self._sockets:
            _reset(end) if self._ending is Ending.RESET else _finish(end)


async def _swallow(client: socket.socket) -> None:
    with suppress(OSError):
        while await asyncio.get_running_loop().sock_recv(client, PIECE):
            pass


def _half_close(sink: socket.socket) -> None:
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    end.close()


def _finish(end: socket.socket) -> None:
    """Close with a FIN: unread bytes would turn the close into a reset, so they are read away first."""
    _half_close(end)
    with suppress(OSError):
        while end.recv(PIECE):
            pass
    end.close()


@asynccontextmanager
async def proxying(
    upstream: tuple[str, int], *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[FaultProxy]:
    """A running proxy in front of `upstream`; `pause` is how it lets time pass. All is closed at the end."""
    proxy = FaultProxy(upstream, pause)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(proxy.serve())
        try:
            yield proxy
        finally:
            serving.cancel()
