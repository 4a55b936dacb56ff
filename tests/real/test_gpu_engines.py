"""The three engines live on an NVIDIA GPU: serve, stream, int4 weights, an adapter. UNTESTED: no GPU was at hand.

$ENGINEHOUSE_GPU_MODEL names a small unquantized checkpoint whose matrices divide by 128 (SmolLM2's do not, so it is
served as it is and never quantized here), Qwen3-0.6B, say. Environments are installed on the way: gigabytes.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import pytest

from engines import ENGINES
from engines.environments.hardware import Kind, detect
from engines.supervisor.footprint import taken
from registry.snapshot import WorkerState, WorkerView
from tests.processes import short_folder
from tests.real.house import House, serving
from tests.real.test_weights import SMALL, written
from tests.waiting import until

HARDWARE: Final = detect()
MODEL: Final = os.environ.get("ENGINEHOUSE_GPU_MODEL", "")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(HARDWARE.kind is not Kind.CUDA, reason=f"needs an NVIDIA GPU, and this machine has {HARDWARE}"),
]
quantizable = pytest.mark.skipif(not MODEL, reason="$ENGINEHOUSE_GPU_MODEL names no checkpoint that divides by 128")
ASKED: Final = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}


def model(engine: str, **changes: Any) -> dict[str, Any]:
    """A registry's entry: SmolLM2 unless another model is named."""
    source = {"source": MODEL} if MODEL else {"source": SMALL["source"], "sha256": SMALL["sha256"]}
    return {"engine": engine, "context": 1024, **source, **changes}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, House]]:
    """One engine with room for adapters."""
    with short_folder() as folder:
        registry = written(folder, m=model(request.param, adapters={"slots": 2, "max_rank": 8}))
        with serving(registry) as house:
            house.ready("m")
            yield request.param, house


def test_an_answer_has_text_and_usage(served: tuple[str, House]):
    """Greedy, from a real model."""
    _, house = served
    with openai.OpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(model="m", max_tokens=20, **ASKED)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 20


def test_a_stream_says_what_the_whole_answer_says(served: tuple[str, House]):
    """And ends once."""
    _, house = served
    with openai.OpenAI(base_url=f"{house.url}/v1", api_key="none", max_retries=0) as client:
        whole = client.chat.completions.create(model="m", max_tokens=20, **ASKED).choices[0]
        chunks = list(client.chat.completions.create(model="m", max_tokens=20, stream=True, **ASKED))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.message.content
    assert [reason for chunk in chunks if chunk.choices and (reason := chunk.choices[0].finish_reason)] == [
        whole.finish_reason
    ]


@quantizable
@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("quantization", ["awq", "gptq"])
def test_int4_weights_answer(engine: str, quantization: str):
    """The same checkpoint for all three: groups of 128."""
    with short_folder() as folder, serving(written(folder, m=model(engine, quantization=quantization))) as house:
        house.ready("m")
        assert "Paris" in house.chat(model="m").json()["choices"][0]["message"]["content"]


def test_an_adapter_that_changes_nothing_answers_as_its_base(served: tuple[str, House], tmp_path: Path):
    """Loaded while it runs; its second matrix is zero."""
    engine, house = served
    if not ENGINES[engine].capabilities.hot_adapters:
        pytest.skip(f"{engine} has no hot adapters")
    worker = house.worker("m")
    assert worker is not None
    load = ENGINES[engine].load_adapter("m:idle@1", idle_adapter(_weights(worker), tmp_path / "idle"))
    assert load is not None
    headers = {"authorization": f"Bearer {worker.key}", "content-type": "application/json"}
    with httpx.Client(base_url=worker.url, headers=headers, trust_env=False, timeout=300) as client:
        assert client.post(load.path, content=load.body).status_code == 200
        said = [
            client.post("/v1/chat/completions", json={"model": name, "max_tokens": 20, **ASKED}).json()
            for name in ("m", "m:idle@1")
        ]
    assert said[0]["choices"][0]["message"]["content"] == said[1]["choices"][0]["message"]["content"]


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


def _sleeping(house: House) -> WorkerView | None:
    worker = house.worker("m")
    return worker if worker and worker.state is WorkerState.SLEEPING else None


def _weights(worker: WorkerView) -> Path:
    """Where the worker's checkpoint lies, by its own command line."""
    words = Path(f"/proc/{worker.pid}/cmdline").read_bytes().decode().split("\0")
    return next(Path(word.partition("=")[2]) for word in words if word.startswith(("--model=", "--model-path=")))


def idle_adapter(weights: Path, folder: Path) -> Path:
    """A LoRA of rank 8 on every `q_proj` whose second matrix is zero, written byte by byte."""
    config = json.loads((weights / "config.json").read_text())
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    out = heads * config.get("head_dim", hidden // heads)
    header: dict[str, Any] = {}
    data = bytearray()
    for layer in range(config["num_hidden_layers"]):
        for part, shape in (("A", (8, hidden)), ("B", (out, 8))):
            size = 4 * shape[0] * shape[1]
            name = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{part}.weight"
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + size]}
            data += bytes(size) if part == "B" else struct.pack("<f", 0.01) * (size // 4)
    told = json.dumps(header).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(told)) + told + data)
    shape = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(shape | {"bias": "none", "fan_in_fan_out": False}))
    return folder
