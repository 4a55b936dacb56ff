"""What names stand for: asked of a scripted resolver, and once of the system's, which needs no network for a number."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from engines.launchers.external import External
from engines.launchers.resolve import Addresses, system
from registry.spec import ModelSpec
from tests.unit.gateway.builders import jumping

NO_HOST = OSError("no such host")


def resolver(**hosts):
    """Hosts by name without their domain; an exception is raised. `hosts` may be changed later."""

    async def resolve(host):
        answer = hosts[host.partition(".")[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return hosts, resolve


async def test_a_name_stands_for_all_its_addresses_beside_plain_ones():
    """Each once, and in the same order however the answer is shuffled."""
    _, resolve = resolver(w=["10.0.0.2", "10.0.0.1", "10.0.0.2"], six=["fd00::1"])
    addresses = Addresses(["http://h:1", "dns://w.example:8000", "dns://six:1", "http://10.0.0.1:8000"], resolve)
    assert await addresses.look() == ""
    assert addresses.known == ("http://h:1", "http://10.0.0.1:8000", "http://10.0.0.2:8000", "http://[fd00::1]:1")


@pytest.mark.parametrize(
    ("failure", "said"),
    [(NO_HOST, "no such host"), ([], "it has no address"), (UnicodeError("label too long"), "label too long")],
)
async def test_what_was_known_is_kept_where_there_is_no_answer(failure, said):
    hosts, resolve = resolver(w=["10.0.0.1"], v=["10.0.0.9"])
    addresses = Addresses(["dns://w:1", "dns://v:1"], resolve)
    await addresses.look()
    hosts.update(w=failure, v=["10.0.0.8"])
    assert await addresses.look() == f"w cannot be resolved: {said}; its last known addresses are used"
    assert addresses.known == ("http://10.0.0.1:1", "http://10.0.0.8:1")


@jumping
async def test_a_resolver_that_hangs_is_not_waited_for():
    async def hangs(_host):
        await asyncio.Event().wait()

    assert await Addresses(["dns://w:1"], hangs).look() == "w cannot be resolved: no answer in 10 s"


async def test_the_machine_resolves_a_number_to_itself():
    assert await system("127.0.0.2") == ["127.0.0.2"]


async def test_a_resolver_that_hangs_holds_up_nobody():
    """Its thread is nobody else's, and its late answer is nobody's."""
    blocked = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await system("w", lambda *_, **__: blocked.wait() and [])
    blocked.set()


async def test_why_there_is_no_answer_is_passed_on():
    def ask(*_, **__):
        raise NO_HOST

    with pytest.raises(OSError, match="no such host"):
        await system("w", ask)


@jumping
async def test_names_are_looked_up_again_and_again():
    """As often as the registry says, and sooner where there was no answer; the pool hears of it each time."""
    hosts, resolve = resolver(w=NO_HOST)
    told = []

    def found(addresses, trouble=""):
        told.append((asyncio.get_running_loop().time() - begun, addresses, bool(trouble)))
        hosts["w"] = ["10.0.0.1"]

    spec = ModelSpec(engine="vllm", launcher="external", urls=["dns://w:1"], external={"resolve_every": "20s"})
    begun = asyncio.get_running_loop().time()
    with suppress(TimeoutError):
        async with asyncio.timeout(46.0):
            await External(resolve).discover(spec, found)
    known = ("http://10.0.0.1:1",)
    assert told == [(0.0, None, True), (5.0, known, False), (25.0, known, False), (45.0, known, False)]


async def test_plain_addresses_are_told_once():
    told = []
    spec = ModelSpec(engine="vllm", launcher="external", urls=["http://h:1", "http://h:2"])
    await External().discover(spec, lambda addresses, trouble="": told.append((addresses, trouble)))
    assert told == [(("http://h:1", "http://h:2"), "")]
