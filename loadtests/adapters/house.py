"""A house for the benchmark: two workers, two slots each, twelve adapters that are asked for. Used by `__main__`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from cli.asking import ask
from cli.mistake import Mistake
from cli.status import snapshots
from loadtests.drive.house import child
from loadtests.ports import free_port
from loadtests.words import WORDS, say
from registry.adapter_orders import AddAdapter
from registry.snapshot import Snapshot, WorkerState
from tests import lora
from tests.processes import short_folder
from tests.waiting import until

MODEL: Final = "smollm2-135m"
WORKERS: Final = 2
_HERE: Final = Path(__file__).parent
_STARTS: Final = 1500.0
"""Seconds that a first start may take: weights are quantized then."""


@dataclass(frozen=True, slots=True)
class House:
    """A running one; `words` are the adapters, the hottest first, each named after the one word that it says."""

    url: str
    folder: Path
    words: tuple[str, ...]


@contextmanager
def house(adapters: int, *, fake: bool) -> Iterator[House]:
    """Ready, with its adapters, for as long as it is entered."""
    words, port = tuple(WORDS)[:adapters], free_port()
    with short_folder() as folder:
        registry = Path(shutil.copy(_HERE / ("fake.yaml" if fake else "registry.yaml"), folder))
        if fake:
            (folder / "weights").mkdir()
        argv = [sys.executable, "-m", "loadtests.adapters.serve", str(registry), str(port), str(folder)]
        with child([*argv, *(["--fake"] if fake else [])], _keyless()) as process:
            _until_ready(folder, process)
            for number, word in enumerate(words):
                source = _crafted(folder, word, number, fake=fake)
                ask(folder / "state", AddAdapter(MODEL, word, str(source), "bench-adapters"))
            url = f"http://127.0.0.1:{port}"
            until(
                lambda: _listed(url).issuperset(f"{MODEL}:{word}" for word in words), what="a gateway that knows them"
            )
            yield House(url, folder, words)


def _keyless() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}


def _until_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS
    while _ready(_snapshot(folder / "state")) < WORKERS:
        if process.poll() is not None or time.monotonic() > deadline:
            raise TimeoutError(f"the house is not ready; its exit status is {process.poll()}")
        time.sleep(0.5)


def _snapshot(state: Path) -> Snapshot:
    with suppress(Mistake, StopIteration), closing(snapshots(state)) as stream:
        return next(stream)
    return Snapshot(-1)


def _listed(url: str) -> set[str]:
    """The names that a gateway knows: it hears of an adapter a moment after whoever has added it."""
    with suppress(httpx.TransportError):
        listed = httpx.get(f"{url}/v1/models", trust_env=False, timeout=60).json()
        return {each["id"] for each in listed.get("data", ())}
    return set()


def _ready(snapshot: Snapshot) -> int:
    return sum(worker.state is WorkerState.READY for model in snapshot.models for worker in model.workers)


def _crafted(folder: Path, word: str, number: int, *, fake: bool) -> Path:
    if fake:
        config = lora.config(r=1, lora_alpha=number + 1)
        return lora.write(folder / word, config, lora.tensors(layers=1, rank=1))
    return say(word, folder / word, Path((folder / "weights").read_text()))
