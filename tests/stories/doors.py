"""Connections that stay with one gateway process of a house with two, for stories where it matters which is asked."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.stories.house import House
from tests.waiting import PATIENCE, eventually


class Door:
    """A connection that stays with one gateway process; requests and scrapes go through it."""

    def __init__(self, running: House) -> None:
        self._running = running
        self.http = httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE)
        self.pid = 0

    async def open(self) -> None:
        answer = await self.http.get("/livez")
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        self.pid = next(
            pid for pid in gateways(self._running) if f"socket:[{inode(self._running.port, port)}]" in open_by(pid)
        )

    async def ask(self) -> bool:
        answer = await self.http.post("/v1/completions", json={"model": "m", "prompt": "x"})
        assert answer.status_code in {200, 503}
        return answer.status_code == 200

    async def scrape(self) -> Figures:
        answer = await self.http.get("/metrics")
        assert answer.status_code == 200
        return Figures(answer.text)

    async def says(self, requests: int) -> bool:
        """A request is counted when its answer has been written: a moment after the client has read it."""
        found = (await self.scrape()).requests
        assert found <= requests
        return found == requests

    async def whole(self) -> Figures | None:
        """What it says, if both gateways are in it now."""
        return await self.tells(2, 0, 0)

    async def tells(self, *parts: float) -> Figures | None:
        """What it says, if so many gateways are in it with figures of now, of earlier, and not at all."""
        figures = await self.scrape()
        return figures if figures.parts == parts else None


class Figures:
    """What one scrape said."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    def sum(self, name: str, **labels: str) -> float:
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = (line for line in self.lines if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rsplit(" ", 1)[1]) for line in found if all(each in line for each in wanted))

    @property
    def requests(self) -> float:
        return self.sum("enginehouse_requests_total", model="m", code="200")

    @property
    def parts(self) -> tuple[float, ...]:
        states = ("now", "earlier", "missing")
        return tuple(self.sum("enginehouse_metrics_gateways", figures=each) for each in states)


def gateways(running: House) -> set[int]:
    return {each["pid"] for each in running.said("GatewayStarted")}


def open_by(pid: int) -> set[str]:
    links: set[str] = set()
    with contextlib.suppress(OSError):  # it may have ended
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links.add(str(each.readlink()))
    return links


def inode(port: int, peer: int) -> str:
    """That of the server's socket whose client has the port `peer`."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next(row[9] for row in rows if (row[1][-4:], row[2][-4:]) == (f"{port:04X}", f"{peer:04X}"))


@asynccontextmanager
async def doors(running: House) -> AsyncIterator[list[Door]]:
    """One to each of two gateways, both of which answer requests."""
    await running.ready()
    async with contextlib.AsyncExitStack() as stack:
        found: dict[int, Door] = {}
        while len(found) < 2:
            door = await entered(running, stack)
            if found.setdefault(door.pid, door) is door:
                await eventually(door.ask, what="an answer")
        yield list(found.values())


async def entered(running: House, stack: contextlib.AsyncExitStack) -> Door:
    door = Door(running)
    await stack.enter_async_context(door.http)
    await door.open()
    return door
