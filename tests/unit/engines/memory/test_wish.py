"""A model of the registry, as the planner sees it."""

import pytest

from engines.memory.habits import GIB
from engines.memory.wish import overhead, wish
from engines.vllm import VLLM
from registry.spec import ModelSpec
from tests.unit.engines.memory.models import FACTS


def wished(env=None, device="cpu", adapters=None, **options):
    fields = {"engine": "vllm", "source": "./w", "adapters": adapters or {}, "options": {"vllm": options}}
    return wish(ModelSpec(**fields), VLLM, FACTS, layout="awq", device=device, env=env or {})


def test_the_engines_defaults_fill_the_gaps():
    """VLLM 0.32; the context is what the model was trained for."""
    found = wished()
    assert (found.context, found.sequences, found.step, found.element, found.cache) == (8192, 256, 2048, 2, None)
    assert (found.share, wished(device="cuda").share) == (None, 0.92)


def test_options_come_first():
    found = wished(
        device="cuda",
        dtype="float32",
        kv_cache_dtype="fp8",
        tensor_parallel_size=2,
        gpu_memory_utilization=0.5,
        max_num_batched_tokens="4k",
    )
    assert (found.element, found.cache_element, found.parallel, found.share, found.step) == (4, 1, 2, 0.5, 4000)


def test_ranks_are_those_that_the_engine_knows():
    assert wished(adapters={"slots": 2, "max_rank": 9}).rank == 16


@pytest.mark.parametrize(("option", "octets"), [(5, 5), ("2G", 2 * GIB), ("1.5g", 1_500_000_000), ("auto", None)])
def test_a_fixed_cache_is_spelled_as_vllm_reads_it(option, octets):
    assert wished(kv_cache_memory_bytes=option).cache == octets


def test_the_operators_variable_overrules_the_registry():
    """vllm/platforms/cpu.py; it means nothing on a GPU."""
    env = {"VLLM_CPU_KVCACHE_SPACE": "4"}
    assert wished(env, kv_cache_memory_bytes=5).cache == 4 * GIB
    assert wished(env, device="cuda").cache is None


def test_an_engine_that_was_never_measured_has_a_careful_guess():
    assert overhead("vllm", "cpu") < overhead("sglang", "cuda") == 2 * GIB
