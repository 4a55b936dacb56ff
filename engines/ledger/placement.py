"""Which adapter is loaded on which worker, and which one leaves for it. Pure: asked by the ledger's owner every round.

First what is pinned, then what is wanted and nowhere, the one that has waited longest first; only then copies of what
is hot, and what will be wanted. Whoever comes later in that order never takes a slot from one that comes before.

Where the rules are from:
- Adapters live elsewhere and come when they are wanted, those of waiting requests first: S-LoRA (arXiv 2311.03285).
  The least recently used leaves, as in vLLM and SGLang (sgl-project/sglang#11041), never what is pinned (#8053);
  recency is weighed with frequency (`rates`), so that a scan over rare ones leaves the hot ones alone.
- A steady stream of requests for resident ones starves the others (vllm-project/vllm#9289 says so of its scheduler).
  SGLang drains one that runs when another has waited too long (`lora_drain_wait_threshold`): `Bounds.age`.
- A worker that holds it, else one with a free slot: so scores Kubernetes' Gateway API inference extension (1.0, 0.8),
  and leaves it to chance, one in a thousand, to spread what is hot. Here copies are made by load, as dLoRA (OSDI '24)
  moves adapters together with requests to where there is less to do.
- Rendezvous hashing of seats: a worker that restarts is given back most of what it had, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from math import inf
from typing import Final

from engines.ledger.picture import Evict, Held, Holder, Load, Move, Picture, Reason, Residency


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds and requests. The defaults are what the simulation found good (docs/adapters.md)."""

    settle: float = 0.25
    """An adapter that was loaded so short a while ago stays in any case: those who waited for it are on their way."""
    residence: float = 0.5
    """It stays so long unless another one is overdue: else two that are wanted by turns would chase each other."""
    age: float = 5.0
    """Who has waited so long is overdue: what is active has to leave, its streams ending first. Shorter than the usual
    wait of an overloaded house it only makes everybody overdue."""
    stuck: float = 10.0
    """What has been leaving for so long is not waited for any more: another has to leave too."""
    hot: float = 4.0
    """Requests for it on each worker that holds it, and requests that another worker has less, for a copy there."""
    cold: float = 30.0
    """Seconds unused, after which an adapter gives way to what is merely useful."""
    slack: int = 1
    """Requests more than the least loaded that a worker may have to count as no busier."""


class Right(IntEnum):
    """What may be made to leave for another one; each may take what those before it may."""

    USEFUL = 0
    """What is idle, cold and not expected itself."""
    WANTED = 1
    """What is idle and has been there for a while."""
    OVERDUE = 2
    """What is active too, and what others have waited for a shorter time for."""


_DEFAULT: Final = Bounds()


def moves(picture: Picture, bounds: Bounds = _DEFAULT) -> tuple[Move, ...]:
    """One round, to be carried out in any order. The same picture, the same moves; none: all is as it should be."""
    plan = _Plan(picture, bounds)
    plan.trim()
    plan.pin()
    plan.serve()
    plan.copy()
    plan.expect()
    return tuple(plan.moves)


class _Plan:
    """Invariant: no slot is promised twice, and nothing that is pinned, on its way or leaving is evicted."""

    def __init__(self, picture: Picture, bounds: Bounds) -> None:
        self.moves: Final[list[Move]] = []
        self._picture: Final = picture
        self._bounds: Final = bounds
        self._least: Final = min((each.open for each in picture.holders), default=0)
        self._moved: Final[set[tuple[str, str]]] = set()
        self._placed: Final[set[str]] = set()
        self._wishes: Final = {each.adapter: each for each in picture.wishes}
        self._slots: Final = {each.worker: _Slots(each, picture.now - bounds.stuck) for each in picture.holders}
        self._places: Final[dict[str, list[tuple[Holder, Held]]]] = {}
        for holder in picture.holders:
            for held in holder.held:
                self._places.setdefault(held.adapter, []).append((holder, held))

    def trim(self) -> None:
        """Workers that hold more than their slots, and copies that nobody needs any more."""
        for holder in self._picture.holders:
            staying = sum(held.state is not Residency.LEAVING for held in holder.held)
            for _ in range(staying - holder.slots):
                self._evict(self._victims([holder], Right.OVERDUE), "", Reason.EXCESS)
        for adapter in sorted(self._places):
            copies = self._resident(adapter)
            if len(copies) > 1 and self._load(adapter) < (len(copies) - 1) * self._bounds.hot / 2:
                cold = [each for each in copies if self._may_leave(*each, Right.USEFUL, -inf)]
                self._evict(cold, adapter, Reason.SURPLUS)

    def pin(self) -> None:
        """A copy of what is pinned on every worker, at once."""
        for holder in self._picture.holders:
            for adapter in sorted(self._picture.pinned)[: holder.slots]:
                able = self._able(adapter, [holder])
                if not self._place(able, adapter, Reason.PINNED):
                    self._make_room(able, adapter, Right.OVERDUE)

    def serve(self) -> None:
        """What is wanted and nowhere, the longest wait first."""
        for wish in sorted(self._picture.wishes, key=lambda wish: (wish.since, wish.adapter)):
            if self._is_somewhere(wish.adapter):
                continue
            able = self._able(wish.adapter, self._picture.holders)
            if not self._place(able, wish.adapter, Reason.WANTED):
                overdue = self._picture.now - wish.since >= self._bounds.age
                self._make_room(able, wish.adapter, Right.OVERDUE if overdue else Right.WANTED, wish.since)

    def copy(self) -> None:
        """A second home for what is hot, where there is less to do."""
        for adapter in sorted(self._places, key=lambda each: (-self._load(each), each)):
            copies = self._resident(adapter)
            if len(copies) < len(self._places[adapter]) or self._load(adapter) < len(copies) * self._bounds.hot:
                continue
            least = min(holder.open for holder, _ in copies)
            able = self._able(adapter, self._picture.holders)
            able = [holder for holder in able if holder.open + self._bounds.hot <= least]
            if not self._place(able, adapter, Reason.HOT):
                self._make_room(able, adapter, Right.USEFUL)

    def expect(self) -> None:
        """What will be wanted, where that takes nothing from anybody."""
        for adapter in self._picture.expected:
            if not self._is_somewhere(adapter):
                able = self._able(adapter, self._picture.holders)
                if not self._place(able, adapter, Reason.EXPECTED):
                    self._make_room(able, adapter, Right.USEFUL)

    def _place(self, able: list[Holder], adapter: str, reason: Reason) -> bool:
        """On one of those that have a free slot and are not busier than others, by its hash; False: there is none."""
        roomy = [holder for holder in able if self._slots[holder.worker].free > 0]
        if not roomy:
            return False
        least = min(holder.open for holder in roomy)
        near = [holder for holder in roomy if holder.open <= least + self._bounds.slack]
        chosen = max(near, key=lambda holder: _lot(holder, adapter))
        self._slots[chosen.worker].free -= 1
        self._moved.add((chosen.worker, adapter))
        self._placed.add(adapter)
        self.moves.append(Load(chosen.worker, adapter, reason))
        return True

    def _make_room(self, able: list[Holder], adapter: str, right: Right, since: float = -inf) -> None:
        """A slot that is as good as free, else what is idle, else a slot that will come free, else what is active.

        Whose slot it is in the end is decided anew when it is free.
        """
        slots = [self._slots[holder.worker] for holder in able]
        if any(each.claim_soon() for each in slots):
            return
        if self._evict(self._victims(able, min(right, Right.WANTED)), adapter, Reason.MAKES_ROOM):
            return
        if right is not Right.USEFUL and any(each.claim_later() for each in slots):
            return
        if right is Right.OVERDUE:
            self._evict(self._victims(able, right, since), adapter, Reason.OVERDUE)

    def _evict(self, victims: list[tuple[Holder, Held]], adapter: str, reason: Reason) -> bool:
        """The one of least use; False: there is none."""
        if not victims:
            return False
        holder, held = min(victims, key=lambda each: self._use(each, adapter))
        self._moved.add((holder.worker, held.adapter))
        self.moves.append(Evict(holder.worker, held.adapter, reason))
        return True

    def _victims(self, able: Iterable[Holder], right: Right, since: float = -inf) -> list[tuple[Holder, Held]]:
        """What may leave for whoever has that right and has waited since then."""
        return [
            (holder, held) for holder in able for held in holder.held if self._may_leave(holder, held, right, since)
        ]

    def _may_leave(self, holder: Holder, held: Held, right: Right, since: float) -> bool:
        picture, bounds = self._picture, self._bounds
        kept = held.adapter in picture.pinned or (holder.worker, held.adapter) in self._moved
        if held.state is not Residency.RESIDENT or kept or picture.now - held.since < bounds.settle:
            return False
        wish = self._wishes.get(held.adapter)
        if right is Right.OVERDUE:
            return wish is None or wish.since > since
        idle = wish is None and not held.active and picture.now - held.since >= bounds.residence
        cold = picture.now - held.used >= bounds.cold and held.adapter not in picture.expected
        return idle and (right is Right.WANTED or cold)

    def _use(self, place: tuple[Holder, Held], adapter: str) -> tuple[bool, int, bool, float, float, int]:
        """What speaks for it to stay, the weightiest first: its requests; that its worker is busy without another new
        one; that there is no copy; how often, how lately it was used; that `adapter` does not belong there.
        """
        holder, held = place
        busier = (holder.open - self._least) // (self._bounds.slack + 1)
        alone = len(self._resident(held.adapter)) < 2
        rate = self._picture.rates.get(held.adapter, 0.0)
        return (held.active > 0, busier, alone, rate, held.used, -_lot(holder, adapter))

    def _resident(self, adapter: str) -> list[tuple[Holder, Held]]:
        """Its copies that serve, and will after this round."""
        return [
            (holder, held)
            for holder, held in self._places.get(adapter, ())
            if held.state is Residency.RESIDENT and (holder.worker, adapter) not in self._moved
        ]

    def _is_somewhere(self, adapter: str) -> bool:
        """Serving, or on its way."""
        loading = any(held.state is Residency.LOADING for _, held in self._places.get(adapter, ()))
        return loading or adapter in self._placed or bool(self._resident(adapter))

    def _able(self, adapter: str, holders: Iterable[Holder]) -> list[Holder]:
        """Those that may be given it: one that it is still leaving has to be rid of it first."""
        there = {holder.worker for holder, _ in self._places.get(adapter, ())}
        return [
            holder
            for holder in holders
            if holder.worker not in there
            and adapter not in holder.refuses
            and (holder.worker, adapter) not in self._moved
        ]

    def _load(self, adapter: str) -> int:
        """Requests for it, on workers and waiting."""
        wish = self._wishes.get(adapter)
        return (wish.waiting if wish else 0) + sum(held.active for _, held in self._places.get(adapter, ()))


class _Slots:
    """One worker's slots that nobody was promised yet: free ones, and those of what is leaving."""

    def __init__(self, holder: Holder, stuck: float) -> None:
        leaving = [held for held in holder.held if held.state is Residency.LEAVING]
        excess = max(0, len(holder.held) - holder.slots)
        self.free = max(0, holder.slots - len(holder.held))
        self._soon = max(0, sum(not held.active for held in leaving) - excess)
        self._later = max(0, sum(held.active > 0 and held.since > stuck for held in leaving) - excess)

    def claim_soon(self) -> bool:
        """Whether there was one of what leaves with nothing left to end."""
        self._soon -= 1
        return self._soon >= 0

    def claim_later(self) -> bool:
        """Whether there was one of what ends its requests."""
        self._later -= 1
        return self._later >= 0


def _lot(holder: Holder, adapter: str) -> int:
    """How much the adapter belongs on that seat, by rendezvous hashing: the same after a restart."""
    drawn = blake2b(f"{holder.seat or holder.worker}\0{adapter}".encode(), digest_size=8)
    return int.from_bytes(drawn.digest())
