"""LMDeploy's own argument parser accepts every command line that `engines.lmdeploy` builds, and means what we mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from engines.engine import LaunchPlan
from engines.lmdeploy import LMDEPLOY
from engines.parsers.ask import Verdict
from tests.contract.lines import drawn, judged

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

PLAN: Final = LaunchPlan(
    python=Path("python"), weights=Path("/weights"), served_name="small", host="127.0.0.1", port=9000, key="", layout=""
)
PLANS: Final = {
    "bare": PLAN,
    "context": replace(PLAN, context=2048),
    "adapters": replace(PLAN, adapter_slots=4),
    "adapters at the start": replace(PLAN, adapter_slots=2, adapters={"a:b@1": Path("/b"), "a:c@2": Path("/c=d")}),
    "gptq": replace(PLAN, layout="gptq"),
    "awq": replace(PLAN, layout="awq"),
    "w4a16": replace(PLAN, layout="w4a16"),
    "fp8": replace(PLAN, layout="fp8"),
    "odd name": replace(PLAN, served_name="-org/model.v1"),
}
OPTIONS: Final[Mapping[str, tuple[object, ...]]] = {
    "backend": ("pytorch", "turbomind"),
    "max_batch_size": (1, 16),
    "tp": (1, 2),
    "dp": (2,),
    "cache_max_entry_count": (0.5, 0.9),
    "dtype": ("auto", "bfloat16"),
    "quant_policy": (0, 8, "int4", "fp8"),
    "enable_prefix_caching": (True, False),
    "eager_mode": (True,),
    "cache-block-seq-len": (64,),
    "max_prefill_token_num": (4096,),
    "hf_overrides": ({"rope_theta": 10000},),
    "tool_call_parser": ("qwen", "llama3", "internlm"),
    "reasoning_parser": ("default",),
    "chat_template": ("qwen",),
    "generation_config": ("lmdeploy",),
    "log_level": ("WARNING",),
    "max_log_len": (0,),
    "cudagraph_capture_batch_sizes": ([1, 2],),
    "allow_origins": (["https://a.example"], ["https://a.example", "https://b.example"]),
    "distributed_executor_backend": ("mp", "ray"),
    "role": ("Hybrid", "Prefill"),
    "rope_scaling_factor": (2.0,),
    "logprobs_mode": ("raw_logprobs",),
}
SAMPLES: Final = {f"seed {seed}": drawn(LMDEPLOY, OPTIONS, seed) for seed in range(60)}
ALONE: Final = {
    f"{name}={value}": replace(PLAN, options={name: value}) for name, values in OPTIONS.items() for value in values
}
WRONG: Final = {
    "--max-batch-sizes": replace(PLAN, options={"max_batch_sizes": 4}),
    "argument --dtype": replace(PLAN, options={"dtype": "float32"}),
    "argument --tp": replace(PLAN, options={"tp": "many"}),
    "argument --quant-policy": replace(PLAN, options={"quant_policy": "int3"}),
    "hermes": replace(PLAN, options={"tool_call_parser": "hermes"}),
}
FORMATS: Final = {"awq": "awq", "gptq": "gptq", "fp8": "fp8", "w4a16": "compressed-tensors"}
"""What LMDeploy is told of the weights; the rest it finds in the checkpoint's own config."""
ALL: Final = PLANS | SAMPLES | ALONE | WRONG


@pytest.fixture(scope="module")
def verdicts(lmdeploy_python: Path) -> dict[str, Verdict]:
    """What LMDeploy's parser said to each of `ALL`."""
    return judged(LMDEPLOY, lmdeploy_python, ALL)


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES, *ALONE])
def test_lmdeploy_accepts_the_command_line(verdicts, name: str):
    """Every flag exists, with this spelling and this type of value."""
    assert verdicts[name].error is None


@pytest.mark.parametrize("said", WRONG)
def test_lmdeploy_refuses_by_name_what_it_does_not_know(verdicts, said: str):
    """The parser that we ask is one that can say no, and its sentence names the flag."""
    assert said in verdicts[said].error


def test_every_layout_is_among_those_that_are_drawn():
    """Each way in which weights may lie before it: as they are quantized here, and as a source may have them."""
    assert {plan.layout for plan in SAMPLES.values()} >= {"none", "awq", "gptq", "w4a16", "fp8"}


@pytest.mark.parametrize("name", [*PLANS, *SAMPLES])
def test_lmdeploy_understands_the_plan(verdicts, name: str):
    """Address, name, context and layout arrive where LMDeploy reads them."""
    plan, values = ALL[name], verdicts[name].values
    assert (values["model_path"], values["model_name"]) == (str(plan.weights), plan.served_name)
    assert (values["server_name"], values["server_port"]) == (plan.host, plan.port)
    assert values["session_len"] == plan.context
    assert values["backend"] == plan.options.get("backend", "pytorch" if plan.adapter_slots else "turbomind")
    assert values["model_format"] == FORMATS.get(plan.layout)
    assert values["enable_abort_handling"] is True


def test_adapters_are_named_as_requests_will_name_them(verdicts):
    """Split at the first `=`: a path may hold another."""
    assert verdicts["adapters at the start"].values["adapters"] == ["a:b@1=/b", "a:c@2=/c=d"]


def test_the_default_capacity_is_the_one_that_lmdeploy_is_told(verdicts):
    """The gateway's bound and the engine's agree."""
    assert verdicts["bare"].values["max_batch_size"] == LMDEPLOY.capacity({})
