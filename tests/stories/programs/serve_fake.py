"""A supervisor with fake workers, as a program: announcements go out as JSON lines. Run by test_supervisor*.py.

`python serve_fake.py REGISTRY STATE PORT DRAIN GATEWAYS [--patient]`: everything but the engine and its preparation is
the product; waits are short, unless it is patient.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from cli.folders import cache_folder
from engines.fake.engine import FakeEngine, FakeLMDeploy, FakeSGLang
from engines.launchers.launcher import Prepared
from engines.memory.habits import GIB
from engines.memory.machine import Machine, look
from engines.progress import Report
from engines.supervisor.events import Announcement
from engines.supervisor.lifecycle import Limits
from engines.supervisor.main import Parts, serve
from engines.supervisor.pacing import Pacing
from engines.supervisor.settings import ServeRefused, ServeSettings
from engines.supervisor.shared import PreparationFailed, Prepare
from engines.thrift import Thrift
from registry.spec import ModelSpec

ENGINES = {"vllm": FakeEngine(), "sglang": FakeSGLang(), "lmdeploy": FakeLMDeploy()}
PACING = Pacing(
    ready_every=0.02,
    probe_every=0.1,
    probe_within=2.0,
    hung_after=2.0,
    grace=1.0,
    prepare_first=0.1,
    watch_every=0.05,
    mute_within=0.2,
    attend_every=0.1,
    parity_within=1.0,
    thrift=Thrift(pressed=0.3, smooth=0.1),
    limits=Limits(first_backoff=0.1),
)


def preparing(_: ServeSettings) -> Prepare:
    async def prepare(name: str, spec: ModelSpec, _: Report) -> Prepared:
        if name == "unpreparable":
            raise PreparationFailed("the disk is full; free some space")
        if name == "buggy":
            raise ZeroDivisionError
        if name == "slow":
            await asyncio.Event().wait()
        weights = "/nowhere" if name.startswith("absent") else str(spec.source)
        return Prepared(Path(sys.executable), Path(weights), "none")

    return prepare


async def resolve(hosts: Path, host: str) -> Sequence[str]:
    """The addresses of a host by a file that the test rewrites: {"name": ["127.0.0.1"]}."""
    try:
        return msgspec.json.decode(await asyncio.to_thread(hosts.read_bytes), type=dict[str, list[str]])[host]
    except KeyError:
        raise OSError("no such host") from None


def crowded(state: Path) -> Machine:
    """A machine with memory for one worker: while one runs, nothing is left."""
    running = len(msgspec.json.decode((state / "workers.json").read_bytes()))
    return Machine(64 * GIB, 0 if running else 4 * GIB)


def announce(event: Announcement) -> None:
    line = msgspec.json.encode({"event": type(event).__name__} | msgspec.to_builtins(event))
    os.write(1, line + b"\n")


def main(registry: str, state: str, port: str, drain: str, gateways: str, patient: str = "") -> int:
    cache = cache_folder(None, os.environ)
    settings = ServeSettings(
        Path(registry), port=int(port), state=Path(state), cache=cache, drain_s=float(drain), gateways=int(gateways)
    )
    machine = partial(crowded, settings.state) if (settings.state.parent / "crowded").exists() else look
    parts = Parts(
        engines=ENGINES,
        prepare=preparing,
        pacing=Pacing() if patient else PACING,
        machine=machine,
        resolve=partial(resolve, settings.state.parent / "hosts.json"),
    )
    try:
        return asyncio.run(serve(settings, announce=announce, parts=parts))
    except ServeRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
