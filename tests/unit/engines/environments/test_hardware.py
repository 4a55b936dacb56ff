"""What a machine is, and what it can run."""

from __future__ import annotations

import pytest

from engines.environments.hardware import CPU, Hardware, Kind, Unsuited, detect, device_of, environment_for, require

H200 = Hardware(Kind.CUDA, 8, (13, 0))


@pytest.mark.parametrize(
    ("told", "amd", "expected"),
    [
        (None, False, CPU),
        ((13000, 0), False, CPU),
        ((12080, 2), False, Hardware(Kind.CUDA, 2, (12, 8))),
        (None, True, Hardware(Kind.ROCM, 1)),
    ],
)
def test_hardware_is_what_its_driver_tells(told, amd, expected):
    """A driver that shows no device (CUDA_VISIBLE_DEVICES is empty, say) is no GPU."""
    assert detect(lambda: told, lambda _: amd) == expected


def test_this_machine_is_something():
    """The real look works wherever the tests run."""
    assert detect().kind in Kind


@pytest.mark.parametrize(
    ("engine", "hardware", "environment"),
    [("vllm", CPU, "vllm-cpu"), ("vllm", H200, "vllm"), ("sglang", H200, "sglang"), ("lmdeploy", CPU, "lmdeploy")],
)
def test_an_engine_has_an_environment_on_each_hardware(engine, hardware, environment):
    """Where it has none, the one that it has elsewhere is named, and refused by name."""
    assert environment_for(engine, hardware) == environment


@pytest.mark.parametrize("environment", ["sglang", "lmdeploy", "vllm"])
def test_what_needs_a_gpu_is_refused_without_one(environment):
    """And what would work is named."""
    with pytest.raises(Unsuited, match=r"needs an NVIDIA GPU, and this machine has no GPU.*vllm-cpu"):
        require(environment, CPU)
    require(environment, H200)


def test_a_driver_that_is_too_old_is_named():
    """Else it would be a traceback of torch, minutes later."""
    with pytest.raises(Unsuited, match=r"CUDA 13\.0, and this machine has 2 GPUs, CUDA 12\.8"):
        require("sglang", Hardware(Kind.CUDA, 2, (12, 8)))


def test_what_has_no_needs_runs_anywhere():
    """The CPU build, the quantizer, the parsers."""
    for environment in ("vllm-cpu", "quantizer", "sglang-parser"):
        require(environment, CPU)
    assert (device_of("vllm-cpu"), device_of("sglang")) == ("cpu", "cuda")
