"""Weights in bytes: from headers, by formula, and from the head of a GGUF file."""

import struct

import pytest

from engines.memory.architecture import from_config
from engines.memory.checkpoint import FactsUnknown, by_formula, facts
from tests.unit.engines.memory.models import SMOLLM2, write

BF16 = 269_030_016
AWQ = 118_071_936
"""Bytes of tensors in SmolLM2-135M's files: unquantized, and AWQ with groups of 32."""


def gguf(path, *names, **fields):
    """A GGUF file of these fields (numbers, or lists of texts) and tensors' names."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    for name, value in fields.items():
        key = text(name.replace("__", "."))
        if isinstance(value, int):
            pairs.append(key + struct.pack("<II", 4, value))
        else:
            pairs.append(key + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value)))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(names), len(pairs))
    path.write_bytes(head + b"".join(pairs) + b"".join(map(text, names)))
    return path


HEAD = {
    "llama__embedding_length": 576,
    "llama__block_count": 30,
    "llama__attention__head_count": 9,
    "llama__attention__head_count_kv": 3,
    "llama__feed_forward_length": 1536,
    "llama__context_length": 8192,
    "tokenizer__ggml__tokens": ["a"] * 49152,
}


@pytest.mark.parametrize(("bits", "group", "octets"), [(16, 0, BF16), (4, 32, AWQ)])
def test_a_gguf_files_head_and_the_formula_give_the_checkpoint_that_it_becomes(tmp_path, bits, group, octets):
    """Held against the two real checkpoints, to the byte."""
    found = facts(gguf(tmp_path / "m.gguf", "token_embd.weight", "blk.0.attn_output.weight", **HEAD), bits, group)
    assert (found.weights(2), found.architecture.context) == (octets, 8192)


def test_an_output_layer_of_its_own_counts(tmp_path):
    found = facts(gguf(tmp_path / "m.gguf", "token_embd.weight", "output.weight", **HEAD))
    assert found.weights(2) == BF16 + 2 * 49152 * 576


def test_headers_come_before_the_formula(tmp_path):
    """Packed numbers stay as they are; floating ones are held in the type that the engine computes in."""
    found = facts(write(tmp_path, a=("I32", [10], 40), b=("F32", [10], 40), c=("F16", [10], 20)))
    assert (found.weights(2), found.weights(4)) == (80, 120)


def test_a_tied_output_layer_is_not_loaded_twice(tmp_path):
    found = facts(write(tmp_path, **{"lm_head.weight": ("F16", [10], 20), "a": ("F16", [10], 20)}))
    assert found.weights(2) == 20


def test_without_tensors_the_formula_serves(tmp_path):
    (write(tmp_path) / "model.safetensors").unlink()
    assert facts(tmp_path).weights(2) == BF16


def test_what_is_packed_already_is_not_packed_again(tmp_path):
    assert facts(write(tmp_path, a=("I32", [10], 40)), bits=4, group=32).weights(2) == 40


@pytest.mark.parametrize("config", [b"", b"[]", b'{"hidden_size": 1}', b"\xff"])
def test_what_says_nothing_is_unknown(tmp_path, config):
    """A missing, damaged or foreign config, and a damaged file."""
    (write(tmp_path) / "config.json").write_bytes(config)
    with pytest.raises(FactsUnknown):
        facts(tmp_path)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\xff" * 40, b"MZ" * 50])
def test_a_damaged_gguf_file_is_unknown(tmp_path, content):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(FactsUnknown):
        facts(path)


def test_experts_count_once_each():
    """By formula: three matrices an expert, and the router."""
    from_one = facts_of(SMOLLM2)
    from_eight = facts_of(SMOLLM2 | {"num_experts": 8, "moe_intermediate_size": 1536})
    inner = 30 * 3 * 576 * 1536
    assert from_eight - from_one == 2 * (7 * inner + 30 * 576 * 8)


def facts_of(config):
    return by_formula(from_config(config), "bfloat16").weights(2)


@pytest.mark.parametrize("config", ['{"a":' * 100_000, "[" * 100_000])
def test_a_configuration_that_is_a_pit_is_not_json(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(FactsUnknown, match="is not JSON"):
        facts(tmp_path)


def test_a_folder_without_a_configuration_is_no_checkpoint(tmp_path):
    """In words, for `check` shows them."""
    with pytest.raises(FactsUnknown, match=r"is no checkpoint: it has no config\.json"):
        facts(tmp_path)
