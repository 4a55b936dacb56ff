"""The requests that the gateway remembers: those under way, and the last few thousand that are over.

Filled by `middleware.door`, asked by `api.requests`. The request path only stores a reference here; everything that
costs is done when somebody asks.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.exchange import Exchange

REMEMBERED: Final = 4096
"""Requests that are over, at most: some megabytes."""
SHORTEST: Final = 4
"""Characters of an id's beginning that may stand for it."""
_NAMED: Final = 5
"""Ids that an answer to an ambiguous beginning names, at most."""


class Ambiguous(Exception):
    """Several ids begin like this; `ids` are the newest of them."""

    def __init__(self, count: int, ids: list[str]) -> None:
        super().__init__(f"{count} requests begin like this")
        self.count: Final = count
        self.ids: Final = ids


class Passages:
    """Invariant: at most `limit` ended exchanges are held, the newest; an id stands for the newest that has it."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit: Final = limit
        self._under_way: Final[dict[int, Exchange]] = {}
        self._over: Final[deque[Exchange]] = deque()
        self._by_id: Final[dict[str, Exchange]] = {}

    def __len__(self) -> int:
        return len(self._over)

    def begin(self, exchange: Exchange) -> None:
        """It is under way until `end`."""
        self._under_way[id(exchange)] = exchange

    def end(self, exchange: Exchange) -> None:
        """It is over. Remembered if it was for a relayed path: probes and refused keys would only push out others."""
        del self._under_way[id(exchange)]
        if not exchange.operation:
            return
        name, known = exchange.request_id, self._by_id
        if name in known:
            exchange.namesakes = known[name].namesakes + 1
        known[name] = exchange
        self._over.append(exchange)
        if len(self._over) > self._limit:
            oldest = self._over.popleft()
            if known[oldest.request_id] is oldest:
                del known[oldest.request_id]

    def find(self, name: str) -> tuple[Exchange, int] | None:
        """The newest request with the id `name`, or the only one whose id begins so, and how many had that id.

        Raises `Ambiguous`. None: nothing is known of it (any more).
        """
        begun = [each for each in self._under_way.values() if each.operation]
        if name not in self._by_id and all(each.request_id != name for each in begun):
            full = self._completed(name, begun)
            if full is None:
                return None
            name = full
        same = [each for each in begun if each.request_id == name]
        over = self._by_id.get(name)
        count = len(same) + (0 if over is None else over.namesakes + 1)
        return max((*same, *([] if over is None else [over])), key=lambda each: each.started), count

    def _completed(self, beginning: str, begun: list[Exchange]) -> str | None:
        if len(beginning) < SHORTEST:
            return None
        # Newest first; a dictionary keeps that order and each id once.
        ids = dict.fromkeys(each.request_id for each in (*reversed(begun), *reversed(self._over)))
        fitting = [each for each in ids if each.startswith(beginning)]
        if len(fitting) > 1:
            raise Ambiguous(len(fitting), fitting[:_NAMED])
        return fitting[0] if fitting else None
