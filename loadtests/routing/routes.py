"""Where the load can be sent: our gateway with each policy, and a peer, all in front of the same two workers.

The workers are those of one real `enginehouse serve`; each policy has a real gateway process that is told of them.
Used by `__main__`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec

from loadtests.bench.peers import ensure
from registry.snapshot import ModelView, WorkerState
from tests import processes
from tests.real.house import PREPARED, serving, summed
from tests.waiting import until

PEER: Final = "sglang-router"
_PACKAGE: Final = "sglang-router==0.3.2"
_STARTED: Final = 60.0


@contextmanager
def workers(registry: Path, count: int) -> Iterator[ModelView]:
    """The one model of `registry` with `count` ready workers, for as long as it is entered."""
    with serving(registry) as house:

        def look() -> ModelView | None:
            found = [model for model in house.snapshot().models if _ready(model) == count]
            return found[0] if found else None

        yield until(look, within=PREPARED, what=f"{count} workers to be ready", every=1.0)


def cached(model: ModelView) -> tuple[float, float]:
    """(Prompt tokens found in the cache, prompt tokens looked for) as the engines count them, over all workers."""
    texts = [httpx.get(f"{each.url}/metrics", trust_env=False, timeout=30).text for each in model.workers]
    names = ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    hits, queries = (sum(summed(text, name, {}) for text in texts) for name in names)
    return hits, queries


@contextmanager
def gateway(model: ModelView, policy: str) -> Iterator[str]:
    """The address of a gateway process of ours with that policy."""
    with processes.short_folder() as folder, processes.gateway(folder) as started:
        started.publish(msgspec.structs.replace(model, balance=policy))
        yield started.url


@contextmanager
def peer(model: ModelView, cache: Path) -> Iterator[str]:
    """The address of sglang-router with its cache-aware policy, its own defaults otherwise."""
    binary, port = ensure(_PACKAGE, cache) / "bin" / "sglang-router", processes.free_port()
    words = [str(binary), "launch", "--host", "127.0.0.1", "--port", str(port), "--policy", "cache_aware"]
    quiet = ["--prometheus-port", str(processes.free_port()), "--log-level", "warn"]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*words, *quiet], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        with processes.running(process), httpx.Client(base_url=url, trust_env=False, timeout=10) as client:
            until(lambda: _status(client, "/liveness") == 200, within=_STARTED, what=f"{PEER} to listen")
            for worker in model.workers:
                client.post("/workers", json={"url": worker.url, "api_key": worker.key}).raise_for_status()
            until(lambda: _healthy(client) == len(model.workers), within=_STARTED, what=f"{PEER} to know the workers")
            yield url


@contextmanager
def routes(model: ModelView, policies: tuple[str, ...], cache: Path) -> Iterator[Mapping[str, str]]:
    """Every policy's name and its address."""
    with contextlib.ExitStack() as opened:
        yield {
            name: opened.enter_context(peer(model, cache) if name == PEER else gateway(model, name))
            for name in policies
        }


def _ready(model: ModelView) -> int:
    return sum(worker.state is WorkerState.READY for worker in model.workers)


def _status(client: httpx.Client, path: str) -> int:
    with contextlib.suppress(httpx.TransportError):
        return client.get(path).status_code
    return 0


def _healthy(client: httpx.Client) -> int:
    listed = client.get("/workers").json().get("workers", [])
    return sum(bool(worker.get("is_healthy")) for worker in listed)
