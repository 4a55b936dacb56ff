"""The adapter store and processes that die in it: at every step, two at once, on a full disk.

A child is forked for each step and killed just before it: before every call that writes to the disk or to SQLite. What
the next process finds is either the state before or the state after, and whole.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sys
import threading
import traceback

import pytest

from engines.adapters.against import Against
from engines.store.adapters import AdapterStore
from engines.store.arrival import Arrival
from engines.store.failures import StoreFull
from engines.store.keeping import Keep
from tests import lora

ANY = Against()
NOTHING_KEPT = Keep(last=1, seconds=0.0)
STEPS = frozenset({"execute", "executemany", "commit", "fsync", "rename", "mkdir", "open", "chmod", "unlink", "rmdir"})
FULL, FAILED = 3, 1


def store_at(root):
    return AdapterStore(root, clock=lambda: 1000.0)


def adapter(folder, alpha):
    return lora.write(folder, lora.config(r=1, lora_alpha=alpha), lora.tensors(layers=1, rank=1))


def arrival(path, who="ann"):
    return Arrival("small", "pirate", path, who)


def forked(act, prepare=lambda: None):
    """The pid of a child that does `act`, a coroutine function, and nothing else."""
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    try:
        prepare()
        asyncio.run(act())
        code = 0
    except StoreFull:
        code = FULL
    except BaseException:  # noqa: BLE001 (a child must never come back into the test)
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid):
    """The child's exit code; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_before(step):
    """A profile that kills this process just before its `step`-th call of one of `STEPS`, in whichever thread."""
    left = [step]

    def profile(_, event, function):
        if event == "c_call" and function.__name__ in STEPS:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def begin():
        threading.setprofile(profile)
        sys.setprofile(profile)

    return begin


async def sound(root):
    """The state after a new start: every revision whole, nothing half-made, no file that no row names."""
    store = store_at(root)
    await store.open()
    known = await store.revisions()
    for each in known:
        await store.verify(each)
    assert {each.name for each in (root / "revisions").iterdir()} == {each.digest for each in known}
    assert list((root / "incoming").iterdir()) == []
    return sorted((each.digest, each.current) for each in known)


@pytest.fixture
def begun(tmp_path):
    """A store with one revision that is current, a second that is not, and a third adapter on its way in."""
    root = tmp_path / "begun"

    async def prepare():
        store = store_at(root)
        await store.open()
        first = await store.add(arrival(adapter(tmp_path / "1", 1)), ANY)
        await store.add(arrival(adapter(tmp_path / "2", 2)), ANY)
        await store.promote("small", "pirate", first.digest, "ann")

    asyncio.run(prepare())
    adapter(tmp_path / "3", 3)
    return root


def every_step(begun, tmp_path, act):
    """The states that are found after a kill before each step of `act`, until it comes to its end; how many steps."""
    found, step = [], 0
    while True:
        root = tmp_path / "killed"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(begun, root)
        code = ended(forked(lambda root=root: act(store_at(root)), killed_before(step)))
        assert code in {0, -signal.SIGKILL}
        state = asyncio.run(sound(root))
        if state not in found:
            found.append(state)
        if code == 0:
            return found, step
        if step % 4 == 0:
            # And it can be done again.
            assert ended(forked(lambda root=root: act(store_at(root)))) == 0
        step += 1


def test_a_kill_at_any_step_of_adding_leaves_the_state_before_or_after(begun, tmp_path):
    """A revision is listed or it is not; the name stays where it is."""

    async def add(store):
        await store.add(arrival(tmp_path / "3"), ANY)

    found, steps = every_step(begun, tmp_path, add)
    assert [len(state) for state in found] == [2, 3]
    assert steps > 15


def test_a_kill_at_any_step_of_promoting_leaves_the_state_before_or_after(begun, tmp_path):
    """The name stands for one of the two revisions, never for none or both."""

    async def promote(store):
        (other,) = (each for each in await store.revisions() if not each.current)
        await store.promote("small", "pirate", other.digest, "bob")

    found, steps = every_step(begun, tmp_path, promote)
    assert [sum(current for _, current in state) for state in found] == [1, 1]
    assert steps > 5


def test_a_kill_at_any_step_of_collecting_leaves_the_state_before_or_after(begun, tmp_path):
    """What is current is there in both."""

    async def collect(store):
        await store.collect(set(), NOTHING_KEPT)

    found, steps = every_step(begun, tmp_path, collect)
    assert [len(state) for state in found] == [2, 1]
    assert steps > 5


def test_two_writers_at_once_lose_nothing(begun, tmp_path):
    """Every revision is there, and the history is one line of moves without a gap."""
    for number in range(10, 22):
        adapter(tmp_path / str(number), number)

    def writer(numbers):
        async def write():
            store = store_at(begun)
            for number in numbers:
                kept = await store.add(arrival(tmp_path / str(number), f"writer {number}"), ANY)
                await store.promote("small", "pirate", kept.digest, f"writer {number}")
                await store.collect(set(), Keep(last=100, seconds=1e9))

        return write

    writers = [forked(writer(range(start, 22, 2))) for start in (10, 11)]
    assert [ended(pid) for pid in writers] == [0, 0]
    assert len(asyncio.run(sound(begun))) == 14
    moves = asyncio.run(store_at(begun).history("small", "pirate"))
    assert [move.was for move in moves] == [None, *(move.now for move in moves[:-1])]
    assert len(moves) == 13


@pytest.mark.parametrize("octets", [0, 100, 4096, 40_000])
def test_a_full_disk_is_said_and_leaves_what_there_was(begun, tmp_path, octets):
    """No file may grow beyond `octets`: the adapter's, or the database's own."""
    before = asyncio.run(sound(begun))
    wider = lora.write(tmp_path / "wide", lora.config(r=16), lora.tensors(layers=1, rank=16))

    def tight():
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    async def add():
        await store_at(begun).add(arrival(wider), ANY)

    assert ended(forked(add, tight)) == FULL
    assert asyncio.run(sound(begun)) == before
