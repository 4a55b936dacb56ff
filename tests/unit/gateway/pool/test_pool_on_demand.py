"""A pool that is loaded when a request asks for it: who waits, for how long, and what they are told."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ModelLoading, NoWorker, QueueFull
from gateway.pool.pool import Pool
from registry.snapshot import Loading, OnDemand, QueueLimits, WorkerState
from tests.unit.gateway.builders import Clock, cancelled, jumping, model_view, turns, worker_view

COLD = model_view(on_demand=OnDemand(wait=600.0, loads_in=42.0))
ON_DEMAND = {"on_demand": COLD.on_demand}
READY = worker_view("a", capacity=1)


class Asked:
    """A pool, and how often it was asked for."""

    def __init__(self, view=COLD):
        self.names = []
        self.pool = Pool(view, Clock(), lambda: 0.5, asked=self.names.append)
        self.pool.update(view)

    def soon(self, **rest):
        return asyncio.get_running_loop().create_task(self.pool.lease(**rest))


async def test_a_request_waits_while_the_model_is_loaded():
    """Cold, then loading, then ready: one wait."""
    cold = Asked()
    request = cold.soon()
    await turns()
    cold.pool.update(model_view(loading=Loading("starting", 0.5, 20.0), **ON_DEMAND))
    await turns()
    assert (cold.names, cold.pool.waiting, request.done()) == (["m"], 1, False)
    cold.pool.update(model_view(READY, **ON_DEMAND))
    assert (await request).worker.id == "a"


@pytest.mark.parametrize("patience", [0.0, 7.0, None])
@jumping
async def test_it_waits_no_longer_than_its_client_wants(patience):
    """Not at all, if it says so; 600 s is the model's own limit."""
    cold, loop = Asked(), asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(ModelLoading) as told:
        await cold.pool.lease(patience=patience)
    assert told.value.retry_after == 42.0
    assert loop.time() - begun == pytest.approx(600.0 if patience is None else patience)
    assert cold.names == ["m"]


async def test_it_does_not_wait_for_what_has_failed():
    cold = Asked()
    request = cold.soon()
    await turns()
    cold.pool.update(model_view(loading=Loading("failed", eta=10.0, reason="disk full"), **ON_DEMAND))
    with pytest.raises(ModelLoading):
        await request
    with pytest.raises(ModelLoading):
        await cold.pool.lease()
    assert cold.names == ["m"]


async def test_it_does_not_wait_for_workers_that_are_held_down():
    cold = Asked()
    request = cold.soon()
    await turns()
    cold.pool.update(model_view(worker_view("a", state=WorkerState.CRASH_LOOP), **ON_DEMAND))
    with pytest.raises(NoWorker):
        await request


async def test_as_many_wait_as_the_queue_holds():
    cold = Asked(model_view(queue=QueueLimits(limit=1), **ON_DEMAND))
    first = cold.soon()
    await turns()
    with pytest.raises(QueueFull):
        await cold.pool.lease()
    await cancelled(first)
    assert cold.pool.waiting == 0


async def test_a_model_that_is_gone_is_not_waited_for():
    cold = Asked()
    request = cold.soon()
    await turns()
    cold.pool.retire()
    with pytest.raises(NoWorker):
        await request


async def test_who_has_tried_the_only_worker_is_not_kept_waiting():
    """Its first worker failed it: that is the answer, as everywhere."""
    cold = Asked(model_view(READY, **ON_DEMAND))
    with pytest.raises(NoWorker):
        await cold.pool.lease(frozenset({"a"}))
    assert cold.names == []


@jumping
async def test_a_worker_that_is_replaced_for_other_adapters_is_waited_for():
    """By who waits already and by who comes meanwhile, as long as the queue lets them."""
    model = {"queue": QueueLimits(wait=30.0), "adapter_slots": 1}
    served = Asked(model_view(READY, **model))
    busy = await served.pool.lease()
    before = served.soon()
    await turns()
    served.pool.update(model_view(away_for=9.0, **model))
    meanwhile, needing = served.soon(), served.soon(needs="m:cat@0")
    with pytest.raises(ModelLoading) as told:
        await served.pool.lease(limit=1.0)
    assert (told.value.retry_after, before.done(), served.pool.waiting) == (9.0, False, 3)
    served.pool.update(model_view(worker_view("b", resident=("m:cat@0",)), **model))
    assert {(await each).worker.id for each in (before, meanwhile, needing)} == {"b"}
    busy.release()
