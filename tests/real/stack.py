"""The whole stack as `make serve` starts it: the supervisor, its gateway, real vLLM on the real model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import openai
from prometheus_client.parser import text_string_to_metric_families

from engines.supervisor import processes
from tests.processes import free_port
from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
COMMAND: Final = str(Path(sys.executable).with_name("enginehouse"))
READY_WITHIN: Final = 900.0
"""Seconds: a start with everything in place takes 40; one that has to quantize first some minutes."""


@dataclass(frozen=True)
class Stack:
    """One running `enginehouse serve`. Its processes are looked up anew each time: tests kill them."""

    process: subprocess.Popen[bytes]
    state: Path
    url: str

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=300)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, trust_env=False)

    def post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=300, trust_env=False)

    def worker(self, model: str = "smollm2-135m") -> dict[str, Any]:
        """The model's worker as `/admin/workers` shows it; empty while there is none."""
        workers = self.get("/admin/workers").json()["workers"]
        return next((each for each in workers if each["model"] == model), {})

    def ready(self, model: str = "smollm2-135m", *, after: str = "") -> dict[str, Any]:
        """Waits until a worker other than `after` (an id) is ready."""

        def look() -> dict[str, Any]:
            if self.process.poll() is not None:
                raise AssertionError(f"the supervisor ended with {self.process.returncode}: {self.log()}")
            try:
                worker = self.worker(model)
            except httpx.TransportError:
                return {}
            return worker if worker.get("state") == "ready" and worker["id"] != after else {}

        return until(look, within=READY_WITHIN, what=f"{model} to be ready", every=0.5)

    def engine_figure(self, name: str) -> float:
        """A figure of the engine's own `/metrics`, summed over its labels."""
        return figure(httpx.get(self.worker()["url"] + "/metrics", timeout=30, trust_env=False).text, name)

    def gateway_figure(self, name: str, **labels: str) -> float:
        return figure(self.get("/metrics").text, name, **labels)

    def gateway_pid(self) -> int:
        """The gateway is the supervisor's child that inherited the public socket."""
        return next(pid for pid in children(self.process.pid) if b"--fd" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def family(self) -> set[int]:
        """The supervisor, its gateway, and the whole session of its worker."""
        keeper = int(Path(f"/proc/{self.worker()['pid']}/stat").read_text().rpartition(")")[2].split()[3])
        return {self.process.pid, self.gateway_pid(), *processes.session(keeper)}

    def log(self) -> str:
        return (self.state / "serve.log").read_text()[-3000:]


def children(parent: int) -> set[int]:
    """The processes whose parent is `parent`."""
    return {
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if int(stat.read_text().rpartition(")")[2].split()[1]) == parent
    }


def figure(exposition: str, name: str, **labels: str) -> float:
    """The sum of the samples called `name` that have `labels`."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def alive(pids: set[int]) -> set[int]:
    """Those of `pids` that still run; zombies that wait for a parent do not."""
    return {pid for pid in pids if processes.birth(pid) is not None}


@contextmanager
def serving(folder: Path, registry: Mapping[str, Any] | None = None) -> Iterator[Stack]:
    """A stack on the repository's own registry, or on another; ended in order, and nothing is left of it."""
    path = ROOT / "model_registry.yaml"
    if registry is not None:
        path = folder / "registry.yaml"
        path.write_text(json.dumps({"models": registry}))
    state, port = folder / "state", free_port()
    state.mkdir(parents=True, exist_ok=True)
    argv = [COMMAND, "serve", "--registry", str(path), "--port", str(port), "--state", str(state), "--drain", "2"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("ENGINEHOUSE_A")}
    with (state / "serve.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    stack = Stack(process, state, f"http://127.0.0.1:{port}")
    try:
        yield stack
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
