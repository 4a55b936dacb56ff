"""SGLang's own argument parser accepts every command line that `engines.sglang` builds, and means what we mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from engines.engine import LaunchPlan
from engines.parsers.ask import Verdict
from engines.sglang import SGLANG
from tests.contract.lines import drawn, judged

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

PLAN: Final = LaunchPlan(
    python=Path("python"), weights=Path("/weights"), served_name="small", host="127.0.0.1", port=9000, key="", layout=""
)
PLANS: Final = {
    "bare": PLAN,
    "context": replace(PLAN, context=2048),
    "adapters": replace(PLAN, adapter_slots=4, adapter_max_rank=12),
    "adapters at the start": replace(PLAN, adapter_slots=2, adapters={"a:b@1": Path("/b"), "a:c@2": Path("/c")}),
    "odd name": replace(PLAN, served_name="-org/model:v1"),
}
OPTIONS: Final[Mapping[str, tuple[object, ...]]] = {
    "max_running_requests": (1, 16),
    "tp_size": (1, 2),
    "tensor-parallel-size": (2,),
    "pp_size": (2,),
    "dp_size": (2,),
    "mem_fraction_static": (0.5, 0.9),
    "dtype": ("auto", "bfloat16", "half"),
    "kv_cache_dtype": ("auto", "fp8_e5m2"),
    "disable_radix_cache": (True, False),
    "disable_cuda_graph": (True,),
    "enable_memory_saver": (True,),
    "chunked_prefill_size": (-1, 4096),
    "schedule_policy": ("lpm", "fcfs"),
    "schedule_conservativeness": (0.3,),
    "attention_backend": ("triton", "flashinfer"),
    "lora_target_modules": (["q_proj", "v_proj"], ["all"]),
    "lora_strict_loading": (True, False),
    "lora_backend": ("triton", "csgmv"),
    "tool_call_parser": ("qwen", "llama3", "auto"),
    "reasoning_parser": ("qwen3", "deepseek-r1"),
    "grammar_backend": ("xgrammar",),
    "sampling_defaults": ("openai", "model"),
    "stream_interval": (1, 4),
    "random_seed": (7,),
    "json_model_override_args": ({"rope_theta": 10000},),
    "cuda_graph_bs_decode": ([1, 2, 4],),
    "log_level": ("warning",),
    "watchdog_timeout": (300,),
    "skip_server_warmup": (True,),
    "nnodes": (2,),
    "dist_init_addr": ("10.0.0.1:5000",),
}
SAMPLES: Final = {f"seed {seed}": drawn(SGLANG, OPTIONS, seed) for seed in range(60)}
ALONE: Final = {
    f"{name}={value}": replace(PLAN, options={name: value}) for name, values in OPTIONS.items() for value in values
}
WRONG: Final = {
    "--max-running-request": replace(PLAN, options={"max_running_requestz": 4}),
    "argument --dtype": replace(PLAN, options={"dtype": "int3"}),
    "--tensor-parallel-size: invalid int value": replace(PLAN, options={"tensor_parallel_size": "many"}),
    "argument --tool-call-parser": replace(PLAN, options={"tool_call_parser": "hermès"}),
    "needs both --max-lora-rank and --lora-target-modules": replace(
        PLAN, adapter_slots=1, options={"lora_target_modules": ()}
    ),
}
ALL: Final = PLANS | SAMPLES | ALONE | WRONG


@pytest.fixture(scope="module")
def verdicts(sglang_python: Path) -> dict[str, Verdict]:
    """What SGLang's parser said to each of `ALL`."""
    return judged(SGLANG, sglang_python, ALL)


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES, *ALONE])
def test_sglang_accepts_the_command_line(verdicts, name: str):
    """Every flag exists, with this spelling and this type of value."""
    assert verdicts[name].error is None


@pytest.mark.parametrize("said", WRONG)
def test_sglang_refuses_by_name_what_it_does_not_know(verdicts, said: str):
    """The parser that we ask is one that can say no, and its sentence names the flag."""
    assert said in verdicts[said].error


def test_every_layout_is_among_those_that_are_drawn():
    """Each way in which weights may lie before it: as they are quantized here, and as a source may have them."""
    assert {plan.layout for plan in SAMPLES.values()} >= {"none", "awq", "gptq", "w4a16", "w8a8", "fp8"}


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES])
def test_sglang_understands_the_plan(verdicts, name: str):
    """Address, name, context and adapters arrive where SGLang reads them."""
    plan, values = ALL[name], verdicts[name].values
    assert (values["model_path"], values["served_model_name"]) == (str(plan.weights), plan.served_name)
    assert (values["host"], values["port"], values["enable_metrics"]) == (plan.host, plan.port, True)
    assert values["context_length"] == plan.context
    assert bool(values["enable_lora"]) is (plan.adapter_slots > 0)


def test_adapters_are_named_as_requests_will_name_them(verdicts):
    """`a:b@1` is asked for as the adapter `b@1` of `a`."""
    told = verdicts["adapters at the start"].values["lora_paths"]
    assert "lora_name='b@1'" in str(told) or "b@1" in str(told)


def test_the_default_capacity_is_the_one_that_sglang_is_told(verdicts):
    """The gateway's bound and the engine's agree."""
    assert verdicts["bare"].values["max_running_requests"] == SGLANG.capacity({})
