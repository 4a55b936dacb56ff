"""vLLM's own argument parser accepts every command line that `engines.vllm` builds, and means by it what we mean.

One run of the parser (its import takes about ten seconds) judges all command lines; the tests read the verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from engines.engine import LaunchPlan
from engines.parsers.ask import Verdict
from engines.vllm import VLLM
from tests.contract.lines import drawn, judged

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

PLAN: Final = LaunchPlan(
    python=Path("python"), weights=Path("/weights"), served_name="small", host="127.0.0.1", port=9000, key="", layout=""
)
PLANS: Final = {
    "bare": PLAN,
    "context": replace(PLAN, context=2048),
    "adapters": replace(PLAN, adapter_slots=4, adapter_max_rank=12),
    "gptq": replace(PLAN, layout="gptq", adapter_slots=1),
    "awq on a GPU": replace(PLAN, layout="awq", device="cuda"),
    "adapters at the start": replace(PLAN, adapter_slots=2, adapters={"a:b@1": Path("/b"), "a:c@2": Path("/c")}),
    "dotted option": replace(PLAN, options={"compilation_config.mode": 0}),
    "over several nodes": replace(
        PLAN,
        device="cuda",
        options={"tensor_parallel_size": 8, "pipeline_parallel_size": 2, "distributed_executor_backend": "ray"},
    ),
    "odd name": replace(PLAN, served_name="-org/model:v1"),
}
OPTIONS: Final[Mapping[str, tuple[object, ...]]] = {
    "max_num_seqs": (1, 16, 256),
    "max_num_batched_tokens": (2048,),
    "dtype": ("auto", "bfloat16", "float32"),
    "seed": (0, 7),
    "enforce_eager": (True, False),
    "enable_prefix_caching": (True, False),
    "enable_chunked_prefill": (True, False),
    "kv_cache_dtype": ("auto",),
    "block_size": (16, 32),
    "gpu_memory_utilization": (0.5, 0.9),
    "max_logprobs": (5, -1),
    "tensor_parallel_size": (1, 2),
    "enable-auto-tool-choice": (True, False),
    "tool_call_parser": ("hermes", "pythonic"),
    "generation_config": ("vllm", "auto"),
    "override_generation_config": ({"temperature": 0.5}, {"top_p": 0.9, "max_new_tokens": 64}),
    "hf_overrides": ({"rope_theta": 10000},),
    "compilation_config": ({"mode": 0},),
    "allowed_media_domains": (["a.example"], ["a.example", "b.example"]),
    "cudagraph_capture_sizes": ([1, 2, 4],),
    "chat_template": ("{{ messages[0].content }}",),
    "response_role": ("-assistant",),
    "shutdown_timeout": (0, 10),
    "uvicorn_log_level": ("warning",),
    "disable_log_stats": (True,),
}
SINGLES: Final = [(name, value) for name, values in OPTIONS.items() for value in values]


SAMPLES: Final = {f"seed {seed}": drawn(VLLM, OPTIONS, seed) for seed in range(60)}
ALONE: Final = {f"{name}={value}": replace(PLAN, options={name: value}) for name, value in SINGLES}
WRONG: Final = {
    "unknown flag": replace(PLAN, options={"max_num_sequences": 4}),
    "wrong choice": replace(PLAN, options={"dtype": "int3"}),
    "wrong type": replace(PLAN, options={"max_num_seqs": "many"}),
}
WRONG_SAID: Final = {
    "unknown flag": "--max-num-sequences",
    "wrong choice": "argument --dtype",
    "wrong type": "argument --max-num-seqs",
}
ALL: Final = PLANS | SAMPLES | ALONE | WRONG


@pytest.fixture(scope="module")
def verdicts(vllm_python: Path) -> dict[str, Verdict]:
    """What vLLM's parser said to each of `ALL`."""
    return judged(VLLM, vllm_python, ALL)


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES, *ALONE])
def test_vllm_accepts_the_command_line(verdicts, name: str):
    """Every flag exists, with this spelling and this type of value."""
    assert verdicts[name].error is None


@pytest.mark.parametrize(("name", "said"), WRONG_SAID.items())
def test_vllm_refuses_by_name_what_it_does_not_know(verdicts, name: str, said: str):
    """The parser that we ask is one that can say no, and its sentence names the flag."""
    assert said in verdicts[name].error


def test_every_layout_is_among_those_that_are_drawn():
    """Each way in which weights may lie before it: as they are quantized here, and as a source may have them."""
    assert {plan.layout for plan in SAMPLES.values()} >= {"none", "awq", "gptq", "w4a16", "w8a8", "fp8"}


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES])
def test_vllm_understands_the_plan(verdicts, name: str):
    """Address, name, context and adapters arrive where vLLM reads them."""
    plan, values = ALL[name], verdicts[name].values
    assert values["model"] == str(plan.weights)
    assert values["served_model_name"] == [plan.served_name]
    assert (values["host"], values["port"]) == (plan.host, plan.port)
    assert values["max_model_len"] == plan.context
    assert bool(values["enable_lora"]) is (plan.adapter_slots > 0)


@pytest.mark.parametrize(("option", "value"), [each for each in SINGLES if not each[0].startswith("compilation")])
def test_vllm_reads_the_value_that_the_registry_gave(verdicts, option: str, value: object):
    """Names with dashes or underscores, negative numbers, JSON objects, lists: nothing is bent on the way.

    (`compilation_config` becomes an object of vLLM's own; that it is accepted is tested above.)
    """
    values = verdicts[f"{option}={value}"].values
    assert values[option.replace("-", "_")] == value


def test_vllm_places_a_large_model_by_rays_executor(verdicts):
    """One worker over several nodes: vLLM asks the same Ray cluster for its parts."""
    values = verdicts["over several nodes"].values
    parallel = (values["tensor_parallel_size"], values["pipeline_parallel_size"])
    assert (*parallel, values["distributed_executor_backend"]) == (8, 2, "ray")


def test_the_default_capacity_is_the_one_that_vllm_is_told(verdicts):
    """The gateway's bound and the engine's agree."""
    assert verdicts["bare"].values["max_num_seqs"] == VLLM.capacity({})
