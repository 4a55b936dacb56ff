"""A pool without a worker: whether one comes of itself, and what to tell who does not wait. Pure; asked by `pool`."""

from __future__ import annotations

from typing import Final

from gateway.errors import AdapterLoading, GatewayError, ModelLoading, NoWorker
from registry.snapshot import ModelView, WorkerState

RETRY_SOON: Final = 2.0
"""Seconds until a worker that died may be back, where nothing better is known."""


def comes(model: ModelView) -> bool:
    """Whether a worker of `model` is started, or is being started, because a request asks for it or for an adapter."""
    if model.away_for is None and (model.on_demand is None or model.on_demand.wait <= 0):
        return False
    if model.loading is not None:
        return not model.loading.reason  # it was tried and failed: nobody knows how long that lasts
    return not model.workers or any(worker.state is not WorkerState.CRASH_LOOP for worker in model.workers)


def awaited(model: ModelView) -> bool:
    """Whether those who wait in the queue already go on waiting: their worker is on its way, for whatever reason."""
    return comes(model) or (model.loading is not None and not model.loading.reason)


def progress(model: ModelView) -> str:
    """How far the loading of `model` is, in a few words."""
    loading = model.loading
    if loading is None:
        return "waiting"
    return loading.step if loading.fraction is None else f"{loading.step} ({loading.fraction:.0%})"


def nobody(model: ModelView) -> GatewayError:
    """Why no worker of `model` can serve, and when it is worth to ask again."""
    loading = model.loading
    if loading is not None:
        message = f"The model '{model.name}' is being loaded: {progress(model)}."
        return ModelLoading(message, retry_after=loading.eta or RETRY_SOON)
    serving = any(worker.state is WorkerState.READY for worker in model.workers)  # and refused to whoever it failed
    if model.away_for is not None and comes(model) and not serving:
        message = f"The model '{model.name}' is being started again, with other adapters."
        return ModelLoading(message, retry_after=model.away_for or RETRY_SOON)
    if model.on_demand is not None and comes(model) and not serving:
        message = f"The model '{model.name}' is not loaded. It is being started because of this request."
        return ModelLoading(message, retry_after=model.on_demand.loads_in or RETRY_SOON)
    return NoWorker(f"No worker of '{model.name}' can serve right now.", retry_after=RETRY_SOON)


class AdapterNotLoaded(GatewayError):
    """Every worker has refused the adapter: it is tried again, but nobody knows that it will be better then."""

    status = 502
    code = "adapter_not_loaded"


def hopeless(adapter: str, reason: str) -> AdapterNotLoaded:
    """No worker can be given this adapter, as engines call it."""
    return AdapterNotLoaded(f"The adapter '{adapter}' cannot be loaded: {reason.rstrip('.')}.", param="model")


def absent(adapter: str) -> AdapterLoading:
    """No worker holds this adapter, as engines call it."""
    return AdapterLoading(f"The adapter '{adapter}' is being loaded because of this request.", retry_after=RETRY_SOON)
