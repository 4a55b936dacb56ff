"""What a launcher is: it puts one worker somewhere, for as long as a block is entered. `LAUNCHERS` holds them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from engines.engine import Engine, LaunchPlan
from registry.spec import ModelSpec

KEY_BYTES: Final = 16
"""Of the random key that each worker of ours gets."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a worker of ours is started from: the environment's interpreter and the weights as they lie on disk."""

    python: Path
    weights: Path
    layout: str
    device: str = "cpu"
    kv_cache: int | None = None
    """Bytes of each worker's KV cache; None: the engine decides."""
    gpus: tuple[tuple[int, ...], ...] = ()
    """By seat: the GPUs of this machine that its worker gets, as `nvidia-smi` counts them. Empty: any."""

    @property
    def weighs(self) -> int:
        """Bytes that each worker reads before it can answer."""
        return sum(file.stat().st_size for file in self.weights.glob("*.safetensors"))


@dataclass(frozen=True, slots=True)
class Seat:
    """One place in a model's pool: which worker shall sit there."""

    model: str
    number: int
    spec: ModelSpec
    engine: Engine
    prepared: Prepared | None
    """None where the launcher starts nothing."""
    generation: int = 1
    """How many pools the model has had in this supervisor's life, this one included."""
    address: str = ""
    """Where the worker is; empty: wherever the launcher puts it."""
    starts: int = 0
    """How often workers that sat here before were started."""
    outfit: frozenset[str] = frozenset()
    """Adapters that the worker shall be started with, as engines call them: where they cannot be loaded later."""
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """Those of them that can be had, and where they lie."""

    @property
    def name(self) -> str:
        """For people, and stable over restarts; safe in a file's name; never used again by a later pool."""
        return self.named(self.generation)

    def named(self, generation: int) -> str:
        """What this place is called in another of the model's pools."""
        prefix = f"g{generation}-" if generation > 1 else ""
        return f"{self.model.replace('/', '-')}-{prefix}{self.number}"

    @property
    def gpus(self) -> tuple[int, ...]:
        """What the worker gets of this machine's GPUs; empty: any that it finds."""
        chosen = self.prepared.gpus if self.prepared else ()
        return chosen[self.number % len(chosen)] if chosen else ()

    def plan(self, host: str, port: int, key: str) -> LaunchPlan:
        """What the worker's command line is built from. Raises `LaunchFailed` where nothing was prepared."""
        prepared, spec = self.prepared, self.spec
        if prepared is None:
            raise LaunchFailed(f"{self.name}: a worker of ours needs an environment and weights")
        return LaunchPlan(
            python=prepared.python,
            weights=prepared.weights,
            served_name=self.model,
            host=host,
            port=port,
            key=key,
            layout=prepared.layout,
            device=prepared.device,
            context=spec.context,
            kv_cache=prepared.kv_cache,
            adapter_slots=spec.adapters.slots,
            adapter_max_rank=spec.adapters.max_rank,
            adapters=self.adapters,
            trust_remote_code=spec.trust_remote_code,
            sleeps=spec.sleeps,
            options=spec.engine_options,
        )


class Placed(Protocol):
    """A worker that was put somewhere: it may not be ready yet."""

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def log(self) -> Path | None: ...

    @property
    def over(self) -> bool:
        """Whether its main process has ended already, as far as is known here: `ended` then tells soon."""

    async def ended(self) -> str:
        """Waits for its end; says how it ended. A worker that is not ours never ends."""

    def kill(self) -> None:
        """Ends it now, if it is ours."""


class Found(Protocol):
    """Hears of workers' addresses."""

    def __call__(self, addresses: Sequence[str] | None, trouble: str = "") -> None:
        """None: they are not known, or what is known is to be kept. `trouble`: why it may be outdated, for people."""


class Launcher(Protocol):
    """Where workers run."""

    @property
    def prepares(self) -> bool:
        """Whether its workers need an environment and weights."""

    @property
    def here(self) -> bool:
        """Whether they take their memory from this machine."""

    async def discover(self, spec: ModelSpec, found: Found) -> None:
        """Tells where the workers of `spec` are, now and whenever that changes, until cancelled; one whose workers have
        no address before they are placed returns at once.
        """

    def place(self, seat: Seat) -> AbstractAsyncContextManager[Placed]:
        """Puts a worker in `seat`; on leaving, it is stopped and nothing of it is left. Raises `LaunchFailed`."""

    def served_name(self, seat: Seat, listed: Sequence[str]) -> str:
        """What to call the model at the worker in `seat`, which lists these names."""


class LaunchFailed(Exception):
    """No worker could be put there; the message says why."""
