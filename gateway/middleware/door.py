"""The door that every request comes in through: named, checked, answered whatever happens, settled exactly once.

Built by `app` from the other files of this package, in their order. Two ways lead to it: `AsgiDoor` for any ASGI
server, and `gateway.shortcut` for a whole request on a relayed path. One of the two places that catch everything: a
bug of ours answers 500 in the usual envelope, with the request id to look for in the log, and nothing of the bug.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.asgi import App, Message, Receive, Scope, Send
from gateway.client import AsgiClient, Client
from gateway.errors import ClientGone, GatewayError, ShuttingDown
from gateway.exchange import Exchange
from gateway.middleware.access_log import AccessLog
from gateway.middleware.request_id import RequestIds
from gateway.passages import Passages

_LOG: Final = logging.getLogger("enginehouse.gateway")

_GONE: Final = (499, "client_gone")

Check = Callable[[Scope], None]
"""Raises `GatewayError` for a request that must not come in; looks at its path and headers only."""


class Door:
    """Invariant: what was opened is settled once; a response that has begun is never followed by another one."""

    def __init__(self, ids: RequestIds, checks: Sequence[Check], log: AccessLog, passages: Passages) -> None:
        self._ids: Final = ids
        self._checks: Final = tuple(checks)
        self._log: Final = log
        self._passages: Final = passages

    def open(self, scope: Scope) -> Exchange:
        """The record of a request's passage, which the scope carries from here on."""
        exchange = scope["exchange"] = self._ids.exchange(scope)
        return exchange

    def check(self, scope: Scope) -> None:
        """Raises `GatewayError` for a request that must not come in."""
        for check in self._checks:
            check(scope)

    def abandon(self, exchange: Exchange) -> None:
        """Settle a request whose client left before anybody attended to it."""
        exchange.status, exchange.code = _GONE
        self._log.settle(exchange)

    async def attend(self, exchange: Exchange, client: Client, work: Awaitable[None]) -> None:
        """`work`, and what is left to say to `client` if it fails. Raises nothing: a broken answer stays broken."""
        self._passages.begin(exchange)
        try:
            await work
        except ClientGone:
            exchange.status, exchange.code = _GONE
        except GatewayError as error:
            await _tell(error, exchange, client)
        except asyncio.CancelledError:  # the drain's deadline: the task ends here anyway
            await _tell(ShuttingDown("The gateway is shutting down.", retry_after=1.0), exchange, client)
        except Exception:  # noqa: BLE001 - one of the two outermost places
            _LOG.exception("bug in request %s", exchange.request_id)
            await _tell(GatewayError("The gateway failed. Its log has this request's id."), exchange, client)
        finally:
            self._passages.end(exchange)
            self._log.settle(exchange)


async def _tell(error: GatewayError, exchange: Exchange, client: Client) -> None:
    """Note `error` for the log and the metrics; answer with it where nothing has been answered."""
    exchange.code = error.code or error.type
    if not exchange.status:
        exchange.status = error.answered_status
        await client.whole(
            error.answered_status, [(b"content-type", b"application/json"), *error.headers()], error.body()
        )


class AsgiDoor:
    """The door of an ASGI application; `app` finds the `Exchange` in its scope."""

    def __init__(self, app: App, door: Door) -> None:
        self._app: Final = app
        self._door: Final = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = self._door.open(scope)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", exchange.request_id.encode())]
            await send(message)

        async def enter() -> None:
            self._door.check(scope)
            await self._app(scope, receive, named)

        await self._door.attend(exchange, AsgiClient(receive, named), enter())
