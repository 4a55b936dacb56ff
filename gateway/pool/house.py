"""All pools, and what the names mean: the gateway's view of the newest snapshot.

`publish` is the one way in (from `control`), a single assignment; a request that resolved a name keeps what it
got, whatever is published meanwhile. `free` hears of each leaving worker that holds none of our requests any more,
`asked` of each request for a model that has no worker yet, `say` of adapters that requests miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.errors import GatewayError, ModelNotFound, Unavailable
from gateway.pool.departures import Departures
from gateway.pool.evictions import Evictions
from gateway.pool.loading import hopeless
from gateway.pool.pool import Pool
from gateway.pool.residence import Adapters, Say
from registry.snapshot import Names, Snapshot, Target

_LISTED: Final = 20
"""Names that an unknown-model error lists, at most."""


class House:
    """Invariant: `names` and the pools belong to the same snapshot."""

    def __init__(
        self,
        clock: Callable[[], float],
        free: Callable[[str], None] = lambda _: None,
        asked: Callable[[str], None] = lambda _: None,
        say: Say = lambda _: None,
    ) -> None:
        self._clock: Final = clock
        self._departures: Final = Departures(free)
        self._evictions: Final = Evictions(free)
        self._adapters: Final = Adapters(self._evictions, say, self._judge)
        self._asked: Final = asked
        self.names = Names(Snapshot(revision=0))
        self._pools: dict[str, Pool] = {}
        self._unloadable: Mapping[str, str] = {}
        """Why nobody need wait for an adapter, by the engines' names."""

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Every pool of the present snapshot."""
        return tuple(self._pools.values())

    @property
    def informed(self) -> bool:
        """Whether a snapshot has arrived."""
        return self.names.snapshot.revision > 0

    @property
    def gateways(self) -> int | None:
        """How many gateway processes share the host; None: no snapshot has said it."""
        return self.names.snapshot.gateways if self.informed else None

    def publish(self, snapshot: Snapshot) -> None:
        """Make `snapshot` the present. Older ones than the present are passed over."""
        if self.informed and snapshot.revision < self.names.snapshot.revision:
            return
        self.names, pools = Names(snapshot, self.names), {}
        self._unloadable = {each.adapter: each.reason for each in snapshot.unloadable}
        for model in snapshot.models:
            pool = self._pools.get(model.name)
            if pool is None:
                pool = Pool(model, self._clock, departures=self._departures, asked=self._asked, adapters=self._adapters)
            pool.update(model)
            pools[model.name] = pool
        retired = [pool for name, pool in self._pools.items() if name not in pools]
        self._pools = pools
        for pool in retired:
            pool.retire()
        self._departures.want(worker.id for worker in snapshot.leaving)
        self._evictions.want(snapshot.evicted)

    def resolve(self, name: str) -> tuple[Target, Pool]:
        """What `name` stands for, and its pool. Raises `ModelNotFound`, which says what exists."""
        target = self.names.resolve(name)
        if target is not None:
            return target, self._pools[target.model.name]
        if not self.informed:
            raise Unavailable("The gateway is starting and does not know its models yet.", retry_after=1.0)
        raise ModelNotFound(f"The model '{name[:200]}' does not exist. {self._known(name)}", param="model")

    def _judge(self, adapter: str) -> GatewayError | None:
        """Why nobody need wait for this adapter, as engines call it."""
        if self.names.resolve(adapter) is None:
            return ModelNotFound(f"The adapter '{adapter}' does not exist any more: it was removed.", param="model")
        reason = self._unloadable.get(adapter, "")
        return hopeless(adapter, reason) if reason else None

    def _known(self, name: str) -> str:
        """What there is instead: the adapters of the model that `name` begins with, else the models."""
        names, more = self.names.near(name, _LISTED)
        if not names:
            return "No model is registered."
        return f"Available: {', '.join(names)}{f' and {more} more' if more else ''}."
