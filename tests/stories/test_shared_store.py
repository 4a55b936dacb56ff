"""Two supervisors with fake workers share their adapters: a real Redis, and a folder that both see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from registry.adapter_orders import (
    Adapted,
    AdapterRefusal,
    AddAdapter,
    ListAdapters,
    PinAdapter,
    PromoteAdapter,
    RemoveAdapter,
    RollbackAdapter,
    SplitAdapter,
)
from registry.adapters import Canary, Share, decode, served_as
from tests import redisserver
from tests.redisserver import RedisServer, redis_server
from tests.stories.house import House, house, registry
from tests.stories.test_adapters import crafted, order, stands_for
from tests.waiting import eventually

pytestmark = redisserver.NEEDED

PATIENT = 120.0


def sharing(folder: Path, url: str) -> Path:
    """The registry file of a host that shares its adapters."""
    for each in (folder, folder.parent / "files"):
        each.mkdir(exist_ok=True)
    path = registry(folder, m={"adapters": {"slots": 4}})
    store = {"store": {"redis": url, "files": "../files"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | store))
    return path


@asynccontextmanager
async def host(folder: Path, redis: RedisServer) -> AsyncIterator[House]:
    """One that shares its adapters, once it serves."""
    async with house(sharing(folder, redis.url)) as running:
        await running.ready(within=PATIENT)
        yield running


@asynccontextmanager
async def two(tmp_path: Path) -> AsyncIterator[tuple[House, House, RedisServer]]:
    """Hosts A and B, and their Redis."""
    with redis_server(tmp_path) as redis:
        async with host(tmp_path / "a", redis) as a, host(tmp_path / "b", redis) as b:
            yield a, b, redis


async def add(on: House, folder: Path, adapter: str = "pirate", **fields) -> Adapted | AdapterRefusal:
    return (await order(on, AddAdapter("m", adapter, str(folder), "ann", **fields)))[1]


async def both_at(digest: str, *hosts: House, adapter: str = "pirate") -> None:
    """Until the name stands for it on each."""
    for each in hosts:
        said = f"{adapter} to be at {digest}; {each.snapshot.store_trouble}"
        await eventually(lambda each=each: stands_for(each, adapter) == digest, within=PATIENT, what=said)


async def served(on: House, digest: str, adapter: str = "pirate") -> None:
    """By its name, and the engine is asked for this revision once the gateway has heard of it, which is soon."""
    async with httpx.AsyncClient(base_url=on.url, trust_env=False, timeout=60) as http:

        async def ask() -> bool:
            answer = await http.post("/v1/completions", json={"model": f"m:{adapter}", "prompt": "x"})
            said = answer.json()["choices"][0]["text"] if answer.status_code == 200 else ""
            assert not said or said.startswith(f"m:{adapter}@"), said
            return said.startswith(served_as("m", adapter, digest))

        await eventually(ask, within=PATIENT, what=f"an answer of {digest}")


async def known(on: House, adapter: str = "pirate") -> tuple:
    """What it lists of the adapter, but for who holds it."""
    listed = (await order(on, ListAdapters("m", adapter)))[1]
    revisions = [(each.digest, each.current, each.pinned, each.who) for each in listed.revisions]
    return revisions, [(each.why, each.was, each.now) for each in listed.history]


async def test_hosts_share_their_adapters_and_lose_none_without_redis(tmp_path: Path) -> None:
    """One start of two hosts for all of it: they take seconds to come up."""
    async with two(tmp_path) as (a, b, redis):
        await follows(a, b, tmp_path)
        await agrees(a, b, tmp_path)
        await goes_on(a, b, redis, tmp_path)
        sharing(tmp_path / "a", redis.url.replace("/0", "/1"))
        await eventually(lambda: "restart enginehouse serve" in a.snapshot.reload_error, within=PATIENT)


async def follows(a: House, b: House, folder: Path) -> None:
    """Added, promoted, taken back, split, pinned and removed: the same revision, by its name, on both."""
    first = (await add(a, crafted(folder))).revision.digest
    await both_at(first, a, b)
    await asyncio.gather(served(a, first), served(b, first))
    second = (await add(b, crafted(folder, 16), promote=True)).revision.digest
    await both_at(second, a, b)
    await served(a, second)
    assert isinstance((await order(a, RollbackAdapter("m", "pirate", "bob")))[1], Adapted)
    await both_at(first, a, b)
    assert isinstance((await order(b, PinAdapter("m", "pirate", second, "bob")))[1], Adapted)
    split = SplitAdapter("m", "pirate", "bob", Canary((Share(first, 1), Share(second, 1))))
    assert isinstance((await order(a, split))[1], Adapted)
    await eventually(lambda: decode(bytes(b.snapshot.adapters))[0].canary, within=PATIENT, what="the split on b")
    assert isinstance((await order(b, PromoteAdapter("m", "pirate", second, "eve")))[1], Adapted)
    await both_at(second, a, b)
    await eventually(lambda: decode(bytes(a.snapshot.adapters))[0].canary is None, within=PATIENT)
    assert await known(a) == await known(b)
    assert (await known(a))[0] == [(first, False, False, "ann"), (second, True, True, "ann")]
    assert (await order(a, RemoveAdapter("m", "pirate", "ann")))[1] == Adapted()
    await both_at("", a, b)
    await eventually(lambda: b.worker().resident == (), within=PATIENT, what="b to let go of it")


async def agrees(a: House, b: House, folder: Path) -> None:
    """Two hosts add one name at once: who is first has it, the other's revision is known to both."""
    found = await asyncio.gather(*(add(on, crafted(folder, alpha), "twin") for on, alpha in ((a, 8), (b, 16))))
    digests = {each.revision.digest for each in found}

    async def agreed() -> bool:
        on_a, on_b = await known(a, "twin"), await known(b, "twin")
        return on_a == on_b and {each[0] for each in on_a[0]} == digests

    await eventually(agreed, within=PATIENT, what="both to list both")
    await eventually(lambda: stands_for(a, "twin") == stands_for(b, "twin") in digests, within=PATIENT)
    claims = [add(each, crafted(folder, 24), "twin", promote=True, base="0" * 64) for each in (a, b)]
    assert [each.code for each in await asyncio.gather(*claims)] == ["adapter_moved"] * 2


async def goes_on(a: House, b: House, redis: RedisServer, folder: Path) -> None:
    """Empty, gone, hung: names mean what they meant, orders are refused with a reason, and it heals (FAULTS 30)."""
    first = (await add(a, crafted(folder), "loyal")).revision.digest
    await both_at(first, a, b, adapter="loyal")
    redis.say("FLUSHALL")
    await eventually(lambda: redis.say("HLEN", "{enginehouse}:adapters") == 3, within=PATIENT, what="it to be told")
    redis.kill()
    await eventually(lambda: a.snapshot.store_trouble and b.snapshot.store_trouble, within=PATIENT)
    async with httpx.AsyncClient(base_url=a.url, trust_env=False, timeout=60) as http:
        told = (await http.get("/readyz?verbose")).json()
    assert (bool(told["adapter_store_error"]), bool(a.said("AdaptersApart"))) == (True, True)
    await asyncio.gather(served(a, first, "loyal"), served(b, first, "loyal"))
    refused = await add(a, crafted(folder, 16), "loyal", promote=True)
    removal = (await order(b, RemoveAdapter("m", "loyal", "ann")))[1]
    assert {(each.status, each.code) for each in (refused, removal)} == {(503, "store_unreachable")}
    redis.start()  # empty
    await eventually(lambda: not (a.snapshot.store_trouble or b.snapshot.store_trouble), within=PATIENT)
    assert [stands_for(each, "loyal") for each in (a, b)] == [first, first]
    second = (await add(b, crafted(folder, 16), "loyal", promote=True)).revision.digest
    await both_at(second, a, b, adapter="loyal")
    redis.hang()
    await eventually(lambda: a.snapshot.store_trouble, within=PATIENT)
    await served(a, second, "loyal")
    redis.go_on()
    await eventually(lambda: not a.snapshot.store_trouble, within=PATIENT)
