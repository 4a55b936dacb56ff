"""Fake workers as processes of their own, for story tests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.waiting import PATIENCE, eventually


@asynccontextmanager
async def fake_worker(port: int, *options: str, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    argv = ("-m", "engines.fake", "--host", host, "--port", str(port), *options)
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=asyncio.subprocess.DEVNULL)
    try:
        url = f"http://{host}:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
            await listening(client)
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def listening(client: httpx.AsyncClient) -> None:
    """Waits until the fake worker answers; it may still be starting, as scripted."""

    async def look() -> bool:
        try:
            await client.get("/fake/counts")
        except httpx.TransportError:
            return False
        return True

    await eventually(look, what="the fake worker to listen")
