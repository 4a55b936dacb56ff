"""The public address: refused without keys unless it is loopback, bound by the supervisor before anything starts.

The supervisor holds the listening socket for as long as it lives and lends it to its gateways.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engines.supervisor.settings import ServeRefused

KEYS: Final = ("ENGINEHOUSE_API_KEY", "ENGINEHOUSE_ADMIN_KEY")
_BACKLOG: Final = 4096
_NOTE: Final = "url"
"""The file of the state folder that says where the house is."""


def refuse_open_house(host: str, env: Mapping[str, str]) -> None:
    """Raises `ServeRefused` for an address that others can reach while some key is not set (DESIGN §4, keys)."""
    missing = [name for name in KEYS if not any(key.strip() for key in env.get(name, "").split(","))]
    if missing and not is_loopback(host):
        raise ServeRefused(
            f"{host} can be reached from other machines, and {' and '.join(missing)} is not set; "
            "set both keys, or serve on --host 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; 0 takes any free port. Raises `ServeRefused`, with what to do, if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except OSError as fault:
            raise ServeRefused(_refusal(host, port, fault)) from fault
        listening.setblocking(False)
        yield listening


def url(listening: socket.socket) -> str:
    """What to give to a client on this machine."""
    host, port = listening.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 (compared, not bound)
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def noted(state: Path, listening: socket.socket) -> Iterator[None]:
    """While it is entered, `locate` finds the address. Raises `ServeRefused` where it cannot be written down."""
    note = state / _NOTE
    try:
        note.write_text(url(listening), encoding="utf-8")
    except OSError as fault:
        raise ServeRefused(f"cannot write {note}: {fault.strerror}; use --state") from fault
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def locate(state: Path) -> str | None:
    """Where the house of a state folder serves; None: it does not. What a killed one left may be stale."""
    try:
        return (state / _NOTE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _refusal(host: str, port: int, fault: OSError) -> str:
    if fault.errno == errno.EADDRINUSE:
        return f"port {port} is taken by another program; use --port"
    if fault.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; use --port with a number from 1024 on"
    return f"cannot listen on {host}:{port}: {fault.strerror or fault}"
