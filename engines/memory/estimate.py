"""How many bytes one worker takes, part by part. Pure; the formulas and their sources are in docs/memory.md.

Called by `plan`. Bytes throughout; with tensor parallelism, of one of its devices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engines.memory.architecture import Architecture
from engines.memory.checkpoint import Facts

BLOCK: Final = 128
"""Tokens: engines keep the cache in blocks, and give out whole ones (vLLM on CPU: 128, elsewhere less)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the registry asks of the workers of one model, with the engine's defaults filled in."""

    engine: str
    device: str
    """`cpu` or `cuda`."""
    layout: str
    context: int
    """Tokens."""
    sequences: int
    """Requests that run at once."""
    slots: int = 0
    rank: int = 16
    replicas: int = 1
    parallel: int = 1
    step: int = 2048
    """Tokens that are computed at once, at most."""
    element: int = 2
    """Bytes of a number of the weights and activations."""
    cache_element: float = 2
    """Bytes of a number in the KV cache."""
    cache: int | None = None
    """Bytes of the KV cache where the registry fixes them."""
    share: float | None = None
    """The part of a GPU that a worker takes whole, whatever it needs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One worker's bytes, on each of its devices."""

    weights: int
    cache: int
    lora: int
    activations: int
    overhead: int
    tokens: int
    """How many the cache holds."""

    @property
    def total(self) -> int:
        return self.rest + self.cache

    @property
    def rest(self) -> int:
        """All but the KV cache."""
        return self.model + self.overhead

    @property
    def model(self) -> int:
        """What follows from model and registry alone, without the cache."""
        return self.weights + self.lora + self.activations


def estimate(facts: Facts, wish: Wish, cache: int, overhead: int) -> Estimate:
    """With a KV cache of `cache` bytes on an engine that takes `overhead` bytes for itself."""
    return Estimate(
        weights=facts.weights(wish.element) // wish.parallel,
        cache=cache,
        lora=lora(facts.architecture, wish),
        activations=activations(facts.architecture, wish),
        overhead=overhead,
        tokens=tokens(facts.architecture, wish, cache),
    )


def per_token(architecture: Architecture, wish: Wish) -> int:
    """Bytes of one token in the KV cache, as long as all layers remember it.

    Keys and values of every layer, by head; heads are divided among devices, each of which has at least one (vLLM's
    config/model.py `get_num_kv_heads`). MLA keeps one latent vector a layer, whole on each device.
    """
    layers = architecture.full + architecture.windowed
    if architecture.latent:
        return int(layers * architecture.latent * wish.cache_element)
    heads = max(1, architecture.kv_heads // wish.parallel)
    return int(2 * layers * heads * architecture.head_dim * wish.cache_element)


def for_context(architecture: Architecture, wish: Wish) -> int:
    """Bytes that one request of the whole context needs: windowed layers keep the window and the step at hand."""
    each = per_token(architecture, wish) / max(1, architecture.full + architecture.windowed)
    kept = min(wish.context, architecture.window + wish.step)
    return int(each * (architecture.full * _blocks(wish.context) + architecture.windowed * _blocks(kept)))


def tokens(architecture: Architecture, wish: Wish, cache: int) -> int:
    """How many a cache of so many bytes holds, in whole blocks."""
    each = per_token(architecture, wish)
    return cache // (each * BLOCK) * BLOCK if each else 0


def lora(architecture: Architecture, wish: Wish) -> int:
    """Room for the adapters: `slots` times both factors of every linear layer, and of the embeddings.

    vLLM sets it aside at the start, for all layers, whatever an adapter targets (lora/layers/base_linear.py).
    """
    targets = architecture.layers * sum(one + other for one, other in architecture.projections())
    targets += architecture.hidden + architecture.vocabulary
    return wish.slots * wish.rank * targets * wish.element // wish.parallel


def activations(architecture: Architecture, wish: Wish) -> int:
    """The largest step: what a block holds at once for all its tokens, and the logits in 32 bits, twice."""
    inner = 3 * max(architecture.inner, architecture.expert_inner) // wish.parallel + 4 * architecture.hidden
    return wish.step * inner * wish.element + 2 * 4 * wish.sequences * architecture.vocabulary


def _blocks(count: int) -> int:
    """`count` tokens, rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK
