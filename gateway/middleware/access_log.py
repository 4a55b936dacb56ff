"""One line a request, and its metrics: the one place where an `Exchange` is settled, however the request ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.exchange import Exchange
from gateway.telemetry import Telemetry

_QUIET: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Polled by machines every few seconds: not worth a line."""


class AccessLog:
    """Used by `door`, once for every exchange."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float], write: Callable[[Line], None]) -> None:
        self._telemetry: Final = telemetry
        self._clock: Final = clock
        self._write: Final = write

    def settle(self, exchange: Exchange) -> None:
        """Count it and write its line."""
        exchange.ended = ended = self._clock()
        self._telemetry.settle(exchange, ended)
        if exchange.path not in _QUIET:
            self._write(Line(exchange, ended))


class Line(msgspec.Struct, frozen=True, eq=False):
    """`key=value` pairs; no prompt, no key. The path is the client's: escaped, so that it cannot forge a line."""

    _exchange: Exchange
    _ended: float

    def __str__(self) -> str:
        exchange, ended = self._exchange, self._ended
        path = exchange.path
        if " " in path or not (path.isascii() and path.isprintable()):
            path = path.encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
        usage = exchange.usage
        relayed = exchange.operation and (
            f" model={exchange.model} worker={exchange.worker or '-'} attempts={exchange.attempts}"
        )
        resumes = f" resumes={exchange.resumes}" if exchange.resumes else ""
        ttft = "" if exchange.first_token is None else f" ttft_ms={(exchange.first_token - exchange.started) * 1e3:.1f}"
        tokens = "" if usage is None else f" tokens={usage.prompt}+{usage.completion}"
        code = f" code={exchange.code}" if exchange.code else ""
        return (
            f"{exchange.method} {path[:200]} {exchange.status} ms={(ended - exchange.started) * 1e3:.1f}"
            f" id={exchange.request_id} client={exchange.client}{relayed}{resumes}{ttft}{tokens}{code}"
        )
