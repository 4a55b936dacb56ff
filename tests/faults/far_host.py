"""A host of its own for a worker: a network namespace behind a cable (a veth pair) that can be pulled out.

Needs root and `ip` (iproute2); `reason_against` says why it cannot be had, for the tests that skip then.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx

from registry.snapshot import WorkerState, WorkerView
from tests.processes import READY, ROOT, running
from tests.waiting import until

PORT: Final = 8000
KEY: Final = "worker-key"


@dataclass(frozen=True, slots=True)
class FarHost:
    """One namespace with one fake worker in it. Invariant: no two have a name or an address in common."""

    name: str
    near: str
    far: str

    @property
    def url(self) -> str:
        return f"http://{self.far}:{PORT}"

    def view(self) -> WorkerView:
        return WorkerView(id="far", url=self.url, state=WorkerState.READY, key=KEY)

    def unplug(self) -> None:
        """The host is gone: packets to it are lost, and nothing comes from it, no FIN either."""
        _ip("-n", self.name, "link", "set", "far", "down")


def reason_against() -> str:
    """Why there can be no namespace here; empty: there can."""
    if shutil.which("ip") is None:
        return "needs ip (iproute2)"
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    try:
        _ip("netns", "add", name := _name())
        _ip("netns", "del", name)
    except subprocess.CalledProcessError as fault:
        return f"needs network namespaces: {fault.stderr.decode().strip()}"
    return ""


@contextmanager
def far_host() -> Iterator[FarHost]:
    """A far host whose worker answers; gone at the end."""
    network = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(256)}"
    host = FarHost(_name(), near=f"{network}.1", far=f"{network}.2")
    _ip("netns", "add", host.name)
    try:
        _connect(host)
        inside = ["ip", "netns", "exec", host.name, sys.executable, "-m", "engines.fake", "--host", host.far]
        with running(
            subprocess.Popen(
                [*inside, "--port", str(PORT), "--served-name", "small"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "VLLM_API_KEY": KEY},
                stdout=subprocess.DEVNULL,
            )
        ):
            until(lambda: _answers(host), within=READY, what="the far worker")
            yield host
    finally:
        _ip("netns", "del", host.name)


def _connect(host: FarHost) -> None:
    near = f"{host.name}n"
    _ip("link", "add", near, "type", "veth", "peer", "name", "far", "netns", host.name)
    _ip("addr", "add", f"{host.near}/30", "dev", near)
    _ip("link", "set", near, "up")
    _ip("-n", host.name, "addr", "add", f"{host.far}/30", "dev", "far")
    _ip("-n", host.name, "link", "set", "far", "up")


def _answers(host: FarHost) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{host.url}/health", trust_env=False).status_code == httpx.codes.OK
    return False


def _name() -> str:
    return f"eh{secrets.token_hex(4)}"


def _ip(*words: str) -> None:
    subprocess.run([shutil.which("ip") or "ip", *words], check=True, capture_output=True)
