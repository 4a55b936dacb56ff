"""The relayed paths, as one pure ASGI endpoint: understand the request, relay it, watch whether the client is there.

Mounted by `app` for every row of `gateway.operations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engines.engine import Engine
from gateway.answers import Answer, Failure
from gateway.api.body import decode, read_body
from gateway.api.heartbeats import Heartbeats
from gateway.api.presence import Presence
from gateway.api.priority import priority_of
from gateway.asgi import Receive, Scope, Send
from gateway.client import AsgiClient, Client
from gateway.errors import GatewayError, NotImplementedHere
from gateway.exchange import Exchange
from gateway.operations import Operation
from gateway.patience import Patience
from gateway.pool.house import House
from gateway.pool.queue import Priority
from gateway.relay import Call, Relay
from gateway.telemetry import Telemetry
from gateway.wire import Wire, WireClient


class Inference:
    """Stateless; one for all requests."""

    def __init__(
        self,
        house: House,
        relay: Relay,
        telemetry: Telemetry,
        engines: Mapping[str, Engine],
        max_body: int,
        clock: Callable[[], float],
    ) -> None:
        self._house: Final = house
        self._relay: Final = relay
        self._telemetry: Final = telemetry
        self._engines: Final = engines
        self._max_body: Final = max_body
        self._clock: Final = clock

    async def __call__(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request on `operation`'s path. Raises `GatewayError` before the answer has begun."""
        exchange: Exchange = scope["exchange"]
        exchange.operation = operation.name
        call = self._understand(operation, await read_body(receive, self._max_body), priority_of(scope), exchange)
        client = client_of(scope, receive, send)

        def left() -> None:
            exchange.left = self._clock()

        async with Presence(client, left):
            with self._telemetry.inflight(call.target.model.name):
                answer = await (self._begin_stream(call, client) if exchange.stream else self._relay.begin(call))
                await answer(client)

    async def _begin_stream(self, call: Call, client: Client) -> Answer:
        """The answer's beginning, with comments to the client for as long as there is nothing better."""
        answer: Answer | None = None
        try:
            async with Heartbeats(client):
                try:
                    answer = await self._relay.begin(call)
                except GatewayError as failure:
                    if not client.begun:
                        raise
                    answer = Failure(call.operation, failure, call.exchange)
        except BaseException:
            if answer is not None:
                answer.close()  # the client left while the last heartbeat was being stopped
            raise
        return answer

    def _understand(self, operation: Operation, body: bytes, priority: Priority, exchange: Exchange) -> Call:
        wanted = decode(body)
        target, pool = self._house.resolve(wanted.model or "")
        exchange.model = target.model.name
        exchange.engine = target.model.engine
        exchange.stream = bool(wanted.stream) and operation.streams
        engine = self._engines[target.model.engine]
        if operation.path not in engine.capabilities.paths:
            raise NotImplementedHere(
                f"The model '{target.requested}' runs on {engine.name}, which does not serve {operation.path} for it."
            )
        patience = Patience(target.model.timeouts, self._clock, stream=exchange.stream)
        return Call(operation, target, pool, engine, body, wanted.usage_asked, priority, patience, exchange)


def client_of(scope: Scope, receive: Receive, send: Send) -> Client:
    """The short way to the client where the server offers one, else ASGI's."""
    wire: Wire | None = scope.get("wire")
    if wire is None:
        return AsgiClient(receive, send)
    exchange: Exchange = scope["exchange"]

    def opened(status: int) -> None:
        exchange.status = status

    return WireClient(wire, opened, [(b"x-request-id", exchange.request_id.encode())])
