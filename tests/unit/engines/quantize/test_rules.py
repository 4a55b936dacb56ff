"""Which layout a word of the registry means, and what works where it does not."""

import pytest

from engines.quantize.declared import COMPRESSED_FP8
from engines.quantize.layout import AWQ, FP8, GPTQ, W4A16, W8A8
from engines.quantize.rules import LayoutRefused, accept, divide, loads, resolve, unlike_weights, works


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


def test_a_layout_that_the_engine_cannot_load_is_refused_with_those_that_it_can():
    """FP8 has no kernel on CPU; as many bits come nearest, and with adapters what those go on."""
    with pytest.raises(LayoutRefused, match=r"needs a GPU\. The nearest is w8a8\. What works: awq, gptq, int4, int8"):
        resolve("fp8", "vllm", "vllm-cpu")
    with pytest.raises(LayoutRefused, match=r"needs a GPU\. The nearest is awq\. What works: awq, gptq, int4, none"):
        resolve("fp8", "vllm", "vllm-cpu", adapters=True)


def test_an_unknown_pair_of_engine_and_environment_is_refused():
    """No guess is made about what was never tried."""
    with pytest.raises(LayoutRefused, match="vllm in vllm-cpu"):
        resolve("int4", "vllm", "vllm-moon")


@pytest.mark.parametrize(("engine", "environment"), [("vllm", "vllm"), ("sglang", "sglang"), ("lmdeploy", "lmdeploy")])
def test_on_gpus_every_engine_loads_the_same_weights(engine, environment):
    """Groups of 128, the only size that TurboMind takes: a swap of the engine needs no other weights."""
    for word in ("int4", "awq", "gptq"):
        assert resolve(word, engine, environment) == resolve(word, "vllm", "vllm")
        assert resolve(word, engine, environment).group_size == 128


def test_gptq_with_adapters_is_refused_for_lmdeploy_with_what_works():
    """Its PyTorch engine, the only one with adapters, loads no gptq (pytorch/config.py)."""
    resolve("gptq", "lmdeploy", "lmdeploy")
    with pytest.raises(
        LayoutRefused, match=r"loads no gptq\. The nearest is awq\. What works: awq, int4, none; or no adapters"
    ):
        resolve("gptq", "lmdeploy", "lmdeploy", adapters=True)


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        ("gptq", "loads no gptq: leave `backend` out"),
        ("w4a16", "loads no w4a16 but in experts: leave `backend` out"),
        ("mxfp4", "loads no mxfp4: leave `backend` out"),
        *((each, "") for each in ("awq", "fp8", "int4", "none", "smooth_quant")),
    ],
)
def test_what_lmdeploys_pytorch_engine_does_not_load_its_turbomind_does(packed, said):
    """pytorch/config.py `QuantizationConfig.from_config`, pytorch/nn/linear/__init__.py: awq, smooth_quant and fp8."""
    found = dict(unlike_weights({"backend": "pytorch", "tp": 2}, packed, "lmdeploy", "lmdeploy"))
    assert (list(found), said in found.get("backend", "")) == (["backend"] if said else [], True)
    for engine, backend in (("lmdeploy", "turbomind"), ("vllm", "pytorch")):
        assert not list(unlike_weights({"backend": backend}, packed, engine, engine))


def test_weights_that_an_option_excludes_are_refused_with_what_works():
    """Another option, other weights, another engine."""
    [(_, said)] = unlike_weights({"backend": "pytorch"}, "gptq", "lmdeploy", "lmdeploy")
    assert "which means turbomind" in said
    assert said.endswith("or take other weights, what works: awq, int4, none; or another engine: sglang, vllm")


def test_int8_with_adapters_is_refused_for_vllm_on_cpu():
    """Seen: it fails at its start."""
    accept("w8a8", "vllm", "vllm-cpu", adapters=False)
    with pytest.raises(LayoutRefused, match=r"does not start\. The nearest is awq\. What works: awq, gptq, int4, none"):
        accept("w8a8", "vllm", "vllm-cpu", adapters=True)
    with pytest.raises(LayoutRefused, match="INT8 W8A8 with adapters"):
        resolve("int8", "vllm", "vllm-cpu", adapters=True)


def test_fp8_on_cpu_is_refused():
    """For weights that are packed so already, too."""
    with pytest.raises(LayoutRefused, match="needs a GPU"):
        accept("fp8", "vllm", "vllm-cpu", adapters=False)


def test_fp8_of_compressed_tensors_is_refused_for_lmdeploy_alone():
    """turbomind/converter.py asserts int4, pytorch/config.py raises ValueError; `quant_method: fp8` both take."""
    accept("fp8", "lmdeploy", "lmdeploy", adapters=False)
    with pytest.raises(
        LayoutRefused, match=r"only as `quant_method: fp8` has it; .*\. The nearest is awq\. What works: "
    ):
        accept(COMPRESSED_FP8, "lmdeploy", "lmdeploy", adapters=False)
    for engine in ("vllm", "sglang"):
        accept(COMPRESSED_FP8, engine, engine, adapters=False)


def test_eight_bits_are_w8a8_wherever_that_is_loaded():
    """INT8 weights and activations; LMDeploy's INT8 is smooth_quant, written by its own tool."""
    assert resolve("int8", "vllm", "vllm-cpu") == resolve("w8a8", "sglang", "sglang") == W8A8
    assert resolve("fp8", "vllm", "vllm") == FP8
    with pytest.raises(LayoutRefused, match=r"only pack-quantized int4\. The nearest is awq"):
        resolve("w8a8", "lmdeploy", "lmdeploy")
    with pytest.raises(LayoutRefused, match="blocks of 128 x 128 only"):
        resolve("fp8", "lmdeploy", "lmdeploy")


def test_w4a16_is_the_same_for_all_engines():
    """Groups of 32: TurboMind takes them of compressed-tensors, though not of GPTQ or AWQ."""
    assert loads(W4A16) == ("vllm-cpu", "vllm", "sglang", "lmdeploy")
    assert (loads(GPTQ), loads(AWQ)) == (("vllm-cpu",), ("vllm-cpu",))
    with pytest.raises(LayoutRefused, match="loads no w4a16"):
        resolve("w4a16", "lmdeploy", "lmdeploy", adapters=True)


def test_groups_that_do_not_divide_the_model_are_refused_with_those_that_would():
    """SmolLM2's hidden size is 576."""
    sizes = {"hidden_size": 576, "intermediate_size": 1536}
    for word, engine in (("int4", "vllm"), ("none", "sglang"), ("fp8", "sglang"), ("w4a16", "lmdeploy")):
        environment = "vllm-cpu" if engine == "vllm" else engine
        divide(resolve(word, engine, environment), sizes, engine, environment, adapters=False)
    with pytest.raises(LayoutRefused, match=r"hidden_size of 576; groups of 64 or 32 would\. The nearest is w4a16"):
        divide(resolve("int4", "sglang", "sglang"), sizes, "sglang", "sglang", adapters=True)
    assert works("sglang", "sglang", adapters=True, sizes=sizes) == ("fp8", "int8", "none", "w4a16", "w8a8")
