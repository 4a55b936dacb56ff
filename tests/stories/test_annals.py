"""The seam to Redis, against a real one: compare-and-set, what has changed since, and each way in which it can fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.store.failures import StoreAway
from engines.store.redisannals import RedisAnnals
from tests import redisserver
from tests.redisserver import RedisServer, redis_server

pytestmark = redisserver.NEEDED


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def annals(redis: RedisServer) -> RedisAnnals:
    return RedisAnnals(redis.url)


def test_an_entry_is_changed_by_who_knows_it(annals: RedisAnnals) -> None:
    assert (annals.put("m:a", b"", b"1"), annals.put("m:a", b"", b"2"), annals.get("m:a")) == (True, False, b"1")
    assert (annals.put("m:a", b"1", b"\x00\xff"), annals.get("m:a"), annals.get("m:b")) == (True, b"\x00\xff", b"")


def test_a_look_has_what_has_changed_since_the_last_one(annals: RedisAnnals) -> None:
    first = annals.look(None)
    assert (first.whole, dict(first.entries)) == (True, {})
    for number in range(1200):
        annals.put(f"m:{number}", b"", b"x")
    second = annals.look(first.mark)
    assert (second.whole, len(second.entries), second.mark.number) == (False, 1200, 1200)
    annals.put("m:7", b"x", b"y")
    assert dict(annals.look(second.mark).entries) == {"m:7": b"y"}
    assert len(annals.look(None).entries) == 1200


def test_what_a_worker_of_any_host_holds_is_known_to_all(redis: RedisServer, annals: RedisAnnals) -> None:
    """For three hours after it was said."""
    redis.say("ZADD", "{enginehouse}:held", 1, "old")
    assert annals.hold([]) == frozenset()
    assert (annals.hold(["a" * 64]), annals.hold(["b"])) == ({"a" * 64}, {"a" * 64, "b"})


def test_a_loss_is_seen_as_another_generation(redis: RedisServer, annals: RedisAnnals) -> None:
    """Also where somebody has changed something before anybody looked."""
    annals.put("m:a", b"", b"1")
    before = annals.look(None)
    redis.say("FLUSHALL")
    annals.put("m:b", b"", b"2")
    after = annals.look(before.mark)
    assert (after.whole, dict(after.entries), after.mark != before.mark) == (True, {"m:b": b"2"}, True)
    assert annals.look(after.mark) == (after.mark, {}, False, "")


@pytest.mark.parametrize(
    "words", [("REPLICAOF", "127.0.0.1", "1"), ("CONFIG", "SET", "maxmemory", "1")], ids=["read-only", "full"]
)
def test_what_cannot_be_written_can_be_read(redis: RedisServer, annals: RedisAnnals, words: tuple[str, ...]) -> None:
    annals.look(None)
    annals.put("m:a", b"", b"1")
    redis.say(*words)
    news = annals.look(None)
    assert (dict(news.entries), bool(news.trouble)) == ({"m:a": b"1"}, True)
    with pytest.raises(StoreAway, match=r"read only|maxmemory"):
        annals.put("m:a", b"1", b"2")
    with pytest.raises(StoreAway):
        annals.check()


def test_each_way_of_being_away_ends_in_words_and_in_time(redis: RedisServer, annals: RedisAnnals) -> None:
    """Wrong password, hung, gone; and after each of them it works again, on the same object."""
    annals.check()
    redis.say("CONFIG", "SET", "requirepass", "secret")
    for wrong in (RedisAnnals(redis.url), RedisAnnals(redis.url.replace("//", "//:wrong@"))):
        with pytest.raises(StoreAway) as caught:
            wrong.look(None)
        assert "wrong@" not in str(caught.value)
    right = RedisAnnals(redis.url.replace("//", "//:secret@"))
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
