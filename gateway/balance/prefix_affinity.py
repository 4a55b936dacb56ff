"""Where most of the prompt is likely cached, unless that worker has too much to do.

A worker that has just read a prompt answers the next one that begins like it sooner: its engine kept the keys and
values. Engines do not tell a gateway what they keep; `PrefixTable` remembers what was sent where, which is nearly the
same. How much more load the favourite may have is `slack`. A prompt that nobody knows goes to the worker to which its
first unknown block belongs by rendezvous hashing, among those that are not busier than others and were not given more
to read than others: their caches fill alike, and gateways that never talk mostly agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp2
from typing import Final
from zlib import crc32

from gateway.balance.least_loaded import LeastLoaded
from gateway.balance.policy import Choice, Reason
from gateway.balance.prefix import BOUNDS, Prefix
from gateway.balance.prefix_table import PrefixTable

WORTH: Final = 512
"""Bytes of cached prompt that are worth waiting behind one more request."""
MOST_SLACK: Final = 8.0
"""Requests more than the least loaded that a favourite may have, whatever it has cached …"""
PROPORTION: Final = 1.5
"""… on top of this many times the least load."""
HALF_LIFE: Final = 300.0
"""Seconds after which what was sent to a worker counts half: by then much else has passed through its cache."""
LEAST_SHARE: Final = 4
"""A match of less than one part in so many is a common opening, not a common prompt: it decides nothing, else every
request would run after the one worker that saw the first."""
NEARLY: Final = 4.0
"""Requests more than the least loaded that a worker may have to be given an unknown prompt."""
MARGIN: Final = 0.5
"""How much more than others it may have been given to read before, as a share of this prompt: what is new has to be
spread over all caches, and spread alike by gateways that never talk."""
RECENT: Final = 1024.0
"""Blocks that a worker was given, above which all that was given counts half."""
_ODD: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1


class PrefixAffinity:
    """Invariant: what it remembers is bounded by its table, and every choice by the blocks of a prompt."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._table: Final = PrefixTable()
        self._least: Final = LeastLoaded(chance)
        self._given: Final[dict[str, float]] = {}
        """Blocks that each worker was given to read anew, the older ones for less."""

    def choose(self, loads: Mapping[str, float], prefix: Prefix, now: float) -> Choice:
        """The worker with the longest fresh match that is not too loaded, else one with little to do."""
        blocks = prefix.blocks
        if not blocks:
            return self._least.choose(loads, prefix, now)
        choice = self._by_match(loads, blocks, now)
        self._table.sent(blocks, choice.worker, now)
        if choice.matched < len(blocks):
            self._gave(choice.worker, len(blocks) - choice.matched)
        return choice

    def gone(self, worker: str) -> None:
        self._table.gone(worker)
        self._given.pop(worker, None)

    def _gave(self, worker: str, blocks: int) -> None:
        given = self._given
        given[worker] = given.get(worker, 0.0) + blocks
        if given[worker] > RECENT:
            for each in given:
                given[each] /= 2

    def _by_match(self, loads: Mapping[str, float], blocks: tuple[int, ...], now: float) -> Choice:
        """From the longest match to the shortest that counts: the first whose holder may have one more request."""
        least = min(loads.values())
        bound = least * PROPORTION
        enough = max(1, -(-len(blocks) // LEAST_SHARE))
        known, reason = 0, None
        for depth in range(len(blocks), 0, -1):
            holders = self._table.holders(blocks[depth - 1], now)
            if not holders:
                continue
            known = known or depth
            if depth < enough:
                break
            fit = [
                worker
                for worker, age in holders
                if worker in loads and (loads[worker] <= bound or loads[worker] <= bound + slack(depth, age))
            ]
            if fit:
                favourite = fit[0] if len(fit) == 1 else min(fit, key=loads.__getitem__)
                return Choice(favourite, reason or Reason.LONGEST_PREFIX, len(loads), depth, len(blocks))
            reason = reason or _why_not(holders, loads)
        if reason is Reason.FAVOURITE_OVERLOADED:
            return Choice(min(loads, key=loads.__getitem__), reason, len(loads), 0, len(blocks))
        worker = self._owner(loads, least, blocks, blocks[min(known, len(blocks) - 1)])
        return Choice(worker, reason or Reason.NEW_PREFIX, len(loads), 0, len(blocks))

    def _owner(self, loads: Mapping[str, float], least: float, blocks: tuple[int, ...], block: int) -> str:
        """Rendezvous hashing with bounds: the same for the same block in every gateway, and for most blocks when
        workers come or go, but nobody who is busy or has been given more than others.
        """
        near = [worker for worker, load in loads.items() if load <= least + NEARLY]
        given = self._given
        enough = min(given.get(worker, 0.0) for worker in near) + MARGIN * len(blocks)
        near = [worker for worker in near if given.get(worker, 0.0) <= enough]
        return near[0] if len(near) == 1 else max(near, key=lambda worker: _lot(worker, block))


def _why_not(holders: list[tuple[str, float]], loads: Mapping[str, float]) -> Reason:
    there = any(worker in loads for worker, _ in holders)
    return Reason.FAVOURITE_OVERLOADED if there else Reason.FAVOURITE_AWAY


def slack(depth: int, age: float) -> float:
    """Requests that a worker may have more than the least loaded, if it got `depth` blocks `age` seconds ago."""
    return min(MOST_SLACK, BOUNDS[depth] / WORTH) * exp2(-age / HALF_LIFE)


def _lot(worker: str, block: int) -> int:
    mixed = ((crc32(worker.encode(), block & 0xFFFFFFFF) ^ block) * _ODD) & _WORD
    return mixed ^ mixed >> 32
