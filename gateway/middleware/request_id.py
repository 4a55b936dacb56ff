"""Gives every request its id and its `Exchange`, and puts `x-request-id` on every answer. The outermost middleware."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from typing import Final

from gateway.asgi import App, Message, Receive, Scope, Send, header
from gateway.exchange import Exchange

_SANE: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestId:
    """A sane incoming id is echoed; anything else (control characters, spaces, too long) is replaced by our own.

    Ours are unique, not secret: a random part of this process, and a number.
    """

    def __init__(self, app: App, clock: Callable[[], float]) -> None:
        self._app: Final = app
        self._clock: Final = clock
        self._prefix: Final = b"req_" + os.urandom(9).hex().encode()
        self._numbers: Final = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        if given is not None and _SANE.fullmatch(given):
            request_id = given
        else:
            request_id = b"%b%06x" % (self._prefix, next(self._numbers))
        client = scope.get("client")
        exchange = Exchange(
            request_id=request_id.decode("ascii"),
            started=self._clock(),
            method=scope["method"],
            path=scope["path"],
            client=client[0] if client else "",
        )
        scope["exchange"] = exchange

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self._app(scope, receive, with_id)
