"""Which layout a word of the registry means."""

import pytest

from engines.quantize.layout import NONE, LayoutRefused, accept, divide, quickened, resolve


def test_int4_on_the_cpu_build_is_asymmetric_awq_in_groups_of_32():
    """What loses least of all that vLLM on CPU loads (docs/decisions/quantizers.md)."""
    layout = resolve("int4", "vllm", "vllm-cpu")
    assert (layout.name, layout.bits, layout.group_size, layout.symmetric) == ("awq", 4, 32, False)


def test_gptq_is_symmetric():
    """Asymmetric GPTQ is refused by vLLM: `Unsupported quantization config: bits=4, sym=False`."""
    assert resolve("gptq", "vllm", "vllm-cpu").symmetric


def test_a_layout_named_outright_is_taken():
    """`quantization: awq` means awq."""
    assert resolve("awq", "vllm", "vllm-cpu").name == "awq"


def test_none_has_nothing_to_pack():
    """Weights are served as they are."""
    assert resolve("none", "vllm", "vllm-cpu") == NONE
    assert not NONE.is_packed


def test_a_layout_that_the_engine_cannot_load_is_refused_with_those_that_it_can():
    """FP8 has no kernel on CPU."""
    with pytest.raises(LayoutRefused, match="does not take 'fp8' weights; it takes none, int4, awq, gptq"):
        resolve("fp8", "vllm", "vllm-cpu")


def test_an_unknown_pair_of_engine_and_environment_is_refused():
    """No guess is made about what was never tried."""
    with pytest.raises(LayoutRefused, match="vllm in vllm-cpu"):
        resolve("int4", "vllm", "vllm-moon")


def test_a_quickened_layout_differs_only_in_the_search():
    """A test's checkpoint loads like the real one."""
    layout = resolve("int4", "vllm", "vllm-cpu")
    quick = quickened(layout, iterations=1, samples=8)
    assert quick.tuning is not None
    assert (quick.tuning.iterations, quick.tuning.samples) == (1, 8)
    assert (quick.name, quick.group_size) == (layout.name, layout.group_size)
    assert quickened(NONE, 1, 1) == NONE


@pytest.mark.parametrize(("engine", "environment"), [("vllm", "vllm"), ("sglang", "sglang"), ("lmdeploy", "lmdeploy")])
def test_on_gpus_every_engine_loads_the_same_weights(engine, environment):
    """Groups of 128, the only size that TurboMind takes: a swap of the engine needs no other weights."""
    for word in ("int4", "awq", "gptq"):
        assert resolve(word, engine, environment) == resolve(word, "vllm", "vllm")
        assert resolve(word, engine, environment).group_size == 128


def test_gptq_with_adapters_is_refused_for_lmdeploy_with_what_works():
    """Its PyTorch engine, the only one with adapters, loads no gptq (pytorch/config.py)."""
    resolve("gptq", "lmdeploy", "lmdeploy")
    with pytest.raises(LayoutRefused, match=r"loads no gptq\. What works: awq, int4, none; or no adapters"):
        resolve("gptq", "lmdeploy", "lmdeploy", adapters=True)


def test_int8_with_adapters_is_refused_for_vllm_on_cpu():
    """Seen: it fails at its start."""
    accept("w8a8", "vllm", "vllm-cpu", adapters=False)
    with pytest.raises(LayoutRefused, match=r"does not start\. What works: awq, gptq, int4, none"):
        accept("w8a8", "vllm", "vllm-cpu", adapters=True)


def test_fp8_on_cpu_is_refused():
    """For weights that are packed so already, too."""
    with pytest.raises(LayoutRefused, match="needs a GPU"):
        accept("fp8", "vllm", "vllm-cpu", adapters=False)


def test_groups_that_do_not_divide_the_model_are_refused_with_those_that_would():
    """SmolLM2's hidden size is 576."""
    sizes = {"hidden_size": 576, "intermediate_size": 1536}
    divide(resolve("int4", "vllm", "vllm-cpu"), sizes)
    divide(resolve("none", "sglang", "sglang"), sizes)
    with pytest.raises(LayoutRefused, match=r"128 does not divide the model's hidden_size of 576; groups of 64 or 32"):
        divide(resolve("int4", "sglang", "sglang"), sizes)
