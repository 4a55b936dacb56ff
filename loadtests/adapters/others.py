"""What our placement is compared with: least recently used, and nothing else. Pure.

That is what an engine does by itself behind a balancer that knows nothing of adapters (round robin), or that knows
where each belongs (affinity).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from engines.ledger.picture import Evict, Holder, Load, Move, Picture, Placement, Reason, Residency


def least_recently_used(picture: Picture) -> tuple[Move, ...]:
    """Whoever waits takes a free slot, else that of whatever is idle and was used longest ago, anywhere."""
    return _decided(picture, lambda _, holders: holders)


def affine(picture: Picture) -> tuple[Move, ...]:
    """The same on the one worker to which an adapter belongs by its hash, and never on another."""
    return _decided(picture, lambda adapter, holders: [max(holders, key=lambda each: _lot(each, adapter))])


def in_turn() -> Placement:
    """The same on the next worker, whichever that is."""
    turn, given = iter(range(1 << 62)), dict[str, int]()

    def choose(adapter: str, holders: list[Holder]) -> list[Holder]:
        number = given[adapter] if adapter in given else given.setdefault(adapter, next(turn))
        return [holders[number % len(holders)]]

    def decide(picture: Picture) -> tuple[Move, ...]:
        for adapter in given.keys() - {wish.adapter for wish in picture.wishes}:
            del given[adapter]
        return _decided(picture, choose)

    return decide


def _decided(picture: Picture, choose: Callable[[str, list[Holder]], list[Holder]]) -> tuple[Move, ...]:
    found: list[Move] = []
    free = {each.worker: each.slots - len(each.held) for each in picture.holders}
    there = {held.adapter for each in picture.holders for held in each.held}
    wanted = {wish.adapter for wish in picture.wishes}
    leaving = sum(held.state is Residency.LEAVING for each in picture.holders for held in each.held)
    for wish in sorted(picture.wishes, key=lambda wish: (wish.since, wish.adapter)):
        if wish.adapter in there or not picture.holders:
            continue
        able = choose(wish.adapter, list(picture.holders))
        roomy = [each for each in able if free[each.worker] > 0]
        if roomy:
            chosen = min(roomy, key=lambda each: each.open)
            free[chosen.worker] -= 1
            found.append(Load(chosen.worker, wish.adapter, Reason.WANTED))
        elif leaving:
            leaving -= 1
        else:
            idle = [
                (held.used, each.worker, held.adapter)
                for each in able
                for held in each.held
                if held.state is Residency.RESIDENT and not held.active and held.adapter not in wanted
            ]
            idle = [each for each in idle if Evict(each[1], each[2], Reason.MAKES_ROOM) not in found]
            if idle:
                _, worker, adapter = min(idle)
                found.append(Evict(worker, adapter, Reason.MAKES_ROOM))
    return tuple(found)


def _lot(holder: Holder, adapter: str) -> bytes:
    return blake2b(f"{holder.seat or holder.worker} {adapter}".encode(), digest_size=8).digest()
