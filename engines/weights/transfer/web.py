"""The one seam to servers that hold weights: a GET with redirects, secrets and refusals in our words.

Called by the hubs and by `resumable`. A secret goes to the origin it was meant for and to nobody else, whatever a
redirect or a list of files says; no message holds a secret, a query (where signatures stand) or a server's text.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from engines.weights.failures import FetchFailed
from engines.weights.transfer.refusals import Broken, Refusal, refusal

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 8
_GOOD: Final = frozenset({200, 206, 416})
_LARGEST_LIST: Final = 64 << 20
"""Bytes of a list of files: beyond it, it is none."""
_TIMEOUT: Final = httpx.Timeout(connect=10.0, read=60.0, write=30.0, pool=None)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def client(*before: Callable[[httpx.Request], Awaitable[None]]) -> httpx.AsyncClient:
    """As every fetch uses it: proxies as the environment says, redirects followed by `Web` alone. `before` is called
    with each request.
    """
    hooks, headers = {"request": list(before)}, {"User-Agent": "enginehouse"}
    return httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, headers=headers, event_hooks=hooks)


def shown(url: str) -> str:
    """`url` as a message may show it: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    return f"{parts.scheme}://{parts.hostname or ''}{f':{port}' if port.isdecimal() else ''}{parts.path}"


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: who answers. Raises `FetchFailed` for what is no address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise FetchFailed(f"{shown(url)}: not an address") from fault
    return parts.scheme, parts.hostname or "", {"https": 443, "http": 80}.get(parts.scheme) if port is None else port


class Web:
    """Invariant: `secrets` leave this machine towards `home` only, and never unencrypted."""

    def __init__(self, http: httpx.AsyncClient, home: str, secrets: Mapping[str, str], wish: Refusal) -> None:
        self._http: Final = http
        self._home: Final = origin(home)
        self._secrets: Final = dict(secrets)
        self._wish: Final = wish
        scheme, host, _ = self._home
        if secrets and scheme != "https" and host not in _LOOPBACK:
            raise FetchFailed(f"{shown(home)}: a token is not sent over http://: write https://, or leave it out")

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """The last answer on the way: 200, 206 or 416, its body unread.

        Raises `FetchFailed` where trying again is useless, `Broken` where it is not, also while the body is read.
        """
        try:
            async with AsyncExitStack() as stack:
                for _ in range(_MOST_REDIRECTS):
                    sent = {**headers, **(self._secrets if origin(url) == self._home else {})}
                    answer = await stack.enter_async_context(self._http.stream("GET", url, headers=sent))
                    if answer.status_code not in _REDIRECTS:
                        break
                    await answer.aclose()
                    url = _next(url, answer.headers.get("location", ""))
                else:
                    raise FetchFailed(f"{shown(url)}: redirected more than {_MOST_REDIRECTS} times: the server is lost")
                if answer.status_code not in _GOOD:
                    raise refusal(answer.status_code, answer.headers, shown(url), self._wish)
                yield answer
        except httpx.InvalidURL as fault:
            raise FetchFailed(f"{shown(url)}: not an address") from fault
        except httpx.HTTPError as fault:
            raise Broken(f"{shown(url)}: {_words(fault)}") from fault

    async def text(self, url: str) -> str:
        """A whole small answer. Raises `FetchFailed` or `Broken`."""
        async with self.get(url, {}) as answer:
            read = bytearray()
            async for chunk in answer.aiter_bytes():
                read += chunk
                if len(read) > _LARGEST_LIST:
                    raise FetchFailed(f"{shown(url)}: the answer is no list of files: it does not end")
        return read.decode("utf-8", "replace")

    async def json(self, url: str) -> object:
        """The same, parsed. Raises `FetchFailed` or `Broken`."""
        try:
            return json.loads(await self.text(url))
        except (ValueError, RecursionError) as fault:
            raise FetchFailed(
                f"{shown(url)}: the answer is not JSON: this is no hub, or a login page stands before it. Check the "
                "endpoint (HF_ENDPOINT, MODELSCOPE_ENDPOINT) and the proxy"
            ) from fault


def _next(url: str, location: str) -> str:
    try:
        following = urljoin(url, location)
        scheme, _, _ = origin(following)
    except (ValueError, FetchFailed):
        scheme = ""
    if not location or scheme not in {"http", "https"}:
        raise FetchFailed(f"{shown(url)}: redirected to nowhere: the server is broken, or this is not its address")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise FetchFailed(f"{shown(url)}: redirected from https:// to http://, which is not followed")
    return following


_KINDS: Final = (
    (httpx.TimeoutException, "no answer in time"),
    (httpx.RemoteProtocolError, "the connection was cut, or what came is no HTTP"),
    (httpx.NetworkError, "the connection was cut"),
)


def _words(fault: httpx.HTTPError) -> str:
    """The kind of the fault, and what the system says of it. Its own text may quote a header, or a server."""
    kind, cause = type(fault).__name__, fault.__cause__
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.strerror} ({kind})"
        cause = cause.__cause__
    return next((f"{words} ({kind})" for known, words in _KINDS if isinstance(fault, known)), kind)
