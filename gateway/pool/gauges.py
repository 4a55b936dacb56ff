"""What the pools look like at this moment, as metric families. Read by `gateway.scrape` only.

`gauges` is what the snapshot says, the same in every gateway of the host; `queues` is this process's own, and summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.pool.house import House
from registry.causes import Cause
from registry.snapshot import LOAD_BOUNDS, SwapState, WorkerState


def gauges(house: House) -> Iterator[Metric]:
    """Workers by state, adapters, and whether the registry's last edit was taken."""
    workers = GaugeMetricFamily("enginehouse_workers", "Workers by state", labels=("model", "engine", "state"))
    for pool in house.pools:
        states = Counter(worker.state for worker in pool.model.workers)
        for state in WorkerState:
            workers.add_metric((pool.model.name, pool.model.engine, state.value), states[state])
    yield workers
    snapshot = house.names.snapshot
    losses = CounterMetricFamily(
        "enginehouse_worker_losses", "Workers that ended without having been asked to", labels=("model", "cause")
    )
    for model in dict.fromkeys((*(pool.model.name for pool in house.pools), *snapshot.losses)):
        counted = snapshot.losses.get(model, {})
        for cause in Cause:  # from the start: Prometheus' increase() does not see a series come to be
            losses.add_metric((model, cause.value), counted.get(cause, 0))
    yield losses
    yield from _adapters(house)
    taken = not snapshot.reload_error
    yield GaugeMetricFamily(
        "enginehouse_registry_last_reload_success", "1: the registry's last edit was taken", value=float(taken)
    )
    yield GaugeMetricFamily(
        "enginehouse_registry_last_reload_timestamp_seconds",
        "When the registry file was last read again, taken or not",
        value=snapshot.reloaded,
    )
    yield GaugeMetricFamily(
        "enginehouse_adapter_store_ok",
        "1: adapters that hosts share are followed, or none are shared",
        value=float(not snapshot.store_trouble),
    )
    swaps = GaugeMetricFamily(
        "enginehouse_swap_state", "1: how each model's last swap stands", labels=("model", "state")
    )
    for swap in snapshot.swaps:
        for at in SwapState:
            swaps.add_metric((swap.model, at.value), float(swap.state is at))
    yield swaps


def queues(house: House) -> Iterator[Metric]:
    """How many requests wait in this process."""
    queued = GaugeMetricFamily("enginehouse_queue_depth", "Requests waiting for a worker", labels=("model",))
    for pool in house.pools:
        queued.add_metric((pool.model.name,), pool.waiting)
    yield queued


def _adapters(house: House) -> Iterator[Metric]:
    """Where adapters are, and what the supervisor did with them."""
    resident = GaugeMetricFamily(
        "enginehouse_adapters_resident", "Adapters that some ready worker holds", labels=("model",)
    )
    registered = GaugeMetricFamily("enginehouse_adapters_registered", "Adapters that have a name", labels=("model",))
    for pool in house.pools:
        model = pool.model
        if model.adapter_slots:
            ready = (worker for worker in model.workers if worker.state is WorkerState.READY)
            resident.add_metric((model.name,), len({each for worker in ready for each in worker.resident}))
            registered.add_metric((model.name,), len(house.names.catalogue.of(model.name)))
    loads = CounterMetricFamily("enginehouse_adapter_loads", "Loads on workers", labels=("model", "outcome"))
    seconds = HistogramMetricFamily(
        "enginehouse_adapter_load_seconds", "What loads took, the proof by one token included", labels=("model",)
    )
    evictions = CounterMetricFamily("enginehouse_adapter_evictions", "Adapters taken off workers", labels=("model",))
    returns = CounterMetricFamily(
        "enginehouse_adapter_returns", "Loads of what had left within the minute before", labels=("model",)
    )
    thrash = GaugeMetricFamily(
        "enginehouse_adapter_thrash_ratio", "Those returns as a share of all loads so far", labels=("model",)
    )
    drifts = CounterMetricFamily(
        "enginehouse_adapter_drifts", "Times that an engine did not hold what it should", labels=("model",)
    )
    for name, done in house.names.snapshot.adapter_figures.items():
        loads.add_metric((name, "loaded"), done.loads)
        loads.add_metric((name, "failed"), done.failures)
        bounds = map(str, (*LOAD_BOUNDS, "+Inf"))
        seconds.add_metric((name,), list(zip(bounds, (*done.took, done.loads), strict=True)), done.seconds)
        evictions.add_metric((name,), done.evictions)
        returns.add_metric((name,), done.returns)
        thrash.add_metric((name,), done.returns / done.loads if done.loads else 0.0)
        drifts.add_metric((name,), done.drifts)
    yield from (resident, registered, loads, seconds, evictions, returns, thrash, drifts)
