"""8-bit weights of the real model: W8A8 made and measured; FP8 made, which needs no GPU."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent
from engines.quantize import run
from engines.quantize.declared import declared
from engines.quantize.layout import FP8, NONE
from engines.safetensors import read
from engines.weights.prepare import WeightsRequest, prepare
from tests.real.house import MODEL, SMALL, made

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


def test_w8a8_is_made_and_measured():
    """It loses little, and says how little in three ways. `test_changes` serves it."""
    told = made("w8a8")
    quality = told["quality"]
    assert (told["layout"], quality["algorithm"]) == ("w8a8", "round-to-nearest")
    assert quality["ratio"] <= 1.05
    assert quality["top1"] >= 0.8
    assert 0 < quality["kl"] < 0.1
    assert "INT8 W8A8 with adapters does not start" in told["note"]


async def test_fp8_is_made_without_a_gpu(tmp_path: Path):
    """In the layout that engines on GPUs load: FP8 numbers, a scale each row, and nothing else changed."""
    cache = cache_folder(None, os.environ)
    python = (await ensure("quantizer", cache, silent)).python
    source = await prepare(WeightsRequest(MODEL, SMALL["source"], NONE, SMALL["sha256"]), cache, silent)
    job = run.Job(source.path, tmp_path / "fp8", FP8)
    await run.quantize(python, job, os.environ, lambda _step, _fraction: None)
    assert declared(json.loads((job.target / "config.json").read_text())) == "fp8"
    tensors = {name: each.dtype for name, each in read(job.target / "model.safetensors").items()}
    down = "model.layers.0.mlp.down_proj.weight"
    assert (tensors[down], tensors[f"{down}_scale"], tensors["model.embed_tokens.weight"]) == ("F8_E4M3", "F32", "BF16")
