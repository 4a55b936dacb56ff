"""What each engine does with memory beyond what the model asks for. Literal; called by `plan`.

Sources: vLLM 0.32 `config/cache.py` (gpu_memory_utilization 0.92), `engine/arg_utils.py` (2048 tokens a step),
`config/lora.py` (ranks); SGLang 0.5 `server_args.py` and LMDeploy 0.18 `messages.py` by their manuals. The overhead of
vLLM on CPU was measured (docs/memory.md); the others are guesses, until a worker was measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Habits:
    """Names of the engine's own options (with `_`), and what holds where they are not set."""

    overhead: Mapping[str, int]
    """By device: bytes of a worker that belong to no model: interpreters, libraries, the device's context."""
    share: str
    """The option that says which part of a GPU a worker takes."""
    usual_share: float
    parallel: str
    """The option for tensor parallelism."""
    step: str
    """The option that bounds the tokens of one step."""
    usual_step: int = 2048
    cache: str = ""
    """The option that fixes the bytes of the KV cache; empty: there is none."""
    cache_type: str = "kv_cache_dtype"
    ranks: tuple[int, ...] = ()
    """What LoRA ranks are rounded up to; empty: they are taken as they are."""


HABITS: Final[Mapping[str, Habits]] = MappingProxyType(
    {
        "vllm": Habits(
            overhead={"cpu": 1_780_000_000, "cuda": 2 * GIB},
            share="gpu_memory_utilization",
            usual_share=0.92,
            parallel="tensor_parallel_size",
            step="max_num_batched_tokens",
            cache="kv_cache_memory_bytes",
            ranks=(1, 8, 16, 32, 64, 128, 256, 320, 512),
        ),
        "sglang": Habits(
            overhead={"cuda": 2 * GIB},
            share="mem_fraction_static",
            usual_share=0.88,
            parallel="tp_size",
            step="chunked_prefill_size",
            usual_step=8192,
        ),
        "lmdeploy": Habits(
            overhead={"cuda": 2 * GIB},
            share="cache_max_entry_count",
            usual_share=0.8,
            parallel="tp",
            step="max_prefill_token_num",
            usual_step=8192,
            cache_type="quant_policy",
        ),
    }
)
"""By engine."""
