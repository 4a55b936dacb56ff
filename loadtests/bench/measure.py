"""One run of one scenario on one contestant. Called by `gateway_bench`; `figures` makes sense of many."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loadtests.bench import native, procfs
from loadtests.bench.arena import Arena, Server, engine_stats
from loadtests.bench.control import ControlStandIn, catalogue
from loadtests.bench.native import Load, LoadReport
from loadtests.bench.scenarios import Scenario

_SETTLE_SECONDS: Final = 0.3
_FILL_SECONDS: Final = 1.5
"""Until the buffers of slow readers are full, here, in the server and in the kernel."""
_ABORT_SECONDS: Final = 2.0
_WARM_UP: Final = Load(connections=8, ms=150)


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen: the report of the load, and what the server used meanwhile."""

    report: LoadReport
    cpu: float
    """Seconds."""
    rss: int
    """Bytes, right after the load."""
    calm: Run | None = None
    """The same load right before: without the storm, or with a single name."""
    left_streams: int = 0
    """Streams that the engine was still sending after the storm, when everybody had long gone."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs loads against servers."""

    arena: Arena
    native: Path

    def run(self, scenario: Scenario, server: Server) -> Run:
        """`scenario` on `server`, once."""
        self._load(server, _WARM_UP)
        if scenario.storm:
            return self._after_storm(scenario.load, scenario.storm, server)
        if scenario.models > 1 and server.control:
            return self._among_names(scenario, server, server.control)
        if scenario.beside:
            return self._beside(scenario.load, scenario.beside, server)
        return self._measured(scenario.load, server)

    def _after_storm(self, load: Load, storm: Load, server: Server) -> Run:
        calm = self._measured(load, server)
        self._load(server, storm)
        deadline = time.monotonic() + _ABORT_SECONDS
        while (left := engine_stats(self.arena.engine_port).open_streams) and time.monotonic() < deadline:
            time.sleep(0.02)
        return replace(self._measured(load, server), calm=calm, left_streams=left)

    def _among_names(self, scenario: Scenario, server: Server, control: ControlStandIn) -> Run:
        calm = self._measured(scenario.load, server)
        many = catalogue(self.arena.engine_port, models=scenario.models, aliases=scenario.aliases)
        control.publish(many)
        time.sleep(_SETTLE_SECONDS)
        run = self._measured(scenario.load, server)
        control.publish(catalogue(self.arena.engine_port))
        time.sleep(_SETTLE_SECONDS)
        return replace(run, calm=calm)

    def _beside(self, load: Load, beside: Load, server: Server) -> Run:
        running = self._start(server, beside)
        time.sleep(_FILL_SECONDS)
        run = self._measured(load, server)
        native.finish_load(running)
        return run

    def _measured(self, load: Load, server: Server) -> Run:
        before = procfs.usage(server.pid)
        report = self._load(server, load)
        after = procfs.usage(server.pid)
        return Run(report, cpu=after.cpu - before.cpu, rss=after.rss)

    def _start(self, server: Server, load: Load) -> subprocess.Popen[bytes]:
        return native.start_load(self.native, server.port, self.arena.key, load)

    def _load(self, server: Server, load: Load) -> LoadReport:
        return native.finish_load(self._start(server, load))
