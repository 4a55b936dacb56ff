"""Addresses inside the house, kept from those who are not: whoever names a source over HTTP must not have us ask what
only this machine can reach (its loopback, its network, a cloud's metadata), be it by a redirect or by DNS.

Made by `supervisor.lodgings` for such orders; httpx calls it before each request, so also after each redirect. A name
is resolved once, and the address that was looked at is the one that is connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from engines.launchers.resolve import Resolve, system
from engines.weights.failures import HostRefused
from engines.weights.transfer.web import shown

ALLOWED: Final = "ENGINEHOUSE_ADAPTER_HOSTS"
"""The variable that lists, comma-separated, the hosts that are asked all the same."""
_PATIENCE: Final = 10.0
"""Seconds for a name."""
_PROXIED_PATIENCE: Final = 2.0
"""The same where a proxy asks: a machine behind one may have nobody who knows names outside."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def proxied(url: httpx.URL) -> bool:
    """Whether the environment has a proxy ask for it."""
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not proxy_bypass(url.host)


class Guard:
    """Invariant: lets no request out to an address that is not everybody's, but to hosts that are allowed."""

    def __init__(
        self,
        allowed: Collection[str],
        resolve: Resolve = system,
        proxied: Callable[[httpx.URL], bool] = proxied,
    ) -> None:
        self._allowed: Final = {host.strip().lower() for host in allowed}
        self._resolve: Final = resolve
        self._proxied: Final = proxied

    async def __call__(self, request: httpx.Request) -> None:
        """An httpx hook for requests. Raises `HostRefused`; `httpx.ConnectError` where there is no such host."""
        host = request.url.host
        if host.lower() in self._allowed:
            return
        proxied = self._proxied(request.url)
        try:
            addresses = await self._addresses(request, host, _PROXIED_PATIENCE if proxied else _PATIENCE)
        except httpx.ConnectError:
            if not proxied:
                raise
            return  # the proxy may know the name, and has rules of its own
        if not all(map(everybodys, addresses)):
            raise HostRefused(
                f"{shown(str(request.url))}: this host is inside (its address is private, of this machine or of its "
                f"link). Upload the adapter, add it by the command line, or have the host listed in ${ALLOWED}"
            )
        if not proxied:  # a proxy finds the name's address itself, and has rules of its own
            chosen = min(addresses, key=lambda each: each.version)
            request.url = request.url.copy_with(host=str(chosen))  # the header Host stays, and so does TLS's name
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.headers["connection"] = "close"  # another name of that address is not asked by this one's right

    async def _addresses(self, request: httpx.Request, host: str, patience: float) -> Sequence[_Address]:
        with suppress(ValueError):
            return [ipaddress.ip_address(host)]  # said itself, it needs nobody who knows names
        try:
            async with asyncio.timeout(patience):
                found = await self._resolve(host)
        except (OSError, UnicodeError) as fault:
            raise httpx.ConnectError("the name cannot be resolved", request=request) from fault
        if not found:
            raise httpx.ConnectError("the name has no address", request=request)
        return [ipaddress.ip_address(each) for each in found]


def everybodys(address: _Address) -> bool:
    """Whether it is one of the public network, also where it is an IPv4 address in IPv6's clothes."""
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo
        inner = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return everybodys(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved
