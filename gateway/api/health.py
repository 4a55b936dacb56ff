"""`/livez`, `/readyz`, `/health`, `/version`, `/metrics`: how the gateway is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.pool.house import House
from registry.discretion import discreet, unaddressed


def health(
    house: House, metrics: Callable[[], Awaitable[bytes]], version: str, stopping: Callable[[], bool]
) -> APIRouter:
    """The routes; `metrics` is the text for Prometheus, `stopping` says whether the gateway was asked to stop."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="The process answers; depends on nothing")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="A snapshot has arrived and some pool can serve or be started; `?verbose` says more")
    async def readyz(verbose: str | None = None) -> JSONResponse:
        ready = house.informed and not stopping() and any(pool.ready or pool.comes for pool in house.pools)
        shown: dict[str, Any] = {"status": "ok" if ready else "stopping" if stopping() else "not ready"}
        if verbose is not None:
            shown |= _verbose(house)
        return JSONResponse(shown, status_code=200 if ready else 503)

    @router.get("/health", summary="The same as /readyz, under the name that engines use")
    async def health_() -> JSONResponse:
        return await readyz()

    @router.get("/version", summary="Enginehouse's version")
    async def version_() -> dict[str, str]:
        return {"version": version}

    @router.get("/metrics", summary="Prometheus metrics, of all gateway processes of the host")
    async def metrics_() -> Response:
        return Response(await metrics(), media_type=CONTENT_TYPE_LATEST)

    return router


def _verbose(house: House) -> dict[str, Any]:
    snapshot = house.names.snapshot
    return {
        "snapshot": snapshot.revision,
        "registry_error": discreet(snapshot.reload_error) or None,
        "registry_read_at": snapshot.reloaded or None,
        "adapter_store_error": unaddressed(snapshot.store_trouble) or None,
        "models": {
            model.name: {
                "loading": model.loading.step if model.loading else None,
                "workers": {worker.id: worker.state.value for worker in model.workers},
            }
            for model in snapshot.models
        },
    }
