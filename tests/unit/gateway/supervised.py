"""A supervisor's end of the control socket, for tests of those who talk to it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def supervised(tmp_path, handle, ours):
    """A supervisor that treats each connection with `handle`; gives `ours(path, publish)` and what that published."""
    published, ended = [], asyncio.Event()

    async def serve(reader, writer):
        try:
            await handle(reader, writer)
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_unix_server(serve, tmp_path / "control.sock")
    try:
        yield ours(tmp_path / "control.sock", published.append), published
    finally:
        server.close()
        await ended.wait()
