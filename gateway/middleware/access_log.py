"""One line a request, and its metrics: the one place where an `Exchange` is settled, however the request ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.exchange import Exchange
from gateway.telemetry import Telemetry

_QUIET: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Polled by machines every few seconds: not worth a line."""


class AccessLog:
    """Used by `door`, once for every exchange."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float], write: Callable[[str], None]) -> None:
        self._telemetry: Final = telemetry
        self._clock: Final = clock
        self._write: Final = write

    def settle(self, exchange: Exchange) -> None:
        """Count it and write its line."""
        exchange.ended = ended = self._clock()
        self._telemetry.settle(exchange, ended)
        if exchange.path not in _QUIET:
            self._write(_line(exchange, ended))


def _line(exchange: Exchange, ended: float) -> str:
    """`key=value` pairs; no prompt, no key. The path is the client's: escaped, so that it cannot forge a line."""
    path = exchange.path
    if " " in path or not (path.isascii() and path.isprintable()):
        path = path.encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
    line = (
        f"{exchange.method} {path[:200]} {exchange.status} ms={(ended - exchange.started) * 1e3:.1f}"
        f" id={exchange.request_id} client={exchange.client}"
    )
    if exchange.operation:
        line += f" model={exchange.model} worker={exchange.worker or '-'} attempts={exchange.attempts}"
    if exchange.resumes:
        line += f" resumes={exchange.resumes}"
    if exchange.first_token is not None:
        line += f" ttft_ms={(exchange.first_token - exchange.started) * 1e3:.1f}"
    if exchange.usage is not None:
        line += f" tokens={exchange.usage.prompt}+{exchange.usage.completion}"
    return f"{line} code={exchange.code}" if exchange.code else line
