"""The two C programs: compiled on demand, started on the load's core, their reports read. Called by `measure`."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

SOURCES: Final = Path(__file__).parent.parent / "native"
LOAD_CORE: Final = 1
_PROGRAMS: Final = {
    "mock_engine": ("mock_engine.c", "dialect.c", "wire.c"),
    "load": ("load.c", "answer.c", "samples.c", "wire.c"),
}


class Quantiles(msgspec.Struct, frozen=True):
    """Durations in milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


class LoadReport(msgspec.Struct, frozen=True):
    """What one run of the load generator saw; load.c prints it."""

    seconds: float
    requests: int
    """Answered whole, with status 200."""
    unfinished: int
    errors: int
    refused: int
    bad_status: int
    cut: int
    dropped: int
    reconnects: int
    bytes: int
    events: int
    """SSE events, `[DONE]` included."""
    rate: float
    latency_ms: Quantiles | None
    ttft_ms: Quantiles | None
    itl_ms: Quantiles | None


@dataclass(frozen=True, slots=True)
class Load:
    """One run of the load generator; the fields are load.c's options. `requests` 0: until the time is out."""

    connections: int
    ms: int
    requests: int = 0
    ramp_ms: int = 0
    body_bytes: int = 1200
    stream: bool = False
    events: int = 100
    gap_ms: int = 20
    fresh: bool = False
    drop: bool = False
    read_rate: int = 0

    def arguments(self) -> list[str]:
        """The options on load.c's command line."""
        numbers = {
            "--connections": self.connections,
            "--ms": self.ms,
            "--requests": self.requests,
            "--ramp-ms": self.ramp_ms,
            "--body-bytes": self.body_bytes,
            "--events": self.events,
            "--gap-ms": self.gap_ms,
            "--read-rate": self.read_rate,
        }
        flags = {"--stream": self.stream, "--fresh": self.fresh, "--drop": self.drop}
        pairs = [text for name, value in numbers.items() for text in (name, str(value))]
        return pairs + [name for name, wanted in flags.items() if wanted]


def build(folder: Path) -> None:
    """Compiles what is older than its sources. Raises `CalledProcessError` where gcc refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for program, sources in _PROGRAMS.items():
        target = folder / program
        if target.exists() and target.stat().st_mtime > newest:
            continue
        files = [str(SOURCES / source) for source in sources]
        compiler = shutil.which("gcc") or "cc"
        subprocess.run([compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-o", str(target), *files], check=True)


def pinned(core: int, *argv: str) -> list[str]:
    """The command line that runs `argv` on one core only."""
    return ["taskset", "-c", str(core), *argv]


def start_load(folder: Path, port: int, key: str, load: Load) -> subprocess.Popen[bytes]:
    """A load generator under way against 127.0.0.1:`port`; `finish_load` reads its report."""
    argv = pinned(LOAD_CORE, str(folder / "load"), "--port", str(port), "--key", key, *load.arguments())
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def finish_load(running: subprocess.Popen[bytes]) -> LoadReport:
    """Its report, when it ends. Raises `msgspec.DecodeError` where it crashed."""
    return decode_report(running.communicate(timeout=300)[0])


def decode_report(text: bytes) -> LoadReport:
    """The report that load.c printed."""
    return msgspec.json.decode(text, type=LoadReport)
