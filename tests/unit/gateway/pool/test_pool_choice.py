"""The pool and its policy: what the policy hears of, and what a lease says about its choice."""

from __future__ import annotations

import asyncio

from gateway.balance.policy import Choice, Reason
from gateway.balance.prefix import Prefix
from gateway.pool.pool import Pool
from registry.snapshot import WorkerState
from tests.unit.gateway.builders import Clock, model_view, turns, worker_view

A, B = worker_view("a"), worker_view("b")


def pool_of(*workers, balance="prefix_affinity"):
    view = model_view(*workers, balance=balance)
    pool = Pool(view, Clock(), lambda: 0.5)
    pool.update(view)
    return pool


def prompt(text="x" * 3000):
    return Prefix("m", b'{"prompt": "%b"}' % text.encode())


async def test_a_prompt_goes_where_it_is_cached():
    pool = pool_of(A, B)
    first = await pool.lease(prefix=prompt())
    second = await pool.lease(prefix=prompt())
    assert (second.worker, second.choice.reason) == (first.worker, Reason.LONGEST_PREFIX)


async def test_with_one_worker_nothing_of_a_prompt_is_looked_at():
    """The default policy costs nothing where there is nothing to choose."""
    pool, prefix = pool_of(A), prompt()
    lease = await pool.lease(prefix=prefix)
    assert (lease.choice, dict(lease.loads), prefix._blocks) == (Choice("a", Reason.ONLY), {}, None)


async def test_other_policies_look_at_nothing_of_a_prompt():
    pool, prefix = pool_of(A, B, balance="least_loaded"), prompt()
    await pool.lease(prefix=prefix)
    assert prefix._blocks is None


async def test_a_lease_says_what_there_was_to_choose_from():
    pool = pool_of(A, B, balance="least_loaded")
    await pool.lease()
    lease = await pool.lease()
    assert (lease.choice, lease.loads) == (Choice("b", Reason.LEAST_LOADED, 2), {"a": 2.0, "b": 1.0})


async def test_a_policy_hears_also_of_what_could_only_go_to_one():
    """The other was full: all the same the prompt is now cached here."""
    pool = pool_of(worker_view("a", capacity=1), B)
    full = await pool.lease(frozenset({"b"}))
    await pool.lease(prefix=prompt())
    full.release()
    assert (await pool.lease(prefix=prompt())).choice.reason is Reason.LONGEST_PREFIX


async def test_who_waited_goes_where_its_prompt_is_cached():
    pool = pool_of(worker_view("a", capacity=1), worker_view("b", capacity=1))
    first = await pool.lease(prefix=prompt())
    other = await pool.lease()
    waiting = asyncio.get_running_loop().create_task(pool.lease(prefix=prompt()))
    await turns()
    first.release()
    assert ((await waiting).worker, (await waiting).choice.reason) == (first.worker, Reason.LONGEST_PREFIX)
    other.release()


async def test_a_worker_that_is_gone_takes_its_prefixes_along():
    """Also where another comes by the same name: external workers have no other."""
    pool = pool_of(A, B)
    first = await pool.lease(prefix=prompt())
    moved = worker_view(first.worker.id, port=10)
    pool.update(model_view(*({"a": A, "b": B} | {moved.id: moved}).values(), balance="prefix_affinity"))
    assert (await pool.lease(prefix=prompt())).choice.reason is Reason.NEW_PREFIX


async def test_a_worker_that_is_ill_for_a_while_keeps_its_prefixes():
    pool = pool_of(A, B)
    first = await pool.lease(prefix=prompt())
    ill = worker_view(first.worker.id, state=WorkerState.UNHEALTHY)
    for view in (ill, A if ill.id == "a" else B):
        pool.update(model_view(*({"a": A, "b": B} | {view.id: view}).values(), balance="prefix_affinity"))
    assert (await pool.lease(prefix=prompt())).choice.reason is Reason.LONGEST_PREFIX


async def test_an_edit_of_the_registry_changes_the_policy():
    pool = pool_of(A, B)
    pool.update(model_view(A, B, balance="round_robin"))
    assert (await pool.lease(prefix=prompt())).choice.reason is Reason.TURN
