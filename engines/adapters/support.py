"""What each engine does with adapters. Literal; read by `doctor`. docs/adapters.md is the same for people.

Sources. vLLM 0.32: lora/peft_helper.py (`_validate_features`), lora/lora_model.py, lora/utils.py; its answers are held
against ours by tests/contract. SGLang 0.5.23: lora/lora_config.py (the whole of what it reads), lora/lora_manager.py
(`validate_new_adapter`), lora/lora.py (`normalize_qkv_proj`, `scaling`), lora/utils.py, lora/mem_pool.py. LMDeploy
0.18: pytorch/adapter/adapter.py, pytorch/models/patch.py (`add_adapters`), pytorch/nn/linear/lora.py.

What an engine does not read it does not refuse: it answers by another adapter than was trained. So it counts as
something that it cannot do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engines.adapters.config import Feature

HIGHEST_RANK: Final = 512
"""Of any engine (vllm/config/lora.py)."""


@dataclass(frozen=True, slots=True)
class Support:
    """One engine's."""

    features: frozenset[Feature] = frozenset()
    """What it applies as it was trained."""
    shorthands: frozenset[str] = frozenset()
    """Words for `target_modules` in place of a list."""
    heads: frozenset[str] = frozenset()
    """Modules that it takes whole."""
    leaves: frozenset[str] | None = None
    """Last parts of the names of modules that it serves; None: every linear layer."""
    embeddings: bool = False
    """Whether input and output embeddings may have a LoRA."""
    experts: bool = False
    """Whether single experts of a mixture may have one."""
    together: tuple[tuple[frozenset[str], frozenset[str]], ...] = ()
    """Where it packs layers into one: if any of the first are adapted, all of the second that exist must be."""
    strict_targets: bool = False
    """Whether it refuses a target that the model does not have."""


_QKV: Final = frozenset({"q_proj", "k_proj", "v_proj"})

SUPPORT: Final[Mapping[str, Support]] = MappingProxyType(
    {
        "vllm": Support(
            features=frozenset(
                {
                    Feature.RSLORA,
                    Feature.RANK_PATTERN,
                    Feature.ALPHA_PATTERN,
                    Feature.TARGET_REGEX,
                    Feature.MODULES_TO_SAVE,
                }
            ),
            shorthands=frozenset({"all-linear", "all"}),
            heads=frozenset({"score", "classifier"}),
            embeddings=True,
            experts=True,
        ),
        "sglang": Support(
            shorthands=frozenset({"all-linear", "all"}),
            leaves=frozenset(
                {
                    *_QKV,
                    *("qkv_proj", "o_proj", "gate_proj", "up_proj", "gate_up_proj", "down_proj"),
                    *("out_proj", "in_proj", "in_proj_qkvz", "qkvr", "wo_ud", "fc1_latent_proj", "fc2_latent_proj"),
                    *("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "fused_qkv_a_proj_with_mqa"),
                    *("embed_tokens", "lm_head"),
                }
            ),
            embeddings=True,
            experts=True,
            together=((_QKV, frozenset({"q_proj", "v_proj"})), (frozenset({"up_proj"}), frozenset({"gate_proj"}))),
            strict_targets=True,
        ),
        "lmdeploy": Support(),
    }
)
"""By engine."""
