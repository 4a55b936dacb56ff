"""The server: uvicorn, with our protocol and without its signal handlers.

Used by `__main__` only.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import Final

import uvicorn

from gateway.asgi import App
from gateway.protocol import Protocol
from gateway.shortcut import Shortcut

KEEP_ALIVE: Final = 75
"""Seconds that an idle client connection stays open; longer than the usual load balancer's 60."""

_EARS: Final = 16


def ears(listening: socket.socket) -> list[socket.socket]:
    """`listening`, and further descriptors of it: the loop accepts a connection from each of them in every round.

    libuv accepts one connection a round from each descriptor, since 1.45: while a burst of clients arrives, every round
    serves all that are in already, and who is still outside starves until they are done.
    """
    # Before the others are made, which take it over: they share it with the other gateways of the host too, and one of
    # those would stand still in `accept` where another was quicker.
    listening.setblocking(False)
    return [listening, *(listening.dup() for _ in range(_EARS - 1))]


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the process decides when it stops."""

    def stop(self) -> None:
        """Drain and end; called again, end now."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self.should_exit

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: `__main__` has its own."""
        yield


def configure(app: App, shortcut: Shortcut | None, drain: float) -> uvicorn.Config:
    """Uvicorn's settings: no guessing at proxies, no logs of its own, `drain` seconds for what is open at the end.

    Without `shortcut` every request goes the ASGI way.
    """
    return uvicorn.Config(
        app,
        http=partial(Protocol, shortcut),  # type: ignore[arg-type]  # it is called, not looked at
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(drain)),
    )
