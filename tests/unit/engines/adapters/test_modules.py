"""A model's linear layers, from headers, packed headers and configurations."""

import json

import pytest

from engines.adapters.modules import ModulesUnknown, from_sizes, from_tensors, modules, of_model
from engines.safetensors import Tensor
from tests import lora

Q, DOWN = "model.layers.1.self_attn.q_proj", "model.layers.1.mlp.down_proj"


def tensor(dtype, *shape):
    return Tensor(dtype, shape, (0, 0))


def test_a_checkpoints_headers_say_which_layers_there_are_and_how_wide(tmp_path):
    found = of_model(lora.checkpoint(tmp_path / "model", layers=2))
    assert found.widths[DOWN] == (1536, 576)
    assert found.find("model.layers.2.mlp.down_proj") == ()
    assert found.find("model.norm") == ()


def test_the_output_layer_is_there_where_it_is_the_embedding(tmp_path):
    found = of_model(lora.checkpoint(tmp_path / "model", layers=1))
    assert found.widths["lm_head"] == (576, 49152)
    assert found.widths["model.embed_tokens"] == (49152, 576)


def test_packed_layers_are_as_wide_as_the_configuration_says():
    """AWQ, GPTQ and compressed-tensors keep several numbers in one."""
    packed = {f"{Q}.qweight": tensor("I32", 576, 72), f"{DOWN}.weight_packed": tensor("I32", 576, 192)}
    found = from_tensors(packed, lora.model_config(2))
    assert (found.widths[Q], found.widths[DOWN]) == ((576, 576), (1536, 576))


def test_a_packed_layer_of_an_unknown_kind_exists_and_has_no_known_width():
    found = from_tensors({"model.layers.0.mixer.in_proj.qweight": tensor("I32", 8, 8)}, {"model_type": "new"})
    assert found.widths == {"model.layers.0.mixer.in_proj": None}


def test_a_configuration_of_a_known_kind_is_enough():
    found = from_sizes(lora.model_config(2))
    assert found.widths["model.layers.1.self_attn.k_proj"] == (576, 192)
    assert found.has_leaf("q_proj")
    assert not found.has_leaf("proj")


@pytest.mark.parametrize("config", [{}, {"model_type": "mamba"}, {"model_type": "llama"}])
def test_what_a_configuration_does_not_say_is_unknown(config):
    with pytest.raises(ModulesUnknown):
        from_sizes(config)


def test_a_layer_is_found_under_another_root():
    """A model's code puts the language model where its checkpoint does not."""
    known = modules({"language_model.model.layers.3.self_attn.q_proj": (8, 8)})
    assert known.find("model.language_model.layers.3.self_attn.q_proj") != ()
    assert known.find("model.language_model.layers.4.self_attn.q_proj") == ()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_damaged_configuration_is_said_to_be_so(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModulesUnknown):
        of_model(tmp_path)


def test_a_damaged_checkpoint_is_said_to_be_so(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(lora.model_config()))
    (tmp_path / "model.safetensors").write_bytes(b"12")
    with pytest.raises(ModulesUnknown):
        of_model(tmp_path)
