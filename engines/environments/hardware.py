"""What this machine can run, and which environment an engine has on it. Called by preparation and the CLI.

`detect` looks; everything else is pure. The facts: vLLM has a CPU build of its own; SGLang's CPU engine needs
compiled functions that no published wheel carries, and LMDeploy's `--device` knows no CPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What does the arithmetic."""

    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine. `cuda` is the newest CUDA that its driver speaks, (13, 0) say; (0, 0) where there is none."""

    kind: Kind = Kind.CPU
    devices: int = 0
    cuda: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        gpus = f"{self.devices} GPU{'s' if self.devices != 1 else ''}"
        if self.kind is Kind.CUDA:
            return f"{gpus}, CUDA {self.cuda[0]}.{self.cuda[1]}"
        return "an AMD GPU (ROCm)" if self.kind is Kind.ROCM else "no GPU"


CPU: Final = Hardware()


class Unsuited(ValueError):
    """The machine cannot run it; the message names what would work."""


@dataclass(frozen=True, slots=True)
class _Need:
    kind: Kind
    cuda: tuple[int, int] = (0, 0)


_NEEDS: Final[Mapping[str, _Need]] = MappingProxyType(
    {
        "vllm-cpu": _Need(Kind.CPU),
        # The locked torch builds are made for CUDA 13.0 and need a driver that speaks it.
        "vllm": _Need(Kind.CUDA, (13, 0)),
        "sglang": _Need(Kind.CUDA, (13, 0)),
        "lmdeploy": _Need(Kind.CUDA, (13, 0)),
    }
)
"""By environment. What is missing runs anywhere."""

_BUILDS: Final[Mapping[str, Mapping[Kind, str]]] = MappingProxyType(
    {
        "vllm": {Kind.CUDA: "vllm", Kind.CPU: "vllm-cpu"},
        "sglang": {Kind.CUDA: "sglang"},
        "lmdeploy": {Kind.CUDA: "lmdeploy"},
    }
)
"""By engine and hardware: the environment, the one to name where none fits first."""


def environment_for(engine: str, hardware: Hardware) -> str:
    """The engine's environment on such a machine, or the one that it has elsewhere: `require` says whether it runs."""
    builds = _BUILDS[engine]
    return builds.get(hardware.kind) or next(iter(builds.values()))


def device_of(environment: str) -> str:
    """`cpu` or `cuda`: what the build in it runs on."""
    need = _NEEDS.get(environment)
    return str(need.kind) if need else str(Kind.CUDA)


def require(environment: str, hardware: Hardware) -> None:
    """Raises `Unsuited` where the build in `environment` cannot run on such a machine."""
    need = _NEEDS.get(environment)
    if need is None or need.kind is Kind.CPU:
        return
    if hardware.kind is not Kind.CUDA:
        raise Unsuited(
            f"the environment {environment} needs an NVIDIA GPU, and this machine has {hardware}. "
            "What runs here: `engine: vllm` in the environment vllm-cpu. Workers on other machines can be used with "
            "`launcher: external`"
        )
    if hardware.cuda < need.cuda:
        wanted = f"{need.cuda[0]}.{need.cuda[1]}"
        raise Unsuited(
            f"the environment {environment} is built for CUDA {wanted}, and this machine has {hardware}: "
            "update NVIDIA's driver, or use the engine's own container image with `launcher: external`"
        )


def _driver() -> tuple[int, int] | None:
    """CUDA's version as the driver tells it (13000), and how many devices it shows. None: no driver."""
    version, devices = ctypes.c_int(), ctypes.c_int()
    try:
        library = ctypes.CDLL("libcuda.so.1")
        refused = library.cuInit(0) or library.cuDriverGetVersion(ctypes.byref(version))
        refused = refused or library.cuDeviceGetCount(ctypes.byref(devices))
    except (OSError, AttributeError):
        return None
    return None if refused else (version.value, devices.value)


def detect(
    driver: Callable[[], tuple[int, int] | None] = _driver,
    exists: Callable[[str], bool] = lambda path: Path(path).exists(),
) -> Hardware:
    """Which machine it is, by CUDA's driver library, which obeys CUDA_VISIBLE_DEVICES, and by AMD's device."""
    told = driver()
    if told is not None and told[1] > 0:
        version, devices = told
        return Hardware(Kind.CUDA, devices, (version // 1000, version % 1000 // 10))
    return Hardware(Kind.ROCM, 1) if exists("/dev/kfd") else CPU
