"""Gives every request its id and its `Exchange`. Used by `door`, which puts `x-request-id` on every answer."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from typing import Final

from gateway.asgi import Scope, headers_of
from gateway.exchange import Exchange

_SANE: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIds:
    """A sane incoming id is echoed; anything else (control characters, spaces, too long) is replaced by our own.

    Ours are unique, not secret: a random part of this process, and a number.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._prefix: Final = "req_" + os.urandom(9).hex()
        self._numbers: Final = itertools.count()

    def exchange(self, scope: Scope) -> Exchange:
        """The record of the request in `scope`, which begins now."""
        given = headers_of(scope).get(b"x-request-id")
        sane = given is not None and _SANE.fullmatch(given)
        client = scope.get("client")
        return Exchange(
            given.decode("ascii") if given and sane else f"{self._prefix}{next(self._numbers):06x}",
            self._clock(),
            scope["method"],
            scope["path"],
            client[0] if client else "",
        )
