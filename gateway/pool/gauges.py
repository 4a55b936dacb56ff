"""What the pools look like at this moment, as metric families. Read by `/metrics` only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.pool.house import House
from registry.snapshot import SwapState, WorkerState


def gauges(house: House) -> Iterator[Metric]:
    """Workers by state, queue depths, and whether the registry's last edit was taken."""
    workers = GaugeMetricFamily("enginehouse_workers", "Workers by state", labels=("model", "engine", "state"))
    queued = GaugeMetricFamily("enginehouse_queue_depth", "Requests waiting for a worker", labels=("model",))
    for pool in house.pools:
        states = Counter(worker.state for worker in pool.model.workers)
        for state in WorkerState:
            workers.add_metric((pool.model.name, pool.model.engine, state.value), states[state])
        queued.add_metric((pool.model.name,), pool.waiting)
    yield workers
    yield queued
    snapshot = house.names.snapshot
    taken = not snapshot.reload_error
    yield GaugeMetricFamily(
        "enginehouse_registry_last_reload_success", "1: the registry's last edit was taken", value=float(taken)
    )
    yield GaugeMetricFamily(
        "enginehouse_registry_last_reload_timestamp_seconds",
        "When the registry file was last read again, taken or not",
        value=snapshot.reloaded,
    )
    swaps = GaugeMetricFamily(
        "enginehouse_swap_state", "1: how each model's last swap stands", labels=("model", "state")
    )
    for swap in snapshot.swaps:
        for at in SwapState:
            swaps.add_metric((swap.model, at.value), float(swap.state is at))
    yield swaps
