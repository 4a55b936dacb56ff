"""`/admin/models` and `/admin/workers`: the snapshot, for those who run the house. Secrets are left out."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter

from gateway.pool.house import House
from registry.snapshot import ModelView, WorkerView


def admin(house: House) -> APIRouter:
    """The routes over `house`; `middleware.auth` has already asked for the admin key."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    @router.get("/models", summary="Every model: engine, limits, progress")
    async def models() -> dict[str, Any]:
        return {"models": [_model(model) for model in house.names.snapshot.models]}

    @router.get("/workers", summary="Every worker: state, restarts, why it is not ready")
    async def workers() -> dict[str, Any]:
        return {
            "workers": [
                {"model": model.name, "engine": model.engine} | _worker(worker)
                for model in house.names.snapshot.models
                for worker in model.workers
            ]
        }

    return router


def _model(model: ModelView) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(model)
    shown["workers"] = [worker.id for worker in model.workers]
    return shown


def _worker(worker: WorkerView) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(worker)
    del shown["key"]
    return shown
