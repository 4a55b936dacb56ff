"""What a gateway tells of the models that are loaded on demand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.pool.house import House
from gateway.usage import EVERY, Reporter
from registry.adapter_orders import AdapterUse, Demand
from registry.orders import Usage, Use
from registry.snapshot import OnDemand
from tests.unit.gateway.builders import cancelled, jumping, model_view, snapshot, turns, worker_view

COLD = model_view(name="cold", on_demand=OnDemand(wait=600.0))
WARM = model_view(worker_view(), name="warm", on_demand=OnDemand(wait=600.0))


@asynccontextmanager
async def reporting(*models):
    """A house of these models, and what is told of them."""
    loop, told = asyncio.get_running_loop(), asyncio.Queue()
    reporter = Reporter(loop.time)
    house = House(loop.time, asked=reporter.asked)
    house.publish(snapshot(*models))
    running = loop.create_task(reporter.run(house, told.put_nowait))
    await turns()
    try:
        yield house, told
    finally:
        await cancelled(running)


@jumping
async def test_who_finds_no_worker_is_reported_at_once():
    async with reporting(COLD) as (house, told):
        request = asyncio.get_running_loop().create_task(house.resolve("cold")[1].lease())
        assert await told.get() == Usage({"cold": Use(waiting=1, asked=True)})
        await cancelled(request)


@jumping
async def test_use_is_reported_now_and_then():
    """A lease counts while it is open, and is remembered by when it ended."""
    async with reporting(WARM) as (house, told):
        lease = await house.resolve("warm")[1].lease()
        assert await told.get() == Usage({"warm": Use(active=1)})
        lease.release()
        assert 0 < (await told.get()).models["warm"].quiet <= 2 * EVERY


@jumping
async def test_a_house_without_such_models_says_nothing():
    async with reporting(model_view(worker_view())) as (_, told):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.get(), 5 * EVERY)


@jumping
async def test_adapters_are_reported_while_they_are_used_and_once_more():
    """What is told replaces what was told: the end is told too, and then nothing."""
    cat = "m:cat@0123456789abcdef"
    async with reporting(model_view(worker_view(resident=(cat,)))) as (house, told):
        lease = await house.resolve("m")[1].lease(needs=cat)
        assert await told.get() == AdapterUse({"m": {cat: Demand(active=1, served=1)}})
        lease.release()
        assert await told.get() == AdapterUse({})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.get(), 5 * EVERY)
