"""The cache of weights: whole or not at all."""

import asyncio
import errno

import pytest

from engines.weights.cache import Cache, digest_of
from engines.weights.failures import NoSpace
from engines.weights.room import disk_full


def never():
    """Nobody waits in these tests."""
    raise AssertionError


async def make(cache, place, text="weights"):
    async with cache.making(place, never) as work:
        assert work is not None
        (work / "made").mkdir()
        (work / "made/model").write_text(text)
        await cache.publish(work / "made", place)


async def test_what_was_made_appears_under_its_name_and_the_work_is_gone(tmp_path):
    """The happy path."""
    cache = Cache(tmp_path)
    place = cache.checkpoint("abc")
    await make(cache, place)
    assert (place / "model").read_text() == "weights"
    assert sorted(path.name for path in place.parent.iterdir()) == ["abc", "abc.lock"]


async def test_a_failure_half_way_leaves_nothing(tmp_path):
    """An interrupted conversion must not be taken for whole."""
    cache = Cache(tmp_path)
    place = cache.checkpoint("abc")

    async def fail_half_way():
        async with cache.making(place, never) as work:
            (work / "half").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert [path.name for path in place.parent.iterdir()] == ["abc.lock"]


async def test_a_cancelled_work_leaves_nothing(tmp_path):
    """Ctrl-C is a cancellation."""
    cache = Cache(tmp_path)
    place = cache.checkpoint("abc")
    with pytest.raises(asyncio.CancelledError):
        async with cache.making(place, never):
            raise asyncio.CancelledError
    assert not place.exists()


async def test_a_publication_that_fails_leaves_nothing(tmp_path):
    """The disk may fill up at the very end."""

    def full(_, place):
        raise OSError(errno.ENOSPC, "No space left on device", str(place))

    cache = Cache(tmp_path)
    place = cache.checkpoint("abc")
    with pytest.raises(NoSpace, match="disk is full"):
        async with cache.making(place, never) as work:
            await cache.publish(work, place, move=full)
    assert [path.name for path in place.parent.iterdir()] == ["abc.lock"]


async def test_what_a_dead_process_left_is_thrown_away(tmp_path):
    """Its lock is free, so nobody works on it."""
    cache = Cache(tmp_path)
    for name in ("abc", "other"):
        left = cache.checkpoint(f"{name}.tmp")
        left.mkdir(parents=True)
        (left / "half").touch()
    await make(cache, cache.checkpoint("abc"))
    assert sorted(path.name for path in cache.checkpoint("abc").parent.iterdir()) == ["abc", "abc.lock"]


async def test_finished_work_is_not_done_again(tmp_path):
    """Whoever comes second gets nothing to do."""
    cache = Cache(tmp_path)
    await make(cache, cache.checkpoint("abc"))
    async with cache.making(cache.checkpoint("abc"), never) as work:
        assert work is None


async def test_a_running_work_is_waited_for_and_not_swept_away(tmp_path):
    """Two processes make a checkpoint once."""
    cache, heard = Cache(tmp_path), []
    place = cache.checkpoint("abc")

    async def second():
        async with cache.making(place, lambda: (heard.append("waiting"), waiting.set())) as work:
            assert work is None

    waiting = asyncio.Event()
    async with asyncio.TaskGroup() as group, cache.making(place, never) as work:
        group.create_task(second())
        await waiting.wait()
        await cache.publish(work, place)
    assert heard == ["waiting"]


def test_too_little_space_is_refused_before_the_work(tmp_path):
    """Better than failing after ten minutes."""
    cache = Cache(tmp_path, lambda _: 1_000_000_000)
    cache.require(900_000_000, "converting")
    with pytest.raises(NoSpace, match=r"converting needs about 2.0 GB, and .* has 1.0 GB free"):
        cache.require(2_000_000_000, "converting")


def test_what_is_known_survives_and_nonsense_is_unknown(tmp_path):
    """A note saves hashing; a damaged one is as good as none."""
    cache = Cache(tmp_path)
    assert cache.known("pypi://a") is None
    cache.note("pypi://a", "ab")
    assert cache.known("pypi://a") == "ab"
    next((tmp_path / "known").iterdir()).write_text("[]")
    assert cache.known("pypi://a") is None


def test_other_errors_of_the_system_pass(tmp_path):
    """Only a full disk is answered as one."""
    with pytest.raises(PermissionError), disk_full(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_a_digest_depends_on_values_and_not_on_their_order():
    """It names a result by all that it depends on."""
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
