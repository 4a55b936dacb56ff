"""`GET /v1/models` and `/v1/models/{id}`: what names exist, as OpenAI shows them.

An adapter's `root` is the revision that it stands for now, its `parent` the model below it, as in vLLM.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gateway.pool.house import House
from registry.snapshot import Target


def models(house: House) -> APIRouter:
    """The routes over `house`."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("", summary="List the models and their aliases")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_shown(target) for target in house.names.listed()]}

    @router.get("/{model:path}", summary="One model or alias")
    async def one_model(model: str) -> dict[str, Any]:
        target, _ = house.resolve(model)
        return _shown(target)

    return router


def _shown(target: Target) -> dict[str, Any]:
    model, adapter = target.model, target.adapter
    shown: dict[str, Any] = {
        "id": target.requested,
        "object": "model",
        "created": adapter.created if adapter else model.created,
        "owned_by": "enginehouse",
        "root": target.served_name if adapter else model.name,
        "parent": model.name if adapter else None,
    }
    if model.context is not None:
        shown["max_model_len"] = model.context
    return shown
