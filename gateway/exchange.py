"""The record of one request's passage: filled in on the way, read at its end by the access log and the metrics.

Made by `middleware.request_id`, carried in the ASGI scope, settled once in `middleware.access_log`.
"""

from __future__ import annotations

import msgspec

from gateway.reading import Usage


class Exchange(msgspec.Struct, gc=False):
    """One request. Times are in seconds of the one monotonic clock; None: that moment never came."""

    request_id: str
    started: float
    method: str
    path: str
    client: str
    status: int = 0
    """Of the response that has begun; 0: none has."""
    code: str = ""
    """The error's code or type; empty: it went well."""
    operation: str = ""
    """Set for relayed requests only; they are the ones with metrics of their own."""
    model: str = "other"
    engine: str = ""
    worker: str = ""
    attempts: int = 0
    resumes: int = 0
    """How often another worker took the stream up in the middle."""
    stream: bool = False
    queued: float = 0.0
    """Seconds spent waiting for a worker."""
    connected: float = 0.0
    """Seconds spent on connecting to workers."""
    sent: float | None = None
    first_byte: float | None = None
    first_token: float | None = None
    answered: float | None = None
    """When the answer's first byte went to the client."""
    usage: Usage | None = None
    left: float | None = None
    """When the client went away before its answer was complete."""
