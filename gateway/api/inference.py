"""The relayed paths, as one pure ASGI endpoint: understand the request, relay it, watch whether the client is there.

Mounted by `app` for every row of `gateway.operations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engines.engine import Engine
from gateway.api.body import decode, read_body
from gateway.api.presence import Presence
from gateway.asgi import Receive, Scope, Send
from gateway.errors import NotImplementedHere
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.pool.house import House
from gateway.relay import Call, Relay
from gateway.telemetry import Telemetry


class Inference:
    """Stateless; one for all requests."""

    def __init__(
        self, house: House, relay: Relay, telemetry: Telemetry, engines: Mapping[str, Engine], max_body: int
    ) -> None:
        self._house: Final = house
        self._relay: Final = relay
        self._telemetry: Final = telemetry
        self._engines: Final = engines
        self._max_body: Final = max_body

    async def __call__(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request on `operation`'s path. Raises `GatewayError` before the answer has begun."""
        exchange: Exchange = scope["exchange"]
        exchange.operation = operation.name
        call = self._understand(operation, await read_body(receive, self._max_body), exchange)
        async with Presence(receive) as presence:
            with self._telemetry.inflight(call.target.model.name):
                answer = await self._relay.begin(call)
                await answer(send)
            presence.over = True

    def _understand(self, operation: Operation, body: bytes, exchange: Exchange) -> Call:
        wanted = decode(body)
        target, pool = self._house.resolve(wanted.model or "")
        exchange.model = target.model.name
        exchange.engine = target.model.engine
        exchange.stream = bool(wanted.stream)
        engine = self._engines[target.model.engine]
        if operation.path not in engine.capabilities.paths:
            raise NotImplementedHere(
                f"The model '{target.requested}' runs on {engine.name}, which does not serve {operation.path} for it."
            )
        return Call(operation, target, pool, engine, body, exchange.stream, wanted.usage_asked, exchange)
