"""One request of each kind, from the question to what Locust is told. Called by `loadtests/locustfile.py`.

The clock is the caller's; times in an `Outcome` are milliseconds, as Locust's tables have them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadtests.users.answers import Bad, Stream, Usage, refused, whole
from loadtests.users.connection import Connection, Response, Unreachable, lines

_JSON: Final = {"Content-Type": "application/json"}
_MS: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    took: float
    """Milliseconds from the request to the last byte, or to the failure."""
    failure: str = ""
    """Empty: a whole answer."""
    unreachable: bool = False
    usage: Usage | None = None
    chunks: int = 0
    """With content; what is counted where a stream has no usage."""
    first: float | None = None
    """Milliseconds to the first token; known even of streams that broke later."""
    gaps: list[float] = field(default_factory=list)
    """Milliseconds between tokens."""

    @property
    def tokens(self) -> int:
        """Of the answer: as the server counted them, else its chunks."""
        return self.usage.completion if self.usage else self.chunks

    @property
    def rate(self) -> float | None:
        """Tokens a second that this user got, the wait for the first included; None: nothing to tell."""
        return self.tokens / (self.took / _MS) if self.tokens and self.took and not self.failure else None


def ask(connection: Connection, path: str, body: Mapping[str, Any], clock: Callable[[], float]) -> Outcome:
    """One request that is answered as a whole."""
    began = clock()
    try:
        with connection.exchange("POST", path, json.dumps(body).encode(), _JSON) as response:
            _check_status(response)
            usage = whole(response.read())
    except Bad as bad:
        return _failed(bad, (clock() - began) * _MS)
    return Outcome((clock() - began) * _MS, usage=usage)


def listen(connection: Connection, path: str, body: Mapping[str, Any], clock: Callable[[], float]) -> Outcome:
    """One streamed request, read to the end of its body."""
    began, stream = clock(), Stream()
    failed: Bad | None = None
    try:
        with connection.exchange("POST", path, json.dumps(body).encode(), _JSON) as response:
            _check_status(response)
            _check_streams(response)
            for line in lines(response):
                stream.take(line, clock())
        stream.finished(clock())
    except Bad as bad:
        failed = bad
    took = (clock() - began) * _MS
    return Outcome(
        took,
        failure=str(failed or ""),
        unreachable=isinstance(failed, Unreachable),
        usage=stream.usage,
        chunks=stream.chunks,
        first=None if stream.first is None else (stream.first - began) * _MS,
        gaps=[gap * _MS for gap in stream.gaps],
    )


def _check_status(response: Response) -> None:
    if response.status != 200:
        raise Bad(refused(response.status, response.read()))


def _check_streams(response: Response) -> None:
    kind = (response.getheader("Content-Type") or "nothing").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise Bad(f"{kind[:40]} instead of an event stream")


def _failed(bad: Bad, took: float) -> Outcome:
    return Outcome(took, failure=str(bad), unreachable=isinstance(bad, Unreachable))
