"""What names of the network stand for, now and whenever that changes. Used by `external`.

The one seam is a `Resolve`; the product's asks the system's resolver, as every program of the machine does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, Final

from registry.external import Lookup, lookup

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The IP addresses of a host. Raises `OSError` or `UnicodeError` where there is no answer."""

Answer = tuple[Any, ...]
"""One of `socket.getaddrinfo`'s: the address comes last."""

_PATIENCE: Final = 10.0
"""Seconds for one answer."""


async def system(host: str, ask: Callable[..., Sequence[Answer]] = socket.getaddrinfo) -> Sequence[str]:
    """As the machine resolves: its hosts file, its name servers. A `Resolve`.

    In a thread of its own that nobody waits for: a resolver that hangs, which is not to be interrupted, would else take
    the threads that others need, one by one, and hold up the end of the supervisor.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Answer]] = loop.create_future()

    def asked() -> None:
        try:
            settle = partial(_settle, answer, ask(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as fault:
            settle = partial(_refuse, answer, fault)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle)

    Thread(target=asked, daemon=True, name=f"resolve {host}").start()
    # Addresses that mean something on one link only cannot be spelled in a URL.
    return [str(sockaddr[0]) for *_, sockaddr in await answer if "%" not in str(sockaddr[0])]


def _settle(answer: asyncio.Future[Sequence[Answer]], found: Sequence[Answer]) -> None:
    if not answer.done():
        answer.set_result(found)


def _refuse(answer: asyncio.Future[Sequence[Answer]], fault: Exception) -> None:
    if not answer.done():
        answer.set_exception(fault)


class Addresses:
    """Invariant: what a name was last known to stand for is kept until there is another answer."""

    def __init__(self, urls: Sequence[str], resolve: Resolve) -> None:
        self._urls: Final = urls
        self._resolve: Final = resolve
        self._lookups: Final[Mapping[str, Lookup]] = {url: each for url in urls if (each := lookup(url))}
        self._known: Final[dict[str, tuple[str, ...]]] = {}

    @property
    def fixed(self) -> bool:
        """Whether nothing has to be looked up."""
        return not self._lookups

    @property
    def known(self) -> tuple[str, ...]:
        """Each once, in the order of the registry; those of one name in a settled order."""
        found = (address for url in self._urls for address in self._known.get(url, () if lookup(url) else (url,)))
        return tuple(dict.fromkeys(found))

    async def look(self) -> str:
        """Asks for all names anew, side by side. Returns what went wrong, for people; empty: nothing."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(url, each)) for url, each in self._lookups.items()]
        return "; ".join(filter(None, (task.result() for task in tasks)))

    async def _ask(self, url: str, sought: Lookup) -> str:
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._resolve(sought.host)
        except TimeoutError:
            return self._failed(url, sought, f"no answer in {_PATIENCE:g} s")
        except (OSError, UnicodeError) as fault:
            return self._failed(url, sought, str(fault))
        if not found:
            return self._failed(url, sought, "it has no address")
        self._known[url] = tuple(f"http://{_spelled(each)}:{sought.port}" for each in sorted(set(found)))
        return ""

    def _failed(self, url: str, sought: Lookup, why: str) -> str:
        kept = "; its last known addresses are used" if url in self._known else ""
        return f"{sought.host} cannot be resolved: {why}{kept}"


def _spelled(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
