"""A run of the real quantizer that is interrupted and taken up again, on as little of the real model as will do."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from cli.folders import cache_folder
from engines.progress import silent
from engines.quantize.layout import NONE
from engines.safetensors import read
from engines.weights.prepare import WeightsRequest, prepare
from tests.processes import offspring
from tests.real.house import MODEL, SMALL
from tests.stories.house import alive
from tests.stories.test_cli import started

pytestmark = [pytest.mark.real, pytest.mark.timeout(2400)]

PATIENCE: Final = 1200.0
"""Seconds for the quantizer to be installed, to import what it needs and to do a layer, on any machine."""


@pytest.fixture
async def thin(tmp_path: Path) -> Path:
    """The real model, but for all of its layers but one."""
    source = await prepare(
        WeightsRequest(MODEL, SMALL["source"], NONE, SMALL["sha256"]), cache_folder(None, os.environ), silent
    )
    folder = Path(shutil.copytree(source.path, tmp_path / "thin", ignore=shutil.ignore_patterns("*.safetensors")))
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(config))
    kept = {
        name: each
        for name, each in read(source.path / "model.safetensors").items()
        if ".layers." not in name or ".layers.0." in name
    }
    whole, header, body = (source.path / "model.safetensors").read_bytes(), {}, b""
    first = 8 + int.from_bytes(whole[:8], "little")
    for name, each in kept.items():
        place = (len(body), len(body) + each.octets)
        header[name] = {"dtype": each.dtype, "shape": each.shape, "data_offsets": place}
        body += whole[first + each.data_offsets[0] : first + each.data_offsets[1]]
    words = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    (folder / "model.safetensors").write_bytes(len(words).to_bytes(8, "little") + words + body)
    return folder


def test_an_interrupted_run_leaves_nothing_half_made_and_the_next_goes_on(thin: Path, tmp_path: Path):
    """Ctrl-C while it searches, then while it measures: no process is left, and what was found is not sought again."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "environments").symlink_to(cache_folder(None, os.environ) / "environments")
    words = ("quantize", str(thin), "--to", "w4a16", "--cache", str(cache))
    for step in ("tuning", "measuring"):
        with started(*words) as command:
            command.says(step, within=PATIENCE)
            left = offspring(command.process.pid)
            assert command.ctrl_c() == 130
        assert not [pid for pid in left if alive(pid)]
        made = [each for each in cache.glob("checkpoints/*") if each.is_dir()]
        assert len(made) == (step == "measuring")
    with started(*words) as command:
        assert command.process.wait(PATIENCE) == 0
        command.close()
    assert "measuring" in command.text
    assert "tuning" not in command.text
    assert "algorithm   tuned rounding (auto-round)" in command.text
