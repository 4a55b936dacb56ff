"""What Enginehouse asks of an engine: a small, pure, stateless Protocol.

An engine turns decisions into text (a command line, an environment, an HTTP call, a request body) and never
acts on it. The gateway imports this file and the dialects; it never imports the rest of `engines`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request to a worker, as a value: who sends it is somebody else's business."""

    method: str
    path: str
    body: bytes = b""


def one_token(served_name: str) -> HttpCall:
    """A real generation of one token, by `/v1/completions`, which needs no chat template and which all engines have."""
    body = {"model": served_name, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    return HttpCall("POST", "/v1/completions", msgspec.json.encode(body))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, so that refusals can be explicit instead of discovered."""

    paths: frozenset[str]
    """The inference paths it serves, as the gateway relays them."""
    hot_adapters: bool
    """Whether adapters load and unload on a running worker."""
    token_ids: frozenset[str] = frozenset()
    """The paths whose streams tell token ids where they are asked for; `continuation` can begin from those."""


@dataclass(frozen=True, slots=True)
class MetricNames:
    """What the engine calls the figures that we read from its `/metrics`."""

    running: str
    waiting: str
    prompt_tokens: str
    generation_tokens: str
    progress: tuple[str, ...] = ()
    """What else moves while the engine works, before a prompt is read to its end, say."""


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """All that a command line is built from; every field is decided before."""

    python: Path
    """The interpreter of the engine's environment."""
    weights: Path
    served_name: str
    host: str
    port: int
    key: str
    """Bearer key that the worker must ask for; travels in an environment variable, never in the plan's argv."""
    layout: str
    """How the weights are packed: `none`, `gptq`, `awq`, …"""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    threads: int | None = None
    """That compute, on whichever cores are free, where workers share a machine's cores; None: as the engine does it."""
    context: int | None = None
    kv_cache: int | None = None
    """Bytes for the KV cache, as the memory planner decided; None: as the engine does it."""
    adapter_slots: int = 0
    """How many adapters stay resident at once; 0: adapters are off."""
    adapter_max_rank: int = 16
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """Adapters by engine-side name that are resident from the start: all that an engine without hot ones ever has."""
    trust_remote_code: bool = False
    """Whether the engine may run Python code that lies with the weights; only where the registry says so."""
    sleeps: bool = False
    """Whether it is to be sent to sleep: what that needs is opened only then."""
    options: Mapping[str, object] = field(default_factory=dict)
    """The engine's own flags, as the registry's `options.<engine>` gives them."""


class LaunchRefused(ValueError):
    """No command line can say what the registry's options ask for; the message names the option."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start: the whole argument vector and the variables to add to a scrubbed environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    starter: int = 0
    """How many words of `argv` start the engine, before its own parser reads the rest."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the engine's own parser reads."""
        return self.argv[self.starter :]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A stream that broke off, as another worker of the same weights is to take it up."""

    path: str
    body: bytes
    """The client's own."""
    served_name: str
    prompt: Sequence[int] = ()
    """Token ids of the prompt and of the answer so far; empty: only the text is known."""
    text: str = ""
    """The answer so far, where its ids are not known."""
    max_tokens: int | None = None
    """What the answer may still have; None: as much as the context holds."""
    min_tokens: int = 0


class Engine(Protocol):
    """How to talk to one kind of engine. Implementations are values in `engines.ENGINES`."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def metrics(self) -> MetricNames: ...

    def launch(self, plan: LaunchPlan) -> Launch:
        """The command line and environment of one worker. Raises `LaunchRefused` for options that have no spelling."""

    def capacity(self, options: Mapping[str, object]) -> int:
        """How many requests a worker started with `options` runs at once."""

    @property
    def dead_statuses(self) -> frozenset[int]:
        """What `health` is answered with by a server whose engine is dead and stays so, once it was healthy."""

    def continues(self, options: Mapping[str, object]) -> bool:
        """Whether answers of a worker started with `options` can be continued: its text is what its tokens spell."""

    def health(self) -> HttpCall:
        """Answered with 200 by a worker that can generate, unless it is not `awake`."""

    @property
    def health_takes(self) -> float:
        """Seconds that a healthy worker may take for it by design; to be added to any patience."""

    def awake(self, health: bytes) -> bool:
        """Whether a worker that answered `health` with 200 and this body generates: a sleeping one may say 200 too."""

    def warm_up(self, served_name: str) -> HttpCall:
        """A real one-token generation: proves that the worker answers."""

    def load_adapter(self, name: str, path: Path) -> HttpCall | None:
        """Make the adapter at `path` resident under `name`, the name that requests use. None: replace the worker."""

    def unload_adapter(self, name: str) -> HttpCall | None:
        """Drop the adapter called `name`."""

    def sleep(self) -> HttpCall | None:
        """Give the accelerator's memory back and keep the process; None: it cannot."""

    def wake(self) -> HttpCall | None:
        """The end of `sleep`; answered once it generates again."""

    def abort(self) -> HttpCall | None:
        """End all that the worker is at, as a drain's deadline wants it; None: closing connections does it."""

    def prepare(self, body: bytes, *, served_name: str | None, want_usage: bool, want_ids: bool = False) -> bytes:
        """The body to send for a client's JSON object `body`, spliced, not re-serialised.

        `served_name` replaces the `model` where the client used another name (None: leave it); `want_usage`
        asks for the usage event of a stream whose client did not; `want_ids` asks for its token ids.
        """

    def continuation(self, interrupted: Interrupted) -> HttpCall | None:
        """The call whose stream is the rest of the answer; None: the engine has no way to say it."""
