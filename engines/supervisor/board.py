"""The present of all models and workers, and the one place where snapshots are made from it.

Pools and workers write their own rows; every change publishes a new `Snapshot`. In one event loop, so no locks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from registry.snapshot import Loading, ModelView, Snapshot, WorkerState, WorkerView


class Board:
    """Invariant: the last published snapshot is the present; revisions grow by one."""

    def __init__(
        self, publish: Callable[[Snapshot], None], models: tuple[ModelView, ...] = (), *, gateways: int = 1
    ) -> None:
        self._publish: Final = publish
        self._models: dict[str, ModelView] = {model.name: model for model in models}
        self.snapshot = Snapshot(1, models, gateways=gateways)
        publish(self.snapshot)

    def put(self, model: ModelView) -> None:
        """A model is there, or is another one from now on; its workers and its progress stay."""
        present = self._models.get(model.name)
        if present:
            model = msgspec.structs.replace(
                model, workers=present.workers, loading=present.loading, served_name=present.served_name
            )
        self._models[model.name] = model
        self._change()

    def drop(self, name: str) -> None:
        """A model is gone, with all its workers."""
        if self._models.pop(name, None):
            self._change()

    def loading(self, name: str, loading: Loading | None) -> None:
        """How far the preparation of a model is; None: its first worker has been ready."""
        self._amend(name, loading=loading)

    def served_as(self, name: str, served_name: str) -> None:
        """What the workers of a model call it."""
        self._amend(name, served_name=served_name)

    def worker(self, name: str, seat: int, worker: WorkerView) -> None:
        """The worker in one seat of a model's pool; it replaces the one that sat there."""
        model = self._models.get(name)
        if model is None:
            return
        workers = list(model.workers)
        if seat < len(workers):
            workers[seat] = worker
        else:
            workers.append(worker)
        self._amend(name, workers=tuple(workers))

    def ready(self, name: str) -> bool:
        """Whether some worker of a model is ready."""
        model = self._models.get(name)
        return model is not None and any(worker.state is WorkerState.READY for worker in model.workers)

    def _amend(self, name: str, **fields: Any) -> None:
        model = self._models.get(name)
        if model is None or all(getattr(model, field) == value for field, value in fields.items()):
            return
        self._models[name] = msgspec.structs.replace(model, **fields)
        self._change()

    def _change(self) -> None:
        self.snapshot = msgspec.structs.replace(
            self.snapshot, revision=self.snapshot.revision + 1, models=tuple(self._models.values())
        )
        self._publish(self.snapshot)
