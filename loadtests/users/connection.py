"""One user's connection to the server under test: Python's own HTTP client, which gevent makes cooperative.

It gives bytes to the reader the moment that they are there, which Locust's clients do only in lines or fixed blocks,
and it runs without gevent too, so that it is tested like everything else. Foreign errors become `answers.Bad` here
and nowhere else. Proxies and redirects are not followed: what is measured is the server that was named.
"""

from __future__ import annotations

import http.client
import select
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from loadtests.users.answers import Bad

Response = http.client.HTTPResponse

_LONGEST_LINE: Final = 8 * 1024 * 1024
"""Bytes: more in one event is no answer of a model."""


class Unreachable(Bad):
    """No connection to the server came about, or it broke; the user should wait before trying again."""


def api_url(host: str) -> str:
    """Where the OpenAI API of `host` begins: a URL with a path is taken at its word, as OpenAI's clients do.

    Raises `ValueError` for what is no URL.
    """
    parts = urlsplit(host.strip().rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{host!r} is not a URL: say http://… or https://…")
    _ = parts.port  # refused here if it is no number
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/v1'}"


class Connection:
    """Invariant: at most one exchange at a time; a connection that is not known to be clean is not used again."""

    def __init__(self, base: str, key: str, timeout: float) -> None:
        """`base` as `api_url` gives it; `timeout`: seconds of silence after which the server is given up."""
        parts = urlsplit(base)
        self._path: Final = parts.path
        self._headers: Final = {"Accept": "application/json, text/event-stream", "User-Agent": "enginehouse-loadtest"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._http = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        else:
            self._http = http.client.HTTPConnection(host, port, timeout=timeout)

    def close(self) -> None:
        """Give the socket back; the next exchange opens another."""
        self._http.close()

    @contextmanager
    def exchange(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Response]:
        """The answer to one request, its body unread. Raises `Bad`, also for what reading it within the block met."""
        clean = False
        try:
            self._drop_stale()
            self._http.request(method, f"{self._path}{path}", body, {**self._headers, **(headers or {})})
            response = self._http.getresponse()
            yield response
            clean = response.isclosed()
        except TimeoutError:
            raise Bad("timed out") from None
        except ConnectionRefusedError:
            raise Unreachable("connection refused") from None
        except (http.client.RemoteDisconnected, ConnectionError):
            raise Unreachable("connection closed by the server") from None
        except http.client.IncompleteRead:
            raise Bad("cut off in the middle") from None
        except OSError as wrong:
            raise Unreachable(wrong.strerror or str(wrong)) from None
        except (http.client.HTTPException, ValueError) as wrong:
            raise Bad(f"not HTTP: {type(wrong).__name__}") from None
        finally:
            if not clean:
                self.close()

    def _drop_stale(self) -> None:
        """An idle connection that can be read was closed by the server: using it would look like a failure of his."""
        socket = self._http.sock
        if socket is not None and select.select([socket], [], [], 0)[0]:
            self.close()


def lines(response: Response) -> Iterator[bytes]:
    """The lines of a body, each the moment that its last byte is there; an unfinished one at the end as it is."""
    pending = b""
    while piece := response.read1(65536):
        head, end, tail = piece.rpartition(b"\n")
        if not end:
            pending += piece
        else:
            yield from (pending + head).split(b"\n")
            pending = tail
        if len(pending) > _LONGEST_LINE:
            raise Bad("a line without an end")
    if response.length:
        raise Bad("cut off in the middle")
    if pending:
        yield pending
