"""The annals in Redis: the one seam to it. No other imports its client; `supervisor.sharing` imports this, if asked.

    {enginehouse}:adapters   hash: model:adapter → entry (JSON)
    {enginehouse}:changed    sorted set: model:adapter by the number of its last change
    {enginehouse}:held       sorted set: digests by when a host last said that a worker holds them
    {enginehouse}:head       hash: `generation`, random, and `number`, of the last change

The braces are part of the names: on a cluster they would keep the keys on one node, but none is supported yet. Every
command has a time limit, so that a Redis that hangs is as good as one that is not there.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from engines.store.annals import Mark, News
from engines.store.failures import StoreAway

_ADAPTERS: Final = "{enginehouse}:adapters"
_CHANGED: Final = "{enginehouse}:changed"
_HELD: Final = "{enginehouse}:held"
_HEAD: Final = "{enginehouse}:head"
_CONNECT_WITHIN: Final = 1.0
_ANSWER_WITHIN: Final = 2.0
"""Seconds; the largest answer is all entries, in parts."""
_AT_ONCE: Final = 500
"""Entries asked for with one command."""
_HELD_FOR: Final = 3 * 3600
"""Seconds that such a word counts: hosts say it once an hour."""
_HOLD: Final = """
local now = tonumber(redis.call('TIME')[1])
for _, digest in ipairs(ARGV) do redis.call('ZADD', KEYS[1], now, digest) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - %d)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""
_PUT: Final = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'number', 1), ARGV[1])
return 1
"""


class RedisAnnals:
    """Invariant: an entry and the number of its change are written together or not at all."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises `ValueError` for what is no address."""
        self._redis: Final[Any] = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_WITHIN,
            socket_timeout=_ANSWER_WITHIN,
            retry=Retry(NoBackoff(), 0),  # whoever asks decides whether it is worth another try
            client_name="enginehouse",
            protocol=2,  # which every server speaks
        )

    def look(self, since: Mark | None) -> News:
        """See `Annals`. Where it can only be read, it is read, and that is said."""
        with _told():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.execute_command("HSETNX", _HEAD, "generation", secrets.token_hex(8))
            pipeline.execute_command("HMGET", _HEAD, "generation", "number")
            written, head = pipeline.execute(raise_on_error=False)
            if isinstance(head, Exception):
                raise head
            trouble = _said(written) if isinstance(written, Exception) else ""
            mark = Mark((head[0] or b"").decode(), int(head[1] or 0))
            if not mark.generation:
                return News(mark, {}, whole=False, trouble=trouble)
            if since is None or since.generation != mark.generation or mark.number < since.number:
                return News(mark, self._all(), whole=True, trouble=trouble)
            return News(mark, self._since(since, mark), whole=False, trouble=trouble)

    def check(self) -> None:
        """See `Annals`."""
        with _told():
            self._redis.execute_command("HSETNX", _HEAD, "generation", secrets.token_hex(8))

    def get(self, name: str) -> bytes:
        """See `Annals`."""
        with _told():
            return bytes(self._redis.execute_command("HGET", _ADAPTERS, name) or b"")

    def put(self, name: str, known: bytes, to: bytes) -> bool:
        """See `Annals`."""
        with _told():
            return bool(self._redis.execute_command("EVAL", _PUT, 3, _ADAPTERS, _CHANGED, _HEAD, name, known, to))

    def hold(self, digests: Collection[str]) -> frozenset[str]:
        """See `Annals`."""
        with _told():
            held = self._redis.execute_command("EVAL", _HOLD % _HELD_FOR, 1, _HELD, *digests)
            return frozenset(bytes(digest).decode("utf-8", "replace") for digest in held)

    def _since(self, since: Mark, mark: Mark) -> Mapping[str, bytes]:
        if mark.number == since.number:
            return {}
        changed = self._redis.execute_command("ZRANGEBYSCORE", _CHANGED, f"({since.number}", "+inf")
        return self._entries([bytes(name) for name in changed])

    def _all(self) -> Mapping[str, bytes]:
        return self._entries([bytes(name) for name in self._redis.execute_command("HKEYS", _ADAPTERS)])

    def _entries(self, names: list[bytes]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            values = self._redis.execute_command("HMGET", _ADAPTERS, *part)
            pairs = zip(part, values, strict=True)
            found.update((name.decode("utf-8", "replace"), bytes(value)) for name, value in pairs if value is not None)
        return found


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as fault:
        raise StoreAway(f"Redis, by which hosts share adapters, fails: {_said(fault)}") from fault


def _said(fault: Exception) -> str:
    """Its own words: they name host and port, never a password."""
    return (str(fault) or type(fault).__name__).splitlines()[0][:200].rstrip(".")
