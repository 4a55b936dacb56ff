"""The short way in: a whole POST on a relayed path, from the connection straight to `api.inference`, no ASGI between.

Called by `gateway.protocol`. The door is the same, so are the checks, the endpoint and the answers; what is saved is
a scope, an event, two awaited callables and a message for every step of a request. What is not plain enough for it
(a refusal, `Expect`, a chunked body, pipelining, HTTP/1.0) goes the ASGI way.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from gateway.api.inference import Inference
from gateway.asgi import Scope, headers_of
from gateway.errors import GatewayError
from gateway.middleware.door import Door
from gateway.operations import BY_PATH, Operation
from gateway.wire import Wire, WireClient


class Shortcut:
    """Stateless; one for all connections."""

    def __init__(self, door: Door, inference: Inference) -> None:
        self._door: Final = door
        self._inference: Final = inference
        self._operations: Final = {path.encode(): operation for path, operation in BY_PATH.items()}

    def admit(self, url: bytes, scope: Scope) -> Operation | None:
        """The operation at `url`, if the request with this scope (method POST) may take this way; else None."""
        operation = self._operations.get(url)
        headers = headers_of(scope)
        if operation is None or b"content-length" not in headers or b"expect" in headers:
            return None
        scope["path"] = operation.path
        try:
            self._door.check(scope)
        except GatewayError:
            return None  # it is refused the other way, which can answer before the body has come
        self._door.open(scope).operation = operation.name
        return operation

    def abandon(self, scope: Scope) -> None:
        """Its client left before it was whole: nobody will serve it."""
        self._door.abandon(scope["exchange"])

    def serve(self, operation: Operation, scope: Scope, body: bytes, wire: Wire) -> Coroutine[Any, Any, None]:
        """The work of answering it. Raises nothing."""
        exchange = scope["exchange"]
        client = WireClient(wire, exchange)
        return self._door.attend(exchange, client, self._inference.answer(operation, scope, body, client))
