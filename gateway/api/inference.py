"""The relayed paths, one endpoint for all of them: understand the request, relay it, watch whether the client is there.

Called for every row of `gateway.operations`: by `app` over ASGI, by `gateway.shortcut` without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engines.engine import Engine
from gateway.answers import Answer, Failure
from gateway.api.body import decode, read_body
from gateway.api.preference import wait_of
from gateway.api.presence import Presence
from gateway.api.priority import priority_of
from gateway.api.steering import refuse
from gateway.api.tee import Tee
from gateway.asgi import Receive, Scope, Send
from gateway.call import Call
from gateway.client import AsgiClient, Client
from gateway.errors import GatewayError, NotImplementedHere
from gateway.exchange import Exchange
from gateway.heartbeats import SOON, Heartbeats
from gateway.operations import Operation
from gateway.patience import Patience
from gateway.pool.house import House
from gateway.pool.loading import progress
from gateway.pool.pool import Pool
from gateway.relay import Relay
from gateway.shadowing import COMPARED, Shadows
from gateway.telemetry import Telemetry
from gateway.trials import Trials
from registry.adapters import DIGITS
from registry.snapshot import Target


def heartbeats(client: Client, pool: Pool, needs: str = "") -> Heartbeats:
    """Those of a stream on `pool`: where its model, or the adapter that it needs, has to be loaded first, they begin
    soon and say how far that is.
    """
    if pool.holds(needs):
        return Heartbeats(client)
    return Heartbeats(client, first=SOON, comment=lambda: _ADAPTER if pool.ready else progress(pool.model))


_ADAPTER: Final = "loading the adapter"


_NAME: Final = 200
"""Characters that are remembered of a model's name, which is the client's text."""


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
        trials: Trials,
        shadows: Shadows,
    ) -> None:
        self._house: Final = house
        self._relay: Final = relay
        self._telemetry: Final = telemetry
        self._engines: Final = engines
        self._max_body: Final = max_body
        self._clock: Final = clock
        self._trials: Final = trials
        self._shadows: Final = shadows

    async def __call__(self, operation: Operation, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI way: read the body, then `answer`."""
        scope["exchange"].operation = operation.name
        await self.answer(operation, scope, await read_body(receive, self._max_body), AsgiClient(receive, send))

    async def answer(self, operation: Operation, scope: Scope, body: bytes, client: Client) -> None:
        """Answer one request on `operation`'s path. Raises `GatewayError` before the answer has begun."""
        exchange: Exchange = scope["exchange"]
        call = self._understand(operation, body, scope, exchange)
        inflight = self._telemetry.inflight
        inflight[exchange.model] += 1
        try:
            with Presence(client, exchange, self._clock):
                answer = await (self._begin_stream(call, client) if exchange.stream else self._relay.begin(call))
                if call.needs and (mirrored := self._mirrored(call)) is not None:
                    await self._heard(call, mirrored, answer, client)
                else:
                    await answer(client)
        finally:
            inflight[exchange.model] -= 1

    def _mirrored(self, call: Call) -> Target | None:
        return self._trials.shadow(call.target) if call.operation.path in COMPARED else None

    async def _heard(self, call: Call, mirrored: Target, answer: Answer, client: Client) -> None:
        """Answer, then ask a candidate the same, for comparison."""
        tee = Tee(client)
        await answer(tee)
        if tee.ended and tee.heard and not call.exchange.code:
            self._shadows.begin(call, mirrored, tee.heard)

    async def _begin_stream(self, call: Call, client: Client) -> Answer:
        """The answer's beginning, with comments to the client for as long as there is nothing better."""
        answer: Answer | None = None
        try:
            async with heartbeats(client, call.pool, call.needs):
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

    def _understand(self, operation: Operation, body: bytes, scope: Scope, exchange: Exchange) -> Call:
        priority = priority_of(scope)
        wanted = decode(body)
        exchange.requested = (wanted.model or "")[:_NAME]
        target, pool = self._house.resolve(wanted.model)
        needs = ""
        if (found := target.adapter) is not None:
            target = self._trials.allot(target, body, scope)
            needs = target.served_name
            exchange.adapter, exchange.revision = found.name, target.digest[:DIGITS]
        exchange.model = target.model.name
        exchange.served_name = target.served_name
        exchange.engine = target.model.engine
        exchange.stream = bool(wanted.stream) and operation.streams
        refuse(wanted.steering, target.model.allow, target.requested)
        engine = self._engines[target.model.engine]
        if operation.path not in engine.capabilities.paths:
            raise NotImplementedHere(
                f"The model '{target.requested}' runs on {engine.name}, which does not serve {operation.path} for it."
            )
        patience = Patience(target.model.timeouts, self._clock, stream=exchange.stream)
        wait = None if pool.holds(needs) else wait_of(scope)
        return Call(
            operation, target, pool, engine, body, wanted.usage_asked, priority, patience, exchange, wait, needs
        )
