"""Keep-alive connections to one worker. Used by `gateway.pool.worker` only.

A connection taken from here comes back through `give_back`, which keeps it for the next request or aborts it.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gateway.deadline import within
from gateway.upstream.connection import Connection
from gateway.upstream.faults import ConnectFailed

KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection is kept: less than a worker keeps it (uvicorn: 5), so that we close first."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens."""

    host: str
    port: int
    tls: bool = False
    prefix: str = ""
    """Path before the worker's own paths; no slash at its end."""

    @classmethod
    def of(cls, url: str) -> Address:
        """From `http(s)://host[:port][/prefix]`; the registry has checked it."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if tls else 80), tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class ConnectionPool:
    """Invariant: every connection is either lent to one exchange or idle here; at most `limit` are kept idle."""

    def __init__(self, address: Address, *, limit: int = 512) -> None:
        self._address: Final = address
        self._limit: Final = limit
        self._tls: Final = ssl.create_default_context() if address.tls else None
        self._idle: list[Connection] = []
        self._closed = False

    def reusable(self) -> Connection | None:
        """An idle connection, the most recently used first; None: make a new one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.idle:
                return connection
        return None

    async def connect(self, limit: float | None) -> Connection:
        """A new connection within `limit` seconds. Raises `ConnectFailed`."""
        loop = asyncio.get_running_loop()
        try:
            async with within(limit):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), self._address.host, self._address.port, ssl=self._tls
                )
        except TimeoutError as fault:
            raise ConnectFailed("the worker did not accept the connection in time") from fault
        except UnicodeError as fault:
            raise ConnectFailed("the worker's host is no name") from fault
        except OSError as fault:
            raise ConnectFailed(f"the worker refused the connection: {fault.strerror or fault}") from fault
        return connection

    def give_back(self, connection: Connection, *, drain: bool = False) -> None:
        """End the exchange on `connection`, keep it if it can serve again. `drain`: read its body's end first."""
        connection.leave(self._keep, drain=drain)

    def _keep(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= self._limit:
            connection.abort()
            return
        connection.rest(KEEP_ALIVE)
        self._idle.append(connection)

    def close(self) -> None:
        """Abort what is idle, now and later. What is lent ends with its exchange."""
        self._closed = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
