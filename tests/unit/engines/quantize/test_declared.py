"""How a checkpoint says that it is quantized."""

import pytest

from engines.quantize.declared import COMPRESSED_FP8, declared, only_experts, words


def compressed(*groups):
    named = {f"group_{index}": group for index, group in enumerate(groups)}
    return {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": named}}


INT8 = {"weights": {"type": "int", "num_bits": 8}, "input_activations": {"type": "int", "num_bits": 8}}
FLOAT8 = {"weights": {"type": "float", "num_bits": 8}, "input_activations": {"type": "float", "num_bits": 8}}
INT4 = {"weights": {"type": "int", "num_bits": 4}, "input_activations": None}


@pytest.mark.parametrize(
    ("config", "layout"),
    [
        ({}, None),
        ({"quantization_config": None}, None),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {}}, None),
        ({"quantization_config": {"bits": 4}}, "unknown"),
        (compressed(INT8), "w8a8"),
        (compressed(FLOAT8), "fp8"),
        (compressed(INT4), "w4a16"),
        (compressed(INT4, INT8), "compressed-tensors"),
        (compressed({"weights": {"type": "int", "num_bits": 8}}), "compressed-tensors"),
        (compressed("nonsense"), "compressed-tensors"),
        (compressed({"weights": {"type": [], "num_bits": {}}}), "compressed-tensors"),
        ({"compression_config": compressed(INT8)["quantization_config"]}, "w8a8"),
    ],
)
def test_a_config_names_the_layout(config, layout):
    """compressed-tensors is a family: the uniform ones have names of their own."""
    assert declared(config) == layout


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (compressed(FLOAT8), ("fp8", COMPRESSED_FP8)),
        (compressed({"weights": FLOAT8["weights"]}), ("compressed-tensors", COMPRESSED_FP8)),
        (compressed(FLOAT8, INT4), ("compressed-tensors", COMPRESSED_FP8)),
        (compressed(INT4, FLOAT8), ("compressed-tensors",)),
        (compressed(INT4), ("w4a16",)),
        (compressed("nonsense"), ("compressed-tensors",)),
        (compressed({"weights": {"type": [], "num_bits": {}}}), ("compressed-tensors",)),
        ({"quantization_config": {"quant_method": "compressed-tensors", "config_groups": 1}}, ("compressed-tensors",)),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, ("fp8",)),
        ({}, ()),
    ],
)
def test_fp8_of_compressed_tensors_has_a_word_of_its_own_too(config, said):
    """It has other tensors than `quant_method: fp8`, which an engine may load alone."""
    assert words(config) == said


@pytest.mark.parametrize(
    ("ignore", "maybe"),
    [
        (["lm_head", "re:.*self_attn.*", "re:.*mlp\\.(gate|up|down)_proj.*"], True),
        (["re:^(?!.*experts).*$"], True),
        (["model.layers.0.attention.wo"], True),
        (["lm_head"], False),
        ([], False),
        (None, False),
        ("re:.*attn.*", False),
    ],
)
def test_only_experts_may_be_quantized_where_attention_is_left_out(ignore, maybe):
    """By compressed-tensors' `ignore`, and by nothing else's; what other tools write has no such thing."""
    config = compressed(INT4)
    config["quantization_config"]["ignore"] = ignore
    assert only_experts(config) is maybe
    config["quantization_config"]["quant_method"] = "gptq"
    assert not only_experts(config)
    assert not only_experts({})
