"""Who may come in. Deny by default: every route but `/livez` asks for a key, or, where no key is set, for loopback."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Final

from gateway.asgi import Scope, headers_of
from gateway.errors import InvalidApiKey, PermissionRefused
from gateway.middleware.hosts import check_host
from gateway.settings import Settings

_OPEN: Final = "/livez"
_ADMIN: Final = "/admin"
_ADMIN_TOO: Final = frozenset({"/v1/load_lora_adapter", "/v1/unload_lora_adapter"})
"""vLLM's own words for what administers."""


class Auth:
    """Decides by the routed path, never by the URL. Admin keys open everything; API keys everything that does
    not administer.
    """

    def __init__(self, settings: Settings) -> None:
        self._admin: Final = settings.admin_keys
        self._api: Final = settings.api_keys + settings.admin_keys
        self._hosts: Final = settings.allowed_hosts

    def check(self, scope: Scope) -> None:
        """Raises `InvalidApiKey`, `PermissionRefused`."""
        path = scope["path"]
        if path == _OPEN:
            return
        administers = path.startswith(_ADMIN) or path in _ADMIN_TOO
        keys = self._admin if administers else self._api
        if not keys:
            if not _is_local(scope):
                raise PermissionRefused("No key is set for this: only callers on the gateway's own machine may.")
            check_host(scope, self._hosts)
            return
        given = _key(scope)
        if _known(given, keys):
            return
        if administers and _known(given, self._api):
            raise PermissionRefused("This API key may not administer.")
        # One sentence for none, a wrong one and a broken one: the answer says nothing about what was sent.
        raise InvalidApiKey("No valid API key was given. Send it as 'Authorization: Bearer KEY'.")


def _key(scope: Scope) -> bytes:
    """From `Authorization: Bearer`, or from `x-api-key` as Anthropic's clients send it; empty where there is none."""
    headers = headers_of(scope)
    authorization = headers.get(b"authorization")
    if authorization is None:
        return headers.get(b"x-api-key", b"")
    # Two headers may be read in two ways on the way here: neither counts.
    if len(headers) < len(scope["headers"]) and [name for name, _ in scope["headers"]].count(b"authorization") > 1:
        return b""
    scheme, _, key = authorization.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _known(given: bytes, keys: tuple[bytes, ...]) -> bool:
    """Compare with every key, in constant time each, so that the time says nothing about which one is near."""
    found = False
    for key in keys:
        found |= hmac.compare_digest(given, key)
    return found


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    if client is None:
        return True  # a Unix socket
    if client[0] == "127.0.0.1":
        return True
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False
