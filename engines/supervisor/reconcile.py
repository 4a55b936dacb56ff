"""Makes the world match the registry: applies `Change`s, one task a pool. Owns which pools there are. Run by `main`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from engines.engine import Engine
from engines.launchers.launcher import Launcher
from engines.supervisor.events import ModelFailed
from engines.supervisor.pool import Pool, Shared, view
from registry.changes import AmendPool, Change, RetirePool, StartPool
from registry.snapshot import Loading
from registry.spec import ModelSpec


class Reconciler:
    """Invariant: every name on the board has exactly one pool that runs, or is being started after its predecessor."""

    def __init__(
        self, engines: Mapping[str, Engine], launchers: Mapping[str, Launcher], shared: Shared, created: int
    ) -> None:
        self._engines: Final = engines
        self._launchers: Final = launchers
        self._shared: Final = shared
        self._created: Final = created
        self._pools: Final[dict[str, tuple[Pool, asyncio.Task[None]]]] = {}

    async def run(self, first: Sequence[Change]) -> None:
        """Applies the first changes and keeps their pools until cancelled; then all workers are stopped."""
        async with asyncio.TaskGroup() as group:
            self.apply(first, group)
            await asyncio.Event().wait()

    def apply(self, changes: Sequence[Change], group: asyncio.TaskGroup) -> None:
        """Starts what the changes ask for. A pool that replaces one of the same name waits for its end."""
        retired = {change.name: self._retire(change.name) for change in changes if isinstance(change, RetirePool)}
        for change in changes:
            if isinstance(change, StartPool | AmendPool):
                self._shared.board.put(view(change.name, change.spec, self._created))
            if isinstance(change, StartPool):
                self._start(change.name, change.spec, retired.get(change.name), group)

    def suspect(self, worker_id: str, reason: str) -> None:  # noqa: ARG002 (the probe finds its own reason)
        """A gateway saw this worker fail."""
        for pool, _ in self._pools.values():
            pool.suspect(worker_id)

    def _retire(self, name: str) -> asyncio.Task[None]:
        _, task = self._pools.pop(name)
        task.cancel()
        self._shared.board.drop(name)
        return task

    def _start(self, name: str, spec: ModelSpec, before: asyncio.Task[None] | None, group: asyncio.TaskGroup) -> None:
        pool = Pool(name, spec, self._engines[spec.engine], self._launchers[spec.launcher], self._shared)
        self._pools[name] = (pool, group.create_task(self._keep(name, pool, before)))

    async def _keep(self, name: str, pool: Pool, before: asyncio.Task[None] | None) -> None:
        """Runs a pool after its predecessor's end. A bug that ends it ends nobody else's."""
        if before is not None:
            await asyncio.wait({before})
        try:
            await pool.run()
        except Exception as bug:  # noqa: BLE001 (the outermost loop of one model)
            self._shared.board.loading(name, Loading("stopped by a bug of ours", reason=repr(bug)))
            self._shared.announce(ModelFailed(name, f"stopped by a bug of ours: {bug!r}", None))
