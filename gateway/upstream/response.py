"""HTTP/1.1 responses, bytes in and parts out. No socket, no clock; used by `connection`.

httptools (llhttp) does the grammar; this file decides what is acceptable from a worker: bounded headers, one
final response, a body whose end is known.
"""

from __future__ import annotations

from typing import Final

import httptools

HEADER_LIMIT: Final = 64 * 1024
"""Bytes before the end of the headers, at most."""


def whole_chunks(received: bytes) -> list[bytes]:
    """The bodies of the chunks that `received` is, each whole; none: it is anything else, which is no fault.

    Only the one spelling that servers use is recognised (lower-case digits, none too many, no extension), and no line
    end of HTTP's in the bodies of several: server-sent events have none.
    """
    begin = received.find(b"\r\n", 1, 9) + 2
    size = len(received) - begin - 2
    if size > 0 and received.startswith(b"%x\r\n" % size) and received.endswith(b"\r\n"):
        return [received[begin:-2]]  # a single one, which it mostly is
    lines = received.split(b"\r\n")
    bodies = lines[1::2]
    if lines[-1] or b"" in bodies or [b"%x" % len(body) for body in bodies] != lines[:-1:2]:
        return []
    return bodies


class BadResponse(ValueError):
    """What the worker sent is no HTTP/1.1 response that we accept."""


class Response:
    """What a connection receives, one response after the other: `expect` begins, `feed` until `complete`."""

    __slots__ = (
        "_extra",
        "_framed",
        "_parser",
        "_unread",
        "between",
        "chunks",
        "complete",
        "headers",
        "headers_done",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self._parser: Final = httptools.HttpResponseParser(self)
        self.chunks: Final[list[bytes]] = []
        """Body received and not yet taken."""
        self.expect()

    def expect(self) -> None:
        """A request was sent: forget the last response."""
        self._unread = 0
        self._framed = False
        self._extra = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """Lower-case names; of repeated headers the last."""
        self.headers_done = False
        self.chunks.clear()
        self.between = False
        """Whether the next byte begins a chunk of the chunked coding: a whole one may then bypass `feed`."""
        self.complete = False
        self.reusable = False
        """Whether the connection may carry another request."""

    @property
    def begun(self) -> bool:
        """Whether any byte of a response has arrived."""
        return self._unread > 0

    def feed(self, received: bytes) -> None:
        """Take in bytes from the peer. Raises `BadResponse`."""
        if self.complete:
            raise BadResponse("bytes after the end of the response")
        if not self.headers_done:
            self._unread += len(received)
        try:
            self._parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as fault:
            raise BadResponse(str(fault)) from fault
        # What follows a whole chunk and ends a line is a size, which `on_chunk_header` has seen.
        self.between = self.between and received.endswith(b"\r\n")
        if not self.headers_done and self._unread > HEADER_LIMIT:
            raise BadResponse("headers without an end")
        if self._extra:
            raise BadResponse("bytes after the end of the response")

    def eof(self) -> None:
        """The peer closed. Raises `BadResponse` unless that is how this body ends."""
        if self.complete:
            return
        if not self.headers_done or self._framed:
            raise BadResponse("the connection closed in the middle of the response")
        self.complete = True

    def on_message_begin(self) -> None:
        """Httptools' callback."""
        self._extra = self.complete  # a second response, to a request that nobody sent

    def on_header(self, name: bytes, value: bytes) -> None:
        """Httptools' callback."""
        if not self.headers_done:  # trailers change nothing
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Httptools' callback. An informational response (1xx) is passed over: the final one follows."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        if self.complete:
            return
        self.status = status
        self.headers_done = True
        self._framed = b"content-length" in self.headers or b"transfer-encoding" in self.headers

    def on_body(self, body: bytes) -> None:
        """Httptools' callback."""
        if not self.complete:
            self.chunks.append(body)

    def on_chunk_header(self) -> None:
        """Httptools' callback."""
        self.between = False

    def on_chunk_complete(self) -> None:
        """Httptools' callback."""
        self.between = True

    def on_message_complete(self) -> None:
        """Httptools' callback."""
        self.between = False
        if self.headers_done and not self.complete:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()

    def take(self) -> bytes:
        """The body received since the last call."""
        chunks = self.chunks
        if len(chunks) == 1:
            return chunks.pop()
        taken = b"".join(chunks)
        chunks.clear()
        return taken
