"""A server that speaks like the hubs and lies as it is told: ranges, entity tags, redirects, cuts, refusals.

Real sockets; one request a connection.
"""

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Request:
    path: str
    headers: dict


@dataclass
class Reply:
    """`cut`: so many bytes of the body are sent, then the connection is reset."""

    body: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: int | None = None


def etag(content):
    return f'"{hashlib.sha256(content).hexdigest()[:12]}"'


def ranged(content, request, **changes):
    """What an honest server answers, with `changes` to its reply."""
    reply = Reply(content, 200, {"ETag": etag(content)})
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if asked and request.headers.get("if-range", etag(content)) == etag(content):
        begin = int(asked[1])
        span = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        reply = Reply(content[begin:], 206, {"ETag": etag(content), "Content-Range": span})
    for name, value in changes.items():
        setattr(reply, name, value)
    return reply


class Server:
    """Files by path; `script` is asked first and may answer otherwise."""

    def __init__(self):
        self.files = {}
        self.script = []
        self.otherwise = None
        self.requests = []
        self.url = ""

    def once(self, path, reply):
        """The next request for `path` is answered by `reply`, a Reply or a function of the request."""
        self.script.append((path, reply))

    def paths(self):
        return [request.path for request in self.requests]

    def answer(self, request):
        for number, (path, reply) in enumerate(self.script):
            if path == request.path:
                del self.script[number]
                return reply(request) if callable(reply) else reply
        content = self.files.get(request.path)
        if callable(content):
            return content(request)
        if content is None and self.otherwise:
            return self.otherwise(request)
        return Reply(b"", 404) if content is None else ranged(content, request)

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(_header(line) for line in head[1:] if line)
            request = Request(head[0].split(" ")[1], headers)
            self.requests.append(request)
            await self._send(writer, self.answer(request))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, writer, reply):
        headers = {"Content-Length": str(len(reply.body)), "Connection": "close", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items() if value != "")]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        writer.write(reply.body[: reply.cut])
        await writer.drain()


def _header(line):
    name, _, value = line.partition(": ")
    return name.lower(), value


@asynccontextmanager
async def serving():
    """A `Server` at `url`, until the block ends."""
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
