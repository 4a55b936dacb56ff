"""What quantization costs, by name and by default, and workers that somebody else runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, short_folder
from tests.real.house import COMMAND, DEFAULT, MODEL, SMALL, House, made, serving
from tests.stories.house import alive

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


def listed(registry: Path) -> list[dict[str, Any]]:
    """`enginehouse models --json`."""
    argv = [COMMAND, "models", "--registry", str(registry), "--json"]
    return json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)


def written(folder: Path, **models: dict[str, Any]) -> Path:
    path = folder / "registry.yaml"
    path.write_text(json.dumps({"models": models}))
    return path


def test_the_default_models_loss_is_known_and_small(house: House):  # noqa: ARG001 - it made the weights
    """At most 1.10 times its source's perplexity, on the held-out text that is shipped, and shown by `models`."""
    (row,) = listed(DEFAULT)
    stored = json.loads((Path(row["path"]) / "quality.json").read_text())
    heldout = (ROOT / "engines/quantize/text/heldout.txt").read_bytes()
    assert row["perplexity"]["ratio"] <= 1.10
    assert stored["text_sha256"] == hashlib.sha256(heldout).hexdigest()


def test_int4_is_awq_here_and_made_once(house: House, tmp_path: Path):  # noqa: ARG001 - it made the weights
    """Named outright, it is the same checkpoint, which the house has loaded."""
    (row,) = listed(written(tmp_path, awq=SMALL | {"quantization": "awq"}))
    assert (row["state"], row["path"]) == ("ready", listed(DEFAULT)[0]["path"])


def test_gptq_named_outright_loses_little():
    """`test_changes` has real vLLM load it with adapters on."""
    told = made("gptq")
    assert told["layout"] == "gptq"
    assert told["quality"]["ratio"] <= 1.10


def test_an_external_worker_is_used_and_never_stopped(house: House):
    """A second house in front of the first one."""
    with short_folder() as folder:
        registry = written(folder, **{MODEL: {"engine": "vllm", "launcher": "external", "urls": [house.url]}})
        with serving(registry) as second:
            second.ready()
            assert second.chat().status_code == 200
    assert alive(house.worker().pid)
    assert house.chat().status_code == 200
