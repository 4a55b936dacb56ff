"""What quantization costs, by name and by default, and workers that somebody else runs."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest
import yaml

from tests.processes import short_folder
from tests.real.stack import COMMAND, ROOT, alive, serving

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

DEFAULT = yaml.safe_load((ROOT / "model_registry.yaml").read_text())["models"]["smollm2-135m"]
DEFAULT["timeouts"]["total"] = "off"  # YAML 1.1 takes it for a boolean
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


def models(path):
    ran = subprocess.run([COMMAND, "models", "--registry", str(path), "--json"], capture_output=True, check=True)
    return json.loads(ran.stdout)


def test_the_default_models_loss_is_known_and_small():
    """At most 1.10 times its source's perplexity, on the held-out text that is shipped, and shown by `models`."""
    (row,) = models(ROOT / "model_registry.yaml")
    assert row["perplexity"]["ratio"] <= 1.10
    stored = json.loads((ROOT / row["path"] / "quality.json").read_text())
    heldout = (ROOT / "engines/quantize/text/heldout.txt").read_bytes()
    assert stored["text_sha256"] == hashlib.sha256(heldout).hexdigest()


def test_gptq_and_awq_work_when_named_outright():
    """Real vLLM loads and answers with either, adapters on; `awq` is what `int4` means here, so it is made once."""
    with short_folder() as folder:
        small = DEFAULT | {
            "aliases": [],
            "context": 512,
            "options": {"vllm": {"max_num_seqs": 2, "enforce_eager": True}},
        }
        registry = {"gptq": small | {"quantization": "gptq"}, "awq": small | {"quantization": "awq"}}
        with serving(folder, registry) as stack:
            for name in registry:
                stack.ready(name)
                answer = stack.client().chat.completions.create(model=name, messages=CAPITAL, max_tokens=10)
                assert answer.usage.completion_tokens > 1
        rows = {row["name"]: row for row in models(folder / "registry.yaml")}
        assert rows["awq"]["path"] == models(ROOT / "model_registry.yaml")[0]["path"]
        assert rows["gptq"]["perplexity"]["ratio"] > 1


def test_an_external_worker_is_used_and_never_stopped(stack):
    """A second house in front of the first one's worker."""
    with short_folder() as folder:
        registry = {"smollm2-135m": {"engine": "vllm", "launcher": "external", "urls": [stack.url]}}
        with serving(folder, registry) as second:
            second.ready()
            answer = second.client().completions.create(model="smollm2-135m", prompt="The capital of", max_tokens=3)
            assert answer.usage.completion_tokens == 3
    assert alive({stack.worker()["pid"]})
