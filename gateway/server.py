"""How HTTP comes in: uvicorn, with the few things that it leaves open closed.

Used by `__main__` only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.asgi import App
from gateway.errors import InvalidRequest

KEEP_ALIVE: Final = 75
"""Seconds that an idle client connection stays open; longer than the usual load balancer's 60."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, answering what is not HTTP in the same envelope as everything else."""

    def send_400_response(self, msg: str) -> None:
        body = InvalidRequest(msg).body()
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()


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


def configure(app: App, drain: float) -> uvicorn.Config:
    """Uvicorn's settings: no guessing at proxies, no logs of its own, `drain` seconds for what is open at the end."""
    return uvicorn.Config(
        app,
        http=Protocol,
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
