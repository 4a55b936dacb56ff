"""`/admin/models`, `/admin/workers`: the snapshot, for those who run the house; `/admin/reload`. No secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter

from gateway.errors import RegistryFaulty
from gateway.pool.house import House
from registry.orders import Steps
from registry.snapshot import ModelView, WorkerView


def admin(house: House, reload: Callable[[], Awaitable[Steps]]) -> APIRouter:
    """The routes over `house`; `middleware.auth` has already asked for the admin key."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    @router.get("/models", summary="Every model: engine, limits, progress")
    async def models() -> dict[str, Any]:
        return {"models": [_model(model) for model in house.names.snapshot.models]}

    @router.get("/workers", summary="Every worker: state, restarts, why it is not ready; and those that leave")
    async def workers() -> dict[str, Any]:
        snapshot = house.names.snapshot
        return {
            "workers": [
                {"model": model.name, "engine": model.engine} | _worker(worker)
                for model in snapshot.models
                for worker in model.workers
            ],
            "leaving": [_worker(worker) for worker in snapshot.leaving],
            "swaps": msgspec.to_builtins(snapshot.swaps),
        }

    @router.post("/reload", summary="Read the registry file now: what is done about it, or 400 with every fault")
    async def reload_() -> dict[str, Any]:
        answer = await reload()
        if answer.faults:
            raise RegistryFaulty("\n".join(answer.faults))
        return {"steps": [step.shown() for step in answer.steps]}

    return router


def _model(model: ModelView) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(model)
    shown["workers"] = [worker.id for worker in model.workers]
    return shown


def _worker(worker: WorkerView) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(worker)
    del shown["key"]
    return shown
