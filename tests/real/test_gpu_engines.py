"""The three engines live on an NVIDIA GPU: serve, stream, quantized weights, adapters, sleep, a swap of the engine.
UNTESTED: no GPU was at hand. What is done with adapters and at a swap is what vLLM's CPU build goes through in
`test_adapters` and `test_changes`.

The model is SmolLM2, whose matrices 128 does not divide: AWQ and GPTQ want another, Qwen3-0.6B, say, and
$ENGINEHOUSE_GPU_MODEL names it, an unquantized checkpoint. Environments are installed on the way: gigabytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from engines import ENGINES
from engines.environments.hardware import Kind, detect
from engines.quantize.rules import works
from engines.supervisor.footprint import taken
from registry.snapshot import WorkerState, WorkerView
from tests.processes import short_folder
from tests.real.house import QUESTION, SMALL, House, official, serving
from tests.real.telling import adapters, added_and_gone, called_changed_and_taken_back, tellers
from tests.real.test_weights import written
from tests.real.turning import NAME, paris, ready, swapped_under_streams
from tests.waiting import until

HARDWARE: Final = detect()
DIVISIBLE: Final = os.environ.get("ENGINEHOUSE_GPU_MODEL", "")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(HARDWARE.kind is not Kind.CUDA, reason=f"needs an NVIDIA GPU, and this machine has {HARDWARE}"),
]
ASKED: Final = {"messages": QUESTION, "temperature": 0, "max_tokens": 20}
SHARES: Final = {
    "vllm": {"gpu_memory_utilization": 0.3},
    "sglang": {"mem_fraction_static": 0.3},
    "lmdeploy": {"cache_max_entry_count": 0.3},
}
"""So that an engine can come up beside another."""
SWAPS: Final = [("vllm", "sglang"), ("sglang", "lmdeploy"), ("lmdeploy", "vllm")]


def model(engine: str, **changes: Any) -> dict[str, Any]:
    """A registry's entry: SmolLM2, unless `changes` name another source."""
    return {"engine": engine, "context": 1024, "source": SMALL["source"], "sha256": SMALL["sha256"], **changes}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def served(request: pytest.FixtureRequest) -> Iterator[House]:
    """One engine with room for adapters, and for another worker: without hot adapters one comes with each change."""
    entry = model(request.param, adapters={"slots": 2, "max_rank": 8}, options=SHARES)
    with short_folder() as folder, serving(written(folder, m=entry)) as house:
        house.ready("m")
        yield house


def test_an_answer_has_text_and_usage(served: House):
    """Greedy, from a real model."""
    with official(served) as client:
        answer = client.chat.completions.create(model="m", **ASKED)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 20


def test_a_stream_says_what_the_whole_answer_says(served: House):
    """And ends once."""
    with official(served) as client:
        whole = client.chat.completions.create(model="m", **ASKED).choices[0]
        chunks = list(client.chat.completions.create(model="m", stream=True, **ASKED))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == whole.message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == [whole.finish_reason]


def test_an_adapter_is_added_called_changed_and_taken_back(served: House, tmp_path: Path):
    """While it runs, or by another worker where the engine has adapters from its start only: nobody sees which."""
    words = tellers(served, "m", tmp_path)
    adapters(served, "add", "m", "teller", words[next(iter(words))])
    with official(served) as client:
        called_changed_and_taken_back(served, client, "m", words)
        added_and_gone(served, client, "m", words)
    adapters(served, "remove", "m:teller")


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("quantization", ["awq", "gptq", "fp8"])
def test_quantized_weights_answer(engine: str, quantization: str):
    """AWQ and GPTQ in groups of 128, so that the same checkpoint is for all three."""
    if quantization not in works(engine, engine, adapters=False):
        pytest.skip(f"{engine} loads no {quantization} weights that are made here")
    if quantization != "fp8" and not DIVISIBLE:
        pytest.skip("$ENGINEHOUSE_GPU_MODEL names no checkpoint that divides by 128")
    entry = model(engine, quantization=quantization)
    if DIVISIBLE:
        entry = {name: value for name, value in entry.items() if name != "sha256"} | {"source": DIVISIBLE}
    with short_folder() as folder, serving(written(folder, m=entry)) as house:
        house.ready("m")
        assert "Paris" in house.chat(model="m").json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_idle_worker_gives_the_gpu_back_and_wakes_with_the_same_answer(engine: str):
    """Its process is the same, and most of what it took on the GPU is free while it sleeps."""
    sleeping = {"min": 0, "idle_after": "1s", "when_idle": "sleep"}
    with short_folder() as folder, serving(written(folder, m=model(engine, replicas=sleeping))) as house:
        before = house.chat(model="m", temperature=0).json()["choices"][0]["message"]["content"]
        awake = house.ready("m")
        used = taken(awake.pid or 0, "cuda")
        asleep = until(lambda: _sleeping(house), within=300)
        until(lambda: 2 * (taken(asleep.pid or 0, "cuda") or 0) < (used or 0), within=60)
        assert house.chat(model="m", temperature=0).json()["choices"][0]["message"]["content"] == before
        assert house.ready("m").pid == awake.pid


@pytest.mark.parametrize(("before", "after"), SWAPS)
def test_one_word_swaps_the_engine_and_no_stream_is_lost(before: str, after: str):
    """The registry is edited under streams of the official client: none fails or is cut."""
    with short_folder() as folder, serving(written(folder, **{NAME: model(before, options=SHARES)})) as house:
        house.ready(NAME)
        text = house.registry.read_text()
        with official(house) as client:
            worker = swapped_under_streams(house, client, text.replace(f'"engine": "{before}"', f'"engine": "{after}"'))
            assert paris(client)
        assert ready(house).id == worker.id


def _sleeping(house: House) -> WorkerView | None:
    worker = house.worker("m")
    return worker if worker and worker.state is WorkerState.SLEEPING else None
