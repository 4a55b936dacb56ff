"""`config.json` in numbers: one make of model after the other."""

from dataclasses import replace

import pytest

from engines.memory.architecture import ArchitectureUnknown, from_config
from engines.memory.estimate import for_context, per_token
from tests.unit.engines.memory.models import SMOLLM2, WISH


def cache(changes, **wished):
    """Bytes of one token, and of a context, as a config with `changes` says."""
    architecture, wish = from_config(SMOLLM2 | changes), replace(WISH, **wished)
    return per_token(architecture, wish), for_context(architecture, wish)


def test_keys_and_values_of_each_layer_and_head():
    """MODELS.md: 23,040 bytes a token."""
    assert cache({}) == (23_040, 23_040 * 2048)


def test_without_kv_heads_every_head_has_its_own():
    config = {name: value for name, value in SMOLLM2.items() if name != "num_key_value_heads"}
    assert from_config(config).kv_heads == 9


@pytest.mark.parametrize(("parallel", "heads"), [(1, 3), (3, 1), (9, 1)])
def test_each_device_has_at_least_one_head(parallel, heads):
    """VLLM's config/model.py: heads are replicated where there are fewer than devices."""
    assert cache({}, parallel=parallel)[0] == 2 * 30 * heads * 64 * 2


def test_a_cache_of_bytes_is_half_of_one_of_words():
    assert cache({}, cache_element=1)[0] == 11_520


def test_latent_attention_keeps_one_vector_a_layer():
    """DeepSeek's config names: 512 compressed numbers and 64 that carry the position, whole on each device."""
    assert cache({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, parallel=3)[0] == 30 * 576 * 2


def test_a_sliding_window_bounds_what_a_context_takes():
    """The window and the step at hand."""
    token, context = cache({"sliding_window": 1024}, context=8192, step=2048)
    assert context == token * 3072


def test_only_the_windowed_layers_are_bounded():
    kinds = ["sliding_attention"] * 20 + ["full_attention"] * 10
    token, context = cache({"sliding_window": 1024, "layer_types": kinds}, context=8192, step=2048)
    assert context == token * (20 * 3072 + 10 * 8192) // 30


def test_a_window_that_is_switched_off_is_none():
    """Qwen2's config."""
    assert from_config(SMOLLM2 | {"sliding_window": 1024, "use_sliding_window": False}).windowed == 0


def test_layers_without_a_cache_do_not_count_and_that_is_said():
    kinds = ["linear_attention"] * 24 + ["full_attention"] * 6
    found = from_config(SMOLLM2 | {"layer_types": kinds})
    assert (found.full, found.notes) == (6, ("the state of 24 layers without a cache is not counted",))


def test_a_model_that_sees_is_taken_by_its_language_model():
    assert from_config({"model_type": "llava", "text_config": SMOLLM2}).layers == 30


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_what_an_unknown_config_lacks_is_named(missing):
    with pytest.raises(ArchitectureUnknown, match=f"llama has no usable {missing}"):
        from_config(SMOLLM2 | {missing: "many"})
