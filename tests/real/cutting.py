"""A proxy in front of a real worker that dies, for the gateway, after so many tokens: an engine's start is too dear."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_TOKENS: Final = re.compile(rb',"token_ids":\[([\d,]+)\]')
"""An event's tokens: more than one where an engine is ahead of its connection and joins what waits."""


class Cutting:
    """Passes everything on, and breaks a connection off once `after` tokens have come back on it; None: never.

    `after` holds for connections that are made from now on: the last bytes of an answer may still be on their way when
    its client has heard all of it.
    """

    def __init__(self, port: int) -> None:
        self.after: int | None = None
        self.cuts = 0
        self.port = 0
        self._upstream: Final = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_pass_on(reader, forth))
            await self._answer(back, writer, self.after)
            asking.cancel()
        for end in (writer, forth):
            end.transport.abort()

    async def _answer(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter, after: int | None) -> None:
        seen = b""
        with suppress(ConnectionError):
            while piece := await back.read(65536):
                told = len(seen)
                seen += piece
                end = _end(seen, after)
                writer.write(seen[told:end])
                await writer.drain()
                if end < len(seen):
                    self.cuts += 1
                    return


def _end(answer: bytes, after: int | None) -> int:
    """Within the event whose tokens are too many, before them; the end of what there is of the `answer` if none is."""
    if after is None:
        return len(answer)
    count = 0
    for each in _TOKENS.finditer(answer):
        count += len(each[1].split(b","))
        if count > after:
            return each.start()
    return len(answer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def cutting(port: int) -> AsyncIterator[Cutting]:
    """In front of the worker at `port` of this machine."""
    proxy = Cutting(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
