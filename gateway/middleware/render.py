"""The one renderer: whatever was raised below becomes the OpenAI error envelope, or ends the connection.

One of the two places that catch everything: a bug of ours answers 500 in the same shape, with the request id to
look for in the log, and nothing of the bug itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.asgi import App, Receive, Scope, Send, body_message, start_message
from gateway.errors import ClientGone, GatewayError, ShuttingDown
from gateway.exchange import Exchange

_LOG: Final = logging.getLogger("enginehouse.gateway")


class Render:
    """Invariant: a response that has begun is never followed by another one."""

    def __init__(self, app: App) -> None:
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange: Exchange = scope["exchange"]
        try:
            await self._app(scope, receive, send)
        except ClientGone:
            raise
        except GatewayError as error:
            exchange.code = error.code or error.type
            if exchange.status:
                raise
            await answer(error, exchange, send)
        except asyncio.CancelledError:
            if not exchange.status:
                await answer(ShuttingDown("The gateway is shutting down.", retry_after=1.0), exchange, send)
            raise
        except Exception:
            _LOG.exception("bug in request %s", exchange.request_id)
            exchange.code = GatewayError.type
            if exchange.status:
                raise
            await answer(GatewayError("The gateway failed. Its log has this request's id."), exchange, send)


async def answer(error: GatewayError, exchange: Exchange, send: Send) -> None:
    """Send `error` as its own answer, and note it for the log and the metrics."""
    exchange.code = error.code or error.type
    body = error.body()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *error.headers(),
    ]
    await send(start_message(error.answered_status, headers))
    await send(body_message(body, more=False))
