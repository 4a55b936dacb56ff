"""The few ASGI words that we speak, typed. A leaf: everything in `gateway` may import it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def start_message(status: int, headers: Headers) -> Message:
    """`http.response.start`."""
    return {"type": "http.response.start", "status": status, "headers": headers}


def body_message(body: bytes, *, more: bool) -> Message:
    """`http.response.body`."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers by name (lower case); of repeated ones the first."""
    known: dict[bytes, bytes] | None = scope.get("headers_by_name")
    if known is None:
        known = scope["headers_by_name"] = dict(reversed(scope["headers"]))
    return known
