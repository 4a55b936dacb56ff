"""What `quantize` makes of the real model: W8A8 and FP8 measured, W4A16 also served. What is in the cache is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import pytest

from cli.folders import cache_folder
from engines.progress import silent
from engines.quantize.declared import declared
from engines.quantize.layout import W4A16, quickened
from engines.safetensors import read
from engines.weights.prepare import WeightsRequest, prepare
from tests.processes import short_folder
from tests.real.house import MODEL, SMALL, made, official, serving
from tests.real.telling import added_and_gone, tellers
from tests.real.test_weights import written

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

QUICK: Final = quickened(W4A16, iterations=2, samples=16)
"""Real in all but its patience: a twelfth of the search, which takes minutes."""


def test_w8a8_is_made_and_measured():
    """It loses little, and says how little in three ways. `test_changes` serves it."""
    told = made("w8a8")
    quality = told["quality"]
    assert (told["layout"], quality["algorithm"]) == ("w8a8", "round-to-nearest")
    assert quality["ratio"] <= 1.05
    assert quality["top1"] >= 0.8
    assert 0 < quality["kl"] < 0.1
    assert "INT8 W8A8 with adapters does not start" in told["note"]


def test_fp8_is_made_and_measured_without_a_gpu():
    """In the layout that engines on GPUs load: FP8 numbers, a scale each row, and nothing else changed."""
    told = made("fp8")
    quality, folder = told["quality"], Path(told["path"])
    assert declared(json.loads((folder / "config.json").read_text())) == "fp8"
    tensors = {name: each.dtype for name, each in read(folder / "model.safetensors").items()}
    down = "model.layers.0.mlp.down_proj.weight"
    assert (tensors[down], tensors[f"{down}_scale"], tensors["model.embed_tokens.weight"]) == ("F8_E4M3", "F32", "BF16")
    assert (quality["algorithm"], quality["tokens"] > 1000) == ("round-to-nearest", True)
    assert 1.0 < quality["ratio"] < 1.2
    assert 0.8 <= quality["top1"] < 1
    assert 0 < quality["kl"] < 0.1
    assert "FP8 has no kernel on CPU" in told["note"]


async def test_w4a16_is_made_measured_and_served():
    """Tuned for a moment only: its loss is larger than that of a whole search, known, and small enough to answer. An
    adapter goes on top.
    """
    wanted = WeightsRequest(MODEL, SMALL["source"], QUICK, SMALL["sha256"])
    made = await prepare(wanted, cache_folder(None, os.environ), silent)
    quality = made.quality
    assert (made.layout, quality.layout, quality.algorithm) == ("w4a16", "w4a16", "tuned rounding (auto-round)")
    assert 1.0 < quality.ratio < 1.5
    assert 0.5 < quality.top1 < 1
    assert 0 < quality.kl < 1
    entry = {name: value for name, value in SMALL.items() if name != "sha256"} | {"source": str(made.path)}
    with short_folder() as folder, serving(written(folder, m=entry)) as house:
        house.ready("m")
        assert "Paris" in house.chat(model="m").json()["choices"][0]["message"]["content"]
        with official(house) as client:
            added_and_gone(house, client, "m", tellers(house, "m", folder))
