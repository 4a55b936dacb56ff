"""Leases of requests that need an adapter: only on workers that hold it, and who waits for one that nobody holds."""

from __future__ import annotations

import asyncio

import pytest

from gateway.balance.prefix import NO_PREFIX
from gateway.errors import AdapterLoading, NoWorker, QueueTimeout
from gateway.pool.evictions import Evictions
from gateway.pool.lease import Outcome
from gateway.pool.pool import Pool
from gateway.pool.residence import BELIEVED_AGAIN, Adapters
from registry.adapter_orders import Demand, Missing, Want
from registry.snapshot import OnDemand, QueueLimits
from tests.unit.gateway.builders import cancelled, jumping, model_view, turns, worker_view

CAT, DOG = "m:cat@0123456789abcdef", "m:dog@0123456789abcdef"


class House:
    """A pool, and what the supervisor was told."""

    def __init__(self, *workers, **model):
        self.said = []
        view = model_view(*workers, **model)
        loop = asyncio.get_running_loop()
        adapters = Adapters(Evictions(lambda _: None), self.said.append)
        self.pool = Pool(view, loop.time, lambda: 0.5, adapters=adapters)
        self.model = model
        self.show(*workers)

    def show(self, *workers):
        self.pool.update(model_view(*workers, **self.model))

    def soon(self, needs="", **rest):
        return asyncio.get_running_loop().create_task(self.pool.lease(needs=needs, **rest))


A, B = worker_view("a", capacity=1), worker_view("b", capacity=1)
WITH_CAT = worker_view("b", capacity=1, resident=(CAT,))


async def test_it_goes_where_its_adapter_is():
    """However little the others have to do."""
    house = House(worker_view("a"), worker_view("b", resident=(CAT, DOG)), worker_view("c", resident=(DOG,)))
    assert {(await house.pool.lease(needs=CAT)).worker.id for _ in range(3)} == {"b"}
    assert {(await house.pool.lease(needs=DOG)).worker.id for _ in range(3)} == {"c"}
    assert house.said == []


async def test_what_nobody_holds_is_wanted_once_and_waited_for():
    """However many ask for it."""
    house = House(A, B)
    requests = [house.soon(CAT) for _ in range(3)]
    await turns()
    assert (house.said, house.pool.waiting) == ([Want("m", CAT)], 3)
    house.show(A, worker_view("b", resident=(CAT,)))
    assert [(await request).worker.id for request in requests] == ["b"] * 3


async def test_who_needs_nothing_never_stands_behind_who_waits_for_an_adapter():
    house = House(A, B)
    waiting = [house.soon(CAT), house.soon(DOG)]
    await turns()
    assert house.pool.at_once(frozenset(), NO_PREFIX) is not None
    assert (await house.pool.lease()).worker.id == "b"
    for each in waiting:
        await cancelled(each)
    assert house.pool.waiting == 0


async def test_in_front_of_full_workers_all_wait_in_one_order():
    """The adapter's only holder is given to whoever came first, whatever it needs."""
    house = House(WITH_CAT)
    first = await house.pool.lease()
    order = []
    for needs in ("", CAT, ""):
        house.soon(needs).add_done_callback(lambda done: order.append(done.result()))
        await turns(1)
    for lease in (first, None, None):
        (lease or order[-1]).release()
        await turns()
    assert [lease.needs for lease in order] == ["", CAT, ""]


@jumping
async def test_what_is_not_loaded_in_time_is_told_as_loading():
    """`queue.wait` is the limit, or what the client says."""
    house = House(A, queue=QueueLimits(wait=7.0))
    began = asyncio.get_running_loop().time()
    with pytest.raises(AdapterLoading) as told:
        await house.pool.lease(needs=CAT)
    assert asyncio.get_running_loop().time() - began == pytest.approx(7.0)
    with pytest.raises(AdapterLoading):
        await house.pool.lease(needs=CAT, patience=0.0)
    assert (told.value.code, told.value.answered_status, bool(told.value.retry_after)) == ("adapter_loading", 503, True)


@jumping
async def test_a_holder_that_is_full_for_too_long_is_a_full_queue():
    house = House(A, WITH_CAT)
    await house.pool.lease(needs=CAT)
    with pytest.raises(QueueTimeout):
        await house.pool.lease(needs=CAT)


async def test_without_any_worker_nobody_waits_for_an_adapter():
    with pytest.raises(NoWorker):
        await House().pool.lease(needs=CAT)


async def test_a_model_on_demand_comes_first_and_its_adapter_after():
    """One wait for both."""
    house = House(on_demand=OnDemand(wait=600.0))
    request = house.soon(CAT)
    await turns()
    house.show(A)
    await turns()
    assert (house.said, request.done()) == ([Want("m", CAT)], False)
    house.show(worker_view("a", resident=(CAT,)))
    assert (await request).worker.id == "a"


async def test_what_was_evicted_under_a_waiting_request_is_wanted_again():
    house = House(A, WITH_CAT)
    await house.pool.lease(needs=CAT)
    request = house.soon(CAT)
    await turns()
    house.show(A, B)
    assert house.said == [Want("m", CAT)]
    await cancelled(request)


async def test_a_retry_waits_for_another_worker_to_load_it():
    """The worker that failed it is named: the adapter is not wanted there."""
    house = House(A, WITH_CAT)
    request = house.soon(CAT, exclude=frozenset({"b"}))
    await turns()
    assert house.said == [Want("m", CAT, ("b",))]
    house.show(worker_view("a", resident=(CAT,)), WITH_CAT)
    assert (await request).worker.id == "a"


async def test_a_worker_that_lacks_what_it_should_hold_is_passed_over_and_told_of():
    """Until the snapshots say that it holds it again."""
    house = House(A, WITH_CAT)
    (await house.pool.lease(needs=CAT)).release(Outcome.MISSING)
    request = house.soon(CAT)
    await turns()
    assert (house.said, request.done()) == ([Missing("b", CAT), Want("m", CAT)], False)
    house.show(A, B)
    house.show(A, WITH_CAT)
    assert (await request).worker.id == "b"


@jumping
async def test_a_worker_that_is_said_to_hold_it_all_the_same_is_asked_again():
    house = House(WITH_CAT)
    (await house.pool.lease(needs=CAT)).release(Outcome.MISSING)
    began = asyncio.get_running_loop().time()
    assert (await house.pool.lease(needs=CAT)).worker.id == "b"
    assert asyncio.get_running_loop().time() - began == pytest.approx(BELIEVED_AGAIN)


async def test_demand_counts_what_is_open_what_waits_and_what_was_served_since():
    house = House(A, WITH_CAT)
    lease = await house.pool.lease(needs=CAT)
    waiting = [house.soon(CAT), house.soon(DOG)]
    await turns()
    assert house.pool.demand() == {CAT: Demand(active=1, waiting=1, served=1), DOG: Demand(waiting=1)}
    for each in waiting:
        await cancelled(each)
    lease.release()
    assert house.pool.demand() == {}
