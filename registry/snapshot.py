"""The snapshot: what names mean and which workers stand behind them, right now.

One immutable value crosses from the supervisor to its gateways (and to `enginehouse status`), as one JSON
line over the control socket. The supervisor is its only author; a gateway publishes it by one assignment.
Nothing here does I/O.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from registry.adapters import AdapterView, Catalogue, Resident, Unloadable, served_as
from registry.causes import Cause


class WorkerState(StrEnum):
    """Where a worker is in its life. Owned by `engines.supervisor.lifecycle`; everyone else only reads it.

    starting → ready ⇄ unhealthy;   any → backoff → starting (a crash);   backoff → crash_loop (held down);
    any → draining → stopped (asked to go);   ready → sleeping → starting (nobody needs it, then somebody does);
    sleeping → stopped (its process ended).
    """

    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    BACKOFF = "backoff"
    CRASH_LOOP = "crash_loop"
    DRAINING = "draining"
    STOPPED = "stopped"
    SLEEPING = "sleeping"
    """Its process is there; the accelerator's memory is given back, as far as its engine can."""


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one request in seconds; `None` is off. `first_token` and `idle` bound streams, `answer` the rest."""

    connect: float = 2.0
    first_token: float | None = 120.0
    idle: float | None = 30.0
    answer: float | None = 600.0
    total: float | None = None


class QueueLimits(msgspec.Struct, frozen=True):
    """How many requests may wait for a worker of one pool, and for how many seconds."""

    limit: int = 256
    wait: float = 30.0


class Loading(msgspec.Struct, frozen=True):
    """Why a pool cannot serve yet: what is being done, how far (0…1) and the seconds left, where known."""

    step: str
    fraction: float | None = None
    eta: float | None = None
    reason: str = ""
    """What went wrong, for whoever runs the house: it may hold paths and is never shown to clients."""


class OnDemand(msgspec.Struct, frozen=True):
    """Of a pool whose workers come and go with its requests: gateways tell its supervisor how much it is used."""

    wait: float = 0.0
    """Longest wait in seconds of a request that finds no worker; 0: there always is one, so nobody waits."""
    loads_in: float = 0.0
    """Seconds from a request to the worker that it started, as far as known."""


class WorkerView(msgspec.Struct, frozen=True):
    """One worker as a gateway needs it. `id` is new for every start, so a restarted worker is another worker."""

    id: str
    url: str
    state: WorkerState
    key: str = ""
    """The bearer key that the worker expects; empty: none."""
    capacity: int = 256
    """Requests that it runs at once; more than that wait in the gateway's queue."""
    fingerprint: str = ""
    """What its tokens depend on: weights, layout, engine, options. Workers with equal ones continue each other's
    streams; empty: none may."""
    context: int | None = None
    """Tokens that it takes, prompt and answer together; None: it does not say."""
    resident: tuple[str, ...] = ()
    """Adapters that requests may be sent there for, as the engine calls them."""
    remarks: tuple[str, ...] = ()
    """What is not, or lately was not, as it should be with its adapters: lines for people."""
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    """Unix time, seconds, of the last change of state."""
    reason: str = ""
    """Why it is not ready, for people: one line."""
    cause: Cause | None = None
    """Why the one that was here before ended; None: it was the first, or was asked to go."""
    log: str = ""
    """Path of its log file; empty for external workers."""


class ModelView(msgspec.Struct, frozen=True):
    """One public name and its pool."""

    name: str
    engine: str
    """A key of `engines.ENGINES`: which dialect the workers speak."""
    served_name: str
    """What the workers call it."""
    aliases: tuple[str, ...] = ()
    context: int | None = None
    """Tokens, prompt and answer together; None: the engine's own default."""
    created: int = 0
    """Unix time, seconds, as `/v1/models` shows it."""
    timeouts: Timeouts = Timeouts()
    queue: QueueLimits = QueueLimits()
    balance: str = "least_loaded"
    allow: tuple[str, ...] = ()
    """Fields that steer the engine (`registry.steering`) and that requests may use all the same."""
    workers: tuple[WorkerView, ...] = ()
    loading: Loading | None = None
    """Set while the pool is being prepared; None once its first worker has been ready."""
    on_demand: OnDemand | None = None
    """None: its workers run whether anybody asks for them or not."""
    adapter_slots: int = 0
    """How many adapters each worker holds at once; 0: none."""
    away_for: float | None = None
    """Set while nobody serves because workers are replaced for other adapters: the seconds that it will take, as far as
    known. Who asks waits meanwhile, as for a worker that is full."""
    trouble: str = ""
    """What is amiss with the pool although it may serve, for whoever runs the house; never shown to clients."""


LOAD_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: bounds of `AdapterFigures.took`."""


class AdapterFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done with adapters on the workers of one model since the supervisor started."""

    loads: int = 0
    """That ended with a token."""
    failures: int = 0
    evictions: int = 0
    returns: int = 0
    """Loads of what had left the model's workers within the last minute."""
    drifts: int = 0
    """How often an engine did not hold what it had been given, or held what it had not."""
    seconds: float = 0.0
    """That `loads` took, proof included."""
    took: tuple[int, ...] = (0,) * len(LOAD_BOUNDS)
    """How many of them took at most so long, for each of `LOAD_BOUNDS`."""


class SwapState(StrEnum):
    """How far one pool is in taking another's place. Owned by `engines.supervisor.succession`."""

    STARTING = "starting"
    """The new pool comes up beside the old one."""
    DRAINING = "draining"
    """Both do not fit: the old one ends its requests before the new one starts."""
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    """The new pool did not come up: the model is as it was."""


class Swap(msgspec.Struct, frozen=True):
    """The last time that a model's pool was replaced, or is being replaced."""

    model: str
    state: SwapState
    since: float = 0.0
    """Unix time, seconds, of the last change of state."""
    loading: Loading | None = None
    """How far the new pool is."""
    reason: str = ""
    """Why it was rolled back, for whoever runs the house; never shown to clients."""
    parity: str = ""
    """How alike the old and the new pool answered, in a sentence; empty: not yet asked."""


class Snapshot(msgspec.Struct, frozen=True):
    """Everything a gateway knows. `revision` grows by one with every publication."""

    revision: int
    models: tuple[ModelView, ...] = ()
    leaving: tuple[WorkerView, ...] = ()
    """Workers that get no new request: each is stopped once every gateway has said that it holds none there."""
    adapters: msgspec.Raw = msgspec.Raw(b"[]")
    """A `registry.adapters.Catalogue`, encoded."""
    adapter_figures: dict[str, AdapterFigures] = {}
    """By model; only the supervisor sees these."""
    losses: dict[str, dict[Cause, int]] = {}
    """By model: how many workers ended without having been asked to, and why, since the supervisor started."""
    evicted: tuple[Resident, ...] = ()
    """Adapters that are about to be unloaded from a worker."""
    unloadable: tuple[Unloadable, ...] = ()
    """What nobody need wait for: each worker that serves has refused it lately."""
    store_trouble: str = ""
    """Why the adapters that several hosts share are not followed or cannot be changed; empty: they are, or each host
    has its own.
    """
    swaps: tuple[Swap, ...] = ()
    """By model, in the order in which they began."""
    reload_error: str = ""
    """Why the last edit of the registry file was refused; empty: it was taken."""
    reloaded: float = 0.0
    """Unix time, seconds, when the file was last read again, taken or not; 0: not since the start."""
    gateways: int = 1
    """Gateway processes that share the public port."""


class Target(msgspec.Struct, frozen=True):
    """What a requested name resolved to."""

    requested: str
    model: ModelView
    served_name: str
    """What to send to the worker as `model`."""
    adapter: AdapterView | None = None
    """None: the model itself."""
    digest: str = ""
    """Of the adapter's revision."""

    @property
    def needs(self) -> str:
        """What has to be resident where the request is sent to, as engines call it; empty: nothing."""
        return self.served_name if self.adapter else ""

    def at(self, digest: str) -> Target:
        """The same adapter's other revision."""
        adapter = self.adapter
        if adapter is None:
            return self
        served_name = served_as(adapter.model, adapter.name, digest)
        return msgspec.structs.replace(self, served_name=served_name, digest=digest)


class Names:
    """Every public name of one snapshot. Look-ups cost the same whether there is one model or ten thousand."""

    def __init__(self, snapshot: Snapshot, before: Names | None = None) -> None:
        self.snapshot: Final = snapshot
        self._targets: Final = {
            name: Target(name, model, model.served_name)
            for model in snapshot.models
            for name in (model.name, *model.aliases)
        }
        self._models: Final = {name: target.model.name for name, target in self._targets.items()}
        raw = bytes(snapshot.adapters)
        self.catalogue: Final[Catalogue] = (
            before.catalogue if before and before.catalogue.raw == raw else Catalogue(raw)
        )

    def resolve(self, name: str) -> Target | None:
        """The target that `name` stands for; None where nothing does."""
        return self._targets.get(name) or self._adapted(name)

    def _adapted(self, name: str) -> Target | None:
        found = self.catalogue.find(name, self._models)
        below = self._targets.get(found[0].model) if found else None
        if found is None or below is None or not below.model.adapter_slots:
            return None
        adapter, digest = found
        served_name = served_as(adapter.model, adapter.name, digest)
        return Target(name, below.model, served_name, adapter, digest)

    def near(self, name: str, most: int) -> tuple[list[str], int]:
        """At most so many names that somebody may have meant by `name`, which stands for nothing, and how many more
        there are: adapters of the model that it begins with, else models and aliases.
        """
        model = self._models.get(name.partition(":")[0], "")
        found = self.catalogue.of(model) if ":" in name else ()
        if found and self._targets[model].model.adapter_slots:
            return [f"{model}:{each.name}" for each in found[:most]], max(0, len(found) - most)
        return list(islice(self._targets, most)), max(0, len(self._targets) - most)

    def listed(self) -> tuple[Target, ...]:
        """All targets, in the order of the registry file: each model, then its aliases; then the adapters by name."""
        adapted = (self._adapted(f"{each.model}:{each.name}") for each in self.catalogue.adapters if each.current)
        return (*self._targets.values(), *(target for target in adapted if target))


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """One line of JSON, newline included: a frame of the control channel."""
    return _ENCODER.encode(snapshot) + b"\n"


def decode(line: bytes) -> Snapshot:
    """The snapshot in one frame. Raises `msgspec.DecodeError` on anything else."""
    return _DECODER.decode(line)
