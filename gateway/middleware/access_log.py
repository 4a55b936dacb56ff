"""One line a request, and its metrics: the one place where an `Exchange` is settled, however the request ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gateway.asgi import App, Receive, Scope, Send
from gateway.errors import ClientGone
from gateway.exchange import Exchange
from gateway.telemetry import Telemetry

_LOG: Final = logging.getLogger("enginehouse.access")
_QUIET: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Polled by machines every few seconds: counted, but not worth a line."""


class AccessLog:
    """Invariant: every exchange that enters is settled exactly once."""

    def __init__(self, app: App, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._app: Final = app
        self._telemetry: Final = telemetry
        self._clock: Final = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange: Exchange = scope["exchange"]
        try:
            await self._app(scope, receive, send)
        except ClientGone:
            exchange.status, exchange.code = 499, "client_gone"
        except asyncio.CancelledError:
            exchange.status, exchange.code = 503, "shutting_down"
            raise
        finally:
            ended = self._clock()
            self._telemetry.settle(exchange, ended)
            if exchange.path not in _QUIET and _LOG.isEnabledFor(logging.INFO):
                _LOG.info(_line(exchange, ended))


def _line(exchange: Exchange, ended: float) -> str:
    """`key=value` pairs; no prompt, no key. The path is the client's: escaped, so that it cannot forge a line."""
    path = exchange.path.encode("unicode_escape").decode("ascii")[:200]
    parts = [
        f"{exchange.method} {path} {exchange.status}",
        f"ms={(ended - exchange.started) * 1e3:.1f}",
        f"id={exchange.request_id}",
        f"client={exchange.client}",
    ]
    if exchange.operation:
        parts += [f"model={exchange.model}", f"worker={exchange.worker or '-'}", f"attempts={exchange.attempts}"]
    if exchange.first_token is not None:
        parts.append(f"ttft_ms={(exchange.first_token - exchange.started) * 1e3:.1f}")
    if exchange.usage is not None:
        parts.append(f"tokens={exchange.usage.prompt}+{exchange.usage.completion}")
    if exchange.code:
        parts.append(f"code={exchange.code}")
    return " ".join(parts)
