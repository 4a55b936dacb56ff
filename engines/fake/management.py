"""How a fake worker is managed: adapters in and out, sleep and wake, by the paths and words of its dialect.

Made and asked by `app`, which owns the routes of answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from engines.fake.behaviour import Script
from engines.fake.counts import Counts
from engines.fake.dialects.dialect import Dialect
from engines.fake.job import Refused
from engines.fake.pace import Pace
from engines.fake.wire import Call, Exchange

_TEXT: Final = {"content-type": "text/plain; charset=utf-8"}


class Management:
    """Invariant: `adapters` are those loaded and not unloaded, by name; while `sleeping` nothing is generated."""

    def __init__(
        self, dialect: Dialect, script: Script, pace: Pace, counts: Counts, adapters: Mapping[str, str] | None = None
    ) -> None:
        self.adapters: Final[dict[str, str]] = dict(adapters or {})
        self.sleeping = False
        self._dialect: Final = dialect
        self._script: Final = script
        self._pace: Final = pace
        self._counts: Final = counts

    def routes(self) -> Mapping[tuple[str, str], Callable[[Call, Exchange], Awaitable[None]]]:
        """Those that the engine has."""
        verbs = self._dialect.verbs
        served = {verbs.load: self._load, verbs.unload: self._unload, verbs.sleep: self._sleep, verbs.wake: self._wake}
        return {("POST", path): route for path, route in served.items() if path}

    async def health(self, exchange: Exchange) -> None:
        """As long, with the status and in the words that the engine has for it."""
        await self._pace.wait(self._dialect.health_takes)
        healthy = not self._script.standing.unhealthy
        status = (self._dialect.sleeping_status if self.sleeping else 200) if healthy else 503
        body = self._dialect.health(healthy=healthy, sleeping=self.sleeping)
        await exchange.plain(status, body, None if body else _TEXT)

    async def _load(self, call: Call, exchange: Exchange) -> None:
        order = _order(call)
        name = order["lora_name"]
        await self._pace.wait(self._script.standing.adapter_delay)
        self._counts.adapter_loads += 1
        if status := self._script.standing.adapter_status:
            await self._tell(exchange, status, f"LoRA adapter {name} does not exist", "NotFoundError")
        elif name in self.adapters:
            await self._tell(exchange, 400, f"The lora adapter '{name}' has already been loaded.", "InvalidUserInput")
        else:
            self.adapters[name] = order["lora_path"]
            await self._tell(exchange, 200, f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, call: Call, exchange: Exchange) -> None:
        name = _order(call)["lora_name"]
        if self.adapters.pop(name, None) is None:
            await self._tell(exchange, 404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
            return
        self._counts.adapter_unloads += 1
        await self._tell(exchange, 200, f"Success: LoRA adapter '{name}' removed successfully.")

    async def _tell(self, exchange: Exchange, status: int, message: str, kind: str = "") -> None:
        status, body = self._dialect.adapter_answer(status, message, kind, self.adapters)
        await exchange.plain(status, body, None if body.startswith(b"{") else _TEXT)

    async def _sleep(self, call: Call, exchange: Exchange) -> None:
        self.sleeping = True
        await exchange.plain(200, b"", _TEXT)

    async def _wake(self, call: Call, exchange: Exchange) -> None:
        self.sleeping = False
        await exchange.plain(200, b"", _TEXT)


def _order(call: Call) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.body, type=dict[str, Any])
    except msgspec.DecodeError as wrong:
        raise Refused(400, f"JSON decode error: {wrong}", "Bad Request") from wrong
