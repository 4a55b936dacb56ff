"""What a child process may see of the supervisor's environment."""

from __future__ import annotations

from engines.processes import scrub

ENV = {
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "2",
    "VLLM_CPU_KVCACHE_SPACE": "4",
    "VLLM_SERVER_DEV_MODE": "1",
    "AWS_SECRET_ACCESS_KEY": "s",
    "ENGINEHOUSE_API_KEY": "k",
    "PYTHONPATH": "/evil",
}


def test_an_engine_sees_no_secret_and_no_door() -> None:
    """Security rule 15; the developer's mode of vLLM opens routes."""
    assert scrub.for_engine(ENV, {"VLLM_API_KEY": "w"}) == {
        "PATH": "/bin",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "2",
        "VLLM_CPU_KVCACHE_SPACE": "4",
        "VLLM_API_KEY": "w",
    }


def test_the_operators_tuning_comes_before_the_dialects_default() -> None:
    assert scrub.for_engine(ENV, {"VLLM_CPU_KVCACHE_SPACE": "1"})["VLLM_CPU_KVCACHE_SPACE"] == "4"


def test_a_gateway_knows_the_public_keys_only() -> None:
    seen = scrub.for_gateway(ENV, "/source")
    assert (seen["ENGINEHOUSE_API_KEY"], seen["PYTHONPATH"]) == ("k", "/source")
    assert "AWS_SECRET_ACCESS_KEY" not in seen
