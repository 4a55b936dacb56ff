"""What is true of a pool without a worker."""

from __future__ import annotations

import pytest

from gateway.errors import ModelLoading, NoWorker
from gateway.pool.loading import RETRY_SOON, comes, nobody
from registry.snapshot import Loading, OnDemand, WorkerState
from tests.unit.gateway.builders import model_view, worker_view

COLD = OnDemand(wait=600.0, loads_in=42.0)
HELD = worker_view("a", state=WorkerState.CRASH_LOOP)
STARTING = worker_view("b", state=WorkerState.STARTING)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (model_view(), False),
        (model_view(on_demand=OnDemand(wait=0.0)), False),
        (model_view(on_demand=COLD), True),
        (model_view(on_demand=COLD, loading=Loading("starting")), True),
        (model_view(on_demand=COLD, loading=Loading("preparation failed", reason="disk full")), False),
        (model_view(HELD, on_demand=COLD), False),
        (model_view(HELD, STARTING, on_demand=COLD), True),
        (model_view(STARTING, away_for=9.0), True),
        (model_view(away_for=9.0), True),
        (model_view(HELD, away_for=9.0), False),
    ],
)
def test_a_worker_comes_where_nothing_keeps_it(model, expected):
    """What failed is not waited for: it may fail for hours."""
    assert comes(model) is expected


@pytest.mark.parametrize(
    ("model", "code", "retry_after"),
    [
        (model_view(), NoWorker, RETRY_SOON),
        (model_view(on_demand=COLD), ModelLoading, 42.0),
        (model_view(on_demand=COLD, loading=Loading("starting", 0.5, 12.0)), ModelLoading, 12.0),
        (model_view(HELD, on_demand=COLD), NoWorker, RETRY_SOON),
        (model_view(worker_view(), on_demand=COLD), NoWorker, RETRY_SOON),
        (model_view(STARTING, away_for=9.0), ModelLoading, 9.0),
        (model_view(HELD, away_for=9.0), NoWorker, RETRY_SOON),
    ],
)
def test_who_is_told_so_learns_when_to_come_back(model, code, retry_after):
    """Retry-After is what the last start took, or what is left of this one."""
    told = nobody(model)
    assert (type(told), told.retry_after) == (code, retry_after)
