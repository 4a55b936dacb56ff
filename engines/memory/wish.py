"""What a model of the registry asks of a worker's memory, in numbers. Pure. Called by the supervisor and by `check`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from engines.engine import Engine
from engines.memory.architecture import element
from engines.memory.checkpoint import Facts
from engines.memory.estimate import Wish
from engines.memory.habits import GIB, HABITS, Habits
from registry.spec import ModelSpec

_UNKNOWN: Final = Habits(overhead={}, share="", usual_share=0.9, parallel="tensor_parallel_size", step="")
_CACHE_VARIABLE: Final = "VLLM_CPU_KVCACHE_SPACE"
"""GiB; set by the operator, it overrules every option (vllm/platforms/cpu.py)."""
_SUFFIXES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
}  # fmt: skip
_ONE_BYTE: Final = ("fp8", "int8", "8")


def wish(spec: ModelSpec, engine: Engine, facts: Facts, *, layout: str, device: str, env: Mapping[str, str]) -> Wish:
    """Of a model whose weights have these facts, on `device`; `env` is the operator's."""
    habits, options = HABITS.get(spec.engine, _UNKNOWN), spec.engine_options
    number = element(options.get("dtype", "auto"))
    rank = spec.adapters.max_rank
    return Wish(
        engine=spec.engine,
        device=device,
        layout=layout,
        context=spec.context or facts.architecture.context or habits.usual_step,
        sequences=engine.capacity(options),
        slots=spec.adapters.slots,
        rank=next((step for step in habits.ranks if step >= rank), rank),
        replicas=spec.within(0),
        parallel=max(1, _whole(options.get(habits.parallel)) or 1),
        step=_whole(options.get(habits.step)) or habits.usual_step,
        element=number,
        cache_element=_cache_element(str(options.get(habits.cache_type, "auto")), number),
        cache=_fixed(options.get(habits.cache), device, env),
        share=None if device == "cpu" else _share(options.get(habits.share), habits.usual_share),
    )


def overhead(engine: str, device: str) -> int:
    """Bytes that a worker of this engine takes for itself where none was measured here yet."""
    return HABITS.get(engine, _UNKNOWN).overhead.get(device, 2 * GIB)


def _cache_element(named: str, number: int) -> float:
    if named == "4" or named.startswith("int4"):
        return 0.5
    return 1 if named.startswith(_ONE_BYTE) else number


def _fixed(option: object, device: str, env: Mapping[str, str]) -> int | None:
    """Bytes of the KV cache that somebody decided on."""
    if device == "cpu" and re.fullmatch(r"[0-9]{1,9}", env.get(_CACHE_VARIABLE, "")):
        return int(env[_CACHE_VARIABLE]) * GIB
    return _whole(option)


def _whole(option: object) -> int | None:
    """A number as the engines' command lines take it: 25600, 25.6k, 2g, 1G. None: not one."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([kKmMgGtT]?)", str(option))
    return int(float(match[1]) * _SUFFIXES[match[2]]) if match else None


def _share(option: object, usual: float) -> float:
    return float(option) if isinstance(option, int | float) and 0 < option <= 1 else usual
