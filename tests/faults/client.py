"""A raw HTTP client for fault tests: it believes nothing and reports everything.

No library sits between the bytes and the test, because libraries repair or hide what is asked about here: how the
answer ended, whether a half event came, whether the connection was closed or reset. Used by fault and story tests.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_TIMEOUT: Final = 120.0


class End(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    """By HTTP's own rules: last chunk, or full length."""
    CUT = "cut"
    """End of file before that."""
    RESET = "reset"
    GARBAGE = "garbage"
    """Bytes that are no HTTP."""
    SILENCE = "silence"
    """Nothing came within the client's own limit."""


@dataclass(slots=True)
class Transcript:
    """What was received. `events` holds the data of whole events, `half` what was left of an unfinished one."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    end: End = End.SILENCE

    @property
    def events(self) -> list[str]:
        blocks = self._text().split("\n\n")[:-1]
        return [data for data in map(_data, blocks) if data is not None]

    @property
    def comments(self) -> int:
        """How many comment lines came: heartbeats."""
        return sum(line.startswith(":") for line in self._text().split("\n"))

    @property
    def half(self) -> str:
        return self._text().rpartition("\n\n")[2]

    @property
    def done(self) -> int:
        """How many `[DONE]` came."""
        return self.events.count("[DONE]")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The error objects among the events."""
        parsed = [json.loads(data) for data in self.events if data != "[DONE]"]
        return [event.get("error", event) for event in parsed if _is_error(event)]

    @property
    def terminals(self) -> int:
        """How often the stream ended, well or badly; 1 is right."""
        return self.done + len(self.errors)

    def json(self) -> Any:
        """The body of an answer that is no stream."""
        return json.loads(self.body)

    def _text(self) -> str:
        return self.body.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


def _data(block: str) -> str | None:
    lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
    return "\n".join(lines) if lines else None


def _is_error(event: Any) -> bool:
    return isinstance(event, dict) and (bool(event.get("error")) or event.get("type") == "error")


def post(path: str, body: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a POST request: JSON by its content type unless `headers` say otherwise."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"host": "localhost", "content-type": "application/json", "content-length": str(len(content))}
    return head("POST", path, given | dict(headers or {})) + content


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a GET request."""
    return head("GET", path, {"host": "localhost"} | dict(headers or {}))


def head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """A request's head, exactly as given: nothing is added or checked."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Conversation:
    """One connection and the answer that is coming on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.transcript = Transcript()
        self._reader: Final = reader
        self._writer: Final = writer
        self._pieces = self._body()

    async def say(self, wire: bytes) -> None:
        """Send `wire`; a server that closes meanwhile is found out by reading."""
        try:
            self._writer.write(wire)
            await self._writer.drain()
        except ConnectionError:
            pass

    async def hear(self, *, events: int | None = None) -> Transcript:
        """Read on to the end of the answer, or until so many whole events are there."""
        transcript = self.transcript
        try:
            async with asyncio.timeout(_TIMEOUT):
                async for piece in self._pieces:
                    transcript.body += piece
                    if events is not None and len(transcript.events) >= events:
                        return transcript
            transcript.end = End.COMPLETE
        except TimeoutError:
            transcript.end = End.SILENCE
        except asyncio.IncompleteReadError as cut:
            transcript.body += cut.partial
            transcript.end = End.CUT
        except ConnectionError:
            transcript.end = End.RESET
        except ValueError:
            transcript.end = End.GARBAGE
        return transcript

    async def another(self) -> Transcript:
        """The next answer on the same connection, to its end."""
        self.transcript = Transcript()
        self._pieces = self._body()
        return await self.hear()

    async def ended(self) -> bool:
        """Whether the server closes the connection without another word."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                return not await self._reader.read(1)
        except ConnectionError:
            return True

    def leave(self, *, reset: bool = False) -> None:
        """Go away now: FIN, or RST."""
        if reset:
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()

    async def _body(self) -> AsyncIterator[bytes]:
        if not self.transcript.status:
            await self._head()
        headers = self.transcript.headers
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self._line(), 16):
                yield await self._reader.readexactly(size)
                await self._line()
            await self._line()
        elif "content-length" in headers:
            yield await self._reader.readexactly(int(headers["content-length"]))
        else:
            while piece := await self._reader.read(65536):
                yield piece

    async def _head(self) -> None:
        """The final head; informational ones (1xx) are passed over."""
        while self.transcript.status < 200:
            self.transcript.status = int((await self._line()).split(b" ", 2)[1])
            while line := await self._line():
                name, _, value = line.partition(b":")
                self.transcript.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    async def _line(self) -> bytes:
        try:
            return (await self._reader.readuntil(b"\r\n"))[:-2]
        except asyncio.IncompleteReadError as cut:
            raise asyncio.IncompleteReadError(b"", None) from cut


@asynccontextmanager
async def calling(port: int, wire: bytes, host: str = "127.0.0.1") -> AsyncIterator[Conversation]:
    """A connection on which `wire` has been sent; closed at the end."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**24)
    conversation = Conversation(reader, writer)
    try:
        await conversation.say(wire)
        yield conversation
    finally:
        writer.transport.abort()


async def ask(port: int, wire: bytes) -> Transcript:
    """One request and the whole of its answer."""
    async with calling(port, wire) as conversation:
        return await conversation.hear()
