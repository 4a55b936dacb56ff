"""The supervisor's composition root: owns workers, gateways, the public socket and the snapshots, until a signal.

Called by `cli.serve`. Nothing is printed here: what happens is announced, how far work is gets reported. Exit
status: 0 after an orderly end, 1 after a hurried one (a second signal).
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from engines import ENGINES, probe
from engines.engine import Engine
from engines.holds import Holds
from engines.launchers.cores import threads
from engines.launchers.external import External
from engines.launchers.launcher import Launcher
from engines.launchers.local import Local
from engines.launchers.ray import Ray, interpreter
from engines.launchers.resolve import Resolve, system
from engines.ledger.picture import Placement
from engines.memory import machine
from engines.memory.machine import Machine
from engines.processes.keeping import Keeping
from engines.processes.leftovers import Leftovers
from engines.progress import Report, silent
from engines.supervisor import address
from engines.supervisor.attendance import Attendance
from engines.supervisor.board import Board
from engines.supervisor.control import Control
from engines.supervisor.events import Announce, Draining, Listening, Stopped, unheard
from engines.supervisor.gateways import GATEWAY, Gateways
from engines.supervisor.lodgings import Lodgings, lodgings
from engines.supervisor.memory import Memory, Senses
from engines.supervisor.outlets import Clock
from engines.supervisor.pacing import Pacing
from engines.supervisor.parity import Parity
from engines.supervisor.preparation import preparing
from engines.supervisor.reconcile import Reconciler
from engines.supervisor.reload import Reload
from engines.supervisor.settings import ServeSettings
from engines.supervisor.shared import Prepare, Shared
from engines.supervisor.sharing import sharing
from engines.supervisor.starts import StartTimes
from engines.supervisor.statefolder import locked
from engines.supervisor.watch import watch
from registry.faults import Fault, RegistryRefused
from registry.load import load, reread
from registry.sharing import StoreSpec
from registry.spec import Registry

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Judge = Callable[[Registry, Path, Mapping[str, str]], tuple[Fault, ...]]
"""What is written rightly in the registry file at a path and yet cannot work; the mapping is the environment."""


def lenient(_registry: Registry, _path: Path, _env: Mapping[str, str]) -> tuple[Fault, ...]:
    """A `Judge` that finds nothing."""
    return ()


def moved(now: StoreSpec | None, before: StoreSpec | None, path: Path, env: Mapping[str, str]) -> tuple[Fault, ...]:
    """The fault of a registry file at `path` that names another store than the one in use. Raises `RegistryRefused`."""
    if now == before:
        return ()
    said = "store is another one: which adapters are shared is decided at the start; restart enginehouse serve"
    return (Fault(path, reread(path, env).line(("store",)), said),)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a test may replace; the defaults are the product."""

    engines: Mapping[str, Engine] = field(default_factory=lambda: ENGINES)
    prepare: Callable[[ServeSettings], Prepare] = preparing
    gateway: Sequence[str] = GATEWAY
    pacing: Pacing = field(default_factory=Pacing)
    placement: Placement | None = None
    """Of adapters; None: ours."""
    machine: Callable[[], Machine] = machine.look
    resolve: Resolve = system
    judge: Judge = lenient
    """Asked of every file but the first, which whoever starts the supervisor has looked at."""
    attended: Callable[[], bool] = sys.stdin.isatty
    """Whether somebody sits before it, whose leaving is to end it."""


async def serve(
    settings: ServeSettings,
    *,
    announce: Announce = unheard,
    report: Report = silent,
    parts: Parts = Parts(),
) -> int:
    """Serves the registry until SIGTERM or Ctrl-C; a second one means at once. Returns the exit status.

    Raises `RegistryRefused` or `ServeRefused` before anything is started.
    """
    settings = replace(settings, state=settings.state.absolute(), cache=settings.cache.absolute())
    address.refuse_open_house(settings.host, settings.env)
    registry = load(settings.registry_path, settings.env)
    stop = Stop()
    with (
        locked(settings.state),
        address.bound(settings.host, settings.port) as listening,
        address.noted(settings.state, listening),
        stop.on_signals(),
    ):
        await Supervisor(settings, parts, stop, announce, report).run(registry, listening)
    announce(Stopped())
    return int(stop.haste.is_set())


class Stop:
    """How urgently the supervisor shall end. Invariant: `haste` is set only after `asked`."""

    def __init__(self) -> None:
        self.asked: Final = asyncio.Event()
        self.haste: Final = asyncio.Event()

    def ask(self) -> None:
        """Once: end in order. Again: at once."""
        if self.asked.is_set():
            self.haste.set()
        self.asked.set()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Signals ask, for as long as it is entered."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    @contextmanager
    def or_reload(self, reload: Callable[[], None], *, attended: bool) -> Iterator[None]:
        """SIGHUP reloads, as daemons do it, for as long as it is entered; where it is `attended`, it still ends."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.ask if attended else reload)
        try:
            yield
        finally:
            loop.add_signal_handler(signal.SIGHUP, self.ask)


class Supervisor:
    """Invariant: when `run` returns, nothing that it started is running."""

    def __init__(self, settings: ServeSettings, parts: Parts, stop: Stop, announce: Announce, report: Report) -> None:
        self._settings: Final = settings
        self._parts: Final = parts
        self._stop: Final = stop
        self._announce: Final = announce
        self._report: Final = report
        self._clock: Final = Clock(time.monotonic, time.time)  # noqa: TID251 (shown to people)
        self._store: StoreSpec | None = None
        self._left: Final = Leftovers(settings.state / "workers.json")

    async def run(self, registry: Registry, listening: socket.socket) -> None:
        """Clears what an earlier supervisor left, serves, ends in order: gateways first, then workers."""
        settings, self._store = self._settings, registry.store
        self._left.clear()
        shutil.rmtree(settings.uploads, ignore_errors=True)  # of gateways that are no more
        async with probe.client() as client:
            holds, attendance = Holds(), self._attendance()
            prober = probe.Prober(client)
            adapters = lodgings(
                settings,
                board=lambda: board,
                holds=holds,
                prober=prober,
                clock=self._clock,
                pacing=self._parts.pacing,
                announce=self._announce,
                wake=attendance.wake,
                placement=self._parts.placement,
                sharing=sharing(registry.store, self._clock.wall),
            )
            control = Control(
                lambda worker, reason: reconciler.suspect(worker, reason),  # noqa: PLW0108 (bound late)
                lambda path: reload.ask(path),  # noqa: PLW0108 (bound late)
                holds,
                attendance,
                adapters,
            )
            board = Board(control.publish, gateways=settings.gateways)
            shared = self._shared(board, holds, attendance, prober, adapters)
            reconciler = Reconciler(self._parts.engines, self._launchers(), shared, int(self._clock.wall()))
            reload = Reload(self._read, reconciler.adopt, reconciler.compare, board, self._announce, self._clock.wall)
            await adapters.stock.open()
            async with control.listening(settings.state) as path:
                program, clock = self._parts.gateway, self._clock.now
                gateways = Gateways(listening, path, settings, self._announce, clock, program)
                self._announce(Listening(address.url(listening)))
                await self._until_stopped(registry, reconciler, gateways, reload, adapters)

    async def _until_stopped(
        self, registry: Registry, reconciler: Reconciler, gateways: Gateways, reload: Reload, adapters: Lodgings
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(gateways.run(self._settings.gateways))
            kept = [
                group.create_task(adapters.run()),
                group.create_task(reconciler.run(registry)),
                group.create_task(reload.run()),
                group.create_task(watch(self._settings.registry_path, reload.soon, self._parts.pacing.watch_every)),
            ]
            with self._stop.or_reload(reload.soon, attended=self._parts.attended()):
                await self._stop.asked.wait()
                self._announce(Draining(self._settings.drain_s))
                await gateways.stop(self._stop.haste)
            for task in kept:
                task.cancel()

    def _read(self, path: Path | None = None) -> Registry:
        """The registry file as it is now, or another one. Raises `RegistryRefused`."""
        path, env = path or self._settings.registry_path, self._settings.env
        registry = load(path, env)
        faults = (*moved(registry.store, self._store, path, env), *self._parts.judge(registry, path, env))
        if faults:
            raise RegistryRefused(tuple(sorted(faults, key=lambda fault: fault.line)))
        return registry

    def _attendance(self) -> Attendance:
        starts = StartTimes(self._settings.state / "starts.json")
        memory = Memory(self._settings.state / "memory.json", Senses(self._parts.machine, env=self._settings.env))
        return Attendance(self._clock.now, memory, starts, self._parts.pacing)

    def _shared(
        self, board: Board, holds: Holds, attendance: Attendance, prober: probe.Prober, adapters: Lodgings
    ) -> Shared:
        return Shared(
            board=board,
            holds=holds,
            prepare=self._parts.prepare(self._settings),
            prober=prober,
            parity=Parity(prober, self._settings.state / "parity", self._clock.wall, self._parts.pacing.parity_within),
            pacing=self._parts.pacing,
            clock=self._clock,
            starts=attendance.starts,
            memory=attendance.memory,
            attendance=attendance,
            lodge=adapters.steward,
            models=adapters.declared.adopt,
            announce=self._announce,
            report=self._report,
        )

    def _launchers(self) -> Mapping[str, Launcher]:
        keeping = Keeping(
            env=self._settings.env,
            logs=self._settings.logs,
            grace=self._parts.pacing.grace,
            haste=self._stop.haste,
            left=self._left,
        )
        rays = partial(interpreter, self._settings.cache, self._report, self._settings.env)
        return {
            "local": Local(keeping, threads()),
            "ray": Ray(keeping, rays),
            "external": External(self._parts.resolve),
        }
