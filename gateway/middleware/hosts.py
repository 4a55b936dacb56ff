"""Whether a request's Host header is a name of this machine: no web page may reach a gateway that asks for no key.

A page can point its own name at 127.0.0.1 (DNS rebinding) and then read what it asks for, as the browser takes it for
the page's own server; but the Host header still says the page's name. Called by `auth`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from gateway.asgi import Scope, headers_of
from gateway.errors import PermissionRefused

_OURS: Final = re.compile(rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_PORT: Final = re.compile(rb":[0-9]{1,5}\Z")


def check_host(scope: Scope, allowed: Collection[bytes]) -> None:
    """Raises `PermissionRefused` unless the Host is loopback's or among those `allowed` (lower case, without port).

    Without the header it was no browser, and on a Unix socket (no client address) neither.
    """
    host = headers_of(scope).get(b"host")
    if host is None or _OURS.fullmatch(host) or scope.get("client") is None:
        return
    if _PORT.sub(b"", host).lower() not in allowed:
        raise PermissionRefused(
            "Without keys the Host header must be localhost or a loopback address, or be listed in "
            "ENGINEHOUSE_ALLOWED_HOSTS."
        )
