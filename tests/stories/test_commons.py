"""The seam to Redis, against a real one: compare-and-set, what has changed since, and each way in which it can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.store.failures import StoreAway
from engines.store.rediscommons import RedisCommons
from tests import redisserver
from tests.redisserver import RedisServer, redis_server

pytestmark = redisserver.NEEDED


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def commons(redis: RedisServer) -> RedisCommons:
    return RedisCommons(redis.url)


def test_an_entry_is_changed_by_who_knows_it(commons: RedisCommons) -> None:
    assert (commons.put("m:a", b"", b"1"), commons.put("m:a", b"", b"2"), commons.get("m:a")) == (True, False, b"1")
    assert (commons.put("m:a", b"1", b"\x00\xff"), commons.get("m:a"), commons.get("m:b")) == (True, b"\x00\xff", b"")


def test_a_look_has_what_has_changed_since_the_last_one(commons: RedisCommons) -> None:
    first = commons.look(None)
    assert (first.whole, dict(first.entries)) == (True, {})
    for number in range(1200):
        commons.put(f"m:{number}", b"", b"x")
    second = commons.look(first.mark)
    assert (second.whole, len(second.entries), second.mark.number) == (False, 1200, 1200)
    commons.put("m:7", b"x", b"y")
    assert dict(commons.look(second.mark).entries) == {"m:7": b"y"}
    assert len(commons.look(None).entries) == 1200


def test_what_a_worker_of_any_host_holds_is_known_to_all(redis: RedisServer, commons: RedisCommons) -> None:
    """For three hours after it was said."""
    redis.say("ZADD", "{enginehouse}:held", 1, "old")
    assert commons.hold([]) == frozenset()
    assert (commons.hold(["a" * 64]), commons.hold(["b"])) == ({"a" * 64}, {"a" * 64, "b"})


def test_a_loss_is_seen_as_another_generation(redis: RedisServer, commons: RedisCommons) -> None:
    """Also where somebody has changed something before anybody looked."""
    commons.put("m:a", b"", b"1")
    before = commons.look(None)
    redis.say("FLUSHALL")
    commons.put("m:b", b"", b"2")
    after = commons.look(before.mark)
    assert (after.whole, dict(after.entries), after.mark != before.mark) == (True, {"m:b": b"2"}, True)
    assert commons.look(after.mark) == (after.mark, {}, False, "")


@pytest.mark.parametrize(
    "words", [("REPLICAOF", "127.0.0.1", "1"), ("CONFIG", "SET", "maxmemory", "1")], ids=["read-only", "full"]
)
def test_what_cannot_be_written_can_be_read(redis: RedisServer, commons: RedisCommons, words: tuple[str, ...]) -> None:
    commons.look(None)
    commons.put("m:a", b"", b"1")
    redis.say(*words)
    news = commons.look(None)
    assert (dict(news.entries), bool(news.trouble)) == ({"m:a": b"1"}, True)
    with pytest.raises(StoreAway, match=r"read only|maxmemory"):
        commons.put("m:a", b"1", b"2")
    with pytest.raises(StoreAway):
        commons.check()


def test_each_way_of_being_away_ends_in_words_and_in_time(redis: RedisServer, commons: RedisCommons) -> None:
    """Wrong password, hung, gone; and after each of them it works again, on the same object."""
    commons.check()
    redis.say("CONFIG", "SET", "requirepass", "secret")
    for wrong in (RedisCommons(redis.url), RedisCommons(redis.url.replace("//", "//:wrong@"))):
        with pytest.raises(StoreAway) as caught:
            wrong.look(None)
        assert "wrong@" not in str(caught.value)
    right = RedisCommons(redis.url.replace("//", "//:secret@"))
    assert right.look(None).whole
    redis.hang()
    with pytest.raises(StoreAway):
        right.look(None)
    redis.go_on()
    right.check()
    redis.kill()
    with pytest.raises(StoreAway):
        right.get("m:a")
    redis.start("--requirepass", "secret")
    assert right.look(None).whole
