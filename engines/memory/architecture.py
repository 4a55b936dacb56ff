"""A checkpoint's `config.json` as the numbers that memory depends on. Pure. Called by `checkpoint`.

The names of the fields are those of transformers' configurations; a model of another make uses its own, tried in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_HIDDEN: Final = ("hidden_size", "n_embd", "d_model", "dim")
_LAYERS: Final = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HEADS: Final = ("num_attention_heads", "n_head", "num_heads", "n_heads")
_KV_HEADS: Final = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
_INNER: Final = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size")
_CONTEXT: Final = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_EXPERTS: Final = ("num_local_experts", "num_experts", "n_routed_experts")
_WITHOUT_CACHE: Final = frozenset({"linear_attention", "mamba", "conv", "recurrent", "ssm"})
_WINDOWED: Final = frozenset({"sliding_attention", "chunked_attention", "local_attention"})
_DTYPES: Final = {"float32": 4, "float64": 4, "float16": 2, "bfloat16": 2}
"""Bytes in an engine's memory; vLLM's `auto` loads float32 as 16 bits, but who asks for float32 gets it."""


class ArchitectureUnknown(ValueError):
    """The configuration does not say what is needed; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a decoder. Invariant: all are positive, `windowed + full` are the layers that keep keys and values."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False
    """Whether the output layer is the embedding."""
    context: int | None = None
    """Tokens that the model was trained for."""
    full: int = 0
    """Layers that remember every token."""
    windowed: int = 0
    """Layers that remember the last `window` tokens."""
    window: int = 0
    latent: int = 0
    """MLA: numbers kept for each token and layer, all heads together; 0: keys and values by head."""
    experts: int = 0
    expert_inner: int = 0
    notes: tuple[str, ...] = ()
    """What the figures leave out or take too high."""

    def projections(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of each linear layer of one block, as LoRA targets them; an expert's only once."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = ((self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden))
        return (*attention, (self.hidden, self.inner), (self.hidden, self.inner), (self.inner, self.hidden))


def from_config(config: Mapping[str, Any]) -> Architecture:
    """What `config.json` says. Raises `ArchitectureUnknown`."""
    inside = config.get("text_config")
    text: Mapping[str, Any] = {**config, **inside} if isinstance(inside, Mapping) else config
    hidden, layers, heads = (_needed(text, names) for names in (_HIDDEN, _LAYERS, _HEADS))
    head_dim = _first(text, ("head_dim", "attention_head_dim")) or hidden // heads
    full, windowed, window, notes = _remembering(text, layers)
    if inside is not None:
        notes = (*notes, "only its language model is counted by formula")
    return Architecture(
        layers=layers,
        hidden=hidden,
        inner=_first(text, _INNER) or 4 * hidden,
        heads=heads,
        kv_heads=_first(text, _KV_HEADS) or heads,
        head_dim=head_dim,
        vocabulary=_needed(text, ("vocab_size", "n_vocab")),
        tied=bool(text.get("tie_word_embeddings", False)),
        context=_first(text, _CONTEXT),
        full=full,
        windowed=windowed,
        window=window,
        latent=_latent(text),
        experts=_first(text, _EXPERTS) or 0,
        expert_inner=_first(text, ("moe_intermediate_size", *_INNER)) or 0,
        notes=notes,
    )


def element(dtype: object) -> int:
    """Bytes of one number of this type, as configurations and engines name it; 2 for `auto` and what is not known."""
    return _DTYPES.get(str(dtype).removeprefix("torch."), 2)


def _remembering(text: Mapping[str, Any], layers: int) -> tuple[int, int, int, tuple[str, ...]]:
    """Layers with a full cache, with a windowed one, the window, and notes."""
    window = text.get("sliding_window") or text.get("attention_chunk_size")
    window = window if isinstance(window, int) and text.get("use_sliding_window", True) else 0
    kinds = text.get("layer_types") or text.get("layers_block_type")
    if isinstance(kinds, Sequence) and not isinstance(kinds, str):
        stateful = sum(str(kind) in _WITHOUT_CACHE for kind in kinds)
        windowed = sum(str(kind) in _WINDOWED for kind in kinds) if window else 0
        notes = (f"the state of {stateful} layers without a cache is not counted",) if stateful else ()
        return max(0, len(kinds) - stateful - windowed), windowed, window, notes
    if window and text.get("sliding_window_pattern"):
        return layers, 0, 0, ("its sliding window is counted as full attention",)
    return (0, layers, window, ()) if window else (layers, 0, 0, ())


def _latent(text: Mapping[str, Any]) -> int:
    """MLA's vector: the compressed keys and values, and the part of the keys that carries the position."""
    rank = _first(text, ("kv_lora_rank",))
    return rank + (_first(text, ("qk_rope_head_dim",)) or 0) if rank else 0


def _needed(config: Mapping[str, Any], names: Sequence[str]) -> int:
    found = _first(config, names)
    if found is None:
        kind = config.get("model_type") or config.get("architectures") or "a model of unknown type"
        raise ArchitectureUnknown(f"the config of {kind} has no usable {names[0]}")
    return found


def _first(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of these fields that is a positive whole number."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
