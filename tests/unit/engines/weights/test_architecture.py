"""An architecture that the engine does not know is told before it is started."""

import json

import pytest

from engines.weights.architecture import unknown


@pytest.fixture
def environment(tmp_path):
    """A vLLM that knows one architecture, and a Transformers that knows another."""
    site = tmp_path / "vllm-cpu-1/lib/python3.11/site-packages"
    for name, text in (
        ("vllm/model_executor/models/registry.py", '"LlamaForCausalLM": ("llama", "LlamaForCausalLM"),'),
        ("transformers/models/auto/modeling_auto.py", '("gpt2", "GPT2LMHeadModel"),'),
    ):
        (site / name).parent.mkdir(parents=True)
        (site / name).write_text(text)
    return tmp_path / "vllm-cpu-1"


def told(environment, *, trust=False, engine="vllm", **config):
    folder = environment.parent / "checkpoint"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return unknown(folder, engine, environment, trust_remote_code=trust)


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "GPT2LMHeadModel"])
def test_what_the_engine_knows_passes(environment, name):
    """From its own list, or from Transformers', which it falls back to."""
    assert told(environment, architectures=[name]) == ""


def test_what_it_does_not_know_is_refused_with_what_to_do(environment):
    """A part of a known name is no known name."""
    said = told(environment, architectures=["ForCausalLM"], auto_map={})
    assert said.startswith("config.json names the architecture ForCausalLM, which vllm in vllm-cpu-1 does not know.")


def test_a_checkpoint_with_its_own_code_passes_only_if_that_is_trusted(environment):
    """The registry's word."""
    own = {"architectures": ["OwnModel"], "auto_map": {"AutoModel": "modeling.OwnModel"}}
    assert told(environment, **own)
    assert told(environment, trust=True, **own) == ""


def test_where_nothing_is_known_nothing_is_refused(environment):
    """No list, no names, no configuration: the engine will say."""
    assert told(environment, engine="lmdeploy", architectures=["X"]) == ""
    assert told(environment) == ""
    assert unknown(environment, "vllm", environment, trust_remote_code=False) == ""


@pytest.mark.parametrize("architectures", [5, {"a": 1}, "LlamaForCausalLM", [None, 7]])
def test_what_is_no_list_of_names_names_nothing(environment, architectures):
    """The engine will say what it thinks of that."""
    assert told(environment, architectures=architectures) == ""
