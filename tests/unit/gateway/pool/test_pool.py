"""Leases and the queue in front of them: order, bounds, and nothing lost on any way out."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ModelLoading, NoWorker, QueueFull, QueueTimeout
from gateway.pool.lease import Outcome
from gateway.pool.pool import Pool
from gateway.pool.queue import Priority
from registry.snapshot import Loading, QueueLimits, WorkerState
from tests.unit.gateway.builders import Clock, cancelled, jumping, model_view, turns, worker_view

ONE = worker_view("a", capacity=1)
TWO = (ONE, worker_view("b", capacity=1))


def pool_of(*workers, clock=None, **model):
    view = model_view(*workers, **model)
    pool = Pool(view, clock or Clock(), lambda: 0.5)
    pool.update(view)
    return pool


def soon(pool, *args, **rest):
    """A request that asks for a lease and may have to wait."""
    return asyncio.get_running_loop().create_task(pool.lease(*args, **rest))


def inflight(pool):
    return {worker.id: worker.inflight for worker in pool._workers.values()}


async def test_a_lease_counts_until_it_is_released_and_only_once():
    pool = pool_of(ONE)
    lease = await pool.lease()
    assert (inflight(pool), pool.active) == ({"a": 1}, 1)
    lease.release()
    lease.release()
    assert (inflight(pool), pool.active) == ({"a": 0}, 0)


async def test_the_least_loaded_worker_is_taken():
    pool = pool_of(worker_view("a"), worker_view("b"))
    assert [(await pool.lease()).worker.id for _ in range(4)] == ["a", "b", "a", "b"]


async def test_only_ready_workers_are_taken():
    others = [worker_view(state.value, state=state) for state in WorkerState if state is not WorkerState.READY]
    pool = pool_of(*others, worker_view("good"))
    assert {(await pool.lease()).worker.id for _ in range(5)} == {"good"}


async def test_an_excluded_worker_is_not_taken():
    """It has just failed this request."""
    pool = pool_of(worker_view("a"), worker_view("b"))
    assert {(await pool.lease(frozenset({"a"}))).worker.id for _ in range(3)} == {"b"}


async def test_with_everyone_excluded_there_is_no_worker():
    with pytest.raises(NoWorker) as caught:
        await pool_of(ONE).lease(frozenset({"a"}))
    assert caught.value.retry_after


async def test_a_pool_that_loads_says_what_it_does():
    pool = pool_of(loading=Loading("quantizing", 0.25, 40.0))
    with pytest.raises(ModelLoading, match=r"quantizing \(25%\)") as caught:
        await pool.lease()
    assert caught.value.retry_after == 40.0


async def test_first_come_first_served():
    pool = pool_of(ONE)
    lease = await pool.lease()
    waiting, order = [soon(pool) for _ in range(3)], []
    for number, task in enumerate(waiting):
        task.add_done_callback(lambda _, number=number: order.append(number))
    for _ in range(3):
        await turns()
        lease.release()
        await turns()
        lease = await waiting[len(order) - 1]
    assert (order, pool.waiting) == ([0, 1, 2], 0)


async def test_priorities_are_served_before_arrival():
    pool = pool_of(ONE)
    lease = await pool.lease()
    low, high = soon(pool, priority=Priority.LOW), None
    await turns()
    high = soon(pool, priority=Priority.HIGH)
    await turns()
    lease.release()
    await turns()
    assert (high.done(), low.done()) == (True, False)
    await cancelled(low)


async def test_nobody_overtakes_who_was_given_a_turn():
    """A newcomer in the instant of a release does not take what the first in the queue was promised."""
    pool = pool_of(ONE)
    lease = await pool.lease()
    first = soon(pool)
    await turns()
    lease.release()
    newcomer = soon(pool)
    await turns()
    assert (first.done(), newcomer.done()) == (True, False)
    await cancelled(newcomer)


async def test_the_queue_is_bounded():
    pool = pool_of(ONE, queue=QueueLimits(limit=1))
    await pool.lease()
    waiting = soon(pool)
    await turns()
    with pytest.raises(QueueFull) as caught:
        await pool.lease()
    assert (caught.value.retry_after >= 1, pool.waiting) == (True, 1)
    await cancelled(waiting)


async def test_nobody_is_shed_while_a_worker_is_free():
    """Who was given a turn and has not taken it yet fills no queue."""
    pool = pool_of(*TWO, queue=QueueLimits(limit=1))
    leases = [await pool.lease() for _ in range(2)]
    waiting = soon(pool)
    await turns()
    for lease in leases:
        lease.release()
    assert (await pool.lease()).worker.id == "b"
    await waiting


async def test_a_cancelled_request_leaves_the_queue_at_once():
    pool = pool_of(ONE)
    lease = await pool.lease()
    gone, next_one = soon(pool), soon(pool)
    await turns()
    await cancelled(gone)
    assert pool.waiting == 1
    lease.release()
    await turns()
    assert next_one.done()


async def test_a_turn_given_in_the_instant_of_cancellation_goes_to_the_next():
    pool = pool_of(ONE)
    lease = await pool.lease()
    gone, next_one = soon(pool), soon(pool)
    await turns()
    lease.release()
    gone.cancel()
    await turns()
    assert (gone.cancelled(), next_one.done(), inflight(pool)) == (True, True, {"a": 1})


@jumping
async def test_who_waits_too_long_is_told():
    pool = pool_of(ONE, queue=QueueLimits(wait=30.0))
    await pool.lease()
    with pytest.raises(QueueTimeout):
        await pool.lease()
    assert (asyncio.get_running_loop().time(), pool.waiting) == (pytest.approx(30.0), 0)


@jumping
async def test_a_deadline_shortens_the_wait():
    pool = pool_of(ONE, queue=QueueLimits(wait=30.0))
    await pool.lease()
    with pytest.raises(QueueTimeout):
        await pool.lease(limit=5.0)
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


async def test_a_new_worker_serves_who_waits():
    pool = pool_of(ONE)
    await pool.lease()
    waiting = soon(pool)
    await turns()
    pool.update(model_view(*TWO))
    assert (await waiting).worker.id == "b"


async def test_a_worker_that_becomes_ready_serves_who_waits():
    pool = pool_of(ONE, worker_view("b", state=WorkerState.STARTING, capacity=1))
    await pool.lease()
    waiting = soon(pool)
    await turns()
    pool.update(model_view(*TWO))
    assert (await waiting).worker.id == "b"


async def test_a_lease_on_a_worker_that_is_gone_ends_as_any_other():
    pool = pool_of(ONE)
    lease = await pool.lease()
    pool.update(model_view(worker_view("b", capacity=1)))
    assert (inflight(pool), pool.active) == ({"b": 0}, 1)
    lease.release()
    assert (inflight(pool), pool.active) == ({"b": 0}, 0)


async def test_a_worker_keeps_its_count_when_the_snapshot_changes():
    pool = pool_of(ONE)
    await pool.lease()
    pool.update(model_view(worker_view("a", capacity=7)))
    assert inflight(pool) == {"a": 1}


@pytest.mark.parametrize("end", [lambda pool: pool.update(model_view()), lambda pool: pool.retire()])
async def test_who_waits_for_a_pool_without_workers_is_told(end):
    pool = pool_of(ONE)
    await pool.lease()
    waiting = soon(pool)
    await turns()
    end(pool)
    with pytest.raises(NoWorker):
        await waiting
    assert pool.waiting == 0


async def test_a_request_that_waits_for_others_than_the_free_one_holds_nobody_up():
    pool = pool_of(*TWO)
    leases = [await pool.lease() for _ in range(2)]
    picky, anyone = soon(pool, frozenset({"a"})), soon(pool)
    await turns()
    leases[0].release()
    await turns()
    assert (picky.done(), (await anyone).worker.id) == (False, "a")
    await cancelled(picky)


async def failed(pool, times=3):
    for _ in range(times):
        (await pool.lease(frozenset({"b"}))).release(Outcome.FAILED)


async def test_a_worker_that_fails_is_left_alone_and_tried_again():
    clock = Clock()
    pool = pool_of(*TWO, clock=clock)
    await failed(pool)
    (await pool.lease()).release()
    assert (await pool.lease()).worker.id == "b"
    clock.now += 6.0
    assert (await pool.lease()).worker.id == "a"


async def test_the_last_worker_is_never_left_alone():
    pool = pool_of(ONE)
    await failed(pool, times=10)
    assert (await pool.lease()).worker.id == "a"


@jumping
async def test_a_worker_whose_time_out_ends_serves_who_waits():
    """The class's own invariant: nobody waits while a worker that may be used is free."""
    pool = pool_of(*TWO, clock=asyncio.get_running_loop().time)
    await failed(pool)
    await pool.lease()
    assert (await pool.lease(limit=10.0)).worker.id == "a"


async def test_a_worker_that_gets_its_address_late_is_another_worker():
    """A snapshot may name a worker before it listens: connections are made to the address that it got."""
    pool = pool_of(worker_view("a", port=1))
    before = await pool.lease()
    pool.update(model_view(worker_view("a", port=2)))
    after = await pool.lease()
    assert before.worker is not after.worker


@pytest.mark.parametrize("workers", [TWO, (ONE,)])
async def test_a_full_worker_whose_time_out_is_over_is_waited_for_without_a_timer(workers):
    """It may be tried and has no room: looking again at once, and again, would take all of the gateway's time."""
    clock = Clock()
    pool = pool_of(*workers, clock=clock)
    leases = [await pool.lease() for _ in workers]
    leases[0].worker.breaker.rests(clock.now + 1.0)
    clock.now += 2.0
    waiting = soon(pool)
    await turns()
    assert (waiting.done(), pool._alarm) == (False, None)
    leases[0].release()
    assert (await waiting).worker.id == "a"
