"""Which of the supervisor's environment variables a child gets: an allowlist (FAULTS, security rule 15). Pure.

Called by the launchers and the supervisor's `gateways`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NEEDED: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD"}
)
_TUNING: Final = ("OMP_", "MKL_", "KMP_", "VLLM_CPU_", "CUDA_", "NVIDIA_", "NCCL_", "TORCHINDUCTOR_", "TRITON_")
"""What an operator sets to tune an engine to a machine. Nothing here opens a door or names code to run."""


def scrubbed(env: Mapping[str, str]) -> dict[str, str]:
    """What any child may see: where things are, which language; no key, no token, no `PYTHON*`."""
    return {name: value for name, value in env.items() if name in _NEEDED or name.startswith("LC_")}


def for_engine(env: Mapping[str, str], launch: Mapping[str, str]) -> dict[str, str]:
    """The environment of an engine: what the dialect wants, but the operator's tuning before the dialect's defaults."""
    tuning = {name: value for name, value in env.items() if name.startswith(_TUNING)}
    return scrubbed(env) | dict(launch) | tuning


def for_gateway(env: Mapping[str, str], source: str) -> dict[str, str]:
    """The environment of a gateway, which imports our packages from `source` and knows the public keys."""
    keys = {name: value for name, value in env.items() if name.startswith("ENGINEHOUSE_")}
    return scrubbed(env) | keys | {"PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}
