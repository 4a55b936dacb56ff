"""Makes the world match the registry: hands each `Change` to the model's succession. Owns which models there are.

Run by `main`; new registries come from `reload`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Final

from engines.engine import Engine
from engines.launchers.launcher import Launcher
from engines.supervisor.board import Row
from engines.supervisor.firstview import view
from engines.supervisor.pool import Pool
from engines.supervisor.running import Running
from engines.supervisor.shared import Shared
from engines.supervisor.succession import Succession
from registry.changes import EMPTY, Change, RetirePool, changes
from registry.snapshot import ModelView
from registry.spec import ModelSpec, Registry


class Reconciler:
    """Invariant: every model of the registry has exactly one succession; it wants what the registry says."""

    def __init__(
        self, engines: Mapping[str, Engine], launchers: Mapping[str, Launcher], shared: Shared, created: int
    ) -> None:
        self._engines: Final = engines
        self._launchers: Final = launchers
        self._shared: Final = shared
        self._created: Final = created
        self._registry = EMPTY
        self._successions: Final[dict[str, Succession]] = {}
        self._leaving: Final[set[Succession]] = set()
        self._pools: Final[Counter[str]] = Counter()
        """How many pools each name has had."""
        self._group: asyncio.TaskGroup | None = None

    async def run(self, first: Registry) -> None:
        """Applies the first registry and keeps what it says until cancelled; then all workers are stopped."""
        async with asyncio.TaskGroup() as self._group:
            self.adopt(first)
            await self._shared.attendance.run()

    def adopt(self, registry: Registry, *, again: bool = False) -> tuple[Change, ...]:
        """Has the world match `registry` from now on; returns at once, with what will be done.

        `again`: pools that did not come up are tried once more.
        """
        known, self._registry = self._registry, registry
        if again:
            refused = {name: each.refused for name, each in self._successions.items() if each.refused is not None}
            known = Registry(models={name: spec for name, spec in known.models.items() if name not in refused})
        found = changes(known, registry)
        self._shared.board.order(registry.models)
        self._shared.models(registry)
        for change in found:
            if isinstance(change, RetirePool):
                self._retire(change.name)
            else:
                self._succession(change.name).want(change.spec)
        return found

    def compare(self, registry: Registry) -> tuple[Change, ...]:
        """What would be done to have the world match `registry`."""
        return changes(self._registry, registry)

    def suspect(self, worker_id: str, reason: str) -> None:  # noqa: ARG002 (the probe finds its own reason)
        """A gateway saw this worker fail."""
        for succession in (*self._successions.values(), *self._leaving):
            succession.suspect(worker_id)

    def _retire(self, name: str) -> None:
        """Unless it was only its pool: its successor has been asked for."""
        if name not in self._registry.models:
            succession = self._successions.pop(name)
            self._leaving.add(succession)
            succession.want(None)

    def _succession(self, name: str) -> Succession:
        if name not in self._successions and self._group:
            made = Succession(name, self._shared, partial(self._build, name), self._look)
            self._successions[name] = made
            self._group.create_task(made.run()).add_done_callback(lambda _: self._leaving.discard(made))
        return self._successions[name]

    def _build(self, name: str, spec: ModelSpec, after: str | None) -> Running:
        self._pools[name] += 1
        row = self._shared.board.row(self._view(name, spec))
        engine, launcher = self._engines[spec.engine], self._launchers[spec.launcher]
        pool = Pool(name, spec, engine, launcher, self._shared, row=row, generation=self._pools[name], after=after)
        return Running(spec, row, pool, self._shared.clock.now())

    def _look(self, spec: ModelSpec, row: Row) -> None:
        row.put(self._view(row.view.name, spec))

    def _view(self, name: str, spec: ModelSpec) -> ModelView:
        return view(name, spec, self._created, self._shared.starts.expected(name))
