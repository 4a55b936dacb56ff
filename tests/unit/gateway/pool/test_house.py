"""What names mean, and the pools behind them, through a sequence of snapshots."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from gateway.api.models import models
from gateway.errors import ModelNotFound, NoWorker, Unavailable
from gateway.pool.gauges import gauges, queues
from gateway.pool.house import House
from gateway.pool.loading import AdapterNotLoaded
from registry.adapters import AdapterView, Unloadable, encode
from registry.causes import Cause
from registry.snapshot import LOAD_BOUNDS, AdapterFigures, OnDemand, WorkerState
from tests.unit.gateway.builders import Clock, cancelled, model_view, snapshot, turns, worker_view


def house_of(*models, **rest):
    house = House(Clock())
    house.publish(snapshot(*models, **rest))
    return house


def test_before_the_first_snapshot_nothing_is_unknown():
    """A gateway that has just started must not tell a client that its model does not exist."""
    house = House(Clock())
    with pytest.raises(Unavailable) as caught:
        house.resolve("m")
    assert (house.informed, bool(caught.value.retry_after)) == (False, True)


def test_a_name_and_its_alias_share_a_pool():
    house = house_of(model_view(name="m", aliases=("default",)))
    (target, pool), (alias, same) = house.resolve("m"), house.resolve("default")
    assert (target.requested, alias.requested, alias.model.name, pool is same) == ("m", "default", "m", True)


def test_an_unknown_model_is_told_what_exists():
    with pytest.raises(ModelNotFound, match="Available: m, default") as caught:
        house_of(model_view(name="m", aliases=("default",))).resolve("x" * 10_000)
    assert (caught.value.param, len(str(caught.value)) < 500) == ("model", True)


def test_ten_thousand_models_make_a_short_error():
    house = house_of(*(model_view(name=f"m{number}") for number in range(10_000)))
    with pytest.raises(ModelNotFound, match="and 9980 more"):
        house.resolve("x")


def adapter(name, current="0" * 64):
    return AdapterView("m", name, current, (current,))


def test_an_unknown_adapter_is_told_the_adapters_of_its_model():
    """Ten thousand of them make a short error."""
    adapters = msgspec.Raw(encode(adapter(f"a{number}") for number in range(10_000)))
    house = house_of(model_view(name="m", aliases=("default",), adapter_slots=4), adapters=adapters)
    with pytest.raises(ModelNotFound, match=r"Available: m:a0, m:a1, .* and 9980 more"):
        house.resolve("default:x")
    with pytest.raises(ModelNotFound, match=r"Available: m, default\.$"):
        house.resolve("x")


def test_models_are_listed_with_their_adapters():
    """`root` is the revision, `parent` the model below, as in vLLM; one revision can be asked for by its digest."""
    house = house_of(model_view(name="m", adapter_slots=4), adapters=msgspec.Raw(encode([adapter("cat")])))
    api = FastAPI()
    api.include_router(models(house))
    listed = [(each["id"], each["root"], each["parent"]) for each in TestClient(api).get("/v1/models").json()["data"]]
    assert listed == [("m", "m", None), ("m:cat", "m:cat@" + "0" * 16, "m")]
    assert TestClient(api).get("/v1/models/m:cat@00000000").json()["root"] == "m:cat@" + "0" * 16


def test_an_empty_house_says_so():
    with pytest.raises(ModelNotFound, match="No model is registered"):
        house_of().resolve("m")


def test_a_pool_outlives_a_new_snapshot():
    """Its workers, connections and counts stay; only what changed is changed."""
    house = house_of(model_view())
    pool = house.resolve("m")[1]
    house.publish(snapshot(model_view(worker_view()), revision=2))
    assert (house.resolve("m")[1] is pool, pool.ready) == (True, True)


@pytest.mark.parametrize(("revision", "taken"), [(1, False), (2, True), (3, True)])
def test_an_older_snapshot_is_passed_over(revision, taken):
    house = house_of(model_view(name="m"), revision=2)
    house.publish(snapshot(model_view(name="n"), revision=revision))
    assert (house.names.resolve("n") is not None) is taken


async def test_who_waits_for_a_removed_model_is_told():
    house = house_of(model_view(worker_view(capacity=1)))
    _, pool = house.resolve("m")
    await pool.lease()
    waiting = asyncio.get_running_loop().create_task(pool.lease())
    await turns()
    house.publish(snapshot(revision=2))
    with pytest.raises(NoWorker):
        await waiting
    assert house.pools == ()


async def test_who_waits_for_a_removed_adapter_is_told_that_it_does_not_exist():
    """At once, with 404; and so is who asks for what was removed since its name was looked up."""
    serving = model_view(worker_view(), adapter_slots=4)
    house = house_of(serving, adapters=msgspec.Raw(encode([adapter("cat"), adapter("dog")])))
    target, pool = house.resolve("m:cat")
    waiting = [
        asyncio.get_running_loop().create_task(pool.lease(needs=f"m:{name}@{'0' * 16}")) for name in ("cat", "dog")
    ]
    await turns()
    house.publish(snapshot(serving, revision=2, adapters=msgspec.Raw(encode([adapter("dog")]))))
    for late in (waiting[0], pool.lease(needs=target.needs)):
        with pytest.raises(ModelNotFound, match="removed") as caught:
            await late
        assert caught.value.code == "model_not_found"
    assert (waiting[1].done(), pool.waiting) == (False, 1)
    await cancelled(waiting[1])


async def test_who_asks_for_what_cannot_be_loaded_hears_why_at_once():
    """Who waits already, too; without a time at which it were better. Later it may be loaded after all."""
    serving, cat = model_view(worker_view(), adapter_slots=4), f"m:cat@{'0' * 16}"
    adapters = msgspec.Raw(encode([adapter("cat")]))
    house = house_of(serving, adapters=adapters)
    _, pool = house.resolve("m:cat")
    waiting = asyncio.get_running_loop().create_task(pool.lease(needs=cat))
    await turns()
    house.publish(snapshot(serving, revision=2, adapters=adapters, unloadable=(Unloadable(cat, "rank 9 is too high"),)))
    for late in (waiting, pool.lease(needs=cat)):
        with pytest.raises(AdapterNotLoaded, match="cannot be loaded: rank 9 is too high") as caught:
            await late
        assert (caught.value.status, caught.value.code, caught.value.headers()) == (502, "adapter_not_loaded", [])
    holding = model_view(worker_view(resident=(cat,)), adapter_slots=4)
    house.publish(snapshot(holding, revision=3, adapters=adapters))
    assert (await pool.lease(needs=cat)).needs == cat


def test_the_gauges_show_workers_by_state_queues_and_the_last_reload():
    workers = (worker_view("a"), worker_view("b", state=WorkerState.CRASH_LOOP))
    house = house_of(model_view(*workers), reload_error="registry.yaml:3: no", store_trouble="Redis is gone")
    samples = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in (*gauges(house), *queues(house))
        for sample in family.samples
    }
    assert samples["enginehouse_workers", "ready"] == samples["enginehouse_workers", "crash_loop"] == 1
    assert samples["enginehouse_workers", "starting"] == samples["enginehouse_queue_depth", None] == 0
    assert samples["enginehouse_registry_last_reload_success", None] == 0
    assert samples["enginehouse_adapter_store_ok", None] == 0
    (well,) = (family for family in gauges(house_of()) if family.name == "enginehouse_adapter_store_ok")
    assert well.samples[0].value == 1


def test_the_gauges_count_why_workers_ended():
    """By model and cause, from 0 on: a first loss is a growth. What a removed model lost is still told."""
    asleep = model_view(name="asleep", on_demand=OnDemand())
    house = house_of(model_view(name="m"), asleep, losses={"m": {Cause.CRASHED: 1}, "gone": {Cause.OUT_OF_MEMORY: 2}})
    (family,) = (each for each in gauges(house) if each.name == "enginehouse_worker_losses")
    found = {tuple(sample.labels.values()): sample.value for sample in family.samples}
    assert set(found) == {(model, cause.value) for model in ("m", "asleep", "gone") for cause in Cause}
    assert {labels: count for labels, count in found.items() if count} == {
        ("m", "crashed"): 1,
        ("gone", "out_of_memory"): 2,
    }


def test_the_gauges_show_where_adapters_are_and_what_was_done_with_them():
    """One adapter on two workers is one; a ratio without loads is 0."""
    cat = "m:cat@" + "0" * 16
    workers = (worker_view("a", resident=(cat,)), worker_view("b", resident=(cat,)))
    took = (0, 0, 1, 3, *(4,) * (len(LOAD_BOUNDS) - 4))
    some = AdapterFigures(loads=4, failures=1, evictions=2, returns=1, seconds=6.0, took=took)
    figures = {"m": some, "n": AdapterFigures()}
    house = house_of(
        model_view(*workers, adapter_slots=4),
        model_view(name="n"),
        adapters=msgspec.Raw(encode([adapter("cat"), adapter("dog")])),
        adapter_figures=figures,
    )
    found = {
        (sample.name.removeprefix("enginehouse_adapter"), *sample.labels.values()): sample.value
        for family in gauges(house)
        for sample in family.samples
        if "adapter" in sample.name
    }
    assert (found["s_resident", "m"], found["s_registered", "m"], ("s_resident", "n") in found) == (1, 2, False)
    assert (found["_loads_total", "m", "loaded"], found["_loads_total", "m", "failed"]) == (4, 1)
    assert (found["_load_seconds_sum", "m"], found["_evictions_total", "m"]) == (6.0, 2)
    assert [found["_load_seconds_bucket", "m", bound] for bound in ("0.25", "0.5", "1.0", "+Inf")] == [0, 1, 3, 4]
    assert found["_returns_total", "m"] == 1
    assert (found["_thrash_ratio", "m"], found["_thrash_ratio", "n"]) == (0.25, 0.0)
